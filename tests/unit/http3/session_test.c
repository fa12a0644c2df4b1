/* Requests and responses of a session: framing, order, flow control, tunnels, failures, ends. */
#include "peer.h"
#include "streams/messages.h"

/* ---- requests ---- */

static void test_post(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    expect_post(&p);
    assert_int_equal(p.granted, p.sent);
    peer_close(&p);
}

static void test_one_byte_at_a_time(void **state)
{
    struct peer p;
    (void)state;
    write_byte_by_byte(&p);
    peer_data(&p, 0, 0, false);
    peer_head(&p, 0, (struct peer_line[]){PEER_LINE("x-a", "b")}, 1, false);
    peer_fin(&p, 0);
    peer_turn(&p);
    expect_two_answers(&p);
    assert_true(origin_saw(&p.origin, "300 [x-a=b;]"));
    assert_int_equal(p.failure, ROUTED_OK);
    peer_close(&p);
}

/* ---- responses ---- */

/* RFC 9114 section 4.1. */
static void test_early_answer(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    p.keeps_streams = true;
    answer_early(&p);
    assert_false(peer_answer(&p, 0)->is_reset);
    assert_true(peer_answer(&p, 0)->is_stopped);
    assert_int_equal(peer_answer(&p, 0)->stop_code, NGHTTP3_H3_NO_ERROR);
    peer_data(&p, 0, 1000, false); /* was on its way */
    peer_get(&p, 4);
    p.keeps_streams = false;
    peer_turn(&p);
    assert_int_equal(p.failure, ROUTED_OK);
    assert_int_equal(p.granted, p.sent);
    assert_int_equal(p.origin.opened, 2);
    assert_true(peer_stream(&p, 0)->is_closed);
    peer_close(&p);
}

static void test_client_stops_or_resets_alone(void **state)
{
    (void)state;
    for (int stops = 0; stops < 2; stops++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        peer_post(&p, 0);
        peer_data(&p, 0, 10, false);
        peer_turn(&p);
        origin_respond(p.origin.exchange, 200, NULL);
        if (stops)
            http3_session_stream_stopped(p.session, 0, 0x10c);
        else
            http3_session_stream_reset(p.session, 0, 0x10c);
        assert_int_equal(p.origin.close_error, ROUTED_ERROR_CLIENT_GONE);
        assert_int_equal(p.origin.ended, 1);
        assert_true(peer_answer(&p, 0)->is_reset);
        assert_int_equal(peer_answer(&p, 0)->reset_code, NGHTTP3_H3_REQUEST_CANCELLED);
        assert_int_equal(peer_answer(&p, 0)->is_stopped, stops);
        peer_close(&p);
    }
}

/* on_close comes with the last byte sent, and what was sent is kept until it is acknowledged. */
static void test_close_waits_for_the_end(void **state)
{
    struct peer p;
    struct span spans[4];
    int64_t id;
    bool ends;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    p.is_stuck = true;
    peer_get(&p, 0);
    size_t count = http3_session_next(p.session, &id, spans, 4, &ends);
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += spans[i].size;
    assert_int_equal(id, 0);
    assert_true(ends);
    http3_session_sent(p.session, 0, size - 1);
    assert_int_equal(p.origin.closed, 0);
    assert_int_equal(peer_wait(&p), SESSION_WINDOW);
    assert_int_equal(http3_session_next(p.session, &id, spans, 4, &ends), 1);
    assert_true(ends);
    assert_int_equal(spans[0].size, 1);
    assert_memory_equal(spans[0].data, "k", 1);
    http3_session_sent(p.session, 0, 1);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(p.origin.ended, 1);
    assert_int_equal(peer_wait(&p), SESSION_WINDOW); /* what may be lost is still here */
    assert_int_equal(http3_session_next(p.session, &id, spans, 4, &ends), 0);
    assert_int_equal(id, -1);
    http3_session_acknowledged(p.session, 0, size);
    assert_int_equal(http3_session_streams_allowed(p.session), 100);
    http3_session_stream_closed(p.session, 0, 0);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    assert_int_equal(http3_session_streams_allowed(p.session), 101);
    peer_close(&p);
}

/* ---- many streams ---- */

static void test_many_streams(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    serve_a_hundred(&p);
    assert_int_equal(http3_session_streams_allowed(p.session), 200);
    peer_close(&p);
}

