/* How a session waits, ends, gives memory back, and lives without memory; flow control over many
 * requests. */
#include "peer.h"
#include "streams/life.h"

/* ---- flow control ---- */

/* The client's window opens only as the application takes what came. */
static void test_request_credit(void **state)
{
    struct peer p;
    (void)state;
    for (int blocks = 0; blocks < 2; blocks++) {
        peer_open(&p, &reads_little);
        p.gives_blocks = blocks;
        peer_post(&p, 1);
        for (int i = 0; i < 4; i++)
            peer_data(&p, 1, 16384, false);
        peer_turn(&p);
        assert_int_equal(p.origin.content, 1000);
        assert_int_equal(p.stream_updates, 0);
        assert_int_equal(peer_wait(&p), SESSION_ANSWER); /* for the application's credit */
        exchange_grant(p.origin.exchange, 40000);
        assert_int_equal(p.origin.content, 1000); /* not from inside the application's call */
        peer_turn(&p);
        assert_int_equal(p.origin.content, 41000);
        assert_int_equal(p.stream_updates, 41000);
        exchange_grant(p.origin.exchange, 100000);
        peer_turn(&p);
        assert_int_equal(p.origin.content, 65536);
        assert_int_equal(peer_wait(&p), SESSION_BODY);
        peer_data(&p, 1, 10, true);
        peer_turn(&p);
        assert_int_equal(p.origin.content, 65546);
        assert_int_equal(p.origin.complete, 1);
        peer_close(&p);
    }
}

static void keep_first(struct origin *o, struct exchange *x)
{
    if (o->opened <= 99)
        return;
    exchange_grant(x, SIZE_MAX / 4);
}

static const struct origin_script reads_the_last = {.on_request = keep_first,
                                                    .on_end = origin_answer_at_end};

/* As many streams as there may be, all but one with a window of content that nobody reads. */
static void test_stalled_uploads(void **state)
{
    struct peer p;
    uint64_t sent = 0, window = 65535;
    (void)state;
    peer_open(&p, &reads_the_last);
    peer_turn(&p);
    size_t before = memory_held();
    for (int32_t i = 0; i < 100; i++) {
        peer_post(&p, 2 * i + 1);
        for (int part = 0; part < 4; part++)
            peer_data(&p, 2 * i + 1, 16384, i == 99 && part == 3);
        sent += 65536;
        assert_true(sent <= window + p.updates); /* a client could have sent it */
        peer_turn(&p);
    }
    assert_int_equal(p.origin.content, 65536);
    assert_int_equal(peer_answer(&p, 199)->status, 200);
    assert_in_range(p.stream_updates, 1, 65536); /* for the last */
    assert_true(memory_held() - before < 99 * (size_t)(2 * 65536 + 8192));
    peer_data(&p, 1, 1, false); /* one byte more than the window */
    peer_turn(&p);
    /* An error of the stream or, with newer versions of nghttp2, of the connection. */
    assert_int_equal(p.goaway_code ? p.goaway_code : peer_answer(&p, 1)->reset_code,
                     NGHTTP2_FLOW_CONTROL_ERROR);
    peer_close(&p);
}

/* What the client may send after an upload whose application took everything at once. */
static uint64_t room_after_upload(struct peer *p, int32_t id)
{
    uint64_t sent = 0, before = p->stream_updates;
    peer_post(p, id);
    for (int i = 0; i < 300; i++) {
        peer_data(p, id, 10000, false);
        sent += 10000;
        p->now++;
        peer_turn(p);
    }
    return 65536 + p->stream_updates - before - sent;
}

static const struct origin_script takes = {.on_request = origin_grant_all};

