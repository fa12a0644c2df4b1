/* Requests and responses of one stream: their form, failures, tunnels.
 *
 * Tests of HTTP/2 and HTTP/3; the protocol's peer.h comes first. */
#ifndef UNIT_STREAMS_MESSAGES_H
#define UNIT_STREAMS_MESSAGES_H

#include "support/streams.h"
#include "support/unit.h"

/* ---- requests ---- */

static void test_get(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    const struct peer_line more[] = {PEER_LINE("accept", "*/*"), PEER_LINE("x-a", "b")};
    peer_request(&p, peer_id(0), "GET", "/p?q", more, 2, true);
    peer_turn(&p);
    assert_true(origin_saw(&p.origin, "GET /p?q a.test [host=a.test;accept=*/*;x-a=b;] 0 []\n"));
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 200);
    assert_string_equal(peer_answer(&p, peer_id(0))->fields, "content-length=2;");
    assert_memory_equal(peer_answer(&p, peer_id(0))->text, "ok", 2);
    assert_true(peer_answer(&p, peer_id(0))->has_ended);
    assert_false(peer_answer(&p, peer_id(0))->is_reset);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(p.origin.ended, 1);
    assert_int_equal(p.origin.close_error, ROUTED_OK);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

/* A length, two frames of content, trailers of which one is not passed on. */
static void expect_post(struct peer *p)
{
    const struct peer_line length[] = {PEER_LINE("content-length", "0020010")};
    const struct peer_line trailers[] = {PEER_LINE("x-sum", "1"), PEER_LINE("host", "b.test")};
    peer_request(p, peer_id(0), "POST", "/", length, 1, false);
    peer_data(p, peer_id(0), 16384, false);
    peer_data(p, peer_id(0), 3626, false);
    peer_head(p, peer_id(0), trailers, 2, true);
    peer_turn(p);
    assert_true(origin_saw(&p->origin, "[host=a.test;content-length=20010;] 20010 [x-sum=1;]\n"));
    assert_int_equal(peer_answer(p, peer_id(0))->status, 200);
    assert_int_equal(p->origin.close_error, ROUTED_OK);
}

/* The last byte of the post is still to come. */
static void write_byte_by_byte(struct peer *p)
{
    peer_init(p, &origin_reads_then_answers);
    assert_true(peer_begin(p));
    p->split = p->write_max = 1;
    peer_greet(p);
    peer_post(p, peer_id(0));
    peer_data(p, peer_id(0), 300, false);
    peer_get(p, peer_id(1));
}

static void expect_two_answers(struct peer *p)
{
    assert_int_equal(p->origin.complete, 2);
    assert_int_equal(peer_answer(p, peer_id(0))->status, 200);
    assert_int_equal(peer_answer(p, peer_id(1))->status, 200);
    assert_int_equal(p->origin.ended, 2);
}

/* The same crumbs are joined once and shared; others are joined anew. */
static void test_cookies(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    const struct peer_line crumbs[] = {{SPAN("cookie"), SPAN("a=1"), true},
                                       PEER_LINE("x-a", "b"),
                                       {SPAN("cookie"), SPAN("b=2"), true},
                                       {SPAN("cookie"), SPAN("c=3"), true}};
    for (int n = 0; n < 4; n++) {
        buffer_clear(&p.origin.view);
        peer_request(&p, peer_id(n), "GET", "/", crumbs, n == 3 ? 3 : 4, true);
        peer_turn(&p);
        assert_true(origin_saw(&p.origin, n == 3 ? "[host=a.test;cookie=a=1; b=2;x-a=b;]"
                                                 : "[host=a.test;cookie=a=1; b=2; c=3;x-a=b;]"));
    }
    peer_close(&p);
}

static void test_identity_fields_are_removed(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    bool is_plain = span_equals(peer_scheme(), SPAN("http"));
    const struct peer_line more[] = {
        PEER_LINE("x-forwarded-for", "1.2.3.4"),
        PEER_LINE("x_forwarded_for", "1.2.3.4"),
        PEER_LINE("forwarded", "for=1.2.3.4"),
        PEER_LINE("proxy", "evil"),
        PEER_LINE("remote-user", "root"),
        PEER_LINE("te", "trailers"),
        PEER_LINE("trailer", "x"),
        {SPAN("host"), is_plain ? SPAN("A.test:80") : SPAN("A.test:443"), false}};
    peer_request(&p, peer_id(0), "GET", "/", more, 8, true);
    peer_turn(&p);
    assert_true(origin_saw(&p.origin, "GET / a.test [host=a.test;] 0 []\n"));
    peer_close(&p);
}

