#include "engine/carrier.h"

#include <pthread.h>
#include <routed/engine.h>
#include <routed/events.h>

/* Each test sets what the one route does. */
static routed_handler *script;

static int play(routed_exchange *x, void *user)
{
    return script(x, user);
}

static int setup(void **state)
{
    struct carrier *c = carrier_begin(state);
    routed_engine_route(c->engine, "*", "/", play, c, NULL);
    engine_freeze(c->engine);
    return 0;
}

/* Until carrier_close. */
static void begin(struct carrier *c, routed_handler *handler)
{
    script = handler;
    carrier_request(c, "GET", "/");
    carrier_go(c);
}

static void run(struct carrier *c, routed_handler *handler)
{
    script = handler;
    carrier_do(c, "GET", "/");
}

/* ---- heads ---- */

static int set_fields(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_response_add_field(x, "X-A", "1"), ROUTED_OK);
    assert_int_equal(routed_response_add_field(x, "x-a", "2"), ROUTED_OK);
    assert_int_equal(routed_response_add_field(x, "x-b", "1"), ROUTED_OK);
    assert_int_equal(routed_response_set_field(x, "x-B", "2"), ROUTED_OK);
    assert_int_equal(routed_response_add_field(x, "x-c", "1"), ROUTED_OK);
    assert_int_equal(routed_response_remove_field(x, "X-C"), ROUTED_OK);
    assert_int_equal(routed_response_status(x, 201), ROUTED_OK);
    assert_int_equal(routed_response_text(x, "made"), ROUTED_OK);
    assert_int_equal(routed_response_text(x, "twice"), ROUTED_ERROR_STATE);
    assert_int_equal(routed_response_begin(x, 1), ROUTED_ERROR_STATE);
    assert_int_equal(routed_response_write(x, "a", 1), ROUTED_ERROR_STATE);
    assert_int_equal(routed_response_end(x), ROUTED_ERROR_STATE);
    assert_int_equal(routed_response_status(x, 200), ROUTED_ERROR_STATE);
    assert_int_equal(routed_response_set_field(x, "x-d", "1"), ROUTED_ERROR_STATE);
    return ROUTED_OK;
}

static void test_fields(void **state)
{
    struct carrier *c = *state;
    run(c, set_fields);
    assert_int_equal(c->status, 201);
    assert_int_equal(c->length, 4);
    assert_body(c, "made");
    assert_field(c, "x-a: 1\nx-a: 2");
    assert_field(c, "x-b: 2");
    assert_field(c, "content-type: text/plain; charset=utf-8");
    assert_false(carrier_has_field(c, "x-b: 1"));
    assert_false(carrier_has_field(c, "x-c"));
}

static int set_bad_fields(routed_exchange *x, void *user)
{
    static const char *const values[] = {
        "a\r\nset-cookie: x", "a\nb", "a\rb", "\x01", "\x7f", " lead", "trail "};
    (void)user;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_int_equal(routed_response_set_field(x, "x-a", values[i]), ROUTED_ERROR_ARGUMENT);
        assert_int_equal(routed_response_redirect(x, 302, values[i]), ROUTED_ERROR_ARGUMENT);
        assert_int_equal(routed_response_bytes(x, values[i], "", 0), ROUTED_ERROR_ARGUMENT);
        assert_int_equal(routed_response_trailer(x, "x-a", values[i]), ROUTED_ERROR_ARGUMENT);
    }
    assert_int_equal(routed_response_set_field(x, "x a", "1"), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_set_field(x, "", "1"), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_set_field(x, "x:", "1"), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_trailer(x, "content-length", "1"), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_status(x, 199), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_status(x, 1000), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_redirect(x, 304, "/"), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_error(x, 200), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_fail(x, 0), ROUTED_ERROR_ARGUMENT);
    return routed_response_redirect(x, 302, "/there");
}

static void test_bad_fields(void **state)
{
    struct carrier *c = *state;
    run(c, set_bad_fields);
    assert_int_equal(c->status, 302);
    assert_int_equal(c->length, 0);
    assert_field(c, "location: /there");
    assert_false(carrier_has_field(c, "x-a"));
}

static int inform_then_answer(routed_exchange *x, void *user)
{
    static const routed_field hints[] = {{"link", "</a.css>; rel=preload"}};
    (void)user;
    assert_int_equal(routed_response_inform(x, 101, NULL, 0), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_inform(x, 103, hints, 1), ROUTED_OK);
    return routed_response_html(x, "<p>");
}

static void test_inform(void **state)
{
    struct carrier *c = *state;
    run(c, inform_then_answer);
    assert_int_equal(c->informs, 1);
    assert_int_equal(c->inform_status, 103);
    assert_int_equal(c->status, 200);
    assert_field(c, "link: </a.css>; rel=preload");
}

