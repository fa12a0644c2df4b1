/* Budgets and limits that HTTP/2 and HTTP/3 share: what is beyond them is refused or ends the
 * connection.
 *
 * Tests of HTTP/2 and HTTP/3; the protocol's peer.h comes first. */
#ifndef UNIT_STREAMS_LIMITS_H
#define UNIT_STREAMS_LIMITS_H

#include "support/streams.h"
#include "support/unit.h"

static bool is_over(const struct peer *p)
{
    return peer_wait(p) == SESSION_LINGER || peer_wait(p) == SESSION_FINISHED;
}

/* The client is told to be calm, and nothing of it is left. */
static void expect_calm(struct peer *p, int error)
{
    assert_true(is_over(p));
    assert_int_equal(peer_code(p), PEER_EXCESSIVE);
    assert_int_equal(p->origin.refused_error, error);
    assert_int_equal(p->origin.refused_status, 0);
    assert_int_equal(p->origin.opened, p->origin.closed);
    assert_int_equal(p->origin.opened, p->origin.ended);
    peer_close(p);
}

/* ---- resets ---- */

/* Requests are cancelled as soon as they are sent, the n-th and on, until the connection is over.
 */
static void reset_rapidly(struct peer *p, int64_t n)
{
    for (; n < 100000 && !is_over(p); n++) {
        peer_get(p, peer_id(n));
        peer_cancel(p, peer_id(n));
        peer_turn(p);
    }
}

/* A client that cancels now and then is left alone for ever. */
static void cancel_patiently(struct peer *p)
{
    peer_open(p, &origin_waits);
    for (int64_t n = 0; n < 5000; n++) {
        peer_get(p, peer_id(n));
        peer_cancel(p, peer_id(n));
        peer_turn(p);
        p->now += 31;
    }
    assert_int_equal(p->origin.opened, 5000);
    assert_int_equal(p->origin.closed, 5000);
    assert_int_equal(peer_wait(p), SESSION_IDLE);
}

static void reset_rapidly_beside_a_request(struct peer *p)
{
    peer_open(p, &origin_waits);
    peer_get(p, peer_id(0));
    reset_rapidly(p, 1);
    assert_true(p->origin.opened <= 1002);
    assert_int_equal(p->origin.most_open, 2);
}

/* What a client can do to make the server reset its own streams (CVE-2025-8671). */
struct made_reset {
    const char *what;
    void (*write)(struct peer *p, int64_t id);
};

/* Done on one stream after the other, it ends the connection. */
static void make_resets(struct peer *p, const struct made_reset *way, unsigned opened_max,
                        unsigned at_once_max)
{
    for (int64_t n = 0; n < 3000 && !is_over(p); n++) {
        way->write(p, peer_id(n));
        peer_turn(p);
    }
    if (!is_over(p) || p->origin.opened > opened_max || p->origin.most_open > at_once_max ||
        p->origin.opened != p->origin.closed)
        fail_msg("%s: wait %d, %u opened, %u at once", way->what, peer_wait(p), p->origin.opened,
                 p->origin.most_open);
}

static void content_length(struct peer *p, int64_t id)
{
    const struct peer_line length[] = {PEER_LINE("content-length", "1")};
    peer_request(p, id, "POST", "/", length, 1, false);
    peer_data(p, id, 2, false);
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

/* ---- floods of what is legal ---- */

struct flood {
    const char *what;
    void (*write)(struct peer *p);
};

/* One post is open meanwhile. So many of them, more or less, end the connection. */
static void run_flood(struct peer *p, const struct flood *flood, unsigned least, unsigned most)
{
    unsigned count = 0;
    peer_post(p, peer_id(0));
    peer_turn(p);
    for (; count < 20000 && !is_over(p); count++) {
        flood->write(p);
        if (count % 50 == 0)
            peer_turn(p);
    }
    if (count < least || count > most)
        fail_msg("%s: %u", flood->what, count);
    assert_int_equal(p->origin.refused_error, ROUTED_ERROR_HTTP2_GLITCHES);
    assert_int_equal(p->origin.closed, 1);
}

/* ---- heads and content ---- */

/* `count` fields beyond host and the pseudo-fields. */
static void ask(struct peer *p, int64_t id, const char *name, const char *value, size_t count,
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
        peer_open(&p, &origin_reads_then_answers);
        ask(&p, peer_id(0), names[i], "b", 100, i == 2);
        assert_int_equal(peer_answer(&p, peer_id(0))->status, 200);
        ask(&p, peer_id(1), names[i], "b", 101, i == 2);
        assert_int_equal(peer_answer(&p, peer_id(1))->status, 431);
        assert_int_equal(i == 2 ? p.origin.failure : p.origin.refused_error,
                         ROUTED_ERROR_FIELDS_TOO_MANY);
        assert_int_equal(p.origin.complete, 1);
        ask(&p, peer_id(2), names[i], "b", 1000, i == 2);
        assert_int_equal(peer_answer(&p, peer_id(2))->status, 431);
        assert_false(is_over(&p));
        ask(&p, peer_id(3), names[i], "b", 1001, i == 2);
        assert_int_equal(peer_answer(&p, peer_id(3))->status, 0);
        expect_calm(&p, ROUTED_ERROR_HTTP2_FIELDS);
    }
}