/* Up to half of it is not told yet. */
static void test_windows_grow(void **state)
{
    static const struct {
        uint64_t round_trip;
        size_t max;
        uint64_t window;
        bool is_limited;
    } cases[] = {{0, 1000000, 65536, false},       /* not known */
                 {1000000, 1000000, 65536, false}, /* fast enough as it is */
                 {100000000, 65535, 65536 + 65535, true},
                 {100000000, 1000000, 1065536, true},
                 {100000000, 4194304, 4 * 65536, false}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        peer_init(&p, &takes);
        p.options.limits.upload_growth = cases[i].max;
        p.origin.round_trip = cases[i].round_trip;
        assert_true(peer_begin(&p));
        peer_greet(&p);
        uint64_t room = room_after_upload(&p, 1);
        if (cases[i].is_limited || cases[i].window == 65536)
            assert_in_range(room, cases[i].window / 2, cases[i].window);
        else
            assert_true(room > cases[i].window);
        assert_int_equal(p.origin.limited > 0, cases[i].is_limited);
        if (cases[i].is_limited) /* nothing is left until the first is over */
            assert_in_range(room_after_upload(&p, 3), 32768, 65536);
        peer_number_frame(&p, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
        if (cases[i].is_limited)
            assert_in_range(room_after_upload(&p, 5), cases[i].window / 2, cases[i].window);
        peer_close(&p);
    }
}

/* Whatever happens to streams and their content, the connection's window comes back. */
static void test_window_does_not_leak(void **state)
{
    static uint8_t padded[700];
    struct peer p;
    uint64_t content = 0;
    (void)state;
    padded[0] = 255;
    peer_open(&p, &origin_waits);
    uint64_t before = p.updates;
    for (int32_t i = 0; i < 10000; i++) {
        int32_t id = 2 * i + 1;
        if (i % 4 == 3) /* refused before it is an exchange */
            peer_request(&p, id, "POST", "bad", NULL, 0, false);
        else
            peer_post(&p, id);
        peer_frame(&p, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, id, span_of(padded, sizeof(padded)));
        content += sizeof(padded);
        if (i % 4 == 0)
            peer_number_frame(&p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
        peer_turn(&p);
        if (i % 4 == 1)
            origin_answer_ok(p.origin.exchange);
        if (i % 4 == 2)
            exchange_fail(p.origin.exchange, ROUTED_ERROR_HANDLER);
        peer_turn(&p);
        if (i % 4) { /* was on its way when we reset the stream */
            peer_data(&p, id, 100, false);
            content += 100;
            peer_turn(&p);
        }
        p.now += 100;
    }
    assert_int_equal(p.origin.closed, p.origin.opened);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    assert_true(content > 7000000);
    assert_in_range(content - (p.updates - before), 0, (1048576 + 4194304) / 2);
    peer_close(&p);
}

/* ---- ends ---- */

static void test_shut_when_idle(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_get(&p, 1);
    peer_turn(&p);
    peer_shut(&p);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_turn(&p);
    assert_int_equal(p.frames[NGHTTP2_GOAWAY], 1);
    assert_int_equal(p.goaway_last, 1);
    assert_int_equal(p.goaway_code, NGHTTP2_NO_ERROR);
    assert_true(p.session->due == CLOCK_NEVER);
    peer_close(&p);
}

/* 2^31-1 first; the last stream after the client's answer to the PING, or after a second. */
static void test_shut_in_two_steps(void **state)
{
    (void)state;
    for (int by_time = 0; by_time < 2; by_time++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        peer_get(&p, 1);
        peer_turn(&p);
        struct exchange *first = p.origin.exchange;
        peer_shut(&p);
        peer_turn(&p);
        assert_int_equal(p.frames[NGHTTP2_GOAWAY], 1);
        assert_int_equal(p.frames[NGHTTP2_PING], 1);
        assert_int_equal(p.goaway_last, INT32_MAX);
        peer_get(&p, 3); /* was on its way */
        peer_turn(&p);
        assert_int_equal(p.origin.opened, 2);
        assert_true(p.session->due == p.now + 1000);
        if (by_time)
            p.now += 1000;
        else
            peer_frame(&p, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, SPAN("\0\0\0\0\0\0\0\0"));
        peer_turn(&p);
        assert_int_equal(p.frames[NGHTTP2_GOAWAY], 2);
        assert_int_equal(p.goaway_last, 3);
        assert_true(p.session->due == CLOCK_NEVER);
        peer_get(&p, 5);
        peer_turn(&p);
        assert_int_equal(p.origin.opened, 2);
        expect_both_answered(&p, first);
        assert_true(peer_wait(&p) == SESSION_LINGER || peer_wait(&p) == SESSION_FINISHED);
        peer_close(&p);
    }
}

static void test_shut_from_inside(void **state)
{
    struct peer p;
    (void)state;
    shut_from_inside(&p);
    assert_int_equal(p.goaway_code, NGHTTP2_NO_ERROR);
    assert_true(peer_wait(&p) == SESSION_LINGER || peer_wait(&p) == SESSION_FINISHED);
    peer_close(&p);
}

static void test_client_ends(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits); /* what was asked for is answered */
    peer_get(&p, 1);
    peer_post(&p, 3);
    peer_data(&p, 3, 10, false);
    peer_turn(&p);
    struct exchange *upload = p.origin.exchange;
    assert_ptr_not_equal(upload, NULL);
    peer_end(&p);
    assert_int_equal(peer_answer(&p, 3)->status, 400);
    assert_int_equal(p.origin.failure, ROUTED_ERROR_TRUNCATED);
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    peer_close(&p);

    peer_open(&p, &origin_reads_then_answers);
    peer_get(&p, 1);
    peer_turn(&p);
    peer_end(&p);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);
}

