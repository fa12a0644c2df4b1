#include "engine/carrier.h"

#include <routed/engine.h>

#define WINDOW 262144

static size_t collected;
static int completed;

static int on_complete(routed_exchange *x, const void *bytes, size_t size, void *user)
{
    (void)user;
    completed++;
    collected = size;
    assert_int_equal(((const char *)bytes)[size], 0);
    return routed_response_bytes(x, "application/octet-stream", bytes, size);
}

static int collect_ten(routed_exchange *x, void *user)
{
    (void)user;
    return routed_request_collect(x, 10, on_complete, NULL);
}

static int echo_part(routed_exchange *x, const void *bytes, size_t size, int is_end, void *user)
{
    (void)user;
    return is_end ? routed_response_end(x) : routed_response_write(x, bytes, size);
}

static int echo(routed_exchange *x, void *user)
{
    (void)user;
    int error = routed_response_begin(x, routed_request_content_length(x));
    return error ? error : routed_request_read(x, echo_part, NULL);
}

static int ignore(routed_exchange *x, void *user)
{
    (void)user;
    return routed_response_text(x, "no thanks");
}

static int setup(void **state)
{
    routed_route_options small = ROUTED_ROUTE_OPTIONS;
    routed_route_options open = ROUTED_ROUTE_OPTIONS;
    small.body_limit = 10;
    open.body_limit = ROUTED_UNLIMITED;
    struct carrier *c = carrier_begin(state);
    routed_engine_route(c->engine, "POST", "/collect", collect_ten, NULL, NULL);
    routed_engine_route(c->engine, "POST", "/small", echo, NULL, &small);
    routed_engine_route(c->engine, "POST", "/echo", echo, NULL, &open);
    routed_engine_route(c->engine, "POST", "/ignore", ignore, NULL, NULL);
    collected = 0;
    completed = 0;
    return 0;
}

static void start(struct carrier *c, const char *target, int64_t length)
{
    engine_freeze(c->engine);
    carrier_request(c, "POST", target);
    c->x.request.content_length = length;
    carrier_go(c);
}

static void expect_collect(struct carrier *c, size_t size, bool is_declared, int status)
{
    static const char bytes[12] = "0123456789a";
    completed = 0;
    start(c, "/collect", is_declared ? (int64_t)size : HTTP_LENGTH_UNKNOWN);
    for (size_t i = 0; i < size && !c->status; i++)
        assert_int_equal(carrier_deliver(c, bytes + i, 1), ROUTED_OK);
    if (!c->status)
        assert_int_equal(exchange_deliver_end(&c->x, NULL), ROUTED_OK);
    assert_int_equal(c->status, status);
    assert_int_equal(completed, status == 200);
    if (status == 200) {
        assert_int_equal(collected, size);
        assert_memory_equal(buffer_span(&c->body).data, bytes, size);
    }
    carrier_close(c, ROUTED_OK);
}

static void test_collect_limits(void **state)
{
    struct carrier *c = *state;
    for (int is_declared = 0; is_declared < 2; is_declared++) {
        expect_collect(c, 1, is_declared, 200);
        expect_collect(c, 9, is_declared, 200);
        expect_collect(c, 10, is_declared, 200);
        expect_collect(c, 11, is_declared, 413);
    }
}

static void test_declared_too_large_grants_nothing(void **state)
{
    struct carrier *c = *state;
    start(c, "/collect", 11);
    assert_int_equal(c->status, 413);
    assert_int_equal(c->granted, 0);
    carrier_close(c, ROUTED_OK);
    start(c, "/small", 11);
    assert_int_equal(c->status, 413);
    assert_int_equal(c->granted, 0);
    carrier_close(c, ROUTED_OK);
}

