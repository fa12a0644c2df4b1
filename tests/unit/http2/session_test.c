/* Requests and responses of a session: framing, order, flow control, tunnels, failures, ends. */
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

#define ANSWER(id) (*peer_answer(&p, id))

/* ---- requests ---- */

static void test_get(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    const struct peer_line more[] = {PEER_LINE("accept", "*/*"), PEER_LINE("x-a", "b")};
    peer_request(&p, 1, "GET", "/p?q", more, 2, true);
    peer_turn(&p);
    assert_true(peer_saw(&p, "GET /p?q a.test [host=a.test;accept=*/*;x-a=b;] 0 []\n"));
    assert_int_equal(ANSWER(1).status, 200);
    assert_string_equal(ANSWER(1).fields, "content-length=2;");
    assert_memory_equal(ANSWER(1).text, "ok", 2);
    assert_true(ANSWER(1).has_ended);
    assert_false(ANSWER(1).is_reset);
    assert_int_equal(p.closed, 1);
    assert_int_equal(p.ended, 1);
    assert_int_equal(p.close_error, ROUTED_OK);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

static void test_post(void **state)
{
    struct peer p;
    (void)state;
    for (int blocks = 0; blocks < 2; blocks++) {
        peer_open(&p, &peer_reads_then_answers);
        p.gives_blocks = blocks;
        const struct peer_line length[] = {PEER_LINE("content-length", "0020010")};
        const struct peer_line trailers[] = {PEER_LINE("x-sum", "1"), PEER_LINE("host", "b.test")};
        peer_request(&p, 1, "POST", "/", length, 1, false);
        peer_data(&p, 1, 16384, false);
        peer_data(&p, 1, 3626, false);
        peer_head(&p, 1, trailers, 2, true);
        peer_turn(&p);
        assert_true(peer_saw(&p, "[host=a.test;content-length=20010;] 20010 [x-sum=1;]\n"));
        assert_int_equal(ANSWER(1).status, 200);
        assert_int_equal(p.close_error, ROUTED_OK);
        peer_close(&p);
    }
}

static void test_one_byte_at_a_time(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &peer_reads_then_answers);
    assert_true(peer_begin(&p));
    p.split = p.write_max = 1;
    peer_greet(&p);
    peer_post(&p, 1);
    peer_data(&p, 1, 300, false);
    peer_get(&p, 3);
    peer_data(&p, 1, 0, true);
    peer_turn(&p);
    assert_int_equal(p.complete, 2);
    assert_int_equal(ANSWER(1).status, 200);
    assert_int_equal(ANSWER(3).status, 200);
    assert_int_equal(p.ended, 2);
    peer_close(&p);
}

/* The same crumbs are joined once and shared; others are joined anew. */
static void test_cookies(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    const struct peer_line crumbs[] = {{SPAN("cookie"), SPAN("a=1"), true},
                                       PEER_LINE("x-a", "b"),
                                       {SPAN("cookie"), SPAN("b=2"), true},
                                       {SPAN("cookie"), SPAN("c=3"), true}};
    for (int32_t id = 1; id < 9; id += 2) {
        buffer_clear(&p.view);
        peer_request(&p, id, "GET", "/", crumbs, id == 7 ? 3 : 4, true);
        peer_turn(&p);
        assert_true(peer_saw(&p, id == 7 ? "[host=a.test;cookie=a=1; b=2;x-a=b;]"
                                         : "[host=a.test;cookie=a=1; b=2; c=3;x-a=b;]"));
    }
    peer_close(&p);
}

static void test_identity_fields_are_removed(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    const struct peer_line more[] = {PEER_LINE("x-forwarded-for", "1.2.3.4"),
                                     PEER_LINE("x_forwarded_for", "1.2.3.4"),
                                     PEER_LINE("forwarded", "for=1.2.3.4"),
                                     PEER_LINE("proxy", "evil"),
                                     PEER_LINE("remote-user", "root"),
                                     PEER_LINE("te", "trailers"),
                                     PEER_LINE("trailer", "x"),
                                     PEER_LINE("host", "A.test:80")};
    peer_request(&p, 1, "GET", "/", more, 8, true);
    peer_turn(&p);
    assert_true(peer_saw(&p, "GET / a.test [host=a.test;] 0 []\n"));
    peer_close(&p);
}

