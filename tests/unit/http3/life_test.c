/* How a session waits, ends, gives memory back, and lives without memory; flow control over many
 * requests. */
#include "peer.h"
#include "streams/life.h"

/* ---- flow control ---- */

/* The stream's window opens only as the application takes what came, the connection's at once. */
static void test_request_credit(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &reads_little);
    peer_post(&p, 0);
    uint64_t before = peer_stream(&p, 0)->granted;
    peer_data(&p, 0, 65530, false);
    assert_int_equal(p.granted, p.sent);
    assert_int_equal(p.origin.content, 1000);
    const uint64_t head = 5; /* of the DATA frame */
    assert_int_equal(peer_stream(&p, 0)->granted - before, 1000 + head);
    assert_int_equal(peer_wait(&p), SESSION_ANSWER); /* for the application's credit */
    exchange_grant(p.origin.exchange, 40000);
    assert_int_equal(p.origin.content, 1000); /* not from inside the application's call */
    peer_turn(&p);
    assert_int_equal(p.origin.content, 41000);
    assert_int_equal(peer_stream(&p, 0)->granted - before, 41000 + head);
    exchange_grant(p.origin.exchange, 100000);
    peer_turn(&p);
    assert_int_equal(p.origin.content, 65530);
    assert_int_equal(peer_wait(&p), SESSION_BODY);
    peer_data(&p, 0, 10, true);
    assert_int_equal(p.origin.content, 65540);
    assert_int_equal(p.origin.complete, 1);
    peer_close(&p);
}

/* Streams whose applications do not read hold up none that is read. */
static void test_stalled_streams(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    for (int64_t id = 0; id < 200; id += 4) {
        peer_post(&p, id);
        peer_data(&p, id, 60000, false);
    }
    assert_int_equal(p.granted, p.sent);
    assert_int_equal(p.origin.content, 0);
    peer_request(&p, 200, "POST", "/", NULL, 0, false);
    exchange_grant(p.origin.exchange, 100000);
    peer_data(&p, 200, 60000, true);
    assert_int_equal(p.origin.content, 60000);
    assert_int_equal(p.origin.complete, 1);
    peer_close(&p);
}

/* Whatever happens to streams and their content, every byte's window comes back. */
static void test_window_does_not_leak(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    for (int64_t i = 0; i < 2000; i++) {
        int64_t id = 4 * i;
        if (i % 4 == 3) /* refused before it is an exchange */
            peer_request(&p, id, "POST", "bad", NULL, 0, false);
        else
            peer_post(&p, id);
        peer_data(&p, id, 700, false);
        if (i % 4 == 0)
            peer_cancel(&p, id);
        if (i % 4 == 1)
            origin_answer_ok(p.origin.exchange);
        if (i % 4 == 2)
            exchange_fail(p.origin.exchange, ROUTED_ERROR_HANDLER);
        p.keeps_streams = i % 4;
        peer_turn(&p);
        if (i % 4) { /* was on its way when we stopped the stream */
            peer_data(&p, id, 100, false);
            p.keeps_streams = false;
            peer_turn(&p);
        }
        assert_true(peer_stream(&p, id)->is_closed);
        p.now += 100;
    }
    assert_int_equal(p.failure, ROUTED_OK);
    assert_int_equal(p.origin.closed, p.origin.opened);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    assert_int_equal(p.granted, p.sent);
    assert_int_equal(http3_session_streams_allowed(p.session), 2100);
    peer_close(&p);
}

/* ---- ends ---- */

/* The latest GOAWAY on the session's control stream, and how many there were. */
static unsigned read_farewells(const struct peer *p, uint64_t *id)
{
    struct span bytes = span_after(buffer_span(&p->control), 1), payload;
    struct http3_frames frames = {0};
    enum http3_part part;
    unsigned count = 0;
    while ((part = http3_frames_next(&frames, &bytes, &payload)) != HTTP3_PART_NONE) {
        struct http3_number number = {0};
        if (part != HTTP3_PART_PAYLOAD || frames.type != HTTP3_FRAME_GOAWAY)
            continue;
        assert_true(http3_number_read(&number, &payload));
        *id = number.value;
        count++;
    }
    return count;
}

static void test_shut_when_idle(void **state)
{
    struct peer p;
    uint64_t id = 1;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_get(&p, 0);
    peer_turn(&p);
    peer_shut(&p);
    assert_int_equal(peer_wait(&p), SESSION_IDLE); /* until GOAWAY is sent */
    peer_turn(&p);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    assert_int_equal(read_farewells(&p, &id), 1);
    assert_int_equal(id, 4);
    assert_int_equal(peer_code(&p), NGHTTP3_H3_NO_ERROR);
    peer_close(&p);

    peer_init(&p, &origin_waits); /* before the handshake is done */
    assert_true(peer_begin(&p));
    peer_shut(&p);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);
}