static void test_route_limit_while_streaming(void **state)
{
    struct carrier *c = *state;
    routed_engine_counters counters = {.size = sizeof(counters)};
    start(c, "/small", HTTP_LENGTH_UNKNOWN);
    carrier_deliver(c, "0123456789", 10);
    assert_int_equal(c->failed, 0);
    size_t granted = c->granted;
    carrier_deliver(c, "a", 1);
    assert_int_equal(c->failed, ROUTED_ERROR_CONTENT_TOO_LARGE);
    assert_int_equal(c->granted, granted);
    carrier_close(c, c->failed);
    routed_engine_count(c->engine, &counters);
    assert_int_equal(counters.bodies_too_large, 1);
    assert_int_equal(counters.exchanges_cut, 1);
}

static void test_route_limit_below_the_limit_of_collect(void **state)
{
    struct carrier *c = *state;
    start(c, "/collect", HTTP_LENGTH_UNKNOWN);
    carrier_deliver(c, "0123456789a", 11);
    assert_int_equal(c->status, 413);
    assert_int_equal(c->ends, 1);
    /* What is still on its way is dropped without a further word. */
    carrier_deliver(c, "bc", 2);
    exchange_deliver_end(&c->x, NULL);
    assert_int_equal(completed, 0);
    assert_int_equal(c->failed, 0);
    carrier_close(c, ROUTED_OK);
}

static void test_unread_body_is_not_asked_for(void **state)
{
    struct carrier *c = *state;
    start(c, "/ignore", 1000);
    assert_int_equal(c->status, 200);
    assert_int_equal(c->granted, 0);
    carrier_close(c, ROUTED_OK);
}

/* Upload and download of one exchange in step: what the client does not take is not asked of
 * it either. */
static void test_echo_with_backpressure(void **state)
{
    struct carrier *c = *state;
    static uint8_t block[16384];
    start(c, "/echo", HTTP_LENGTH_UNKNOWN);
    assert_int_equal(c->granted, WINDOW);
    size_t delivered = 0;
    while (c->x.request_credit > 0) {
        memset(block, (int)(delivered / sizeof(block)), sizeof(block));
        carrier_deliver(c, block, sizeof(block));
        delivered += sizeof(block);
    }
    /* The response credit of the carrier, and after it the window. */
    assert_int_equal(buffer_size(&c->body), CARRIER_CREDIT);
    assert_int_equal(delivered, CARRIER_CREDIT + WINDOW);
    exchange_deliver_end(&c->x, NULL);
    assert_int_equal(c->ends, 0);
    while (!c->ends) {
        size_t before = buffer_size(&c->body);
        exchange_writable(&c->x, sizeof(block));
        assert_true(c->ends || buffer_size(&c->body) > before);
    }
    struct span body = buffer_span(&c->body);
    assert_int_equal(body.size, delivered);
    for (size_t i = 0; i < delivered; i++)
        assert_int_equal(body.data[i], (uint8_t)(i / sizeof(block)));
    carrier_close(c, ROUTED_OK);
}

static void test_large_parts_are_not_copied(void **state)
{
    struct carrier *c = *state;
    start(c, "/echo", HTTP_LENGTH_UNKNOWN);
    struct block *block = block_new(8192);
    memset(block_data(block), 'a', 8192);
    exchange_deliver(&c->x, slice_of_block(block, 0, 8192));
    assert_ptr_equal(c->last_data, block_data(block));
    exchange_deliver(&c->x, slice_of_block(block, 0, 10));
    assert_ptr_not_equal(c->last_data, block_data(block));
    block_release(block);
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
}

/* ---- pause, resume, trailers ---- */

static char heard[64];
static routed_exchange *paused;

static int on_part(routed_exchange *x, const void *bytes, size_t size, int is_end, void *user)
{
    size_t used = strlen(heard);
    (void)user;
    if (is_end) {
        const char *name;
        const char *value;
        assert_string_equal(routed_request_trailer(x, "X-Sum"), "42");
        assert_int_equal(routed_request_trailer_count(x), 1);
        assert_int_equal(routed_request_trailer_at(x, 0, &name, &value), ROUTED_OK);
        assert_string_equal(name, "x-sum");
        return routed_response_text(x, heard);
    }
    assert_true(used + size < sizeof(heard));
    memcpy(heard + used, bytes, size);
    heard[used + size] = '\0';
    paused = x;
    return routed_request_pause(x);
}

