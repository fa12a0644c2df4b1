/* Floods and bombs: the connection ends or the stream is refused, the application gets little to
 * do, memory stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "peer.h"

static void nothing(struct peer *p, struct exchange *x)
{
    (void)p;
    (void)x;
}

static const struct peer_script waits = {.on_request = nothing};

static bool is_over(struct peer *p)
{
    return peer_wait(p) == SESSION_FINISHED;
}

static void expect_excessive(struct peer *p, int error)
{
    assert_true(is_over(p));
    assert_int_equal(peer_code(p), NGHTTP3_H3_EXCESSIVE_LOAD);
    assert_int_equal(p->failure, error);
    assert_int_equal(p->refused_error, error);
    assert_int_equal(p->refused_status, 0);
    assert_int_equal(p->opened, p->closed);
    assert_int_equal(p->opened, p->ended);
    peer_close(p);
}

/* ---- resets ---- */

static void test_rapid_reset(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    for (int64_t id = 0; id < 400000 && !is_over(&p); id += 4) {
        peer_get(&p, id);
        peer_cancel(&p, id);
        peer_turn(&p);
    }
    /* Between two requests: a quarter of the budget is left. */
    assert_int_equal(p.opened, 751);
    assert_int_equal(p.most_open, 1);
    assert_int_equal(peer_code(&p), NGHTTP3_H3_NO_ERROR);
    peer_close(&p);
}

