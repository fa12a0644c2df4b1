/* Floods and bombs: the connection ends or the stream is refused, the application gets little to
 * do, memory stays bounded. */
#include "peer.h"
#include "streams/limits.h"

static void expect_excessive(struct peer *p, int error)
{
    assert_int_equal(p->failure, error);
    expect_calm(p, error);
}

/* ---- resets ---- */

static void test_rapid_reset(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    reset_rapidly(&p, 0);
    /* Between two requests: a quarter of the budget is left. */
    assert_int_equal(p.origin.opened, 751);
    assert_int_equal(p.origin.most_open, 1);
    assert_int_equal(peer_code(&p), NGHTTP3_H3_NO_ERROR);
    peer_close(&p);
}

/* With another stream open it is asked to leave first. */
static void test_rapid_reset_beside_a_request(void **state)
{
    struct peer p;
    (void)state;
    reset_rapidly_beside_a_request(&p);
    expect_excessive(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* Streams that are opened, stopped and reset without a byte. */
static void test_churn(void **state)
{
    struct peer p;
    unsigned count = 0;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_get(&p, 0);
    for (int64_t id = 4; id < 400000 && !is_over(&p); id += 4, count++) {
        peer_check(&p, http3_session_stream_reset(p.session, id, 0));
        peer_check(&p, http3_session_stream_closed(p.session, id, 0));
        peer_turn(&p);
    }
    assert_int_equal(count, 1001);
    assert_int_equal(p.origin.opened, 1);
    expect_excessive(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* STOP_SENDING may be answered by QUIC alone: then only the end of the stream tells of it. */
static void test_streams_that_end_too_early(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_get(&p, 0);
    for (int64_t id = 4; id < 400000 && !is_over(&p); id += 4) {
        peer_get(&p, id);
        peer_check(&p, http3_session_stream_closed(p.session, id, 0x10c));
        assert_true(p.failure || p.origin.close_error == ROUTED_ERROR_CLIENT_GONE);
    }
    assert_in_range(p.origin.opened, 1001, 1003);
    assert_int_equal(p.origin.most_open, 2);
    expect_excessive(&p, ROUTED_ERROR_HTTP2_RESETS);
}

static void test_patient_resets(void **state)
{
    struct peer p;
    (void)state;
    cancel_patiently(&p);
    assert_int_equal(http3_session_streams_allowed(p.session), 5100);
    peer_close(&p);
}

static void bad_trailers(struct peer *p, int64_t id)
{
    const struct peer_line line[] = {PEER_LINE("X", "y")};
    peer_request(p, id, "POST", "/", NULL, 0, false);
    exchange_grant(p->origin.exchange, 1);
    peer_head(p, id, line, 1, true);
}

static void much_too_large(struct peer *p, int64_t id)
{
    peer_bytes(p, id, SPAN("\1\xff\xff\xff\xff\xff\xff\xff\xff"), false);
}

static void only_an_end(struct peer *p, int64_t id)
{
    peer_fin(p, id);
}

static void test_made_resets(void **state)
{
    static const struct made_reset ways[] = {
        {"content length", content_length}, {"bad trailers", bad_trailers},
        {"malformed", malformed},           {"too large", too_large},
        {"much too large", much_too_large}, {"only an end", only_an_end}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        make_resets(&p, &ways[i], 1000, 1);
        peer_close(&p);
    }
}

/* ---- field sections ---- */

static void test_content_max(void **state)
{
    struct peer p;
    (void)state;
    reach_content_max(&p);
    assert_int_equal(peer_answer(&p, 8)->stop_code, NGHTTP3_H3_NO_ERROR);
    peer_close(&p);
}

/* A section longer than its limit is answered before it is here. */
static void test_section_size(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        struct peer p;
        struct buffer head = BUFFER_EMPTY;
        peer_open(&p, &origin_reads_then_answers);
        peer_number(&head, HTTP3_FRAME_HEADERS);
        peer_number(&head, 32768 + over);
        peer_send_buffer(&p, 0, &head, false);
        peer_turn(&p);
        assert_int_equal(peer_answer(&p, 0)->status, over ? 431 : 0);
        assert_int_equal(peer_answer(&p, 0)->is_stopped, over);
        peer_close(&p);
    }
}

/* nghttp3's decoder takes no name of more than 256 bytes: that is the request's misfortune. */
static void test_long_name(void **state)
{
    static uint8_t name[300];
    struct peer p;
    (void)state;
    memset(name, 0x01, sizeof(name)); /* not compressible */
    const struct peer_line line = {span_of(name, sizeof(name)), SPAN("x"), false};
    peer_open(&p, &origin_reads_then_answers);
    peer_post(&p, 0);
    peer_request(&p, 4, "GET", "/", &line, 1, true);
    peer_data(&p, 0, 10, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 4)->status, 431);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_FIELD_TOO_LARGE);
    peer_get(&p, 8);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    assert_int_equal(peer_answer(&p, 8)->status, 200);
    peer_close(&p);
}

/* Strings that are announced and do not come. */
static void test_memory_of_promises(void **state)
{
    struct peer p;
    (void)state;
    size_t before = memory_held();
    peer_init(&p, &origin_waits);
    assert_true(peer_begin(&p));
    peer_greet(&p);
    for (int64_t id = 0; id < 400; id += 4) /* a value of 32,000 bytes, compressed */
        peer_bytes(&p, id, SPAN("\1\x80\0\x7d\x20\0\0\x51\xff\x81\xf9\1"), false);
    size_t held = memory_held() - before;
    assert_true(held < 10 * p.sent + 65536 + IDLE_COST + 100 * PEER_STREAM_COST);
    assert_false(is_over(&p));
    assert_int_equal(p.origin.opened, 0);
    peer_close(&p);
    assert_int_equal(memory_held(), before);
}

/* ---- floods of what is legal ---- */

static void grease(struct peer *p)
{
    peer_frame(p, 0, 0x2b, SPAN("abc"), false);
}

static void control_grease(struct peer *p)
{
    peer_frame(p, PEER_CONTROL, 0x2b, SPAN("abc"), false);
}

static void push_id(struct peer *p)
{
    peer_frame(p, PEER_CONTROL, HTTP3_FRAME_MAX_PUSH_ID, SPAN("\1"), false);
}

static void farewell(struct peer *p)
{
    peer_frame(p, PEER_CONTROL, HTTP3_FRAME_GOAWAY, SPAN("\0"), false);
}

static void priority_update(struct peer *p)
{
    peer_frame(p, PEER_CONTROL, HTTP3_FRAME_PRIORITY_UPDATE,
               p->sent & 1 ? SPAN("\0u=1") : SPAN("\0u=2"), false);
}

static void empty_data(struct peer *p)
{
    peer_data(p, 0, 0, false);
}

static void unknown_stream(struct peer *p)
{
    int64_t id = 14 + 4 * (int64_t)p->sent;
    peer_bytes(p, id, SPAN("\x40\x21"), false);
    peer_check(p, http3_session_stream_reset(p->session, id, 0));
    peer_check(p, http3_session_stream_closed(p->session, id, 0));
}

static void stream_reset_without_type(struct peer *p)
{
    peer_check(p, http3_session_stream_reset(p->session, 14, 0));
    peer_check(p, http3_session_stream_closed(p->session, 14, 0));
}

static void stream_ended_without_type(struct peer *p)
{
    peer_bytes(p, 14, SPAN_EMPTY, true);
    peer_check(p, http3_session_stream_closed(p->session, 14, 0));
}

static void test_glitches(void **state)
{
    static const struct flood floods[] = {{"grease", grease},
                                          {"control grease", control_grease},
                                          {"push id", push_id},
                                          {"farewell", farewell},
                                          {"priority update", priority_update},
                                          {"empty data", empty_data},
                                          {"unknown stream", unknown_stream},
                                          {"stream reset without type", stream_reset_without_type},
                                          {"stream ended without type", stream_ended_without_type}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(floods); i++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        run_flood(&p, &floods[i], 9990, 10010);
        expect_excessive(&p, ROUTED_ERROR_HTTP2_GLITCHES);
    }
}

/* The same at 330 a second goes on. */
static void test_patient_grease(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_post(&p, 0);
    for (int i = 0; i < 30000; i++) {
        grease(&p);
        p.now += 4;
    }
    assert_false(is_over(&p));
    assert_int_equal(p.granted, p.sent);
    peer_close(&p);
}

static void test_small_data(void **state)
{
    struct peer p;
    unsigned count = 0;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_post(&p, 0);
    for (; count < 50000 && !is_over(&p); count++)
        peer_data(&p, 0, 255, false);
    assert_int_equal(count, 25602); /* the first is free */
    expect_excessive(&p, ROUTED_ERROR_HTTP2_SMALL_FRAMES);
    peer_open(&p, &origin_reads_then_answers);
    peer_post(&p, 0);
    for (count = 0; count < 50000 && !is_over(&p); count++)
        peer_data(&p, 0, 256, false);
    assert_false(is_over(&p));
    for (int64_t id = 4; id < 4 * 50000; id += 4) { /* first and last are free */
        peer_post(&p, id);
        peer_data(&p, id, 1, false);
        peer_data(&p, id, 1, true);
        peer_turn(&p);
    }
    assert_false(is_over(&p));
    peer_close(&p);
}

static void test_sizes_of_frames(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        struct peer p;
        struct buffer b = BUFFER_EMPTY;
        peer_init(&p, &origin_waits);
        assert_true(peer_begin(&p));
        peer_number(&b, 0);
        peer_number(&b, HTTP3_FRAME_SETTINGS);
        peer_number(&b, HTTP3_SETTINGS_SIZE_MAX + over);
        for (size_t i = 0; i < HTTP3_SETTINGS_SIZE_MAX / 4; i++)
            buffer_append(&b, "\x61\x21\x40\x01", 4);
        peer_send_buffer(&p, PEER_CONTROL, &b, false);
        assert_int_equal(is_over(&p), over);
        if (over)
            expect_excessive(&p, ROUTED_ERROR_BUDGET);
        else
            peer_close(&p);

        peer_open(&p, &origin_waits);
        peer_number(&b, 0x21);
        peer_number(&b, HTTP3_UNKNOWN_SIZE_MAX + over);
        peer_send_buffer(&p, 0, &b, false);
        assert_int_equal(is_over(&p), over);
        peer_close(&p);
    }
}