/* Streams take turns of 8,000 bytes. `update` is sent before the requests or after them. */
static void expect_order(const char *priority, struct span update, bool is_before,
                         const char *order)
{
    struct peer p;
    struct peer_line field = {SPAN("priority"), span_from(priority), false};
    peer_open(&p, &sends);
    p.is_stuck = true;
    p.write_max = 8000;
    if (update.size && is_before)
        peer_frame(&p, PEER_CONTROL, HTTP3_FRAME_PRIORITY_UPDATE, update, false);
    peer_request(&p, 0, "GET", "/", &field, priority && !update.size, true);
    peer_request(&p, 4, "GET", "/", &field, priority != NULL, true);
    if (update.size && !is_before)
        peer_frame(&p, PEER_CONTROL, HTTP3_FRAME_PRIORITY_UPDATE, update, false);
    p.is_stuck = false;
    peer_turn(&p);
    assert_int_equal(p.failure, ROUTED_OK);
    assert_string_equal(p.order, order);
    peer_close(&p);
}

static void test_priorities(void **state)
{
    (void)state;
    for (int before = 0; before < 2; before++) {
        expect_order(NULL, SPAN_EMPTY, before, "abababababab");
        expect_order("u=3, i", SPAN_EMPTY, before, "abababababab");
        expect_order("u=3", SPAN_EMPTY, before, "aaaaaabbbbbb");
        expect_order("?", SPAN_EMPTY, before, "aaaaaabbbbbb");
        expect_order(NULL, SPAN("\4u=1"), before, "bbbbbbaaaaaa");
        expect_order("u=2", SPAN("\0u=1"), before, "aaaaaabbbbbb");
        expect_order("u=2", SPAN("\0u=5"), before, "bbbbbbaaaaaa");
        expect_order("u=1", SPAN("\4"), before, "abbbbbbaaaaa"); /* all defaults: not i */
    }
}

/* ---- a client that is nghttp3 ---- */

struct visitor {
    nghttp3_conn *client;
    unsigned statuses, ends;
    size_t body;
};

static int on_visitor_header(nghttp3_conn *n, int64_t id, int32_t token, nghttp3_rcbuf *name,
                             nghttp3_rcbuf *value, uint8_t flags, void *user, void *stream)
{
    (void)n, (void)id, (void)name, (void)flags, (void)stream;
    if (token == NGHTTP3_QPACK_TOKEN__STATUS)
        ((struct visitor *)user)->statuses += span_equals(peer_text(value), SPAN("200"));
    return 0;
}

static int on_visitor_data(nghttp3_conn *n, int64_t id, const uint8_t *bytes, size_t size,
                           void *user, void *stream)
{
    (void)n, (void)id, (void)bytes, (void)stream;
    ((struct visitor *)user)->body += size;
    return 0;
}

static int on_visitor_end(nghttp3_conn *n, int64_t id, void *user, void *stream)
{
    (void)n, (void)id, (void)stream;
    ((struct visitor *)user)->ends++;
    return 0;
}

static void visitor_open(struct visitor *v)
{
    const nghttp3_callbacks callbacks = {.recv_header = on_visitor_header,
                                         .recv_data = on_visitor_data,
                                         .end_stream = on_visitor_end};
    nghttp3_settings settings;
    nghttp3_settings_default(&settings);
    assert_int_equal(nghttp3_conn_client_new(&v->client, &callbacks, &settings, NULL, v), 0);
    assert_int_equal(nghttp3_conn_bind_control_stream(v->client, 2), 0);
    assert_int_equal(nghttp3_conn_bind_qpack_streams(v->client, 6, 10), 0);
}

static bool visitor_writes(struct visitor *v, struct peer *p)
{
    nghttp3_vec vectors[4];
    int64_t id;
    int ends;
    nghttp3_ssize count = nghttp3_conn_writev_stream(v->client, &id, &ends, vectors, 4);
    assert_true(count >= 0);
    if (id < 0)
        return false;
    size_t size = (size_t)nghttp3_vec_len(vectors, (size_t)count);
    struct buffer bytes = BUFFER_EMPTY;
    for (nghttp3_ssize i = 0; i < count; i++)
        buffer_append(&bytes, vectors[i].base, vectors[i].len);
    assert_int_equal(http3_session_receive(p->session, id, buffer_span(&bytes), ends), 0);
    buffer_release(&bytes);
    assert_int_equal(nghttp3_conn_add_write_offset(v->client, id, size), 0);
    assert_int_equal(nghttp3_conn_add_ack_offset(v->client, id, size), 0);
    return true;
}

/* At most 1,200 bytes at once, as in packets. */
static bool visitor_reads(struct visitor *v, struct peer *p)
{
    struct span spans[4];
    int64_t id;
    bool ends;
    size_t count = http3_session_next(p->session, &id, spans, 4, &ends);
    size_t taken = 0;
    if (id < 0)
        return false;
    for (size_t i = 0; i < count && taken < 1200; i++) {
        size_t size = spans[i].size < 1200 - taken ? spans[i].size : 1200 - taken;
        bool is_last = ends && i + 1 == count && size == spans[i].size;
        assert_true(nghttp3_conn_read_stream(v->client, id, spans[i].data, size, is_last) >= 0);
        taken += size;
    }
    if (count == 0)
        assert_true(nghttp3_conn_read_stream(v->client, id, NULL, 0, ends) >= 0);
    assert_int_equal(http3_session_sent(p->session, id, taken), 0);
    assert_int_equal(http3_session_acknowledged(p->session, id, taken), 0);
    return true;
}

