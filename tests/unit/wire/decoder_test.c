#include "base/memory.h"
#include "wire/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct http_request simple = {.method = {(const uint8_t *)"POST", 4},
                                           .scheme = {(const uint8_t *)"http", 4},
                                           .authority = {(const uint8_t *)"a", 1},
                                           .path = {(const uint8_t *)"/", 1},
                                           .protocol = HTTP_1_1,
                                           .content_length = HTTP_LENGTH_UNKNOWN};

static struct wire_event feed(struct wire_decoder *d, struct span *input)
{
    struct wire_event event;
    wire_decoder_feed(d, input, &event);
    return event;
}

static void test_content_is_part_of_the_input(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_EMPTY;
    struct wire_decoder d;
    wire_request_write(&bytes, WIRE_REQUEST_SINGLE, &simple, NULL, 5);
    buffer_append_text(&bytes, "hello");
    wire_decoder_init(&d, WIRE_REQUESTS, NULL);
    struct span input = buffer_span(&bytes);
    size_t held = memory_held();
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_HEAD);
    struct wire_event body = feed(&d, &input);
    assert_int_equal(body.type, WIRE_EVENT_BODY);
    assert_ptr_equal(body.bytes.data, buffer_span(&bytes).data + buffer_size(&bytes) - 5);
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_END);
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_MORE);
    assert_int_equal(memory_held(), held);
    assert_true(wire_decoder_is_idle(&d));
    wire_decoder_release(&d);
    buffer_release(&bytes);
}

static void test_largest_chunk_takes_no_memory(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_EMPTY;
    struct wire_decoder d;
    static uint8_t block[WIRE_CHUNK_DATA_MAX];
    uint32_t size = WIRE_PAYLOAD_MAX - 6;
    wire_request_write(&bytes, WIRE_REQUEST_START, &simple, NULL, 0);
    wire_frame_append_chunk(&bytes, WIRE_REQUEST_CHUNK, size);
    wire_decoder_init(&d, WIRE_REQUESTS, NULL);
    struct span input = buffer_span(&bytes);
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_HEAD);
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_MORE);
    size_t held = memory_held();
    uint64_t sum = 0;
    while (sum < size) {
        input = span_of(block, size - sum < sizeof(block) ? (size_t)(size - sum) : sizeof(block));
        struct wire_event event = feed(&d, &input);
        assert_int_equal(event.type, WIRE_EVENT_BODY);
        assert_int_equal(input.size, 0);
        sum += event.bytes.size;
    }
    assert_int_equal(memory_held(), held);
    uint8_t end[WIRE_PREFIX_SIZE];
    wire_frame_mark(end, WIRE_REQUEST_END);
    input = span_of(end, sizeof(end));
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_END);
    wire_decoder_release(&d);
    buffer_release(&bytes);
}

/* A head in single bytes with a large field: what is held stays near the head's own size. */
static void test_gathered_head_is_bounded_and_given_back(void **state)
{
    (void)state;
    struct arena a = ARENA_EMPTY;
    struct buffer bytes = BUFFER_EMPTY;
    struct wire_decoder d;
    struct http_request r = simple;
    static uint8_t value[60000];
    memset(value, 'v', sizeof(value));
    field_list_append_copy(&r.fields, &a, SPAN("x-large"), span_of(value, sizeof(value)));
    assert_int_equal(wire_request_write(&bytes, WIRE_REQUEST_SINGLE, &r, NULL, 3), ROUTED_OK);
    buffer_append_text(&bytes, "abc");
    wire_decoder_init(&d, WIRE_REQUESTS, NULL);
    size_t held = memory_held();
    size_t heads = 0;
    struct wire_event event;
    for (size_t i = 0; i < buffer_size(&bytes); i++) {
        struct span input = span_part(buffer_span(&bytes), i, 1);
        do {
            event = feed(&d, &input);
            heads += event.type == WIRE_EVENT_HEAD;
            assert_int_not_equal(event.type, WIRE_EVENT_ERROR);
        } while (event.type != WIRE_EVENT_MORE);
        assert_true(memory_held() < held + 2 * sizeof(value) + 8192);
    }
    assert_int_equal(heads, 1);
    assert_int_equal(memory_held(), held);
    wire_decoder_release(&d);
    buffer_release(&bytes);
    arena_release(&a);
}

