/* Floods, bombs and frames that make no sense: the connection ends or the stream is refused, the
 * application gets little to do, memory stays bounded. */
#include "peer.h"
#include "streams/limits.h"

/* ---- resets ---- */

static void test_rapid_reset(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    reset_rapidly(&p, 0);
    assert_int_equal(p.frames[NGHTTP2_GOAWAY], 2); /* it was asked to leave first */
    assert_true(p.origin.opened <= 1001);
    assert_int_equal(p.origin.most_open, 1);
    expect_calm(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* A client that listens leaves in peace, with a quarter of the budget left. */
static void test_resets_of_one_that_listens(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    for (int64_t id = 1; id < 200000 && !is_over(&p); id += 2) {
        peer_get(&p, id);
        peer_cancel(&p, id);
        peer_turn(&p);
        if (p.frames[NGHTTP2_GOAWAY] == 0)
            continue;
        assert_int_equal(p.goaway_last, INT32_MAX);
        peer_frame(&p, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, SPAN("\0\0\0\0\0\0\0\0"));
        peer_turn(&p);
    }
    assert_int_equal(p.origin.opened, 751);
    assert_int_equal(p.frames[NGHTTP2_GOAWAY], 2);
    assert_int_equal(p.goaway_code, NGHTTP2_NO_ERROR);
    assert_int_equal(p.goaway_last, 2 * 751 - 1);
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_close(&p);
}

static void test_rapid_reset_beside_a_request(void **state)
{
    struct peer p;
    (void)state;
    reset_rapidly_beside_a_request(&p);
    assert_int_equal(p.frames[NGHTTP2_GOAWAY], 2);
    expect_calm(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* All in one read. */
static void test_rapid_reset_at_once(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    for (int64_t id = 1; id < 10000; id += 2) {
        peer_get(&p, id);
        peer_cancel(&p, id);
    }
    peer_turn(&p);
    assert_true(p.origin.opened <= 1001);
    assert_int_equal(p.origin.most_open, 1);
    expect_calm(&p, ROUTED_ERROR_HTTP2_RESETS);
}

static void test_patient_resets(void **state)
{
    struct peer p;
    (void)state;
    cancel_patiently(&p);
    assert_int_equal(p.frames[NGHTTP2_GOAWAY], 0);
    peer_close(&p);
}

/* Ways that only HTTP/2 has. */
static void update_zero(struct peer *p, int64_t id)
{
    peer_get(p, id);
    peer_number_frame(p, NGHTTP2_WINDOW_UPDATE, id, 0);
}

static void priority_size(struct peer *p, int64_t id)
{
    peer_get(p, id);
    peer_frame(p, NGHTTP2_PRIORITY, 0, id, SPAN("\0\0\0\0"));
}

static void priority_itself(struct peer *p, int64_t id)
{
    const uint8_t payload[5] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                                (uint8_t)id, 1};
    peer_get(p, id);
    peer_frame(p, NGHTTP2_PRIORITY, 0, id, span_of(payload, 5));
    peer_cancel(p, id);
}

static void update_overflow(struct peer *p, int64_t id)
{
    peer_get(p, id);
    peer_number_frame(p, NGHTTP2_WINDOW_UPDATE, id, INT32_MAX);
}

static void head_after_end(struct peer *p, int64_t id)
{
    peer_get(p, id);
    peer_get(p, id);
}

static void data_after_end(struct peer *p, int64_t id)
{
    peer_get(p, id);
    peer_data(p, id, 10, false);
}

static void stream_window(struct peer *p, int64_t id)
{
    peer_post(p, id);
    for (int i = 0; i < 5; i++)
        peer_data(p, id, 16384, false);
}

static void bad_trailers(struct peer *p, int64_t id)
{
    const struct peer_line line[] = {PEER_LINE("X", "y")};
    peer_post(p, id);
    peer_head(p, id, line, 1, true);
}

static void test_made_resets(void **state)
{
    static const struct made_reset ways[] = {{"update zero", update_zero},
                                             {"priority size", priority_size},
                                             {"priority itself", priority_itself},
                                             {"update overflow", update_overflow},
                                             {"head after end", head_after_end},
                                             {"data after end", data_after_end},
                                             {"stream window", stream_window},
                                             {"content length", content_length},
                                             {"bad trailers", bad_trailers},
                                             {"malformed", malformed},
                                             {"too large", too_large}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        make_resets(&p, &ways[i], 1001, 2);
        assert_true(p.frames[NGHTTP2_GOAWAY] >= 1);
        peer_close(&p);
    }
}

/* ---- field blocks ---- */

static void test_continuation_flood(void **state)
{
    (void)state;
    for (size_t size = 0; size < 20; size += 10) {
        for (unsigned count = 8; count < 10; count++) {
            struct peer p;
            uint8_t zeros[20] = {0};
            for (size_t i = 0; i < size; i++)
                zeros[i] = 0x82; /* :method: GET, again and again */
            peer_open(&p, &origin_reads_then_answers);
            peer_frame(&p, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, SPAN_EMPTY);
            for (unsigned i = 0; i < count; i++)
                peer_frame(&p, NGHTTP2_CONTINUATION, 0, 1, span_of(zeros, size));
            peer_turn(&p);
            if (is_over(&p) != (count == 9))
                fail_msg("%u of %zu bytes: wait %d", count, size, peer_wait(&p));
            if (count == 9) {
                expect_calm(&p, ROUTED_ERROR_HTTP2_CONTINUATIONS);
                continue;
            }
            assert_int_equal(peer_wait(&p), SESSION_HEAD);
            assert_int_equal(p.origin.opened, 0);
            peer_close(&p);
        }
    }
}

static void test_content_max(void **state)
{
    struct peer p;
    (void)state;
    reach_content_max(&p);
    peer_close(&p);
}

/* A compressed block that is none, and a table larger than allowed. */
static void test_compression(void **state)
{
    static const struct span blocks[] = {{(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff", 7},
                                         {(const uint8_t *)"\x80", 1},
                                         {(const uint8_t *)"\x3f\xe2\x1f\x82", 4}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct peer p;
        peer_open(&p, &origin_reads_then_answers);
        peer_frame(&p, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1,
                   blocks[i]);
        peer_turn(&p);
        assert_true(is_over(&p));
        assert_int_equal(p.goaway_code, NGHTTP2_COMPRESSION_ERROR);
        assert_int_equal(p.origin.opened, 0);
        peer_close(&p);
    }
}

/* ---- floods of legal frames ---- */

static void ping(struct peer *p)
{
    peer_frame(p, NGHTTP2_PING, 0, 0, SPAN("12345678"));
}

static void settings(struct peer *p)
{
    peer_frame(p, NGHTTP2_SETTINGS, 0, 0, SPAN_EMPTY);
}

static void window_flip(struct peer *p)
{
    peer_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, p->sent & 1 ? 0 : 65535);
}

static void priority_churn(struct peer *p)
{
    peer_frame(p, NGHTTP2_PRIORITY, 0, 1, SPAN("\0\0\0\3\1"));
}

static void priority_update(struct peer *p)
{
    peer_frame(p, NGHTTP2_PRIORITY_UPDATE, 0, 0, SPAN("\0\0\0\1u=1"));
}

static void grease(struct peer *p)
{
    peer_frame(p, 0x2b, 0xff, 3, SPAN("abc"));
}

static void empty_data(struct peer *p)
{
    peer_data(p, 1, 0, false);
}

static void byte_update(struct peer *p)
{
    peer_number_frame(p, NGHTTP2_WINDOW_UPDATE, 0, 1);
}

static void test_glitches(void **state)
{
    static const struct flood floods[] = {{"ping", ping},
                                          {"settings", settings},
                                          {"window flip", window_flip},
                                          {"priority churn", priority_churn},
                                          {"priority update", priority_update},
                                          {"grease", grease},
                                          {"empty data", empty_data},
                                          {"byte update", byte_update}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(floods); i++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        p.is_blind = true;
        run_flood(&p, &floods[i], 9900, 10100);
        peer_close(&p);
    }
}

/* The same at 330 a second goes on. */
static void test_patient_pings(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    for (int i = 0; i < 30000; i++) {
        ping(&p);
        peer_turn(&p);
        p.now += 4;
    }
    assert_int_equal(p.frames[NGHTTP2_PING], 30000);
    assert_false(is_over(&p));
    peer_close(&p);
}

/* Answers pile up when the client does not read them. */
static void test_unread_answers(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct peer p;
        unsigned count = 0;
        peer_open(&p, &origin_waits);
        p.is_stuck = true;
        for (; count < 5000 && !p.origin.refused; count++) {
            i ? settings(&p) : ping(&p);
            peer_turn(&p);
        }
        assert_in_range(count, 900, 1100);
        p.is_stuck = false;
        peer_turn(&p);
        expect_calm(&p, ROUTED_ERROR_BUDGET);
    }
}

static void test_small_data(void **state)
{
    struct peer p;
    unsigned count = 0;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_post(&p, 1);
    for (; count < 50000 && !is_over(&p); count++) {
        peer_data(&p, 1, 1, false);
        peer_turn(&p);
    }
    assert_in_range(count, 25600, 25610);
    expect_calm(&p, ROUTED_ERROR_HTTP2_SMALL_FRAMES);
}

/* 256 bytes that are all padding but one. */
static void test_overhead(void **state)
{
    static uint8_t payload[257];
    struct peer p;
    unsigned count = 0;
    (void)state;
    payload[0] = 255;
    peer_open(&p, &origin_reads_then_answers);
    p.is_blind = true;
    peer_post(&p, 1);
    for (; count < 50000 && !is_over(&p); count++) {
        peer_frame(&p, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, span_of(payload, sizeof(payload)));
        if (count % 16 == 0)
            peer_turn(&p);
    }
    assert_in_range(p.sent, 8 << 20, 9 << 20);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_HTTP2_OVERHEAD);
    assert_int_equal(p.origin.complete, 0);
    peer_close(&p);
}

/* A long download is no overhead, nor are its WINDOW_UPDATE frames odd. */
static void send_more(struct origin *o, struct exchange *x)
{
    (void)o;
    while (exchange_can_send(x))
        origin_send_size(x, 16384);
}

static void begin_download(struct origin *o, struct exchange *x)
{
    origin_respond(x, 200, NULL);
    send_more(o, x);
}

static const struct origin_script downloads = {.on_request = begin_download,
                                               .on_writable = send_more};

static void test_download(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &downloads);
    peer_get(&p, 1);
    peer_turn(&p);
    for (int i = 0; i < 20000; i++) {
        peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, 4096);
        peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 1, 4096);
        peer_turn(&p);
    }
    assert_int_equal(peer_answer(&p, 1)->size, 65535 + 20000 * 4096);
    assert_false(is_over(&p));
    peer_close(&p);
}