/* With another stream open it is asked to leave first. */
static void test_rapid_reset_beside_a_request(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    peer_get(&p, 0);
    for (int64_t id = 4; id < 400000 && !is_over(&p); id += 4) {
        peer_get(&p, id);
        peer_cancel(&p, id);
        peer_turn(&p);
    }
    assert_true(p.opened <= 1002);
    assert_int_equal(p.most_open, 2);
    expect_excessive(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* Streams that are opened, stopped and reset without a byte. */
static void test_churn(void **state)
{
    struct peer p;
    unsigned count = 0;
    (void)state;
    peer_open(&p, &waits);
    peer_get(&p, 0);
    for (int64_t id = 4; id < 400000 && !is_over(&p); id += 4, count++) {
        peer_check(&p, http3_session_stream_reset(p.session, id, 0));
        peer_check(&p, http3_session_stream_closed(p.session, id, 0));
    }
    assert_int_equal(count, 1001);
    assert_int_equal(p.opened, 1);
    expect_excessive(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* STOP_SENDING may be answered by QUIC alone: then only the end of the stream tells of it. */
static void test_streams_that_end_too_early(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    peer_get(&p, 0);
    for (int64_t id = 4; id < 400000 && !is_over(&p); id += 4) {
        peer_get(&p, id);
        peer_check(&p, http3_session_stream_closed(p.session, id, 0x10c));
        assert_true(p.failure || p.close_error == ROUTED_ERROR_CLIENT_GONE);
    }
    assert_in_range(p.opened, 1001, 1003);
    assert_int_equal(p.most_open, 2);
    expect_excessive(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* A client that cancels now and then is left alone for ever. */
static void test_patient_resets(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    for (int64_t id = 0; id < 20000; id += 4) {
        peer_get(&p, id);
        peer_cancel(&p, id);
        peer_turn(&p);
        p.now += 31;
    }
    assert_int_equal(p.opened, 5000);
    assert_int_equal(p.closed, 5000);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    assert_int_equal(http3_session_streams_allowed(p.session), 5100);
    peer_close(&p);
}

/* What a client can do to make the server reset its own streams (CVE-2025-8671). */
static void content_length(struct peer *p, int64_t id)
{
    const struct peer_line length[] = {PEER_LINE("content-length", "1")};
    peer_request(p, id, "POST", "/", length, 1, false);
    peer_data(p, id, 2, false);
}

static void bad_trailers(struct peer *p, int64_t id)
{
    const struct peer_line line[] = {PEER_LINE("X", "y")};
    peer_request(p, id, "POST", "/", NULL, 0, false);
    exchange_grant(p->exchange, 1);
    peer_head(p, id, line, 1, true);
}

static void malformed(struct peer *p, int64_t id)
{
    peer_request(p, id, "GET", "no-slash", NULL, 0, true);
}

static void too_large(struct peer *p, int64_t id)
{
    static char path[9000];
    memset(path, '/', sizeof(path) - 1);
    peer_request(p, id, "GET", path, NULL, 0, false);
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
    static void (*const ways[])(struct peer *, int64_t) = {
        content_length, bad_trailers, malformed, too_large, much_too_large, only_an_end};
    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct peer p;
        peer_open(&p, &waits);
        for (int64_t id = 0; id < 12000 && !is_over(&p); id += 4) {
            ways[i](&p, id);
            peer_turn(&p);
        }
        if (!is_over(&p) || p.opened > 1000 || p.most_open > 1 || p.opened != p.closed)
            fail_msg("way %zu: wait %d, %u opened, %u at once", i, peer_wait(&p), p.opened,
                     p.most_open);
        peer_close(&p);
    }
}

/* ---- field sections ---- */

/* `count` fields beyond host and the pseudo-fields. */
static void ask(struct peer *p, int64_t id, const char *name, const char *value, size_t count,
                bool as_trailers)
{
    static struct peer_line lines[PEER_LINES_MAX];
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct peer_line){span_from(name), span_from(value)};
    if (as_trailers) {
        peer_post(p, id);
        peer_head(p, id, lines, count, true);
    } else {
        peer_request(p, id, "GET", "/", lines, count, true);
    }
    peer_turn(p);
}

static void test_field_count(void **state)
{
    static const char *const names[] = {"x-a", "cookie", "x-a"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct peer p;
        peer_open(&p, &peer_reads_then_answers);
        ask(&p, 0, names[i], "b", 100, i == 2);
        assert_int_equal(peer_answer(&p, 0)->status, 200);
        ask(&p, 4, names[i], "b", 101, i == 2);
        assert_int_equal(peer_answer(&p, 4)->status, 431);
        assert_int_equal(i == 2 ? p.exchange_failure : p.refused_error,
                         ROUTED_ERROR_FIELDS_TOO_MANY);
        assert_int_equal(p.complete, 1);
        ask(&p, 8, names[i], "b", 1000, i == 2);
        assert_int_equal(peer_answer(&p, 8)->status, 431);
        assert_false(is_over(&p));
        ask(&p, 12, names[i], "b", 1001, i == 2);
        assert_int_equal(peer_answer(&p, 12)->status, 0);
        expect_excessive(&p, ROUTED_ERROR_HTTP2_FIELDS);
    }
}

static void test_field_bytes(void **state)
{
    static char value[8193];
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    /* The head's own: names, values and 32 for each of four lines. */
    size_t own = (7 + 3) + (7 + 5) + (5 + 1) + (10 + 6) + 4 * 32;
    memset(value, 'x', sizeof(value) - 1);
    value[8192 - 3] = '\0'; /* exactly one field's limit */
    ask(&p, 0, "x-a", value, 1, false);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    value[8192 - 3] = 'x';
    value[8192 - 2] = '\0';
    ask(&p, 4, "x-a", value, 1, false);
    assert_int_equal(peer_answer(&p, 4)->status, 431);
    assert_int_equal(p.refused_error, ROUTED_ERROR_FIELD_TOO_LARGE);
    size_t each = (32768 - own) / 8 - 32 - 3;
    size_t rest = (32768 - own) % 8;
    value[each] = 'x';
    struct peer_line lines[8];
    for (size_t i = 0; i < 8; i++)
        lines[i] = (struct peer_line){SPAN("x-a"), span_of(value, each)};
    lines[7].value.size += rest;
    peer_request(&p, 8, "GET", "/", lines, 8, true);
    lines[7].value.size++;
    peer_request(&p, 12, "GET", "/", lines, 8, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 8)->status, 200);
    assert_int_equal(peer_answer(&p, 12)->status, 431);
    assert_int_equal(p.refused_error, ROUTED_ERROR_FIELDS_TOO_LARGE);
    peer_close(&p);
}

static void test_target_size(void **state)
{
    static char path[8194];
    struct peer p;
    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    peer_open(&p, &peer_reads_then_answers);
    peer_request(&p, 0, "GET", path, NULL, 0, true);
    path[8192] = '\0';
    peer_request(&p, 4, "GET", path, NULL, 0, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 414);
    assert_int_equal(peer_answer(&p, 4)->status, 200);
    peer_close(&p);
}

static void test_content_max(void **state)
{
    const struct peer_line length[] = {PEER_LINE("content-length", "101")};
    struct peer p;
    (void)state;
    peer_init(&p, &peer_reads_then_answers);
    p.options.limits.head.content_max = 100;
    assert_true(peer_begin(&p));
    peer_greet(&p);
    peer_post(&p, 0);
    peer_data(&p, 0, 100, true);
    peer_request(&p, 4, "POST", "/", length, 1, false);
    peer_post(&p, 8);
    peer_data(&p, 8, 100, false);
    peer_data(&p, 8, 1, false);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    assert_int_equal(peer_answer(&p, 4)->status, 413);
    assert_int_equal(peer_answer(&p, 8)->status, 413);
    assert_int_equal(peer_answer(&p, 8)->stop_code, NGHTTP3_H3_NO_ERROR);
    assert_int_equal(p.opened, 2);
    assert_int_equal(p.content, 200);
    peer_close(&p);
}

/* A section longer than its limit is answered before it is here. */
static void test_section_size(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        struct peer p;
        struct buffer head = BUFFER_EMPTY;
        peer_open(&p, &peer_reads_then_answers);
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
    const struct peer_line line = {span_of(name, sizeof(name)), SPAN("x")};
    peer_open(&p, &peer_reads_then_answers);
    peer_post(&p, 0);
    peer_request(&p, 4, "GET", "/", &line, 1, true);
    peer_data(&p, 0, 10, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 4)->status, 431);
    assert_int_equal(p.refused_error, ROUTED_ERROR_FIELD_TOO_LARGE);
    peer_get(&p, 8);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    assert_int_equal(peer_answer(&p, 8)->status, 200);
    peer_close(&p);
}

/* ---- memory ---- */

/* What an idle connection takes, and each open stream: the exchange, 16 lines, the first chunk of
 * an arena, nghttp3's stream. */
#define IDLE_COST   32768
#define STREAM_COST 5120

static void expect_bounded_memory(const char *name, size_t value_size, size_t count)
{
    static char value[4000];
    static struct peer_line lines[PEER_LINES_MAX];
    struct peer p;
    memset(value, 'v', sizeof(value));
    size_t before = memory_held();
    peer_init(&p, &waits);
    assert_true(peer_begin(&p));
    p.is_blind = true;
    peer_greet(&p);
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct peer_line){span_from(name), span_of(value, value_size)};
    for (int64_t id = 0; id < 400; id += 4) {
        peer_request(&p, id, "GET", "/", lines, count, true);
        peer_turn(&p);
    }
    buffer_release(&p.view);
    buffer_release(&p.control);
    size_t held = memory_held() - before;
    if (held > 10 * p.sent + 65536 + IDLE_COST + (size_t)p.most_open * STREAM_COST)
        fail_msg("%zu x %s of %zu: %zu held for %zu sent on %u streams", count, name, value_size,
                 held, (size_t)p.sent, p.most_open);
    assert_true(p.opened > 0);
    peer_close(&p);
    assert_int_equal(memory_held(), before);
}

static void test_memory(void **state)
{
    (void)state;
    expect_bounded_memory("x-a", 0, 0);
    expect_bounded_memory("x-a", 1, 96);
    expect_bounded_memory("x-a", 300, 96);
    expect_bounded_memory("x-a", 3900, 8);
    expect_bounded_memory("accept", 0, 96);
    expect_bounded_memory("cookie", 1, 96);
    expect_bounded_memory("cookie", 300, 90);
    expect_bounded_memory("cookie", 1900, 12);
}

/* Strings that are announced and do not come. */
static void test_memory_of_promises(void **state)
{
    struct peer p;
    (void)state;
    size_t before = memory_held();
    peer_init(&p, &waits);
    assert_true(peer_begin(&p));
    peer_greet(&p);
    for (int64_t id = 0; id < 400; id += 4) /* a value of 32,000 bytes, compressed */
        peer_bytes(&p, id, SPAN("\1\x80\0\x7d\x20\0\0\x51\xff\x81\xf9\1"), false);
    size_t held = memory_held() - before;
    assert_true(held < 10 * p.sent + 65536 + IDLE_COST + 100 * STREAM_COST);
    assert_false(is_over(&p));
    assert_int_equal(p.opened, 0);
    peer_close(&p);
    assert_int_equal(memory_held(), before);
}

/* What a browser does: a page with 100 pictures, long cookies. None may be refused. */
static void test_memory_of_a_page(void **state)
{
    static char cookie[700], agent[150];
    struct peer p;
    (void)state;
    memset(cookie, 'c', sizeof(cookie));
    memset(agent, 'a', sizeof(agent));
    const struct peer_line lines[] = {{SPAN("user-agent"), span_of(agent, sizeof(agent))},
                                      PEER_LINE("accept", "image/avif,image/webp,*/*"),
                                      PEER_LINE("accept-encoding", "gzip, deflate, br"),
                                      PEER_LINE("accept-language", "en-GB,en;q=0.5"),
                                      PEER_LINE("referer", "https://a.test/page"),
                                      PEER_LINE("sec-fetch-dest", "image"),
                                      PEER_LINE("sec-fetch-mode", "no-cors"),
                                      PEER_LINE("sec-fetch-site", "same-origin"),
                                      PEER_LINE("priority", "u=5, i"),
                                      {SPAN("cookie"), span_of(cookie, 700)},
                                      {SPAN("cookie"), span_of(cookie, 699)},
                                      {SPAN("cookie"), span_of(cookie, 698)}};
    peer_open(&p, &waits);
    for (int64_t id = 0; id < 400; id += 4) {
        char path[32];
        snprintf(path, sizeof(path), "/pictures/%d.png", (int)id);
        peer_request(&p, id, "GET", path, lines, 12, true);
    }
    peer_turn(&p);
    assert_int_equal(p.refused, 0);
    assert_int_equal(p.most_open, 100);
    peer_close(&p);
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
    static void (*const floods[])(struct peer *) = {grease,
                                                    control_grease,
                                                    push_id,
                                                    farewell,
                                                    priority_update,
                                                    empty_data,
                                                    unknown_stream,
                                                    stream_reset_without_type,
                                                    stream_ended_without_type};
    (void)state;
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        struct peer p;
        unsigned count = 0;
        peer_open(&p, &waits);
        peer_post(&p, 0);
        for (; count < 100000 && !is_over(&p); count++)
            floods[i](&p);
        if (count < 9990 || count > 10010)
            fail_msg("flood %zu: %u", i, count);
        expect_excessive(&p, ROUTED_ERROR_HTTP2_GLITCHES);
    }
}