static void test_host_alone_is_enough(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    const struct peer_line lines[] = {PEER_LINE(":method", "OPTIONS"), PEER_LINE(":scheme", "http"),
                                      PEER_LINE(":path", "*"), PEER_LINE("host", "h.test:8080")};
    peer_head(&p, 1, lines, 4, true);
    peer_turn(&p);
    assert_true(peer_saw(&p, "OPTIONS * h.test:8080 [host=h.test:8080;] 0 []\n"));
    peer_close(&p);
}

/* ---- responses ---- */

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
        {"GET", 200, NULL, NULL, "", 1, 0},
        {"GET", 200, "0", NULL, "content-length=0;", 1, 0},
        {"GET", 204, NULL, NULL, "", 0, 0},
        {"GET", 304, "7", NULL, "content-length=7;", 0, 0},
        {"HEAD", 200, "5", "hello", "content-length=5;", 0, 0},
        {"GET", 999, "2", "ok", "content-length=2;", 1, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        peer_open(&p, &waits);
        peer_request(&p, 1, cases[i].method, "/", NULL, 0, true);
        peer_turn(&p);
        assert_int_equal(peer_wait(&p), SESSION_ANSWER);
        struct exchange *x = p.exchange;
        exchange_grant(x, 1);
        assert_int_equal(peer_respond(x, cases[i].status, cases[i].length), ROUTED_OK);
        peer_turn(&p);
        if (cases[i].body)
            assert_int_equal(peer_send(x, cases[i].body), ROUTED_OK);
        assert_int_equal(p.closed, 0);
        assert_int_equal(exchange_end(x, NULL), ROUTED_OK);
        assert_int_equal(p.closed, 0); /* not from inside the application's call */
        peer_turn(&p);
        assert_int_equal(ANSWER(1).status, cases[i].status);
        assert_string_equal(ANSWER(1).fields, cases[i].fields);
        assert_int_equal(ANSWER(1).frames, cases[i].frames);
        assert_int_equal(ANSWER(1).size, cases[i].size);
        assert_true(ANSWER(1).has_ended);
        assert_false(ANSWER(1).is_reset);
        assert_int_equal(p.closed, 1);
        assert_int_equal(p.close_error, ROUTED_OK);
        assert_int_equal(p.ended, 1);
        assert_int_equal(peer_wait(&p), SESSION_IDLE);
        peer_close(&p);
    }
}

static void test_another_service_is_told_of(void **state)
{
    struct peer p;
    (void)state;
    struct field own = {SPAN("alt-svc"), SPAN("clear"), FIELD_OTHER};
    struct http_response head = {.status = 200, .fields = {&own, 1, 1}};
    struct http_response hints = {.status = 103, .fields = FIELD_LIST_EMPTY};
    peer_open(&p, &waits);
    p.options.alt_svc = SPAN("h3=\":443\"");
    peer_get(&p, 1);
    peer_turn(&p);
    assert_int_equal(exchange_inform(p.exchange, &hints), ROUTED_OK);
    peer_respond(p.exchange, 200, "0");
    exchange_end(p.exchange, NULL);
    peer_turn(&p);
    assert_string_equal(ANSWER(1).fields, "alt-svc=h3=\":443\";content-length=0;");
    peer_get(&p, 3);
    peer_turn(&p);
    assert_int_equal(exchange_respond(p.exchange, &head), ROUTED_OK);
    exchange_end(p.exchange, NULL);
    peer_turn(&p);
    assert_string_equal(ANSWER(3).fields, "alt-svc=clear;");
    peer_close(&p);
}