static int wanted_status;

static int send_with_status(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_response_status(x, wanted_status), ROUTED_OK);
    return routed_response_send_static(x, "content", 7);
}

static void test_statuses_without_content(void **state)
{
    static const int statuses[] = {204, 304};
    struct carrier *c = *state;
    for (size_t i = 0; i < 2; i++) {
        wanted_status = statuses[i];
        run(c, send_with_status);
        assert_int_equal(c->status, statuses[i]);
        assert_int_equal(c->sends, 0);
        assert_int_equal(c->ends, 1);
        assert_int_equal(c->failed, 0);
    }
    wanted_status = 999;
    run(c, send_with_status);
    assert_body(c, "content");
}

static int send_formatted(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_response_format(x, "text/plain", "%70000d", 1), ROUTED_ERROR_LIMIT);
    return routed_response_format(x, "application/json", "{\"n\":%d}", 7);
}

static void test_format(void **state)
{
    struct carrier *c = *state;
    run(c, send_formatted);
    assert_body(c, "{\"n\":7}");
    assert_field(c, "content-type: application/json");
}

static int look_at_the_request(routed_exchange *x, void *user)
{
    const char *name;
    const char *value;
    (void)user;
    assert_string_equal(routed_request_method(x), "GET");
    assert_string_equal(routed_request_scheme(x), "http");
    assert_string_equal(routed_request_authority(x), "localhost");
    assert_string_equal(routed_request_target(x), "/?a=1");
    assert_string_equal(routed_request_path(x), "/");
    assert_string_equal(routed_request_query(x), "a=1");
    assert_string_equal(routed_request_protocol(x), "1.1");
    assert_null(routed_request_upgrade(x));
    assert_string_equal(routed_request_peer_address(x), "::1");
    assert_int_equal(routed_request_peer_port(x), 4711);
    assert_null(routed_request_id(x));
    assert_int_equal(routed_request_content_length(x), 0);
    assert_string_equal(routed_request_field(x, "ACCEPT"), "a");
    assert_ptr_equal(routed_request_field(x, "accept"), routed_request_field(x, "Accept"));
    assert_null(routed_request_field(x, "acc"));
    assert_int_equal(routed_request_field_count(x), 3);
    assert_int_equal(routed_request_field_at(x, 2, &name, &value), ROUTED_OK);
    assert_string_equal(name, "accept");
    assert_string_equal(value, "b");
    assert_int_equal(routed_request_field_at(x, 3, &name, &value), ROUTED_ERROR_ARGUMENT);
    routed_exchange_set_user(x, x);
    assert_ptr_equal(routed_exchange_user(x), x);
    assert_non_null(routed_exchange_memory(x, 100));
    return routed_response_empty(x, 200);
}

static void test_request_accessors(void **state)
{
    struct carrier *c = *state;
    script = look_at_the_request;
    carrier_request(c, "GET", "/?a=1");
    c->x.peer = (struct exchange_peer){SPAN("::1"), 4711};
    carrier_field(c, "Accept", "a");
    carrier_field(c, "X-Other", "");
    carrier_field(c, "accept", "b");
    carrier_go(c);
    assert_int_equal(c->status, 200);
    carrier_close(c, ROUTED_OK);
}

/* ---- streams ---- */

#define STREAM_BLOCK 10000
#define STREAM_SIZE  300000

static size_t streamed;
static int refusals;

static void pump(routed_exchange *x, void *user)
{
    static uint8_t block[STREAM_BLOCK];
    (void)user;
    while (streamed < STREAM_SIZE) {
        int error = routed_response_write(x, block, sizeof(block));
        if (error == ROUTED_ERROR_AGAIN) {
            assert_false(routed_response_is_writable(x));
            refusals++;
            return;
        }
        assert_int_equal(error, ROUTED_OK);
        streamed += sizeof(block);
    }
    assert_int_equal(routed_response_trailer(x, "x-sum", "7"), ROUTED_OK);
    assert_int_equal(routed_response_end(x), ROUTED_OK);
    routed_response_on_writable(x, NULL, NULL);
}

static int stream(routed_exchange *x, void *user)
{
    streamed = 0;
    refusals = 0;
    assert_int_equal(routed_response_begin(x, STREAM_SIZE), ROUTED_OK);
    assert_int_equal(routed_response_on_writable(x, pump, user), ROUTED_OK);
    pump(x, user);
    return ROUTED_OK;
}

