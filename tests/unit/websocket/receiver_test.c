/* A script of frames goes in, a text of events comes out; each script whole, byte by byte and
 * cut anywhere. */
#include "websocket/receiver.h"

#include "base/memory.h"
#include <routed/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- frames as a client sends them ---- */

static void frame(struct buffer *out, int first, struct span payload)
{
    struct websocket_frame f = {.opcode = (enum websocket_opcode)(first & 15),
                                .is_final = (first & 0x80) != 0,
                                .is_masked = true,
                                .mask = {0x37, 0xfa, 0x21, 0x3d},
                                .size = payload.size};
    uint8_t head[WEBSOCKET_HEAD_MAX];
    size_t size = websocket_frame_write(head, &f);
    head[0] = (uint8_t)first;
    assert_int_equal(buffer_append(out, head, size), ROUTED_OK);
    if (payload.size == 0)
        return;
    uint8_t *room = buffer_reserve(out, payload.size);
    assert_non_null(room);
    websocket_mask(room, payload.data, payload.size, f.mask, 0);
    buffer_commit(out, payload.size);
}

/* ---- events as text ---- */

static void tell(struct buffer *out, const struct websocket_event *e)
{
    static const char *const names[] = {"more", "message", "ping", "pong", "close", "error"};
    char line[64];
    snprintf(line, sizeof(line), "%s %d %d [", names[e->type],
             e->type == WEBSOCKET_EVENT_MESSAGE ? (int)e->opcode : e->code, e->error);
    buffer_append_text(out, line);
    buffer_append_span(out, e->payload);
    buffer_append_text(out, "]\n");
}

static void feed(struct websocket_receiver *r, struct span piece, struct buffer *told)
{
    struct websocket_event event;
    uint8_t *copy = malloc(piece.size + 1); /* exact: reads beyond it are seen */
    assert_non_null(copy);
    uint8_t *start = copy + 1;
    memcpy(start, piece.data, piece.size);
    struct span input = span_of(start, piece.size);
    for (;;) {
        websocket_receiver_feed(r, &input, &event);
        if (event.type == WEBSOCKET_EVENT_MORE)
            break;
        tell(told, &event);
    }
    assert_int_equal(input.size, 0);
    free(copy);
}

static const struct websocket_limits *limits;

static void assert_told(struct span bytes, size_t cut, size_t step, const char *expected)
{
    struct websocket_receiver r;
    struct buffer told = BUFFER_EMPTY;
    websocket_receiver_init(&r, true, limits);
    for (size_t at = 0; at < bytes.size;) {
        size_t size = step ? step : at < cut ? cut : bytes.size - at;
        size = size < bytes.size - at ? size : bytes.size - at;
        feed(&r, span_part(bytes, at, size), &told);
        at += size;
    }
    if (!span_equals(buffer_span(&told), span_from(expected)))
        fail_msg("cut %zu step %zu: %.*s", cut, step, (int)buffer_size(&told),
                 (const char *)buffer_span(&told).data);
    buffer_release(&told);
    websocket_receiver_release(&r);
}

/* Takes the buffer. */
static void expect(struct buffer *bytes, const char *expected)
{
    struct span all = buffer_span(bytes);
    for (size_t cut = 0; cut < all.size && cut < 400; cut++)
        assert_told(all, cut, 0, expected);
    for (size_t step = 1; step < 10; step++)
        assert_told(all, 0, step, expected);
    buffer_release(bytes);
}

static void expect_bytes(struct span bytes, const char *expected)
{
    struct buffer copy = BUFFER_EMPTY;
    buffer_append_span(&copy, bytes);
    expect(&copy, expected);
}

#define ERROR_LINE(code) "error 0 " #code " []\n"
#define PROTOCOL         ERROR_LINE(-400)
#define UTF8             ERROR_LINE(-401)
#define TOO_BIG          ERROR_LINE(-402)
#define BUDGET           ERROR_LINE(-123)

