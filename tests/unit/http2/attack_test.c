/* Floods, bombs and frames that make no sense: the connection ends or the stream is refused, the
 * application gets little to do, memory stays bounded. */
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

static bool is_over(const struct peer *p)
{
    return peer_wait(p) == SESSION_LINGER || peer_wait(p) == SESSION_FINISHED;
}

static void expect_calm(struct peer *p, int error)
{
    assert_true(is_over(p));
    assert_int_equal(p->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
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
    int32_t id = 1;
    for (; id < 200000 && !is_over(&p); id += 2) {
        peer_get(&p, id);
        peer_number_frame(&p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
        peer_turn(&p);
    }
    assert_int_equal(p.frames[NGHTTP2_GOAWAY], 2); /* it was asked to leave first */
    assert_true(p.opened <= 1001);
    assert_int_equal(p.most_open, 1);
    expect_calm(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* A client that listens leaves in peace, with a quarter of the budget left. */
static void test_resets_of_one_that_listens(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    for (int32_t id = 1; id < 200000 && !is_over(&p); id += 2) {
        peer_get(&p, id);
        peer_number_frame(&p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
        peer_turn(&p);
        if (p.frames[NGHTTP2_GOAWAY] == 0)
            continue;
        assert_int_equal(p.goaway_last, INT32_MAX);
        peer_frame(&p, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, SPAN("\0\0\0\0\0\0\0\0"));
        peer_turn(&p);
    }
    assert_int_equal(p.opened, 751);
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
    peer_open(&p, &waits);
    peer_get(&p, 1);
    for (int32_t id = 3; id < 200000 && !is_over(&p); id += 2) {
        peer_get(&p, id);
        peer_number_frame(&p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
        peer_turn(&p);
    }
    assert_int_equal(p.frames[NGHTTP2_GOAWAY], 2);
    assert_true(p.opened <= 1002);
    assert_int_equal(p.most_open, 2);
    expect_calm(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* All in one read. */
static void test_rapid_reset_at_once(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    for (int32_t id = 1; id < 10000; id += 2) {
        peer_get(&p, id);
        peer_number_frame(&p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
    }
    peer_turn(&p);
    assert_true(p.opened <= 1001);
    assert_int_equal(p.most_open, 1);
    expect_calm(&p, ROUTED_ERROR_HTTP2_RESETS);
}

/* A client that cancels now and then is left alone for ever. */
static void test_patient_resets(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    for (int32_t id = 1; id < 10000; id += 2) {
        peer_get(&p, id);
        peer_number_frame(&p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
        peer_turn(&p);
        p.now += 31;
    }
    assert_int_equal(p.opened, 5000);
    assert_int_equal(p.closed, 5000);
    assert_int_equal(p.frames[NGHTTP2_GOAWAY], 0);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

/* What a client can do to make the server reset its own streams (CVE-2025-8671). */
static void update_zero(struct peer *p, int32_t id)
{
    peer_get(p, id);
    peer_number_frame(p, NGHTTP2_WINDOW_UPDATE, id, 0);
}

static void priority_size(struct peer *p, int32_t id)
{
    peer_get(p, id);
    peer_frame(p, NGHTTP2_PRIORITY, 0, id, SPAN("\0\0\0\0"));
}

static void priority_itself(struct peer *p, int32_t id)
{
    const uint8_t payload[5] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                                (uint8_t)id, 1};
    peer_get(p, id);
    peer_frame(p, NGHTTP2_PRIORITY, 0, id, span_of(payload, 5));
    peer_number_frame(p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
}

static void update_overflow(struct peer *p, int32_t id)
{
    peer_get(p, id);
    peer_number_frame(p, NGHTTP2_WINDOW_UPDATE, id, INT32_MAX);
}

static void head_after_end(struct peer *p, int32_t id)
{
    peer_get(p, id);
    peer_get(p, id);
}

static void data_after_end(struct peer *p, int32_t id)
{
    peer_get(p, id);
    peer_data(p, id, 10, false);
}

static void stream_window(struct peer *p, int32_t id)
{
    peer_post(p, id);
    for (int i = 0; i < 5; i++)
        peer_data(p, id, 16384, false);
}

static void content_length(struct peer *p, int32_t id)
{
    const struct peer_line length[] = {PEER_LINE("content-length", "1")};
    peer_request(p, id, "POST", "/", length, 1, false);
    peer_data(p, id, 2, false);
}

static void bad_trailers(struct peer *p, int32_t id)
{
    const struct peer_line line[] = {PEER_LINE("X", "y")};
    peer_post(p, id);
    peer_head(p, id, line, 1, true);
}

static void malformed(struct peer *p, int32_t id)
{
    peer_request(p, id, "GET", "no-slash", NULL, 0, true);
}

static void too_large(struct peer *p, int32_t id)
{
    static char path[9000];
    memset(path, '/', sizeof(path) - 1);
    peer_request(p, id, "GET", path, NULL, 0, false);
}

static void test_made_resets(void **state)
{
    static void (*const ways[])(struct peer *, int32_t) = {
        update_zero,    priority_size,  priority_itself, update_overflow,
        head_after_end, data_after_end, stream_window,   content_length,
        bad_trailers,   malformed,      too_large};
    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct peer p;
        peer_open(&p, &waits);
        for (int32_t id = 1; id < 6000 && !is_over(&p); id += 2) {
            ways[i](&p, id);
            peer_turn(&p);
        }
        if (!is_over(&p) || p.opened > 1001 || p.most_open > 2 || p.opened != p.closed)
            fail_msg("way %zu: wait %d, %u opened, %u at once", i, peer_wait(&p), p.opened,
                     p.most_open);
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
            peer_open(&p, &peer_reads_then_answers);
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
            assert_int_equal(p.opened, 0);
            peer_close(&p);
        }
    }
}

/* `count` fields beyond host and the pseudo-fields. */
static void ask(struct peer *p, int32_t id, const char *name, const char *value, size_t count,
                bool as_trailers)
{
    static struct peer_line lines[PEER_LINES_MAX];
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct peer_line){span_from(name), span_from(value), true};
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
        ask(&p, 1, names[i], "b", 100, i == 2);
        assert_int_equal(peer_answer(&p, 1)->status, 200);
        ask(&p, 3, names[i], "b", 101, i == 2);
        assert_int_equal(peer_answer(&p, 3)->status, 431);
        assert_int_equal(i == 2 ? p.failure : p.refused_error, ROUTED_ERROR_FIELDS_TOO_MANY);
        assert_int_equal(p.complete, 1);
        ask(&p, 5, names[i], "b", 1000, i == 2);
        assert_int_equal(peer_answer(&p, 5)->status, 431);
        assert_false(is_over(&p));
        ask(&p, 7, names[i], "b", 1001, i == 2);
        assert_int_equal(peer_answer(&p, 7)->status, 0);
        expect_calm(&p, ROUTED_ERROR_HTTP2_FIELDS);
    }
}

static void test_field_bytes(void **state)
{
    static char value[8193];
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    /* The head's own: names, values and 32 for each of four lines. */
    size_t own = (7 + 3) + (7 + 4) + (5 + 1) + (10 + 6) + 4 * 32;
    memset(value, 'x', sizeof(value) - 1);
    value[8192 - 3] = '\0'; /* exactly one field's limit */
    ask(&p, 1, "x-a", value, 1, false);
    assert_int_equal(peer_answer(&p, 1)->status, 200);
    value[8192 - 3] = 'x';
    value[8192 - 2] = '\0';
    ask(&p, 3, "x-a", value, 1, false);
    assert_int_equal(peer_answer(&p, 3)->status, 431);
    assert_int_equal(p.refused_error, ROUTED_ERROR_FIELD_TOO_LARGE);
    size_t each = (32768 - own) / 8 - 32 - 3;
    size_t rest = (32768 - own) % 8;
    value[each] = '\0';
    struct peer_line lines[8];
    for (size_t i = 0; i < 8; i++)
        lines[i] = (struct peer_line){SPAN("x-a"), span_of(value, each), false};
    value[each] = 'x';
    lines[7].value.size += rest;
    peer_request(&p, 5, "GET", "/", lines, 8, true);
    lines[7].value.size++;
    peer_request(&p, 7, "GET", "/", lines, 8, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 5)->status, 200);
    assert_int_equal(peer_answer(&p, 7)->status, 431);
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
    peer_request(&p, 1, "GET", path, NULL, 0, true);
    path[8192] = '\0';
    peer_request(&p, 3, "GET", path, NULL, 0, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 1)->status, 414);
    assert_int_equal(peer_answer(&p, 3)->status, 200);
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
    peer_post(&p, 1);
    peer_data(&p, 1, 100, true);
    peer_request(&p, 3, "POST", "/", length, 1, false);
    peer_post(&p, 5);
    peer_data(&p, 5, 100, false);
    peer_data(&p, 5, 1, false);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 1)->status, 200);
    assert_int_equal(peer_answer(&p, 3)->status, 413);
    assert_int_equal(peer_answer(&p, 5)->status, 413);
    assert_int_equal(p.opened, 2);
    assert_int_equal(p.content, 200);
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
        peer_open(&p, &peer_reads_then_answers);
        peer_frame(&p, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1,
                   blocks[i]);
        peer_turn(&p);
        assert_true(is_over(&p));
        assert_int_equal(p.goaway_code, NGHTTP2_COMPRESSION_ERROR);
        assert_int_equal(p.opened, 0);
        peer_close(&p);
    }
}

/* ---- memory ---- */

/* What an idle connection takes, and each open stream: nghttp2's tables and frame buffer; the
 * exchange, 16 lines, the first chunk of an arena, nghttp2's stream. */
#define IDLE_COST   32768
#define STREAM_COST 4608

static size_t memory_of(struct peer *p)
{
    buffer_release(&p->input);
    buffer_release(&p->output);
    buffer_release(&p->block);
    buffer_release(&p->view);
    return memory_held();
}

static void expect_bounded_memory(const char *name, size_t value_size, size_t count, bool varies)
{
    static char value[4000];
    struct peer p;
    memset(value, 'v', sizeof(value));
    size_t before = memory_held();
    peer_init(&p, &waits);
    assert_true(peer_begin(&p));
    p.is_blind = true;
    peer_greet(&p);
    struct peer_line lines[100];
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct peer_line){span_from(name),
                                      span_of(value, value_size + (varies & i & 1)), true};
    for (int32_t id = 1; id < 200; id += 2) {
        if (varies && count > 1) { /* another order each time: nothing to share */
            size_t i = (size_t)id / 2 % (count - 1);
            struct peer_line line = lines[i];
            lines[i] = lines[i + 1];
            lines[i + 1] = line;
        }
        peer_request(&p, id, "GET", "/", lines, count, true);
        peer_turn(&p);
    }
    size_t held = memory_of(&p) - before;
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
    expect_bounded_memory("x-a", 0, 0, false);
    expect_bounded_memory("x-a", 1, 96, false);
    expect_bounded_memory("x-a", 300, 96, false);
    expect_bounded_memory("x-a", 3900, 8, false);
    expect_bounded_memory("cookie", 1, 96, false);
    expect_bounded_memory("cookie", 300, 90, true);
    expect_bounded_memory("cookie", 1900, 12, true);
}

/* What a browser does: a page with 100 pictures, long cookies. None may be refused. */
static void test_memory_of_a_page(void **state)
{
    static char cookie[700], agent[150];
    struct peer p;
    (void)state;
    memset(cookie, 'c', sizeof(cookie));
    memset(agent, 'a', sizeof(agent));
    const struct peer_line lines[] = {{SPAN("user-agent"), span_of(agent, sizeof(agent)), true},
                                      {SPAN("accept"), SPAN("image/avif,image/webp,*/*"), true},
                                      {SPAN("accept-encoding"), SPAN("gzip, deflate, br"), true},
                                      {SPAN("accept-language"), SPAN("en-GB,en;q=0.5"), true},
                                      {SPAN("referer"), SPAN("https://a.test/page"), true},
                                      {SPAN("sec-fetch-dest"), SPAN("image"), true},
                                      {SPAN("sec-fetch-mode"), SPAN("no-cors"), true},
                                      {SPAN("sec-fetch-site"), SPAN("same-origin"), true},
                                      {SPAN("priority"), SPAN("u=5, i"), true},
                                      {SPAN("cookie"), span_of(cookie, 700), true},
                                      {SPAN("cookie"), span_of(cookie, 699), true},
                                      {SPAN("cookie"), span_of(cookie, 698), true}};
    peer_open(&p, &waits);
    for (int32_t id = 1; id < 200; id += 2) {
        char path[32];
        snprintf(path, sizeof(path), "/pictures/%d.png", id);
        peer_request(&p, id, "GET", path, lines, 12, true);
    }
    peer_turn(&p);
    assert_int_equal(p.refused, 0);
    assert_int_equal(p.most_open, 100);
    peer_close(&p);
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
    static void (*const floods[])(struct peer *) = {ping,           settings,        window_flip,
                                                    priority_churn, priority_update, grease,
                                                    empty_data,     byte_update};
    (void)state;
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        struct peer p;
        unsigned count = 0;
        peer_open(&p, &waits);
        p.is_blind = true;
        peer_post(&p, 1);
        peer_turn(&p);
        for (; count < 20000 && !is_over(&p); count++) {
            floods[i](&p);
            if (count % 50 == 0)
                peer_turn(&p);
        }
        if (count < 9900 || count > 10100)
            fail_msg("flood %zu: %u frames", i, count);
        assert_int_equal(p.refused_error, ROUTED_ERROR_HTTP2_GLITCHES);
        assert_int_equal(p.closed, 1);
        peer_close(&p);
    }
}