static void test_stream_with_backpressure(void **state)
{
    struct carrier *c = *state;
    begin(c, stream);
    assert_int_equal(c->status, 200);
    assert_int_equal(c->length, STREAM_SIZE);
    assert_int_equal(streamed, 70000); /* the credit, overshot by less than one block */
    int turns = 0;
    while (!c->ends) {
        exchange_writable(&c->x, STREAM_BLOCK);
        turns++;
        assert_true(c->ends || refusals == turns + 1);
    }
    assert_int_equal(buffer_size(&c->body), STREAM_SIZE);
    assert_true(buffer_size(&c->trailers) > 0);
    carrier_close(c, ROUTED_OK);
}

static void test_stream_to_head(void **state)
{
    struct carrier *c = *state;
    script = stream;
    carrier_do(c, "HEAD", "/");
    assert_int_equal(c->length, STREAM_SIZE);
    assert_int_equal(c->sends, 0);
    assert_int_equal(c->ends, 1);
}

static int write_too_much(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_response_begin(x, 3), ROUTED_OK);
    assert_int_equal(routed_response_write(x, "ab", 2), ROUTED_OK);
    return routed_response_write(x, "cd", 2);
}

static int write_too_little(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_response_begin(x, 3), ROUTED_OK);
    assert_int_equal(routed_response_write_static(x, "ab", 2), ROUTED_OK);
    return routed_response_end(x);
}

static void test_lengths_that_do_not_agree(void **state)
{
    struct carrier *c = *state;
    run(c, write_too_much);
    assert_int_equal(c->failed, ROUTED_ERROR_RESPONSE);
    run(c, write_too_little);
    assert_int_equal(c->failed, ROUTED_ERROR_RESPONSE);
    assert_int_equal(c->ends, 0);
}

/* ---- events ---- */

static int send_events(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_events_begin(x), ROUTED_OK);
    assert_int_equal(routed_events_send(x, "1\n", NULL, "a"), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_events_send(x, NULL, "a\rb", "a"), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_events_send(x, "1", "tick", "one\ntwo\r\nthree\rfour\n"), ROUTED_OK);
    assert_int_equal(routed_events_send(x, NULL, NULL, ""), ROUTED_OK);
    assert_int_equal(routed_events_send(x, "2", NULL, NULL), ROUTED_OK);
    assert_int_equal(routed_events_comment(x, "still\nhere"), ROUTED_OK);
    assert_int_equal(routed_events_retry(x, 1500), ROUTED_OK);
    return routed_response_end(x);
}

static void test_events(void **state)
{
    struct carrier *c = *state;
    run(c, send_events);
    assert_int_equal(c->length, HTTP_LENGTH_UNKNOWN);
    assert_field(c, "content-type: text/event-stream");
    assert_field(c, "cache-control: no-store");
    assert_body(c, "id: 1\nevent: tick\ndata: one\ndata: two\ndata: three\ndata: four\ndata: \n\n"
                   "data: \n\n"
                   "id: 2\n\n"
                   ": still\n: here\n\n"
                   "retry: 1500\n\n");
}

/* ---- other threads ---- */

static pthread_t worker;
static void *(*work)(void *x);

static int hand_over(routed_exchange *x, void *user)
{
    (void)user;
    routed_exchange_retain(x);
    assert_int_equal(pthread_create(&worker, NULL, work, x), 0);
    return ROUTED_OK;
}

static void begin_elsewhere(struct carrier *c, void *(*function)(void *x))
{
    work = function;
    begin(c, hand_over);
}

static void until_ended(struct carrier *c)
{
    while (!c->ends)
        loop_turn(c->loop, 1000);
}

static void *answer_whole(void *argument)
{
    routed_exchange *x = argument;
    static const routed_field hints[] = {{"link", "<a>"}, {"x-hint", ""}};
    assert_int_equal(routed_response_inform(x, 103, hints, 2), ROUTED_OK);
    assert_int_equal(routed_response_status(x, 202), ROUTED_OK);
    assert_int_equal(routed_response_add_field(x, "x-from", "elsewhere"), ROUTED_OK);
    assert_int_equal(routed_exchange_after(x, 1, NULL, NULL), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_response_text(x, "from afar"), ROUTED_OK);
    assert_int_equal(routed_response_text(x, "twice"), ROUTED_ERROR_STATE);
    routed_exchange_release(x);
    return NULL;
}

static void test_answer_from_another_thread(void **state)
{
    struct carrier *c = *state;
    begin_elsewhere(c, answer_whole);
    until_ended(c);
    pthread_join(worker, NULL);
    assert_int_equal(c->informs, 1);
    assert_int_equal(c->status, 202);
    assert_body(c, "from afar");
    assert_field(c, "x-from: elsewhere");
    carrier_close(c, ROUTED_OK);
}