static void test_trailers_and_informs(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    peer_get(&p, 1);
    peer_turn(&p);
    struct exchange *x = p.exchange;
    struct field link = {SPAN("link"), SPAN("</a>"), FIELD_OTHER};
    struct http_response early = {.status = 103, .fields = {&link, 1, 1}};
    assert_int_equal(exchange_inform(x, &early), ROUTED_OK);
    peer_turn(&p);
    assert_int_equal(ANSWER(1).status, 103);
    assert_false(ANSWER(1).has_ended);
    struct field trailer = {SPAN("x-sum"), SPAN("9"), FIELD_OTHER};
    struct field_list trailers = {&trailer, 1, 1};
    peer_respond(x, 200, NULL);
    peer_send(x, "hello");
    exchange_end(x, &trailers);
    peer_turn(&p);
    assert_int_equal(ANSWER(1).heads, 3);
    assert_string_equal(ANSWER(1).fields, "link=</a>;x-sum=9;");
    assert_int_equal(ANSWER(1).size, 5);
    assert_true(ANSWER(1).has_ended);
    assert_int_equal(p.close_error, ROUTED_OK);
    peer_close(&p);
}

static void test_continue(void **state)
{
    struct peer p;
    (void)state;
    const struct peer_line expect[] = {PEER_LINE("expect", "100-continue")};
    const struct peer_line other[] = {PEER_LINE("expect", "200-ok")};
    peer_open(&p, &peer_reads_then_answers);
    peer_request(&p, 1, "POST", "/", expect, 1, false);
    peer_turn(&p);
    assert_int_equal(ANSWER(1).status, 100);
    assert_int_equal(peer_wait(&p), SESSION_BODY);
    peer_data(&p, 1, 5, true);
    peer_request(&p, 3, "GET", "/", expect, 1, true);
    peer_request(&p, 5, "POST", "/", other, 1, true);
    peer_turn(&p);
    assert_int_equal(ANSWER(1).status, 200);
    assert_int_equal(ANSWER(1).heads, 2);
    assert_int_equal(ANSWER(3).heads, 1);
    assert_int_equal(ANSWER(5).status, 417);
    assert_int_equal(p.refused_error, ROUTED_ERROR_EXPECTATION);
    assert_int_equal(p.refused_status, 417);
    peer_close(&p);
}

/* RFC 9113 section 8.1. */
static void test_early_answer(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    peer_post(&p, 1);
    peer_data(&p, 1, 1000, false);
    peer_turn(&p);
    peer_answer_ok(p.exchange);
    peer_turn(&p);
    assert_int_equal(ANSWER(1).status, 200);
    assert_true(ANSWER(1).has_ended);
    assert_true(ANSWER(1).is_reset);
    assert_int_equal(ANSWER(1).code, NGHTTP2_NO_ERROR);
    assert_int_equal(p.close_error, ROUTED_OK);
    assert_int_equal(p.ended, 1);
    peer_data(&p, 1, 1000, true); /* was on its way */
    peer_get(&p, 3);
    peer_turn(&p);
    assert_int_equal(p.goaway_code, 0);
    assert_int_equal(p.opened, 2);
    peer_close(&p);
}