/* The same at 330 a second goes on. */
static void test_patient_pings(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
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
        peer_open(&p, &waits);
        p.is_stuck = true;
        for (; count < 5000 && !p.refused; count++) {
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
    peer_open(&p, &peer_reads_then_answers);
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
    peer_open(&p, &peer_reads_then_answers);
    p.is_blind = true;
    peer_post(&p, 1);
    for (; count < 50000 && !is_over(&p); count++) {
        peer_frame(&p, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, span_of(payload, sizeof(payload)));
        if (count % 16 == 0)
            peer_turn(&p);
    }
    assert_in_range(p.sent, 8 << 20, 9 << 20);
    assert_int_equal(p.refused_error, ROUTED_ERROR_HTTP2_OVERHEAD);
    assert_int_equal(p.complete, 0);
    peer_close(&p);
}

/* A long download is no overhead, nor are its WINDOW_UPDATE frames odd. */
static void send_more(struct peer *p, struct exchange *x)
{
    (void)p;
    while (exchange_can_send(x))
        peer_send_size(x, 16384);
}

static void begin_download(struct peer *p, struct exchange *x)
{
    peer_respond(x, 200, NULL);
    send_more(p, x);
}

static const struct peer_script downloads = {.on_request = begin_download,
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
    peer_open(&p, &waits);
    for (int32_t id = 1; id < 203; id += 2)
        peer_get(&p, id);
    peer_turn(&p);
    assert_int_equal(p.most_open, 100);
    assert_true(peer_answer(&p, 201)->is_reset || is_over(&p));
    assert_int_equal(p.opened, 100);
    peer_close(&p);
}

static void expect_goaway(struct peer *p, uint32_t code)
{
    peer_turn(p);
    if (!is_over(p))
        fail_msg("wait %d, sent %zu, code %u", peer_wait(p), (size_t)p->sent, code);
    assert_int_equal(p->goaway_code, code);
    assert_int_equal(p->opened, p->closed);
    /* What still comes is thrown away, whatever it is. */
    ping(p);
    peer_get(p, 99);
    peer_frame(p, NGHTTP2_PRIORITY_UPDATE, 0, 0, SPAN("\0"));
    peer_frame(p, NGHTTP2_SETTINGS, 0, 0, SPAN("abc"));
    peer_turn(p);
    assert_int_equal(p->opened, p->closed);
    peer_close(p);
}

static void test_illegal_frames(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    peer_get(&p, 2);
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_open(&p, &peer_reads_then_answers);
    peer_frame(&p, NGHTTP2_SETTINGS, 0, 0, SPAN("abc"));
    expect_goaway(&p, NGHTTP2_FRAME_SIZE_ERROR);
    peer_open(&p, &peer_reads_then_answers);
    peer_data(&p, 5, 1, false);
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_open(&p, &waits);
    peer_get(&p, 1);
    peer_frame(&p, NGHTTP2_PING, 0, 0, SPAN("1234567"));
    expect_goaway(&p, NGHTTP2_FRAME_SIZE_ERROR);
    peer_open(&p, &waits);
    peer_frame_head(&p, 16385, NGHTTP2_DATA, 0, 1);
    expect_goaway(&p, NGHTTP2_FRAME_SIZE_ERROR);
    peer_open(&p, &waits);
    peer_frame(&p, NGHTTP2_CONTINUATION, 0, 1, SPAN_EMPTY);
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_open(&p, &waits);
    peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, INT32_MAX);
    expect_goaway(&p, NGHTTP2_FLOW_CONTROL_ERROR);
    peer_open(&p, &waits); /* an id that was passed over */
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
    peer_open(&p, &peer_reads_then_answers);
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
    peer_init(&p, &waits);
    assert_true(peer_begin(&p));
    peer_bytes(&p, SPAN("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"));
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_init(&p, &waits);
    assert_true(peer_begin(&p));
    peer_bytes(&p, SPAN("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    expect_goaway(&p, NGHTTP2_PROTOCOL_ERROR);
    peer_init(&p, &waits);
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
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_resets_of_one_that_listens),
        cmocka_unit_test(test_rapid_reset_beside_a_request),
        cmocka_unit_test(test_rapid_reset_at_once),
        cmocka_unit_test(test_patient_resets),
        cmocka_unit_test(test_made_resets),
        cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_field_count),
        cmocka_unit_test(test_field_bytes),
        cmocka_unit_test(test_target_size),
        cmocka_unit_test(test_content_max),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_of_a_page),
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
    return cmocka_run_group_tests(tests, NULL, NULL);
}