/* 2^62-4 first; the first stream that is not taken once that is acknowledged, or after a second. */
static void test_shut_in_two_steps(void **state)
{
    (void)state;
    for (int by_time = 0; by_time < 2; by_time++) {
        struct peer p;
        struct span spans[4];
        uint64_t last = 1;
        int64_t id;
        bool ends;
        peer_open(&p, &origin_waits);
        peer_get(&p, 0);
        struct exchange *first = p.origin.exchange;
        peer_shut(&p);
        assert_int_equal(http3_session_next(p.session, &id, spans, 4, &ends), 1);
        assert_int_equal(id, PEER_OURS);
        size_t size = spans[0].size;
        buffer_append_span(&p.control, spans[0]);
        http3_session_sent(p.session, id, size);
        assert_int_equal(read_farewells(&p, &last), 1);
        assert_int_equal(last, (UINT64_C(1) << 62) - 4);
        peer_get(&p, 4); /* was on its way */
        peer_turn(&p);
        assert_int_equal(p.origin.opened, 2);
        assert_int_equal(read_farewells(&p, &last), 1);
        if (by_time)
            p.now += 1000;
        else
            http3_session_acknowledged(p.session, PEER_OURS, size);
        peer_turn(&p);
        assert_int_equal(read_farewells(&p, &last), 2);
        assert_int_equal(last, 8);
        peer_get(&p, 8);
        peer_turn(&p);
        assert_int_equal(p.origin.opened, 2);
        assert_int_equal(peer_answer(&p, 8)->reset_code, NGHTTP3_H3_REQUEST_REJECTED);
        expect_both_answered(&p, first);
        assert_int_equal(peer_wait(&p), SESSION_FINISHED);
        assert_int_equal(peer_code(&p), NGHTTP3_H3_NO_ERROR);
        peer_close(&p);
    }
}

static void test_shut_from_inside(void **state)
{
    struct peer p;
    (void)state;
    shut_from_inside(&p);
    assert_int_equal(peer_code(&p), NGHTTP3_H3_NO_ERROR);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);
}

static void test_fail(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &origin_waits); /* no SETTINGS in time */
    assert_true(peer_begin(&p));
    assert_int_equal(http3_session_start(p.session), ROUTED_OK);
    assert_int_equal(peer_wait(&p), SESSION_HEAD);
    peer_fail(&p, ROUTED_ERROR_REQUEST_TIMEOUT);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_REQUEST_TIMEOUT);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    assert_int_equal(peer_code(&p), NGHTTP3_H3_REQUEST_CANCELLED);
    peer_close(&p);

    peer_open(&p, &origin_waits); /* half a frame of fields */
    peer_bytes(&p, 0, SPAN("\1\50\0\0"), false);
    assert_int_equal(peer_wait(&p), SESSION_HEAD);
    peer_get(&p, 4); /* beside another request it can wait */
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    peer_close(&p);
}

static void take_some(struct peer *p, int64_t id, size_t size)
{
    struct span spans[4];
    int64_t stream;
    bool ends;
    http3_session_unblocked(p->session, id);
    assert_true(http3_session_next(p->session, &stream, spans, 4, &ends) > 0);
    assert_int_equal(stream, id);
    http3_session_sent(p->session, id, size);
    http3_session_acknowledged(p->session, id, size);
    http3_session_blocked(p->session, id);
}

/* A window that opens by a byte now and then is not enough; 500 bytes a second are. */
static void test_slow_reader(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 2500; step += 2499) {
        struct peer p;
        peer_open(&p, &sends_much);
        p.is_stuck = true;
        peer_get(&p, 0);
        take_some(&p, 0, 1000);
        assert_int_equal(peer_wait(&p), SESSION_WINDOW);
        for (int i = 0; i < 10 && !p.origin.closed; i++) {
            p.now += 5000;
            take_some(&p, 0, step);
            peer_fail(&p, ROUTED_ERROR_TOO_SLOW);
        }
        assert_int_equal(peer_answer(&p, 0)->is_reset, step == 1);
        assert_int_equal(p.origin.closed, step == 1);
        assert_int_equal(p.origin.failure, step == 1 ? ROUTED_ERROR_TOO_SLOW : ROUTED_OK);
        assert_int_equal(peer_wait(&p), SESSION_WINDOW);
        peer_close(&p);
    }
    struct peer p;
    peer_open(&p, &sends_much); /* a fast start buys nothing */
    p.is_stuck = true;
    peer_get(&p, 0);
    take_some(&p, 0, 20); /* the head */
    for (int i = 0; i < 40; i++)
        take_some(&p, 0, 3000);
    p.now += 30000;
    peer_fail(&p, ROUTED_ERROR_TOO_SLOW);
    assert_int_equal(p.origin.closed, 0);
    p.now += 30000;
    peer_fail(&p, ROUTED_ERROR_TOO_SLOW);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_TOO_SLOW);
    peer_close(&p);

    peer_open(&p, &sends_much); /* nothing comes at all: the connection looks again */
    p.is_stuck = true;
    peer_get(&p, 0);
    expect_patience_to_end(&p);
    assert_int_equal(peer_answer(&p, 0)->reset_code, NGHTTP3_H3_REQUEST_CANCELLED);
    peer_close(&p);
}