/* ---- RFC 6455 section 5.7 ---- */

static void test_examples_of_the_rfc(void **state)
{
    (void)state;
    expect_bytes(SPAN("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "message 1 0 [Hello]\n");
    expect_bytes(SPAN("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "pong 0 0 [Hello]\n");
    /* The unmasked ones are a server's. */
    expect_bytes(SPAN("\x81\x05\x48\x65\x6c\x6c\x6f"), PROTOCOL);
    struct websocket_receiver r;
    struct buffer told = BUFFER_EMPTY;
    websocket_receiver_init(&r, false, NULL);
    feed(&r, SPAN("\x81\x05\x48\x65\x6c\x6c\x6f"), &told);
    feed(&r, SPAN("\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"), &told);
    feed(&r, SPAN("\x89\x05\x48\x65\x6c\x6c\x6f"), &told);
    const char *expected = "message 1 0 [Hello]\nmessage 1 0 [Hello]\nping 0 0 [Hello]\n";
    assert_true(span_equals(buffer_span(&told), span_from(expected)));
    buffer_clear(&told);
    uint8_t large[4 + 256] = {0x82, 0x7e, 0x01, 0x00};
    feed(&r, span_of(large, sizeof(large)), &told);
    assert_true(span_starts_with(buffer_span(&told), SPAN("message 2 0 [\0")));
    assert_int_equal(buffer_size(&told), 13 + 256 + 2);
    buffer_clear(&told);
    static uint8_t larger[10 + 65536] = {0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0};
    feed(&r, span_of(larger, sizeof(larger)), &told);
    assert_int_equal(buffer_size(&told), 13 + 65536 + 2);
    buffer_clear(&told);
    feed(&r, SPAN("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), &told);
    assert_true(span_equals(buffer_span(&told), SPAN(PROTOCOL)));
    buffer_release(&told);
    websocket_receiver_release(&r);
}

/* ---- fragments ---- */

static void test_fragments(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    frame(&b, 0x01, SPAN("one "));
    frame(&b, 0x00, SPAN(""));
    frame(&b, 0x89, SPAN("between"));
    frame(&b, 0x00, SPAN("two "));
    frame(&b, 0x8a, SPAN(""));
    frame(&b, 0x80, SPAN("three"));
    frame(&b, 0x82, SPAN(""));
    frame(&b, 0x02, SPAN(""));
    frame(&b, 0x80, SPAN("x"));
    expect(&b, "ping 0 0 [between]\npong 0 0 []\nmessage 1 0 [one two three]\nmessage 2 0 []\n"
               "message 2 0 [x]\n");
}

static void test_fragments_out_of_turn(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    frame(&b, 0x80, SPAN("x"));
    expect(&b, PROTOCOL);
    frame(&b, 0x00, SPAN("x"));
    expect(&b, PROTOCOL);
    frame(&b, 0x01, SPAN("x"));
    frame(&b, 0x81, SPAN("y"));
    expect(&b, PROTOCOL);
    frame(&b, 0x81, SPAN("x"));
    frame(&b, 0x80, SPAN("y"));
    expect(&b, "message 1 0 [x]\n" PROTOCOL);
    frame(&b, 0x09, SPAN("x"));
    expect(&b, PROTOCOL);
    frame(&b, 0xc1, SPAN("x"));
    expect(&b, PROTOCOL);
}

/* ---- close ---- */

static void close_frame(struct buffer *b, int code, const char *reason)
{
    char payload[128];
    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    size_t size = strlen(reason);
    memcpy(payload + 2, reason, size);
    frame(b, 0x88, span_of(payload, 2 + size));
}

static void test_close(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    frame(&b, 0x88, SPAN_EMPTY);
    frame(&b, 0x81, SPAN("after the close"));
    expect(&b, "close 0 0 []\n");
    close_frame(&b, 1000, "good \xe2\x82\xac");
    frame(&b, 0x88, SPAN_EMPTY);
    expect(&b, "close 1000 0 [good \xe2\x82\xac]\n");
    frame(&b, 0x01, SPAN("unfinished"));
    close_frame(&b, 4999, "");
    expect(&b, "close 4999 0 []\n");
    frame(&b, 0x88, SPAN("x"));
    expect(&b, PROTOCOL);
    static const int bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        close_frame(&b, bad[i], "");
        expect(&b, PROTOCOL);
    }
    close_frame(&b, 1000, "\xed\xa0\x80");
    expect(&b, UTF8);
    close_frame(&b, 1000, "\xe2\x82");
    expect(&b, UTF8);
}

/* ---- text ---- */

static void test_text_over_fragments(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    frame(&b, 0x01, SPAN("\xf0\x9f"));
    frame(&b, 0x89, SPAN(""));
    frame(&b, 0x00, SPAN("\x98"));
    frame(&b, 0x80, SPAN("\x80"));
    expect(&b, "ping 0 0 []\nmessage 1 0 [\xf0\x9f\x98\x80]\n");
    frame(&b, 0x01, SPAN("\xf0\x9f"));
    frame(&b, 0x80, SPAN("\x98"));
    expect(&b, UTF8);
    frame(&b, 0x82, SPAN("\xff\xfe"));
    expect(&b, "message 2 0 [\xff\xfe]\n");
}

/* The wrong byte is told when it comes, long before the message ends. */
static void test_text_fails_at_once(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    frame(&b, 0x01, SPAN("0123456789\xed\xa0 more that never comes"));
    struct span all = buffer_span(&b);
    struct websocket_receiver r;
    struct buffer told = BUFFER_EMPTY;
    websocket_receiver_init(&r, true, NULL);
    feed(&r, span_part(all, 0, 6 + 11), &told);
    assert_int_equal(buffer_size(&told), 0);
    feed(&r, span_part(all, 6 + 11, 1), &told);
    assert_true(span_equals(buffer_span(&told), SPAN(UTF8)));
    websocket_receiver_release(&r);
    buffer_release(&told);
    buffer_release(&b);
}

/* ---- limits ---- */

static void test_size_is_judged_before_memory(void **state)
{
    (void)state;
    static const struct span heads[] = {
        {(const uint8_t *)"\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01mask", 14},
        {(const uint8_t *)"\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00mask", 14},
        {(const uint8_t *)"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask", 14},
    };
    size_t held = memory_held();
    for (size_t i = 0; i < 3; i++) {
        struct websocket_receiver r;
        struct websocket_event event;
        struct span input = heads[i];
        websocket_receiver_init(&r, true, NULL);
        websocket_receiver_feed(&r, &input, &event);
        assert_int_equal(event.type, WEBSOCKET_EVENT_ERROR);
        assert_int_equal(event.error, ROUTED_ERROR_WEBSOCKET_TOO_BIG);
        assert_int_equal(memory_held(), held);
        websocket_receiver_release(&r);
    }
}

static void test_announced_size_takes_no_memory(void **state)
{
    (void)state;
    struct websocket_receiver r;
    struct websocket_event event;
    size_t held = memory_held();
    struct span input = SPAN("\x82\xff\x00\x00\x00\x00\x00\x10\x00\x00maskabc");
    websocket_receiver_init(&r, true, NULL);
    websocket_receiver_feed(&r, &input, &event);
    assert_int_equal(event.type, WEBSOCKET_EVENT_MORE);
    assert_true(memory_held() - held < 4096);
    websocket_receiver_release(&r);
}

static void test_small_limits(void **state)
{
    (void)state;
    static const struct websocket_limits small = {8, 3, 2};
    struct buffer b = BUFFER_EMPTY;
    limits = &small;
    frame(&b, 0x82, SPAN("12345678"));
    frame(&b, 0x02, SPAN("1234"));
    frame(&b, 0x80, SPAN("5678"));
    frame(&b, 0x02, SPAN("1234"));
    frame(&b, 0x00, SPAN("56789"));
    expect(&b, "message 2 0 [12345678]\nmessage 2 0 [12345678]\n" TOO_BIG);
    frame(&b, 0x02, SPAN(""));
    frame(&b, 0x00, SPAN(""));
    frame(&b, 0x80, SPAN(""));
    frame(&b, 0x02, SPAN(""));
    frame(&b, 0x00, SPAN(""));
    frame(&b, 0x00, SPAN(""));
    frame(&b, 0x00, SPAN(""));
    expect(&b, "message 2 0 []\n" TOO_BIG);
    frame(&b, 0x89, SPAN(""));
    frame(&b, 0x8a, SPAN(""));
    frame(&b, 0x89, SPAN(""));
    expect(&b, "ping 0 0 []\npong 0 0 []\n" BUDGET);
    limits = NULL;
}

static void test_ration_of_pings(void **state)
{
    (void)state;
    struct websocket_receiver r;
    struct buffer ping = BUFFER_EMPTY, told = BUFFER_EMPTY;
    frame(&ping, 0x89, SPAN(""));
    websocket_receiver_init(&r, true, NULL);
    for (size_t i = 0; i < 4 * WEBSOCKET_CONTROLS_MAX; i++) {
        if (i % WEBSOCKET_CONTROLS_MAX == 0)
            websocket_receiver_refill(&r);
        buffer_clear(&told);
        feed(&r, buffer_span(&ping), &told);
        assert_true(span_equals(buffer_span(&told), SPAN("ping 0 0 []\n")));
    }
    buffer_clear(&told);
    feed(&r, buffer_span(&ping), &told);
    assert_true(span_equals(buffer_span(&told), SPAN(BUDGET)));
    buffer_release(&told);
    buffer_release(&ping);
    websocket_receiver_release(&r);
}

static void test_large_message_is_given_back(void **state)
{
    (void)state;
    static uint8_t payload[WEBSOCKET_MESSAGE_MAX];
    struct buffer b = BUFFER_EMPTY;
    struct websocket_receiver r;
    struct websocket_event event;
    frame(&b, 0x82, span_of(payload, sizeof(payload)));
    size_t held = memory_held();
    websocket_receiver_init(&r, true, NULL);
    struct span input = buffer_span(&b);
    websocket_receiver_feed(&r, &input, &event);
    assert_int_equal(event.type, WEBSOCKET_EVENT_MESSAGE);
    assert_int_equal(event.payload.size, sizeof(payload));
    assert_memory_equal(event.payload.data, payload, sizeof(payload));
    websocket_receiver_feed(&r, &input, &event);
    assert_int_equal(event.type, WEBSOCKET_EVENT_MORE);
    assert_int_equal(memory_held(), held);
    websocket_receiver_release(&r);
    buffer_release(&b);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    struct websocket_receiver r;
    struct websocket_event event;
    frame(&b, 0x81, SPAN("hello"));
    websocket_receiver_init(&r, true, NULL);
    struct span input = buffer_span(&b);
    memory_fault_set(1);
    websocket_receiver_feed(&r, &input, &event);
    memory_fault_set(0);
    assert_int_equal(event.type, WEBSOCKET_EVENT_ERROR);
    assert_int_equal(event.error, ROUTED_ERROR_MEMORY);
    websocket_receiver_release(&r);
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_the_rfc),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_fragments_out_of_turn),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_text_over_fragments),
        cmocka_unit_test(test_text_fails_at_once),
        cmocka_unit_test(test_size_is_judged_before_memory),
        cmocka_unit_test(test_announced_size_takes_no_memory),
        cmocka_unit_test(test_small_limits),
        cmocka_unit_test(test_ration_of_pings),
        cmocka_unit_test(test_large_message_is_given_back),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests_name("websocket/receiver", tests, NULL, NULL);
}