/* ---- streams and frames that must not be ---- */

static void test_stream_limit(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    for (int64_t id = 1; id < 203; id += 2)
        peer_get(&p, id);
    peer_turn(&p);
    assert_int_equal(p.origin.most_open, 100);
    assert_true(peer_answer(&p, 201)->is_reset || is_over(&p));
    assert_int_equal(p.origin.opened, 100);
    peer_close(&p);
}

static void expect_goaway(struct peer *p, uint32_t code)
{
    peer_turn(p);
    if (!is_over(p))
        fail_msg("wait %d, sent %zu, code %u", peer_wait(p), (size_t)p->sent, code);
    assert_int_equal(p->goaway_code, code);
    assert_int_equal(p->origin.opened, p->origin.closed);
    /* What still comes is thrown away, whatever it is. */
    ping(p);
    peer_get(p, 99);
    peer_frame(p, NGHTTP2_PRIORITY_UPDATE, 0, 0, SPAN("\0"));
    peer_frame(p, NGHTTP2_SETTINGS, 0, 0, SPAN("abc"));
    peer_turn(p);
    assert_int_equal(p->origin.opened, p->origin.closed);
    peer_close(p);
}

static void test_illegal_frames(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_get(&p, 2);
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_open(&p, &origin_reads_then_answers);
    peer_frame(&p, NGHTTP2_SETTINGS, 0, 0, SPAN("abc"));
    expect_goaway(&p, NGHTTP2_FRAME_SIZE_ERROR);
    peer_open(&p, &origin_reads_then_answers);
    peer_data(&p, 5, 1, false);
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_open(&p, &origin_waits);
    peer_get(&p, 1);
    peer_frame(&p, NGHTTP2_PING, 0, 0, SPAN("1234567"));
    expect_goaway(&p, NGHTTP2_FRAME_SIZE_ERROR);
    peer_open(&p, &origin_waits);
    peer_frame_head(&p, 16385, NGHTTP2_DATA, 0, 1);
    expect_goaway(&p, NGHTTP2_FRAME_SIZE_ERROR);
    peer_open(&p, &origin_waits);
    peer_frame(&p, NGHTTP2_CONTINUATION, 0, 1, SPAN_EMPTY);
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_open(&p, &origin_waits);
    peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, INT32_MAX);
    expect_goaway(&p, NGHTTP2_FLOW_CONTROL_ERROR);
    peer_open(&p, &origin_waits); /* an id that was passed over */
    peer_get(&p, 5);
    peer_get(&p, 3);
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
}