/* A client that neither acknowledges nor ends what is answered holds its connection for no longer
 * than one that does not read. */
static void test_streams_that_do_not_end(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    p.keeps_streams = true;
    peer_get(&p, 0);
    peer_turn(&p);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(peer_wait(&p), SESSION_WINDOW);
    peer_fail(&p, ROUTED_ERROR_TOO_SLOW);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_TOO_SLOW);
    peer_close(&p);
}

/* While others are served a stream that is less urgent is not slow. */
static void test_waiting_is_not_slowness(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &sends_much);
    p.is_stuck = true;
    peer_request(&p, 0, "GET", "/", (struct peer_line[]){PEER_LINE("priority", "u=7")}, 1, true);
    peer_get(&p, 4);
    for (int i = 0; i < 10; i++) {
        p.now += 3000;
        take_some(&p, 4, 2000);
        http3_session_unblocked(p.session, 4);
        peer_fail(&p, ROUTED_ERROR_TOO_SLOW);
    }
    assert_int_equal(p.origin.closed, 0);
    peer_close(&p);
}

static void test_abort(void **state)
{
    struct peer p;
    (void)state;
    abort_with_an_answer_unsent(&p);
    struct span spans[2];
    int64_t id;
    bool ends;
    assert_int_equal(http3_session_next(p.session, &id, spans, 2, &ends), 0);
    assert_int_equal(id, -1);
    peer_close(&p);
}

static void test_ready(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_get(&p, 0);
    assert_false(peer_base(&p)->ops->probe(peer_base(&p)));
    assert_int_equal(p.origin.ready, 0);
    origin_answer_ok(p.origin.exchange);
    assert_true(p.origin.ready > 0);
    peer_close(&p);
}

/* What nghttp3 had for the most streams at once it keeps. */
static void test_rest(void **state)
{
    struct peer p;
    (void)state;
    for (int64_t at_once = 1; at_once <= 100; at_once += 99) {
        peer_open(&p, &origin_reads_then_answers);
        p.is_blind = true;
        size_t idle = memory_held();
        for (int64_t id = 0; id < 400; id += 4) {
            peer_get(&p, id);
            if (at_once == 1)
                peer_turn(&p);
        }
        peer_turn(&p);
        buffer_release(&p.origin.view);
        size_t before = memory_held();
        peer_base(&p)->ops->rest(peer_base(&p));
        assert_true(memory_held() <= before - (size_t)at_once * 2048);
        assert_true(memory_held() <= idle + 12000 + (size_t)at_once * 1024);
        assert_true(idle < 20000);
        peer_get(&p, 400);
        peer_turn(&p);
        assert_int_equal(p.origin.complete, 101);
        peer_close(&p);
    }
}

/* ---- without memory ---- */

static void write_all(struct peer *p)
{
    const struct peer_line lines[] = {PEER_LINE("cookie", "a=1"), PEER_LINE("cookie", "b=2"),
                                      PEER_LINE("content-length", "010")};
    static const uint8_t other[] = {0x21, 1, 2, 3};
    peer_frame(p, PEER_CONTROL, HTTP3_FRAME_PRIORITY_UPDATE, SPAN("\4u=1"), false);
    peer_bytes(p, 14, span_of(other, 4), false);
    peer_request(p, 0, "POST", "/a?b", lines, 3, false);
    peer_data(p, 0, 10, true);
    peer_request(p, 4, "GET", "/", lines, 2, true);
    peer_request(p, 8, "GET", "bad", NULL, 0, true);
    peer_post(p, 12);
    peer_data(p, 12, 5000, false);
    peer_head(p, 12, lines, 2, true);
    peer_post(p, 16);
    peer_cancel(p, 16);
    peer_turn(p);
}

static void test_failing_allocations(void **state)
{
    bool fired = true;
    (void)state;
    for (uint64_t nth = 1; fired; nth++) {
        static struct peer p;
        size_t before = memory_held();
        peer_init(&p, &does_all);
        memory_fault_set(nth);
        p.is_blind = true;
        if (peer_begin(&p)) {
            peer_greet(&p);
            write_all(&p);
            peer_shut(&p);
            peer_turn(&p);
        }
        fired = memory_fault_fired();
        memory_fault_set(0);
        if (!fired) {
            assert_int_equal(p.origin.complete, 3);
            assert_int_equal(p.failure, ROUTED_OK);
            assert_int_equal(peer_wait(&p), SESSION_FINISHED);
        }
        expect_no_trace(&p, before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIFE_TESTS,
        cmocka_unit_test(test_request_credit),
        cmocka_unit_test(test_stalled_streams),
        cmocka_unit_test(test_window_does_not_leak),
        cmocka_unit_test(test_shut_when_idle),
        cmocka_unit_test(test_shut_in_two_steps),
        cmocka_unit_test(test_shut_from_inside),
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_streams_that_do_not_end),
        cmocka_unit_test(test_waiting_is_not_slowness),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests_name("http3 life", tests, NULL, NULL);
}