static void test_host_alone_is_enough(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    const struct peer_line lines[] = {PEER_LINE(":method", "OPTIONS"),
                                      {SPAN(":scheme"), peer_scheme(), false},
                                      PEER_LINE(":path", "*"),
                                      PEER_LINE("host", "h.test:8080")};
    peer_head(&p, peer_id(0), lines, 4, true);
    peer_turn(&p);
    assert_true(origin_saw(&p.origin, "OPTIONS * h.test:8080 [host=h.test:8080;] 0 []\n"));
    peer_close(&p);
}

/* As many as may be open at once. */
static void serve_a_hundred(struct peer *p)
{
    for (int64_t n = 0; n < 100; n++)
        peer_get(p, peer_id(n));
    peer_turn(p);
    assert_int_equal(p->origin.complete, 100);
    assert_int_equal(p->origin.most_open, 100);
    assert_int_equal(p->origin.ended, 100);
}

/* ---- responses ---- */

/* While the client still sends. */
static void answer_early(struct peer *p)
{
    peer_post(p, peer_id(0));
    peer_data(p, peer_id(0), 1000, false);
    peer_turn(p);
    origin_answer_ok(p->origin.exchange);
    peer_turn(p);
    assert_int_equal(peer_answer(p, peer_id(0))->status, 200);
    assert_true(peer_answer(p, peer_id(0))->has_ended);
    assert_int_equal(p->origin.close_error, ROUTED_OK);
    assert_int_equal(p->origin.ended, 1);
}

static void test_framing(void **state)
{
    static const struct {
        const char *method;
        uint16_t status;
        const char *length, *body, *fields;
        unsigned frames, size;
    } cases[] = {
        {"GET", 200, "2", "ok", "content-length=2;", 1, 2},
        {"GET", 200, NULL, "ok", "", 1, 2},
        {"GET", 200, NULL, NULL, "", PEER_END_FRAMES, 0},
        {"GET", 200, "0", NULL, "content-length=0;", PEER_END_FRAMES, 0},
        {"GET", 204, NULL, NULL, "", 0, 0},
        {"GET", 304, "7", NULL, "content-length=7;", 0, 0},
        {"HEAD", 200, "5", "hello", "content-length=5;", 0, 0},
        {"GET", 999, "2", "ok", "content-length=2;", 1, 2},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        peer_request(&p, peer_id(0), cases[i].method, "/", NULL, 0, true);
        peer_turn(&p);
        assert_int_equal(peer_wait(&p), SESSION_ANSWER);
        struct exchange *x = p.origin.exchange;
        exchange_grant(x, 1);
        assert_int_equal(origin_respond(x, cases[i].status, cases[i].length), ROUTED_OK);
        peer_turn(&p);
        if (cases[i].body)
            assert_int_equal(origin_send(x, cases[i].body), ROUTED_OK);
        assert_int_equal(p.origin.closed, 0);
        assert_int_equal(exchange_end(x, NULL), ROUTED_OK);
        assert_int_equal(p.origin.closed, 0); /* not from inside the application's call */
        peer_turn(&p);
        const struct peer_answer *a = peer_answer(&p, peer_id(0));
        if (a->status != cases[i].status || strcmp(a->fields, cases[i].fields) != 0 ||
            a->frames != cases[i].frames || a->size != cases[i].size || !a->has_ended ||
            a->is_reset)
            fail_msg("%s and %u, case %zu: %u [%s], %u frames of %u bytes, ended %d, reset %d",
                     cases[i].method, cases[i].status, i, a->status, a->fields, a->frames,
                     (unsigned)a->size, a->has_ended, a->is_reset);
        assert_int_equal(p.origin.closed, 1);
        assert_int_equal(p.origin.close_error, ROUTED_OK);
        assert_int_equal(p.origin.ended, 1);
        assert_int_equal(peer_wait(&p), SESSION_IDLE);
        peer_close(&p);
    }
}

static void test_trailers_and_informs(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_get(&p, peer_id(0));
    peer_turn(&p);
    struct exchange *x = p.origin.exchange;
    struct field link = {SPAN("link"), SPAN("</a>"), FIELD_OTHER};
    struct http_response early = {.status = 103, .fields = {&link, 1, 1}};
    assert_int_equal(exchange_inform(x, &early), ROUTED_OK);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 103);
    assert_false(peer_answer(&p, peer_id(0))->has_ended);
    struct field trailer = {SPAN("x-sum"), SPAN("9"), FIELD_OTHER};
    struct field_list trailers = {&trailer, 1, 1};
    origin_respond(x, 200, NULL);
    origin_send(x, "hello");
    exchange_end(x, &trailers);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->heads, 3);
    assert_string_equal(peer_answer(&p, peer_id(0))->fields, "link=</a>;x-sum=9;");
    assert_int_equal(peer_answer(&p, peer_id(0))->size, 5);
    assert_true(peer_answer(&p, peer_id(0))->has_ended);
    assert_int_equal(p.origin.close_error, ROUTED_OK);
    peer_close(&p);
}