static void test_client_ends_and_reads_on(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_get(&p, 1);
    peer_turn(&p);
    peer_end(&p);
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    origin_answer_ok(p.origin.exchange);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 1)->status, 200);
    assert_int_equal(p.origin.close_error, ROUTED_OK);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);

    peer_open(&p, &origin_waits); /* more than its window: it cannot open it any more */
    peer_get(&p, 1);
    peer_turn(&p);
    peer_end(&p);
    origin_respond(p.origin.exchange, 200, NULL);
    origin_send_size(p.origin.exchange, 100000);
    exchange_end(p.origin.exchange, NULL);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 1)->size, 65535);
    assert_false(peer_answer(&p, 1)->has_ended);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_CLIENT_GONE);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);
}

static void test_fail(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &origin_waits); /* no preface in time */
    assert_true(peer_begin(&p));
    assert_int_equal(peer_wait(&p), SESSION_HEAD);
    peer_bytes(&p, SPAN("PRI * HTTP/2"));
    peer_turn(&p);
    assert_int_equal(peer_wait(&p), SESSION_HEAD);
    peer_fail(&p, ROUTED_ERROR_REQUEST_TIMEOUT);
    peer_turn(&p);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_REQUEST_TIMEOUT);
    assert_int_equal(p.frames[NGHTTP2_GOAWAY], 1);
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_fail(&p, ROUTED_ERROR_REQUEST_TIMEOUT);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);

    peer_open(&p, &origin_waits); /* half a frame of fields */
    peer_frame_head(&p, 100, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1);
    peer_turn(&p);
    assert_int_equal(peer_wait(&p), SESSION_HEAD);
    peer_close(&p);
}

static struct exchange *late;
static int late_result;

static void keep_or_answer_late(struct origin *o, struct exchange *x)
{
    (void)o;
    if (late)
        late_result = origin_respond(late, 200, NULL);
    else
        late = x;
    exchange_grant(x, 100);
}

/* An application that answers one request while it is called for another, as publishers do, may be
 * too late by a frame. */
static void test_answer_to_what_just_failed(void **state)
{
    static const struct origin_script script = {.on_request = keep_or_answer_late};
    struct peer p;
    (void)state;
    late = NULL;
    late_result = ROUTED_OK;
    peer_init(&p, &script);
    p.options.limits.head.content_max = 10;
    assert_true(peer_begin(&p));
    peer_greet(&p);
    peer_post(&p, 1);
    peer_turn(&p);
    peer_data(&p, 1, 11, false);
    peer_get(&p, 3);
    peer_turn(&p);
    assert_int_equal(late_result, ROUTED_ERROR_CLOSED);
    assert_int_equal(peer_answer(&p, 1)->heads, 1);
    assert_int_equal(peer_answer(&p, 1)->status, 413);
    peer_close(&p);
}

/* PING is no content: an upload that nothing comes for ends however much else does. */
static void test_pings_keep_no_upload(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_post(&p, 1);
    for (int i = 0; i < 25; i++) {
        for (int ping = 0; ping < 40; ping++)
            peer_frame(&p, NGHTTP2_PING, 0, 0, SPAN("12345678"));
        peer_turn(&p);
        assert_int_equal(p.origin.closed, i > 20);
        p.now += 1000;
    }
    assert_int_equal(peer_answer(&p, 1)->status, 408);
    peer_close(&p);
}

/* Where the connection's window is what a stream waits for, it may be the turn of another that is
 * more urgent: only a client that takes nothing is too slow. */
static void test_an_answer_of_less_urgency(void **state)
{
    (void)state;
    for (uint32_t step = 1; step <= 2500; step += 2499) {
        const struct peer_line urgent = PEER_LINE("priority", "u=0"),
                               patient = PEER_LINE("priority", "u=7");
        struct peer p;
        peer_open(&p, &sends_much);
        peer_setting(&p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
        peer_request(&p, 1, "GET", "/", &urgent, 1, true);
        peer_request(&p, 3, "GET", "/", &patient, 1, true);
        peer_turn(&p);
        for (int i = 0; i < 15; i++) {
            p.now += 2000;
            peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, step);
            peer_turn(&p);
        }
        assert_true(peer_answer(&p, 1)->size < 200000);
        assert_int_equal(p.origin.failure, step == 1 ? ROUTED_ERROR_TOO_SLOW : ROUTED_OK);
        assert_int_equal(p.origin.limited, step == 1 ? 2 : 0);
        assert_int_equal(peer_answer(&p, 3)->is_reset, step == 1);
        peer_close(&p);
    }
}