static void test_smaller_limits(void **state)
{
    (void)state;
    struct wire_limits limits = {.payload_max = 100, .head_max = 60, .fields_max = 1};
    static const struct {
        uint8_t bytes[12];
        size_t size;
        const char *text;
    } cases[] = {
        {{0, 0, 0, 101}, 4, "frame too large"},
        {{0, 0, 0, 90, 1, 13, 0, 0, 0, 57}, 10, "head too large"},
        {{0, 0, 0, 90, 1, 14, 0, 200, 0, 0, 0, 2}, 12, "frame out of turn"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct wire_decoder d;
        wire_decoder_init(&d, WIRE_REQUESTS, &limits);
        struct span input = span_of(cases[i].bytes, cases[i].size);
        struct wire_event event = feed(&d, &input);
        assert_int_equal(event.type, WIRE_EVENT_ERROR);
        assert_string_equal(event.text, cases[i].text);
        wire_decoder_release(&d);
    }
    struct wire_decoder d;
    wire_decoder_init(&d, WIRE_RESPONSES, &limits);
    struct span input = span_of(cases[2].bytes, cases[2].size);
    struct wire_event event = feed(&d, &input);
    assert_string_equal(event.text, "too many fields");
    wire_decoder_release(&d);
}

static void test_error_stays(void **state)
{
    (void)state;
    struct wire_decoder d;
    wire_decoder_init(&d, WIRE_REQUESTS, NULL);
    struct span input = SPAN("\0\0\0\1\1");
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_ERROR);
    uint8_t end[WIRE_PREFIX_SIZE];
    wire_frame_mark(end, WIRE_REQUEST_END);
    input = span_of(end, sizeof(end));
    struct wire_event event = feed(&d, &input);
    assert_int_equal(event.type, WIRE_EVENT_ERROR);
    assert_int_equal(event.error, ROUTED_ERROR_BRIDGE_FRAME);
    assert_string_equal(event.text, "truncated frame");
    assert_false(wire_decoder_is_idle(&d));
    wire_decoder_release(&d);
}

static void test_tunnel_only_between_requests(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_EMPTY;
    struct wire_decoder d;
    wire_request_write(&bytes, WIRE_REQUEST_START, &simple, NULL, 0);
    wire_decoder_init(&d, WIRE_REQUESTS, NULL);
    struct span input = buffer_span(&bytes);
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_HEAD);
    assert_int_equal(wire_decoder_enter_tunnel(&d), ROUTED_ERROR_STATE);
    wire_decoder_release(&d);
    wire_decoder_init(&d, WIRE_RESPONSES, NULL);
    assert_int_equal(wire_decoder_enter_tunnel(&d), ROUTED_ERROR_STATE);
    wire_decoder_release(&d);
    buffer_release(&bytes);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_EMPTY;
    struct wire_decoder d;
    wire_request_write(&bytes, WIRE_REQUEST_START, &simple, NULL, 0);
    wire_decoder_init(&d, WIRE_REQUESTS, NULL);
    struct span input = span_part(buffer_span(&bytes), 0, 9);
    memory_fault_set(1);
    struct wire_event event = feed(&d, &input);
    memory_fault_set(0);
    assert_int_equal(event.type, WIRE_EVENT_ERROR);
    assert_int_equal(event.error, ROUTED_ERROR_MEMORY);
    wire_decoder_release(&d);
    buffer_release(&bytes);
}

static void test_idle(void **state)
{
    (void)state;
    struct wire_decoder d;
    wire_decoder_init(&d, WIRE_RESPONSES, NULL);
    assert_true(wire_decoder_is_idle(&d));
    struct span input = SPAN("\0\0");
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_MORE);
    assert_false(wire_decoder_is_idle(&d));
    wire_decoder_release(&d);

    struct buffer bytes = BUFFER_EMPTY;
    struct http_response interim = {.status = 103};
    wire_response_write(&bytes, WIRE_RESPONSE_START, &interim, HTTP_LENGTH_UNKNOWN, 0);
    wire_decoder_init(&d, WIRE_RESPONSES, NULL);
    input = buffer_span(&bytes);
    assert_int_equal(feed(&d, &input).type, WIRE_EVENT_HEAD);
    assert_false(wire_decoder_is_idle(&d));
    wire_decoder_release(&d);
    buffer_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_is_part_of_the_input),
        cmocka_unit_test(test_largest_chunk_takes_no_memory),
        cmocka_unit_test(test_gathered_head_is_bounded_and_given_back),
        cmocka_unit_test(test_smaller_limits),
        cmocka_unit_test(test_error_stays),
        cmocka_unit_test(test_tunnel_only_between_requests),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests_name("wire/decoder", tests, NULL, NULL);
}