static void test_continue(void **state)
{
    struct peer p;
    (void)state;
    const struct peer_line expect[] = {PEER_LINE("expect", "100-continue")};
    const struct peer_line other[] = {PEER_LINE("expect", "200-ok")};
    peer_open(&p, &origin_reads_then_answers);
    peer_request(&p, peer_id(0), "POST", "/", expect, 1, false);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 100);
    assert_int_equal(peer_wait(&p), SESSION_BODY);
    peer_data(&p, peer_id(0), 5, true);
    peer_request(&p, peer_id(1), "GET", "/", expect, 1, true);
    peer_request(&p, peer_id(2), "POST", "/", other, 1, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 200);
    assert_int_equal(peer_answer(&p, peer_id(0))->heads, 2);
    assert_int_equal(peer_answer(&p, peer_id(1))->heads, 1);
    assert_int_equal(peer_answer(&p, peer_id(2))->status, 417);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_EXPECTATION);
    assert_int_equal(p.origin.refused_status, 417);
    peer_close(&p);
}

static void test_failures(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_get(&p, peer_id(0));
    peer_turn(&p);
    exchange_fail(p.origin.exchange, ROUTED_ERROR_NO_ENGINE);
    assert_int_equal(p.origin.closed, 0);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 503);
    assert_string_equal(peer_answer(&p, peer_id(0))->fields,
                        "content-length=20;content-type=text/plain; charset=utf-8;retry-after=1;");
    assert_true(peer_answer(&p, peer_id(0))->has_ended);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_NO_ENGINE);
    assert_int_equal(p.origin.ended, 1);

    peer_get(&p, peer_id(1));
    peer_turn(&p);
    origin_respond(p.origin.exchange, 200, NULL);
    origin_send(p.origin.exchange, "half");
    peer_turn(&p);
    exchange_fail(p.origin.exchange, ROUTED_ERROR_BRIDGE_CLOSED);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(1))->size, 4);
    assert_false(peer_answer(&p, peer_id(1))->has_ended);
    assert_int_equal(peer_answer(&p, peer_id(1))->reset_code, PEER_FAILED);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_BRIDGE_CLOSED);
    assert_int_equal(p.origin.ended, 2);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

static void test_client_resets(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_get(&p, peer_id(0));
    peer_turn(&p);
    origin_respond(p.origin.exchange, 200, NULL);
    peer_cancel(&p, peer_id(0));
    peer_turn(&p);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_CLIENT_GONE);
    assert_int_equal(p.origin.ended, 1);
    assert_int_equal(peer_answer(&p, peer_id(0))->heads, 0);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

/* ---- WebSocket ---- */

/* Eight lines; the last makes it malformed. */
static void connect(struct peer *p, int64_t id, size_t count, struct span protocol)
{
    const struct peer_line lines[] = {
        PEER_LINE(":method", "CONNECT"),          {SPAN(":protocol"), protocol, false},
        {SPAN(":scheme"), peer_scheme(), false},  PEER_LINE(":path", "/chat"),
        PEER_LINE(":authority", "a.test"),        PEER_LINE("sec-websocket-version", "13"),
        PEER_LINE("sec-websocket-key", "theirs"), PEER_LINE("content-length", "0")};
    peer_head(p, id, lines, count, false);
}

static void test_tunnel(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    connect(&p, peer_id(0), 7, SPAN("websocket"));
    peer_data(&p, peer_id(0), 5, false);
    peer_turn(&p);
    struct exchange *x = p.origin.exchange;
    assert_int_equal(x->request.upgrade, HTTP_UPGRADE_WEBSOCKET);
    assert_true(origin_saw(&p.origin, "GET /chat a.test [host=a.test;sec-websocket-version=13;"
                                      "sec-websocket-key=AAAAAAAAAAAAAAAAAAAAAA==;] 0 []\n"));
    struct field accept = {SPAN("sec-websocket-accept"), SPAN("x"), FIELD_SEC_WEBSOCKET_ACCEPT};
    struct http_response upgrade = {.status = 101, .fields = {&accept, 1, 1}};
    assert_int_equal(exchange_respond(x, &upgrade), ROUTED_OK);
    exchange_grant(x, 7);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 200);
    assert_string_equal(peer_answer(&p, peer_id(0))->fields, "");
    assert_int_equal(p.origin.content, 5);
    assert_int_equal(peer_wait(&p), SESSION_TUNNEL);
    origin_send(x, "back");
    peer_data(&p, peer_id(0), 10, true);
    peer_turn(&p);
    assert_int_equal(p.origin.content, 7);
    assert_int_equal(p.origin.complete, 1);
    exchange_grant(x, 100);
    peer_turn(&p);
    assert_int_equal(p.origin.content, 15);
    assert_int_equal(p.origin.complete, 2);
    assert_memory_equal(peer_answer(&p, peer_id(0))->text, "back", 4);
    exchange_end(x, NULL);
    peer_turn(&p);
    assert_true(peer_answer(&p, peer_id(0))->has_ended);
    assert_int_equal(p.origin.close_error, ROUTED_OK);
    peer_close(&p);
}