/* A window that opens by a byte now and then is not enough; 500 bytes a second are. */
static void test_slow_reader(void **state)
{
    (void)state;
    for (uint32_t step = 1; step <= 2500; step += 2499) {
        struct peer p;
        peer_open(&p, &sends_much);
        peer_get(&p, 1);
        peer_turn(&p);
        assert_int_equal(peer_wait(&p), SESSION_WINDOW);
        for (int i = 0; i < 10; i++) {
            p.now += 5000;
            peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, step);
            peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 1, step);
            peer_turn(&p);
        }
        assert_int_equal(peer_answer(&p, 1)->is_reset, step == 1);
        assert_int_equal(p.origin.closed, step == 1);
        assert_int_equal(p.origin.failure, step == 1 ? ROUTED_ERROR_TOO_SLOW : ROUTED_OK);
        assert_int_equal(peer_wait(&p), step == 1 ? SESSION_IDLE : SESSION_WINDOW);
        peer_close(&p);
    }
    struct peer p;
    peer_open(&p, &sends_much); /* nothing comes at all: the connection looks again */
    peer_get(&p, 1);
    peer_turn(&p);
    expect_patience_to_end(&p);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 1)->reset_code, NGHTTP2_CANCEL);
    peer_close(&p);
}

static void test_abort(void **state)
{
    struct peer p;
    (void)state;
    abort_with_an_answer_unsent(&p);
    struct span spans[2];
    assert_int_equal(p.session->ops->drain(p.session, spans, 2), 0);
    peer_close(&p);
}

static void test_probe_and_ready(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_get(&p, 1);
    peer_turn(&p);
    assert_true(p.session->ops->probe(p.session));
    assert_false(p.session->ops->probe(p.session));
    peer_turn(&p);
    assert_int_equal(p.frames[NGHTTP2_PING], 1);
    peer_frame(&p, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, SPAN("\0\0\0\0\0\0\0\0"));
    peer_turn(&p);
    assert_true(p.session->ops->probe(p.session));
    assert_int_equal(p.origin.ready, 0);
    origin_answer_ok(p.origin.exchange);
    assert_true(p.origin.ready > 0);
    peer_close(&p);
}

static void test_rest(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    p.is_blind = true;
    for (int32_t id = 1; id < 200; id += 2)
        peer_get(&p, id);
    peer_turn(&p);
    buffer_release(&p.origin.view);
    buffer_release(&p.input);
    size_t before = memory_held();
    p.session->ops->rest(p.session);
    spare_release(&p.spare);
    assert_true(memory_held() < before - 100 * 2048);
    assert_true(memory_held() < 40000);
    peer_get(&p, 201);
    peer_turn(&p);
    assert_int_equal(p.origin.complete, 101);
    peer_close(&p);
}

/* ---- without memory ---- */

static void write_all(struct peer *p)
{
    const struct peer_line lines[] = {{SPAN("cookie"), SPAN("a=1"), true},
                                      {SPAN("cookie"), SPAN("b=2"), true},
                                      {SPAN("content-length"), SPAN("010"), true}};
    peer_request(p, 1, "POST", "/a?b", lines, 3, false);
    peer_data(p, 1, 10, true);
    peer_request(p, 3, "GET", "/", lines, 2, true);
    peer_request(p, 5, "GET", "bad", NULL, 0, true);
    peer_post(p, 7);
    peer_data(p, 7, 5000, false);
    peer_head(p, 7, lines, 2, true);
    peer_frame(p, NGHTTP2_PING, 0, 0, SPAN("12345678"));
}

static void test_failing_allocations(void **state)
{
    bool fired = true;
    (void)state;
    for (uint64_t nth = 1; fired; nth++) {
        struct peer p;
        size_t before = memory_held();
        peer_init(&p, &does_all);
        p.is_blind = true;
        peer_bytes(&p, SPAN(PEER_PREFACE));
        peer_frame(&p, NGHTTP2_SETTINGS, 0, 0, SPAN_EMPTY);
        write_all(&p);
        memory_fault_set(nth);
        if (peer_begin(&p)) {
            peer_turn(&p);
            peer_shut(&p);
            peer_turn(&p);
        }
        fired = memory_fault_fired();
        memory_fault_set(0);
        if (!fired)
            assert_int_equal(p.origin.complete, 3);
        expect_no_trace(&p, before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIFE_TESTS,
        cmocka_unit_test(test_request_credit),
        cmocka_unit_test(test_stalled_uploads),
        cmocka_unit_test(test_windows_grow),
        cmocka_unit_test(test_window_does_not_leak),
        cmocka_unit_test(test_shut_when_idle),
        cmocka_unit_test(test_shut_in_two_steps),
        cmocka_unit_test(test_shut_from_inside),
        cmocka_unit_test(test_client_ends),
        cmocka_unit_test(test_client_ends_and_reads_on),
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_answer_to_what_just_failed),
        cmocka_unit_test(test_pings_keep_no_upload),
        cmocka_unit_test(test_an_answer_of_less_urgency),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_probe_and_ready),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests_name("http2 life", tests, NULL, NULL);
}