static void test_nghttp3_as_client(void **state)
{
    struct peer p;
    struct visitor v = {0};
    (void)state;
    peer_init(&p, &sends);
    assert_true(peer_begin(&p));
    assert_int_equal(http3_session_start(p.session), ROUTED_OK);
    visitor_open(&v);
    const nghttp3_nv lines[] = {{(uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0},
                                {(uint8_t *)":scheme", (uint8_t *)"https", 7, 5, 0},
                                {(uint8_t *)":path", (uint8_t *)"/", 5, 1, 0},
                                {(uint8_t *)":authority", (uint8_t *)"a.test", 10, 6, 0}};
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(nghttp3_conn_submit_request(v.client, 4 * i, lines, 4, NULL, NULL), 0);
    bool moved = true;
    while (moved) {
        moved = visitor_writes(&v, &p);
        moved |= visitor_reads(&v, &p);
    }
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(http3_session_stream_closed(p.session, 4 * i, 0), 0);
    assert_int_equal(v.statuses, 100);
    assert_int_equal(v.ends, 100);
    assert_int_equal(v.body, 4000000);
    assert_int_equal(p.origin.ended, 100);
    assert_int_equal(p.origin.failure, ROUTED_OK);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    nghttp3_conn_del(v.client);
    peer_close(&p);
}

/* ---- writing beyond the credit ---- */

/* Credit comes back with what leaves, and a little before; it waits for no acknowledgement. */
static void test_response_credit(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_get(&p, 0);
    struct exchange *x = p.origin.exchange;
    origin_respond(x, 200, NULL);
    assert_int_equal(origin_send_size(x, 300000), ROUTED_OK);
    assert_false(exchange_can_send(x));
    p.keeps_acks = true;
    peer_stream(&p, 0)->window = 65535;
    peer_turn(&p);
    assert_int_equal(peer_stream(&p, 0)->sent, 65535);
    assert_int_equal(p.origin.writable, 1);
    uint64_t size = peer_answer(&p, 0)->size;
    uint64_t credited = (uint64_t)(x->response_credit - (262144 - 300000));
    assert_in_range(credited, size, size + 32768 + 4096);
    peer_acknowledge(&p, 0);
    assert_int_equal(x->response_credit, 262144 - 300000 + (int)credited);
    peer_stream(&p, 0)->window = 0;
    http3_session_unblocked(p.session, 0);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->size, 300000);
    assert_int_equal(x->response_credit, 262144);
    exchange_end(x, NULL);
    peer_turn(&p);
    assert_true(peer_answer(&p, 0)->has_ended);
    assert_int_equal(p.origin.close_error, ROUTED_OK);
    peer_close(&p);
}

/* ---- early data (RFC 8470) ---- */

static void test_early_data(void **state)
{
    struct peer p;
    const struct peer_line mark[] = {PEER_LINE("early-data", "1")};
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    http3_session_set_early(p.session, true);
    peer_get(&p, 0);
    peer_request(&p, 4, "HEAD", "/", mark, 1, true);
    peer_post(&p, 8);
    connect(&p, 12, 7, SPAN("websocket"));
    peer_turn(&p);
    assert_true(origin_saw(&p.origin, "GET / a.test [host=a.test;early-data=1;] 0 []\n"));
    assert_true(origin_saw(&p.origin, "HEAD / a.test [host=a.test;early-data=1;] 0 []\n"));
    assert_int_equal(peer_answer(&p, 8)->status, 425);
    assert_int_equal(peer_answer(&p, 12)->status, 425);
    assert_int_equal(p.origin.opened, 2);
    assert_int_equal(p.origin.refused, 2);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_TOO_EARLY);
    assert_int_equal(p.origin.refused_status, 425);
    http3_session_set_early(p.session, false);
    peer_request(&p, 16, "POST", "/late", NULL, 0, true);
    peer_turn(&p);
    assert_true(origin_saw(&p.origin, "POST /late a.test [host=a.test;] 0 []\n"));
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESSAGE_TESTS,
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_client_stops_or_resets_alone),
        cmocka_unit_test(test_close_waits_for_the_end),
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_nghttp3_as_client),
        cmocka_unit_test(test_response_credit),
        cmocka_unit_test(test_early_data),
    };
    return cmocka_run_group_tests_name("http3 session", tests, NULL, NULL);
}
