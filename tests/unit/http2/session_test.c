/* Requests and responses of a session: framing, order, flow control, tunnels, failures, ends. */
#include "peer.h"
#include "streams/messages.h"

/* ---- requests ---- */

static void test_post(void **state)
{
    struct peer p;
    (void)state;
    for (int blocks = 0; blocks < 2; blocks++) {
        peer_open(&p, &origin_reads_then_answers);
        p.gives_blocks = blocks;
        expect_post(&p);
        peer_close(&p);
    }
}

static void test_one_byte_at_a_time(void **state)
{
    struct peer p;
    (void)state;
    write_byte_by_byte(&p);
    peer_data(&p, 1, 0, true);
    peer_turn(&p);
    expect_two_answers(&p);
    peer_close(&p);
}

/* ---- responses ---- */

static void test_another_service_is_told_of(void **state)
{
    struct peer p;
    (void)state;
    struct field own = {SPAN("alt-svc"), SPAN("clear"), FIELD_OTHER};
    struct http_response head = {.status = 200, .fields = {&own, 1, 1}};
    struct http_response hints = {.status = 103, .fields = FIELD_LIST_EMPTY};
    peer_open(&p, &origin_waits);
    p.options.alt_svc = SPAN("h3=\":443\"");
    peer_get(&p, 1);
    peer_turn(&p);
    assert_int_equal(exchange_inform(p.origin.exchange, &hints), ROUTED_OK);
    origin_respond(p.origin.exchange, 200, "0");
    exchange_end(p.origin.exchange, NULL);
    peer_turn(&p);
    assert_string_equal(peer_answer(&p, 1)->fields, "alt-svc=h3=\":443\";content-length=0;");
    peer_get(&p, 3);
    peer_turn(&p);
    assert_int_equal(exchange_respond(p.origin.exchange, &head), ROUTED_OK);
    exchange_end(p.origin.exchange, NULL);
    peer_turn(&p);
    assert_string_equal(peer_answer(&p, 3)->fields, "alt-svc=clear;");
    peer_close(&p);
}

/* RFC 9113 section 8.1. */
static void test_early_answer(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    answer_early(&p);
    assert_true(peer_answer(&p, 1)->is_reset);
    assert_int_equal(peer_answer(&p, 1)->reset_code, NGHTTP2_NO_ERROR);
    peer_data(&p, 1, 1000, true); /* was on its way */
    peer_get(&p, 3);
    peer_turn(&p);
    assert_int_equal(p.goaway_code, 0);
    assert_int_equal(p.origin.opened, 2);
    peer_close(&p);
}

/* on_close comes with the last byte written. */
static void test_close_waits_for_the_write(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    p.is_stuck = true;
    peer_get(&p, 1);
    peer_turn(&p);
    struct span spans[4];
    assert_int_equal(p.session->ops->drain(p.session, spans, 4), 1);
    p.session->ops->drained(p.session, spans[0].size - 1);
    assert_int_equal(p.origin.closed, 0);
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    assert_int_equal(p.session->ops->drain(p.session, spans, 4), 1);
    p.session->ops->drained(p.session, 1);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

/* ---- many streams ---- */

/* A turn's frames leave together: small answers in one span. */
static void test_small_answers_share_a_write(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    p.spans = 0;
    serve_a_hundred(&p);
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
    assert_int_equal(p.origin.ended, 100);
    assert_int_equal(p.origin.failure, ROUTED_OK);
    nghttp2_session_del(client);
    peer_close(&p);
}

/* ---- writing beyond the credit ---- */

static void test_response_credit(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 30);
    peer_get(&p, 1);
    peer_turn(&p);
    struct exchange *x = p.origin.exchange;
    origin_respond(x, 200, NULL);
    assert_int_equal(origin_send_size(x, 300000), ROUTED_OK);
    assert_false(exchange_can_send(x));
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 1)->size, 65535); /* the client's window */
    assert_int_equal(p.origin.writable, 1);
    assert_int_equal(x->response_credit, 262144 - 300000 + 65535);
    peer_number_frame(&p, NGHTTP2_WINDOW_UPDATE, 1, 1 << 30);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 1)->size, 300000);
    assert_int_equal(x->response_credit, 262144);
    exchange_end(x, NULL);
    peer_turn(&p);
    assert_true(peer_answer(&p, 1)->has_ended);
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESSAGE_TESTS,
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_another_service_is_told_of),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_close_waits_for_the_write),
        cmocka_unit_test(test_small_answers_share_a_write),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_early_priorities),
        cmocka_unit_test(test_nghttp2_as_client),
        cmocka_unit_test(test_response_credit),
    };
    return cmocka_run_group_tests_name("http2 session", tests, NULL, NULL);
}