/* Those beside the three of HTTP/3 are stopped, and only so many may be open. */
static void test_side_streams(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    for (int64_t i = 3; i < HTTP3_SIDE_STREAMS_MAX; i++)
        peer_bytes(&p, 2 + 4 * i, SPAN("\x21xyz"), false);
    assert_int_equal(p.side_stops, HTTP3_SIDE_STREAMS_MAX - 3);
    assert_int_equal(p.side_stop_code, NGHTTP3_H3_STREAM_CREATION_ERROR);
    assert_int_equal(p.granted, p.sent);
    assert_int_equal(p.side_granted, p.sent);
    peer_bytes(&p, 14, SPAN("more"), false); /* was on its way */
    http3_session_stream_reset(p.session, 14, 0);
    http3_session_stream_closed(p.session, 14, 0);
    peer_bytes(&p, 1002, SPAN("\x40"), false);
    http3_session_stream_reset(p.session, 1002, 0); /* before its type was told */
    peer_bytes(&p, 1006, SPAN_EMPTY, true);
    http3_session_stream_closed(p.session, 1006, 0);
    peer_bytes(&p, 1010, SPAN("\x21"), false);
    assert_int_equal(p.failure, ROUTED_OK);
    peer_bytes(&p, 1014, SPAN("\x21"), false);
    expect_excessive(&p, ROUTED_ERROR_BUDGET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIMIT_TESTS,
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_rapid_reset_beside_a_request),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_streams_that_end_too_early),
        cmocka_unit_test(test_patient_resets),
        cmocka_unit_test(test_made_resets),
        cmocka_unit_test(test_content_max),
        cmocka_unit_test(test_section_size),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_memory_of_promises),
        cmocka_unit_test(test_glitches),
        cmocka_unit_test(test_patient_grease),
        cmocka_unit_test(test_small_data),
        cmocka_unit_test(test_sizes_of_frames),
        cmocka_unit_test(test_side_streams),
    };
    return cmocka_run_group_tests_name("http3 attack", tests, NULL, NULL);
}