static void test_refused_tunnels(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    for (int64_t n = 0; n < 2; n++) { /* not what would look like a tunnel */
        connect(&p, peer_id(n), 6, SPAN("websocket"));
        peer_turn(&p);
        assert_int_equal(origin_respond(p.origin.exchange, n ? 204 : 200, NULL),
                         ROUTED_ERROR_UNSUPPORTED);
        peer_turn(&p);
        assert_int_equal(peer_answer(&p, peer_id(n))->status, 501);
        assert_int_equal(p.origin.close_error, ROUTED_ERROR_UNSUPPORTED);
    }
    connect(&p, peer_id(2), 6, SPAN("websocket"));
    peer_turn(&p);
    origin_respond(p.origin.exchange, 403, "0");
    exchange_end(p.origin.exchange, NULL);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(2))->status, 403);
    assert_int_equal(p.origin.close_error, ROUTED_OK);

    connect(&p, peer_id(3), 8, SPAN("websocket")); /* with content-length */
    connect(&p, peer_id(4), 6, SPAN("connect-udp"));
    const struct peer_line plain[] = {PEER_LINE(":method", "CONNECT"),
                                      PEER_LINE(":authority", "a.test:443")};
    peer_head(&p, peer_id(5), plain, 2, false);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(3))->reset_code, PEER_MALFORMED);
    assert_int_equal(peer_answer(&p, peer_id(3))->heads, 0);
    assert_int_equal(peer_answer(&p, peer_id(4))->status, 501);
    assert_int_equal(peer_answer(&p, peer_id(5))->status, 501);
    assert_int_equal(p.origin.opened, 3);
    assert_int_equal(p.origin.refused, 3);
    peer_close(&p);
}

/* ---- the largest head and trailers that an application may send ---- */

static struct field many_fields[EXCHANGE_RESPONSE_FIELDS_MAX];

/* Each has 65 bytes of its own: 65,000 in all. */
static struct field_list many(void)
{
    static char names[EXCHANGE_RESPONSE_FIELDS_MAX][16];
    static const char value[] = "0123456789abcdefghijklmnopqrstuvwxyz~!@#$%^&*()[]{}?=+-_<>;:|";
    for (int i = 0; i < EXCHANGE_RESPONSE_FIELDS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "x%03d", i);
        many_fields[i] = (struct field){span_from(names[i]), span_from(value), FIELD_OTHER};
    }
    return (struct field_list){many_fields, EXCHANGE_RESPONSE_FIELDS_MAX, 0};
}

static void answer_with_many(struct origin *o, struct exchange *x)
{
    struct field_list fields = many();
    struct http_response head = {.status = 200, .fields = fields};
    (void)o;
    assert_int_equal(exchange_respond(x, &head), ROUTED_OK);
    assert_int_equal(exchange_end(x, &fields), ROUTED_OK);
}

static const struct origin_script answers_with_many = {.on_end = answer_with_many};

static void test_largest_answer(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &answers_with_many);
    peer_get(&p, peer_id(0));
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 200);
    assert_int_equal(peer_answer(&p, peer_id(0))->heads, 2);
    assert_true(peer_answer(&p, peer_id(0))->has_ended);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(p.origin.close_error, ROUTED_OK);
    peer_close(&p);
}

/* ---- an application for tests of the order of frames ---- */

static void send_two_frames(struct origin *o, struct exchange *x)
{
    (void)o;
    origin_respond(x, 200, NULL);
    origin_send_size(x, 40000);
    exchange_end(x, NULL);
}

static const struct origin_script sends = {.on_end = send_two_frames};

#define MESSAGE_TESTS                                                                              \
    cmocka_unit_test(test_get), cmocka_unit_test(test_cookies),                                    \
        cmocka_unit_test(test_identity_fields_are_removed),                                        \
        cmocka_unit_test(test_host_alone_is_enough), cmocka_unit_test(test_framing),               \
        cmocka_unit_test(test_trailers_and_informs), cmocka_unit_test(test_continue),              \
        cmocka_unit_test(test_failures), cmocka_unit_test(test_client_resets),                     \
        cmocka_unit_test(test_tunnel), cmocka_unit_test(test_refused_tunnels),                     \
        cmocka_unit_test(test_largest_answer)

#endif