static void test_failures(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    peer_get(&p, 1);
    peer_turn(&p);
    exchange_fail(p.exchange, ROUTED_ERROR_NO_ENGINE);
    assert_int_equal(p.closed, 0);
    peer_turn(&p);
    assert_int_equal(ANSWER(1).status, 503);
    assert_string_equal(ANSWER(1).fields,
                        "content-length=20;content-type=text/plain; charset=utf-8;retry-after=1;");
    assert_true(ANSWER(1).has_ended);
    assert_int_equal(p.close_error, ROUTED_ERROR_NO_ENGINE);
    assert_int_equal(p.ended, 1);

    peer_get(&p, 3);
    peer_turn(&p);
    peer_respond(p.exchange, 200, NULL);
    peer_send(p.exchange, "half");
    peer_turn(&p);
    exchange_fail(p.exchange, ROUTED_ERROR_BRIDGE_CLOSED);
    peer_turn(&p);
    assert_int_equal(ANSWER(3).size, 4);
    assert_false(ANSWER(3).has_ended);
    assert_int_equal(ANSWER(3).code, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(p.close_error, ROUTED_ERROR_BRIDGE_CLOSED);
    assert_int_equal(p.ended, 2);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

static void test_client_resets(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    peer_get(&p, 1);
    peer_turn(&p);
    peer_respond(p.exchange, 200, NULL);
    peer_number_frame(&p, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    peer_turn(&p);
    assert_int_equal(p.closed, 1);
    assert_int_equal(p.close_error, ROUTED_ERROR_CLIENT_GONE);
    assert_int_equal(p.ended, 1);
    assert_int_equal(ANSWER(1).heads, 0);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

/* on_close comes with the last byte written. */
static void test_close_waits_for_the_write(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    p.is_stuck = true;
    peer_get(&p, 1);
    peer_turn(&p);
    struct span spans[4];
    assert_int_equal(p.session->ops->drain(p.session, spans, 4), 1);
    p.session->ops->drained(p.session, spans[0].size - 1);
    assert_int_equal(p.closed, 0);
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    assert_int_equal(p.session->ops->drain(p.session, spans, 4), 1);
    p.session->ops->drained(p.session, 1);
    assert_int_equal(p.closed, 1);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

/* ---- many streams ---- */

static void send_two_frames(struct peer *p, struct exchange *x)
{
    (void)p;
    peer_respond(x, 200, NULL);
    peer_send_size(x, 40000);
    exchange_end(x, NULL);
}

static const struct peer_script sends = {.on_end = send_two_frames};

/* A turn's frames leave together: small answers in one span. */
static void test_small_answers_share_a_write(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    p.spans = 0;
    for (int32_t id = 1; id < 200; id += 2)
        peer_get(&p, id);
    peer_turn(&p);
    assert_int_equal(p.complete, 100);
    assert_int_equal(p.most_open, 100);
    assert_int_equal(p.ended, 100);
    assert_int_equal(p.spans, 1);
    peer_close(&p);
}

static void expect_order(const char *priority, const char *first, const char *order)
{
    struct peer p;
    struct peer_line field = {SPAN("priority"), span_from(priority), false};
    peer_open(&p, &sends);
    p.is_stuck = true;
    peer_request(&p, 1, "GET", "/", &field, first ? 0 : priority != NULL, true);
    peer_request(&p, 3, "GET", "/", &field, priority != NULL, true);
    peer_turn(&p);
    p.is_stuck = false;
    peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 20);
    if (first)
        peer_frame(&p, NGHTTP2_PRIORITY_UPDATE, 0, 0, span_of(first, 7));
    peer_turn(&p);
    assert_string_equal(p.order, order);
    peer_close(&p);
}

/* PRIORITY_UPDATE for stream `id` before the requests; some of them for streams that never come. */
static void expect_early_order(int32_t id, const char *value, int32_t others, const char *order)
{
    struct peer p;
    uint8_t update[16] = {[3] = (uint8_t)id};
    size_t size = 4 + strlen(value);
    memcpy(update + 4, value, strlen(value));
    peer_open(&p, &sends);
    peer_frame(&p, NGHTTP2_PRIORITY_UPDATE, 0, 0, span_of(update, size));
    for (int32_t i = 0; i < others; i++) {
        update[3] = (uint8_t)(101 + 2 * i);
        peer_frame(&p, NGHTTP2_PRIORITY_UPDATE, 0, 0, span_of(update, size));
    }
    p.is_stuck = true;
    peer_get(&p, 1);
    peer_get(&p, 3);
    peer_turn(&p);
    p.is_stuck = false;
    peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 20);
    peer_turn(&p);
    assert_string_equal(p.order, order);
    peer_close(&p);
}

static void test_early_priorities(void **state)
{
    (void)state;
    expect_early_order(5, "u=1", 0, "ababab");
    expect_early_order(3, "u=1", 0, "bbbaaa");
    expect_early_order(1, "u=5", 0, "bbbaaa");
    expect_early_order(3, "u=1", 15, "bbbaaa");
    expect_early_order(3, "u=1", 16, "bababa"); /* forgotten: they take turns */
}

static void test_priorities(void **state)
{
    (void)state;
    expect_order(NULL, NULL, "ababab");
    expect_order("u=3, i", NULL, "ababab");
    expect_order("u=3", NULL, "aaabbb");
    expect_order(NULL, "\0\0\0\3u=1", "bbbaaa");
    expect_order("u=2", "\0\0\0\1u=5", "bbbaaa");
}

/* ---- WebSocket ---- */

/* Eight lines; the last makes it malformed. */
static void connect(struct peer *p, int32_t id, size_t count, struct span protocol)
{
    const struct peer_line lines[] = {PEER_LINE(":method", "CONNECT"),
                                      {SPAN(":protocol"), protocol, false},
                                      PEER_LINE(":scheme", "http"),
                                      PEER_LINE(":path", "/chat"),
                                      PEER_LINE(":authority", "a.test"),
                                      PEER_LINE("sec-websocket-version", "13"),
                                      PEER_LINE("sec-websocket-key", "theirs"),
                                      PEER_LINE("content-length", "0")};
    peer_head(p, id, lines, count, false);
}

static void test_tunnel(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    connect(&p, 1, 7, SPAN("websocket"));
    peer_data(&p, 1, 5, false);
    peer_turn(&p);
    struct exchange *x = p.exchange;
    assert_int_equal(x->request.upgrade, HTTP_UPGRADE_WEBSOCKET);
    assert_true(peer_saw(&p, "GET /chat a.test [host=a.test;sec-websocket-version=13;"
                             "sec-websocket-key=AAAAAAAAAAAAAAAAAAAAAA==;] 0 []\n"));
    struct field accept = {SPAN("sec-websocket-accept"), SPAN("x"), FIELD_SEC_WEBSOCKET_ACCEPT};
    struct http_response upgrade = {.status = 101, .fields = {&accept, 1, 1}};
    assert_int_equal(exchange_respond(x, &upgrade), ROUTED_OK);
    exchange_grant(x, 7);
    peer_turn(&p);
    assert_int_equal(ANSWER(1).status, 200);
    assert_string_equal(ANSWER(1).fields, "");
    assert_int_equal(p.content, 5);
    assert_int_equal(peer_wait(&p), SESSION_TUNNEL);
    peer_send(x, "back");
    peer_data(&p, 1, 10, true);
    peer_turn(&p);
    assert_int_equal(p.content, 7);
    assert_int_equal(p.complete, 1);
    exchange_grant(x, 100);
    peer_turn(&p);
    assert_int_equal(p.content, 15);
    assert_int_equal(p.complete, 2);
    assert_memory_equal(ANSWER(1).text, "back", 4);
    exchange_end(x, NULL);
    peer_turn(&p);
    assert_true(ANSWER(1).has_ended);
    assert_int_equal(p.close_error, ROUTED_OK);
    peer_close(&p);
}

static void test_refused_tunnels(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    connect(&p, 1, 6, SPAN("websocket"));
    peer_turn(&p);
    assert_int_equal(peer_respond(p.exchange, 204, NULL), ROUTED_ERROR_UNSUPPORTED);
    peer_turn(&p);
    assert_int_equal(ANSWER(1).status, 501); /* not what would look like a tunnel */
    assert_int_equal(p.close_error, ROUTED_ERROR_UNSUPPORTED);

    connect(&p, 3, 6, SPAN("websocket"));
    peer_turn(&p);
    peer_respond(p.exchange, 403, "0");
    exchange_end(p.exchange, NULL);
    peer_turn(&p);
    assert_int_equal(ANSWER(3).status, 403);
    assert_int_equal(p.close_error, ROUTED_OK);

    connect(&p, 5, 8, SPAN("websocket")); /* with content-length */
    connect(&p, 7, 6, SPAN("connect-udp"));
    const struct peer_line plain[] = {PEER_LINE(":method", "CONNECT"),
                                      PEER_LINE(":authority", "a.test:443")};
    peer_head(&p, 9, plain, 2, false);
    peer_turn(&p);
    assert_int_equal(ANSWER(5).code, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(ANSWER(5).heads, 0);
    assert_int_equal(ANSWER(7).status, 501);
    assert_int_equal(ANSWER(9).status, 501);
    assert_int_equal(p.opened, 2);
    assert_int_equal(p.refused, 3);
    peer_close(&p);
}

/* ---- a client that is nghttp2 ---- */

struct visitor {
    unsigned statuses, ends;
    size_t body;
};

static int on_visitor_header(nghttp2_session *n, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_size, const uint8_t *value, size_t value_size,
                             uint8_t flags, void *user)
{
    (void)n, (void)frame, (void)flags;
    if (name_size == 7 && memcmp(name, ":status", 7) == 0)
        ((struct visitor *)user)->statuses += value_size == 3 && memcmp(value, "200", 3) == 0;
    return 0;
}

static int on_visitor_data(nghttp2_session *n, uint8_t flags, int32_t id, const uint8_t *bytes,
                           size_t size, void *user)
{
    (void)n, (void)flags, (void)id, (void)bytes;
    ((struct visitor *)user)->body += size;
    return 0;
}

static int on_visitor_close(nghttp2_session *n, int32_t id, uint32_t code, void *user)
{
    (void)n, (void)id;
    ((struct visitor *)user)->ends += code == NGHTTP2_NO_ERROR;
    return 0;
}

static nghttp2_session *visitor_new(struct visitor *v)
{
    nghttp2_session *client;
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_visitor_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_visitor_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_visitor_close);
    nghttp2_session_client_new(&client, callbacks, v);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0);
    return client;
}

static void exchange_bytes(nghttp2_session *client, struct session *server)
{
    const uint8_t *bytes;
    ssize_t size = 1;
    size_t count = 1;
    while (size > 0 || count > 0) {
        struct span spans[4];
        size_t written = 0;
        while ((size = nghttp2_session_mem_send(client, &bytes)) > 0)
            server->ops->feed(server, NULL, span_of(bytes, (size_t)size));
        count = server->ops->drain(server, spans, 4);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(nghttp2_session_mem_recv(client, spans[i].data, spans[i].size),
                             spans[i].size);
            written += spans[i].size;
        }
        server->ops->drained(server, written);
    }
}

/* 100 streams of 40,000 bytes through windows of 65,535, updated by nghttp2. */
static void test_nghttp2_as_client(void **state)
{
    struct peer p;
    struct visitor v = {0};
    (void)state;
    peer_init(&p, &sends);
    assert_true(peer_begin(&p));
    nghttp2_session *client = visitor_new(&v);
    const nghttp2_nv lines[] = {{(uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0},
                                {(uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0},
                                {(uint8_t *)":path", (uint8_t *)"/", 5, 1, 0},
                                {(uint8_t *)":authority", (uint8_t *)"a.test", 10, 6, 0}};
    for (int i = 0; i < 100; i++)
        assert_true(nghttp2_submit_request(client, NULL, lines, 4, NULL, NULL) > 0);
    exchange_bytes(client, p.session);
    assert_int_equal(v.statuses, 100);
    assert_int_equal(v.ends, 100);
    assert_int_equal(v.body, 4000000);
    assert_int_equal(p.ended, 100);
    assert_int_equal(p.failure, ROUTED_OK);
    nghttp2_session_del(client);
    peer_close(&p);
}

/* ---- writing beyond the credit ---- */

static void test_response_credit(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &waits);
    peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 30);
    peer_get(&p, 1);
    peer_turn(&p);
    struct exchange *x = p.exchange;
    peer_respond(x, 200, NULL);
    assert_int_equal(peer_send_size(x, 300000), ROUTED_OK);
    assert_false(exchange_can_send(x));
    peer_turn(&p);
    assert_int_equal(ANSWER(1).size, 65535); /* the client's window */
    assert_int_equal(p.writable, 1);
    assert_int_equal(x->response_credit, 262144 - 300000 + 65535);
    peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 1, 1 << 30);
    peer_turn(&p);
    assert_int_equal(ANSWER(1).size, 300000);
    assert_int_equal(x->response_credit, 262144);
    exchange_end(x, NULL);
    peer_turn(&p);
    assert_true(ANSWER(1).has_ended);
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_cookies),
        cmocka_unit_test(test_identity_fields_are_removed),
        cmocka_unit_test(test_host_alone_is_enough),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_another_service_is_told_of),
        cmocka_unit_test(test_trailers_and_informs),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_client_resets),
        cmocka_unit_test(test_close_waits_for_the_write),
        cmocka_unit_test(test_small_answers_share_a_write),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_early_priorities),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_refused_tunnels),
        cmocka_unit_test(test_nghttp2_as_client),
        cmocka_unit_test(test_response_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