static void *stream_from_afar(void *argument)
{
    routed_exchange *x = argument;
    static uint8_t block[STREAM_BLOCK];
    size_t sent = 0;
    assert_int_equal(routed_response_begin(x, ROUTED_LENGTH_UNKNOWN), ROUTED_OK);
    while (sent < 2000000) {
        block[0] = (uint8_t)(sent / sizeof(block));
        int error = routed_response_write(x, block, sizeof(block));
        if (error == ROUTED_ERROR_AGAIN) {
            assert_int_equal(routed_response_wait(x, 60000), ROUTED_OK);
            continue;
        }
        assert_int_equal(error, ROUTED_OK);
        sent += sizeof(block);
    }
    assert_int_equal(routed_response_trailer(x, "x-sum", "1"), ROUTED_OK);
    assert_int_equal(routed_response_end(x), ROUTED_OK);
    routed_exchange_release(x);
    return NULL;
}

static void test_stream_from_another_thread(void **state)
{
    struct carrier *c = *state;
    begin_elsewhere(c, stream_from_afar);
    while (!c->ends) {
        loop_turn(c->loop, 1);
        exchange_writable(&c->x, 1000);
    }
    pthread_join(worker, NULL);
    struct span body = buffer_span(&c->body);
    assert_int_equal(body.size, 2000000);
    for (size_t i = 0; i < body.size; i += STREAM_BLOCK)
        assert_int_equal(body.data[i], (uint8_t)(i / STREAM_BLOCK));
    carrier_close(c, ROUTED_OK);
}

/* Writes until the window is full, then waits for a client that leaves. */
static void *stream_to_nobody(void *argument)
{
    routed_exchange *x = argument;
    static uint8_t block[STREAM_BLOCK];
    int error = routed_response_begin(x, ROUTED_LENGTH_UNKNOWN);
    while (error == ROUTED_OK || error == ROUTED_ERROR_AGAIN) {
        if (error == ROUTED_ERROR_AGAIN)
            routed_response_wait(x, 60000);
        error = routed_response_write(x, block, sizeof(block));
    }
    assert_int_equal(error, ROUTED_ERROR_CLOSED);
    assert_int_equal(routed_response_end(x), ROUTED_ERROR_CLOSED);
    assert_int_equal(routed_exchange_post(x, pump, NULL), ROUTED_ERROR_CLOSED);
    assert_int_equal(routed_exchange_next(x), ROUTED_ERROR_CLOSED);
    assert_int_equal(routed_response_wait(x, 0), ROUTED_ERROR_CLOSED);
    routed_exchange_release(x);
    return NULL;
}

static void test_client_leaves_another_thread(void **state)
{
    struct carrier *c = *state;
    begin_elsewhere(c, stream_to_nobody);
    while (buffer_size(&c->body) < CARRIER_CREDIT)
        loop_turn(c->loop, 1000);
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
    pthread_join(worker, NULL);
    loop_turn(c->loop, 0);
}

static void *fail_from_afar(void *argument)
{
    assert_int_equal(routed_response_fail(argument, ROUTED_ERROR_NOT_FOUND), ROUTED_OK);
    routed_exchange_release(argument);
    return NULL;
}

static void test_fail_from_another_thread(void **state)
{
    struct carrier *c = *state;
    begin_elsewhere(c, fail_from_afar);
    until_ended(c);
    pthread_join(worker, NULL);
    assert_int_equal(c->status, 404);
    carrier_close(c, ROUTED_OK);
}

static void answer_posted(routed_exchange *x, void *user)
{
    assert_int_equal(routed_response_text(x, user), ROUTED_OK);
}

static int post_to_itself(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_exchange_post(x, answer_posted, "posted"), ROUTED_OK);
    assert_int_equal(routed_response_wait(x, 0), ROUTED_ERROR_STATE);
    return ROUTED_OK;
}

static void test_post(void **state)
{
    struct carrier *c = *state;
    begin(c, post_to_itself);
    assert_int_equal(c->status, 0);
    until_ended(c);
    assert_body(c, "posted");
    carrier_close(c, ROUTED_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, carrier_finish)
    const struct CMUnitTest tests[] = {
        TEST(test_fields),
        TEST(test_bad_fields),
        TEST(test_inform),
        TEST(test_statuses_without_content),
        TEST(test_format),
        TEST(test_request_accessors),
        TEST(test_stream_with_backpressure),
        TEST(test_stream_to_head),
        TEST(test_lengths_that_do_not_agree),
        TEST(test_events),
        TEST(test_answer_from_another_thread),
        TEST(test_stream_from_another_thread),
        TEST(test_client_leaves_another_thread),
        TEST(test_fail_from_another_thread),
        TEST(test_post),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