static int read_slowly(routed_exchange *x, void *user)
{
    (void)user;
    heard[0] = '\0';
    assert_int_equal(routed_request_pause(x), ROUTED_ERROR_STATE);
    assert_int_equal(routed_request_read(x, on_part, NULL), ROUTED_OK);
    assert_int_equal(routed_request_read(x, on_part, NULL), ROUTED_ERROR_STATE);
    return ROUTED_OK;
}

static void test_pause_and_resume(void **state)
{
    struct carrier *c = *state;
    routed_engine_route(c->engine, "POST", "/slow", read_slowly, NULL, NULL);
    start(c, "/slow", HTTP_LENGTH_UNKNOWN);
    carrier_deliver(c, "one ", 4);
    assert_string_equal(heard, "one ");
    assert_int_equal(c->granted, WINDOW + 4);
    carrier_deliver(c, "two ", 4);
    carrier_deliver(c, "three", 5);
    struct field_list trailers = FIELD_LIST_EMPTY;
    field_list_append_copy(&trailers, &c->x.arena, SPAN("x-sum"), SPAN("42"));
    exchange_deliver_end(&c->x, &trailers);
    assert_string_equal(heard, "one ");
    assert_int_equal(c->granted, WINDOW + 4);
    assert_int_equal(routed_request_resume(paused), ROUTED_OK);
    assert_string_equal(heard, "one two three");
    assert_int_equal(c->status, 0);
    assert_int_equal(routed_request_resume(paused), ROUTED_OK);
    assert_int_equal(c->status, 200);
    assert_body(c, "one two three");
    carrier_close(c, ROUTED_OK);
}

static int read_after_a_while_part(routed_exchange *x, const void *bytes, size_t size, int is_end,
                                   void *user)
{
    (void)bytes;
    (void)user;
    assert_int_equal(size, 0);
    assert_int_equal(is_end, 1);
    return routed_response_text(x, "end");
}

static void read_now(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_request_read(x, read_after_a_while_part, NULL), ROUTED_OK);
}

static int read_after_a_while(routed_exchange *x, void *user)
{
    return routed_exchange_after(x, 1, read_now, user);
}

static void test_reading_after_the_end_came(void **state)
{
    struct carrier *c = *state;
    routed_engine_route(c->engine, "POST", "/late", read_after_a_while, NULL, NULL);
    start(c, "/late", 0);
    while (!c->ends)
        loop_turn(c->loop, 1000);
    assert_body(c, "end");
    carrier_close(c, ROUTED_OK);
}

static int fail_part(routed_exchange *x, const void *bytes, size_t size, int is_end, void *user)
{
    (void)x;
    (void)bytes;
    (void)size;
    (void)is_end;
    (void)user;
    return ROUTED_ERROR_SYSTEM;
}

static int read_and_fail(routed_exchange *x, void *user)
{
    return routed_request_read(x, fail_part, user);
}

static void test_failing_callback(void **state)
{
    struct carrier *c = *state;
    routed_engine_route(c->engine, "POST", "/fail", read_and_fail, NULL, NULL);
    start(c, "/fail", HTTP_LENGTH_UNKNOWN);
    carrier_deliver(c, "a", 1);
    assert_int_equal(c->status, 500);
    size_t granted = c->granted;
    carrier_deliver(c, "b", 1);
    exchange_deliver_end(&c->x, NULL);
    assert_int_equal(c->granted, granted);
    assert_int_equal(c->ends, 1);
    carrier_close(c, ROUTED_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, carrier_finish)
    const struct CMUnitTest tests[] = {
        TEST(test_collect_limits),
        TEST(test_declared_too_large_grants_nothing),
        TEST(test_route_limit_while_streaming),
        TEST(test_route_limit_below_the_limit_of_collect),
        TEST(test_unread_body_is_not_asked_for),
        TEST(test_echo_with_backpressure),
        TEST(test_large_parts_are_not_copied),
        TEST(test_pause_and_resume),
        TEST(test_reading_after_the_end_came),
        TEST(test_failing_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