static void test_settings_entries(void **state)
{
    uint8_t payload[33 * 6] = {0};
    struct peer p;
    (void)state;
    for (size_t i = 0; i < 33; i++)
        payload[i * 6] = 0x7a; /* reserved for nothing (RFC 8701's idea) */
    peer_open(&p, &origin_reads_then_answers);
    peer_frame(&p, NGHTTP2_SETTINGS, 0, 0, span_of(payload, 32 * 6));
    peer_get(&p, 1);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 1)->status, 200);
    peer_frame(&p, NGHTTP2_SETTINGS, 0, 0, span_of(payload, 33 * 6));
    peer_turn(&p);
    assert_true(is_over(&p));
    peer_close(&p);
}

static void test_preface(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &origin_waits);
    assert_true(peer_begin(&p));
    peer_bytes(&p, SPAN("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"));
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_init(&p, &origin_waits);
    assert_true(peer_begin(&p));
    peer_bytes(&p, SPAN("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_init(&p, &origin_waits);
    assert_true(peer_begin(&p));
    peer_bytes(&p, SPAN(PEER_PREFACE)); /* and no SETTINGS */
    peer_turn(&p);
    assert_int_equal(peer_wait(&p), SESSION_HEAD);
    ping(&p);
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIMIT_TESTS,
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_resets_of_one_that_listens),
        cmocka_unit_test(test_rapid_reset_beside_a_request),
        cmocka_unit_test(test_rapid_reset_at_once),
        cmocka_unit_test(test_patient_resets),
        cmocka_unit_test(test_made_resets),
        cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_content_max),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_glitches),
        cmocka_unit_test(test_patient_pings),
        cmocka_unit_test(test_unread_answers),
        cmocka_unit_test(test_small_data),
        cmocka_unit_test(test_overhead),
        cmocka_unit_test(test_download),
        cmocka_unit_test(test_stream_limit),
        cmocka_unit_test(test_illegal_frames),
        cmocka_unit_test(test_settings_entries),
        cmocka_unit_test(test_preface),
    };
    return cmocka_run_group_tests_name("http2 attack", tests, NULL, NULL);
}