/* The same at 330 a second goes on. */
static void test_patient_grease(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
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
    peer_open(&p, &peer_reads_then_answers);
    peer_post(&p, 0);
    for (; count < 50000 && !is_over(&p); count++)
        peer_data(&p, 0, 255, false);
    assert_int_equal(count, 25602); /* the first is free */
    expect_excessive(&p, ROUTED_ERROR_HTTP2_SMALL_FRAMES);
    peer_open(&p, &peer_reads_then_answers);
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
        peer_init(&p, &waits);
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

        peer_open(&p, &waits);
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
    peer_open(&p, &waits);
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
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_rapid_reset_beside_a_request),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_streams_that_end_too_early),
        cmocka_unit_test(test_patient_resets),
        cmocka_unit_test(test_made_resets),
        cmocka_unit_test(test_field_count),
        cmocka_unit_test(test_field_bytes),
        cmocka_unit_test(test_target_size),
        cmocka_unit_test(test_content_max),
        cmocka_unit_test(test_section_size),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_of_promises),
        cmocka_unit_test(test_memory_of_a_page),
        cmocka_unit_test(test_glitches),
        cmocka_unit_test(test_patient_grease),
        cmocka_unit_test(test_small_data),
        cmocka_unit_test(test_sizes_of_frames),
        cmocka_unit_test(test_side_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