static void test_field_bytes(void **state)
{
    static char value[8193];
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    /* The head's own: names, values and 32 for each of four lines. */
    size_t own = (7 + 3) + (7 + peer_scheme().size) + (5 + 1) + (10 + 6) + 4 * 32;
    memset(value, 'x', sizeof(value) - 1);
    value[8192 - 3] = '\0'; /* exactly one field's limit */
    ask(&p, peer_id(0), "x-a", value, 1, false);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 200);
    value[8192 - 3] = 'x';
    value[8192 - 2] = '\0';
    ask(&p, peer_id(1), "x-a", value, 1, false);
    assert_int_equal(peer_answer(&p, peer_id(1))->status, 431);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_FIELD_TOO_LARGE);
    size_t each = (32768 - own) / 8 - 32 - 3;
    size_t rest = (32768 - own) % 8;
    value[each] = 'x';
    struct peer_line lines[8];
    for (size_t i = 0; i < 8; i++)
        lines[i] = (struct peer_line){SPAN("x-a"), span_of(value, each), false};
    lines[7].value.size += rest;
    peer_request(&p, peer_id(2), "GET", "/", lines, 8, true);
    lines[7].value.size++;
    peer_request(&p, peer_id(3), "GET", "/", lines, 8, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(2))->status, 200);
    assert_int_equal(peer_answer(&p, peer_id(3))->status, 431);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_FIELDS_TOO_LARGE);
    peer_close(&p);
}

static void test_target_size(void **state)
{
    static char path[8194];
    struct peer p;
    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    peer_open(&p, &origin_reads_then_answers);
    peer_request(&p, peer_id(0), "GET", path, NULL, 0, true);
    path[8192] = '\0';
    peer_request(&p, peer_id(1), "GET", path, NULL, 0, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 414);
    assert_int_equal(peer_answer(&p, peer_id(1))->status, 200);
    peer_close(&p);
}

/* The first is on the limit, the others are beyond it. */
static void reach_content_max(struct peer *p)
{
    const struct peer_line length[] = {PEER_LINE("content-length", "101")};
    peer_init(p, &origin_reads_then_answers);
    p->options.limits.head.content_max = 100;
    assert_true(peer_begin(p));
    peer_greet(p);
    peer_post(p, peer_id(0));
    peer_data(p, peer_id(0), 100, true);
    peer_request(p, peer_id(1), "POST", "/", length, 1, false);
    peer_post(p, peer_id(2));
    peer_data(p, peer_id(2), 100, false);
    peer_data(p, peer_id(2), 1, false);
    peer_turn(p);
    assert_int_equal(peer_answer(p, peer_id(0))->status, 200);
    assert_int_equal(peer_answer(p, peer_id(1))->status, 413);
    assert_int_equal(peer_answer(p, peer_id(2))->status, 413);
    assert_int_equal(p->origin.opened, 2);
    assert_int_equal(p->origin.content, 200);
}

/* ---- memory ---- */

/* What an idle connection takes: the tables and buffers of nghttp2 or nghttp3. */
#define IDLE_COST 32768

/* A hundred requests with `count` fields each; every second value is longer by one, and the fields
 * come in another order each time, if it varies. */
static void expect_bounded_memory(const char *name, size_t value_size, size_t count, bool varies)
{
    static char value[4000];
    static struct peer_line lines[PEER_LINES_MAX];
    struct peer p;
    memset(value, 'v', sizeof(value));
    size_t before = memory_held();
    peer_init(&p, &origin_waits);
    assert_true(peer_begin(&p));
    p.is_blind = true;
    peer_greet(&p);
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct peer_line){span_from(name),
                                      span_of(value, value_size + (varies & i & 1)), true};
    for (int64_t n = 0; n < 100; n++) {
        if (varies && count > 1) { /* nothing to share */
            size_t i = (size_t)n % (count - 1);
            struct peer_line line = lines[i];
            lines[i] = lines[i + 1];
            lines[i + 1] = line;
        }
        peer_request(&p, peer_id(n), "GET", "/", lines, count, true);
        peer_turn(&p);
    }
    peer_forget(&p);
    size_t held = memory_held() - before;
    if (held > 10 * p.sent + 65536 + IDLE_COST + (size_t)p.origin.most_open * PEER_STREAM_COST)
        fail_msg("%zu x %s of %zu: %zu held for %zu sent on %u streams", count, name, value_size,
                 held, (size_t)p.sent, p.origin.most_open);
    assert_true(p.origin.opened > 0);
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
    expect_bounded_memory("accept", 0, 96, false);
    expect_bounded_memory("cookie", 1, 96, false);
    for (int varies = 0; varies < 2; varies++) {
        expect_bounded_memory("cookie", 300, 90, varies);
        expect_bounded_memory("cookie", 1900, 12, varies);
    }
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
    peer_open(&p, &origin_waits);
    for (int n = 0; n < 100; n++) {
        char path[32];
        snprintf(path, sizeof(path), "/pictures/%d.png", n);
        peer_request(&p, peer_id(n), "GET", path, lines, 12, true);
    }
    peer_turn(&p);
    assert_int_equal(p.origin.refused, 0);
    assert_int_equal(p.origin.most_open, 100);
    peer_close(&p);
}

#define LIMIT_TESTS                                                                                \
    cmocka_unit_test(test_field_count), cmocka_unit_test(test_field_bytes),                        \
        cmocka_unit_test(test_target_size), cmocka_unit_test(test_memory),                         \
        cmocka_unit_test(test_memory_of_a_page)

#endif
