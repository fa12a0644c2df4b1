#include "engine/carrier.h"

#include "websocket/frame.h"
#include <pthread.h>
#include <routed/websocket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The clock that the loop reads, for those who cannot wait. */
static time_t seconds_ahead;

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int result = (int)syscall(SYS_clock_gettime, clock, t);
    t->tv_sec += seconds_ahead;
    return result;
}

static routed_websocket *opened;
static int closes;
static int close_code;
static char close_reason[128];
static int writables;
static int open_result;

static int on_open(routed_websocket *ws, void *user)
{
    assert_string_equal(user, "user");
    opened = ws;
    return open_result;
}

static int on_message(routed_websocket *ws, int type, const void *data, size_t size, void *user)
{
    (void)user;
    if (size == 4 && !memcmp(data, "fail", 4))
        return ROUTED_ERROR_HANDLER;
    if (size == 4 && !memcmp(data, "quit", 4))
        return routed_websocket_close(ws, 4001, "bye");
    return routed_websocket_send(ws, type, data, size);
}

static void on_close(routed_websocket *ws, int code, const char *reason, size_t size, void *user)
{
    (void)user;
    assert_int_equal(routed_websocket_send(ws, ROUTED_WEBSOCKET_TEXT, "x", 1), ROUTED_ERROR_CLOSED);
    assert_int_equal(strlen(reason), size);
    closes++;
    close_code = code;
    memcpy(close_reason, reason, size + 1);
}

static void on_writable(routed_websocket *ws, void *user)
{
    (void)ws;
    (void)user;
    writables++;
}

static int setup(void **state)
{
    routed_websocket_callbacks callbacks = ROUTED_WEBSOCKET_CALLBACKS;
    routed_websocket_options options = ROUTED_WEBSOCKET_OPTIONS;
    callbacks.on_open = on_open;
    callbacks.on_message = on_message;
    callbacks.on_close = on_close;
    callbacks.on_writable = on_writable;
    struct carrier *c = carrier_begin(state);
    options.message_limit = 100;
    options.subprotocols = "chat.v2, chat.v1";
    assert_int_equal(routed_engine_websocket(c->engine, "/ws/{room}", &callbacks, "user", &options),
                     ROUTED_OK);
    options.message_limit = 100000;
    options.queue_limit = 1000;
    options.ping_interval = 1;
    options.dead_after = 0;
    routed_engine_websocket(c->engine, "/small", &callbacks, "user", &options);
    options.queue_limit = 100000;
    options.ping_interval = 0;
    options.dead_after = 1;
    routed_engine_websocket(c->engine, "/dead", &callbacks, "user", &options);
    options.dead_after = 0;
    routed_engine_websocket(c->engine, "/large", &callbacks, "user", &options);
    engine_freeze(c->engine);
    closes = close_code = writables = open_result = 0;
    opened = NULL;
    return 0;
}

/* ---- the client ---- */

static void handshake(struct carrier *c, const char *target)
{
    carrier_request(c, "GET", target);
    c->x.request.upgrade = HTTP_UPGRADE_WEBSOCKET;
    carrier_field(c, "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    carrier_field(c, "sec-websocket-version", "13");
    carrier_field(c, "sec-websocket-protocol", "chat.v1, chat.v2");
    carrier_field(c, "origin", "http://example.org");
}

static void connect_to(struct carrier *c, const char *target)
{
    handshake(c, target);
    carrier_go(c);
    assert_int_equal(c->status, 101);
    assert_true(c->x.is_tunnel);
}

static void send_frame(struct carrier *c, enum websocket_opcode opcode, bool is_final,
                       const void *payload, size_t size)
{
    struct websocket_frame f = {.opcode = opcode,
                                .is_final = is_final,
                                .is_masked = true,
                                .mask = {1, 2, 3, 4},
                                .size = size};
    uint8_t head[WEBSOCKET_HEAD_MAX];
    struct buffer b = BUFFER_EMPTY;
    buffer_append(&b, head, websocket_frame_write(head, &f));
    if (size) {
        websocket_mask(buffer_reserve(&b, size), payload, size, f.mask, 0);
        buffer_commit(&b, size);
    }
    carrier_deliver(c, buffer_span(&b).data, buffer_size(&b));
    buffer_release(&b);
}

static void send_text(struct carrier *c, const char *text)
{
    send_frame(c, WEBSOCKET_TEXT, true, text, strlen(text));
}

/* Takes the next frame that the server sent. */
static struct websocket_frame next_frame(struct carrier *c, struct span *payload)
{
    struct websocket_frame f = {.size = 0};
    struct span sent = buffer_span(&c->body);
    int head = websocket_frame_read(sent, false, &f);
    assert_true(head > 0);
    assert_true(sent.size >= (size_t)head + f.size);
    *payload = span_part(sent, (size_t)head, f.size);
    buffer_consume(&c->body, (size_t)head + f.size);
    return f;
}

static void expect_frame(struct carrier *c, enum websocket_opcode opcode, const void *data,
                         size_t size)
{
    struct span payload;
    struct websocket_frame f = next_frame(c, &payload);
    assert_int_equal(f.opcode, opcode);
    assert_true(f.is_final);
    assert_int_equal(payload.size, size);
    if (size)
        assert_memory_equal(payload.data, data, size);
}

static void expect_text(struct carrier *c, const char *text)
{
    expect_frame(c, WEBSOCKET_TEXT, text, strlen(text));
}

static void expect_close(struct carrier *c, int code)
{
    struct span payload;
    struct websocket_frame f = next_frame(c, &payload);
    assert_int_equal(f.opcode, WEBSOCKET_CLOSE);
    assert_true(payload.size >= 2);
    assert_int_equal(payload.data[0] << 8 | payload.data[1], code);
    assert_int_equal(buffer_size(&c->body), 0);
}

/* ---- handshakes ---- */

static void test_handshake(void **state)
{
    struct carrier *c = *state;
    connect_to(c, "/ws/lobby");
    assert_field(c, "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_field(c, "sec-websocket-protocol: chat.v2");
    assert_string_equal(routed_websocket_subprotocol(opened), "chat.v2");
    assert_string_equal(routed_websocket_origin(opened), "http://example.org");
    assert_string_equal(routed_request_param(routed_websocket_exchange(opened), "room"), "lobby");
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
    assert_int_equal(closes, 1);
    assert_int_equal(close_code, 1006);
}

static void test_refused_handshakes(void **state)
{
    struct carrier *c = *state;
    routed_engine_counters counters = {.size = sizeof(counters)};
    carrier_do(c, "GET", "/ws/a");
    assert_int_equal(c->status, 426);
    assert_field(c, "sec-websocket-version: 13");
    carrier_request(c, "GET", "/ws/a");
    c->x.request.upgrade = HTTP_UPGRADE_WEBSOCKET;
    carrier_field(c, "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    carrier_field(c, "sec-websocket-version", "8");
    carrier_go(c);
    assert_int_equal(c->status, 426);
    carrier_close(c, ROUTED_OK);
    carrier_request(c, "GET", "/ws/a");
    c->x.request.upgrade = HTTP_UPGRADE_WEBSOCKET;
    carrier_field(c, "sec-websocket-version", "13");
    carrier_go(c);
    assert_int_equal(c->status, 400);
    carrier_close(c, ROUTED_OK);
    carrier_do(c, "POST", "/ws/a");
    assert_int_equal(c->status, 405);
    routed_engine_count(c->engine, &counters);
    assert_int_equal(counters.websockets_refused, 3);
    assert_int_equal(counters.websockets, 0);
    assert_null(opened);
}

/* ---- messages ---- */

static void test_echo(void **state)
{
    struct carrier *c = *state;
    connect_to(c, "/ws/a");
    send_text(c, "hello");
    expect_text(c, "hello");
    send_frame(c, WEBSOCKET_TEXT, false, "one ", 4);
    send_frame(c, WEBSOCKET_PING, true, "p", 1);
    expect_frame(c, WEBSOCKET_PONG, "p", 1);
    send_frame(c, WEBSOCKET_CONTINUATION, true, "two", 3);
    expect_text(c, "one two");
    send_frame(c, WEBSOCKET_BINARY, true, "\xff\x00", 2);
    expect_frame(c, WEBSOCKET_BINARY, "\xff\x00", 2);
    send_frame(c, WEBSOCKET_PONG, true, "", 0);
    assert_int_equal(buffer_size(&c->body), 0);
    assert_int_equal(c->x.request_credit, 65536); /* all of it was given back */
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
}

static void test_close_by_the_client(void **state)
{
    struct carrier *c = *state;
    connect_to(c, "/ws/a");
    send_frame(c, WEBSOCKET_CLOSE, true, "\x0f\xa0why", 5);
    expect_close(c, 4000);
    assert_int_equal(c->ends, 1);
    carrier_close(c, ROUTED_OK);
    assert_int_equal(closes, 1);
    assert_int_equal(close_code, 4000);
    assert_string_equal(close_reason, "why");
    connect_to(c, "/ws/a");
    send_frame(c, WEBSOCKET_CLOSE, true, "", 0);
    expect_frame(c, WEBSOCKET_CLOSE, "", 0);
    carrier_close(c, ROUTED_OK);
    assert_int_equal(close_code, 1005);
}

static void test_close_by_the_application(void **state)
{
    struct carrier *c = *state;
    connect_to(c, "/ws/a");
    send_text(c, "quit");
    assert_int_equal(routed_websocket_send(opened, ROUTED_WEBSOCKET_TEXT, "x", 1),
                     ROUTED_ERROR_CLOSED);
    assert_int_equal(routed_websocket_close(opened, 1000, NULL), ROUTED_ERROR_CLOSED);
    expect_close(c, 4001);
    assert_int_equal(c->ends, 0);
    send_text(c, "too late");
    assert_int_equal(buffer_size(&c->body), 0);
    send_frame(c, WEBSOCKET_CLOSE, true, "\x0f\xa1", 2);
    assert_int_equal(c->ends, 1);
    carrier_close(c, ROUTED_OK);
    assert_int_equal(close_code, 4001);
    assert_string_equal(close_reason, "bye");
}

static void expect_error(struct carrier *c, int code)
{
    expect_close(c, code);
    assert_int_equal(c->ends, 1);
    carrier_close(c, ROUTED_OK);
    assert_int_equal(close_code, code);
}

static void test_errors(void **state)
{
    struct carrier *c = *state;
    static const char large[101] = {0};
    connect_to(c, "/ws/a");
    send_text(c, "\xff");
    expect_error(c, 1007);
    connect_to(c, "/ws/a");
    send_frame(c, WEBSOCKET_BINARY, true, large, 100);
    expect_frame(c, WEBSOCKET_BINARY, large, 100);
    send_frame(c, WEBSOCKET_BINARY, true, large, 101);
    expect_error(c, 1009);
    connect_to(c, "/ws/a");
    carrier_deliver(c, "\x81\x01x", 3); /* not masked */
    expect_error(c, 1002);
    connect_to(c, "/ws/a");
    send_text(c, "fail");
    expect_close(c, 1011);
    carrier_close(c, ROUTED_OK);
    open_result = ROUTED_ERROR_HANDLER;
    connect_to(c, "/ws/a");
    expect_close(c, 1011);
    carrier_close(c, ROUTED_OK);
    assert_int_equal(closes, 5);
}

static void test_lost_connection(void **state)
{
    struct carrier *c = *state;
    connect_to(c, "/ws/a");
    exchange_deliver_end(&c->x, NULL);
    assert_int_equal(c->ends, 1);
    carrier_close(c, ROUTED_OK);
    assert_int_equal(close_code, 1006);
}

static void test_refused_arguments(void **state)
{
    struct carrier *c = *state;
    connect_to(c, "/ws/a");
    assert_int_equal(routed_websocket_send(opened, 3, "x", 1), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_websocket_send(opened, ROUTED_WEBSOCKET_TEXT, "\xc0", 1),
                     ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_websocket_close(opened, 999, NULL), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_websocket_close(opened, 1005, NULL), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_websocket_close(opened, 1000, "\xff"), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_websocket_wait(opened, 0), ROUTED_ERROR_STATE);
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
}

/* ---- backpressure ---- */

static void test_queue_limit(void **state)
{
    struct carrier *c = *state;
    static const char message[500] = {0};
    connect_to(c, "/small");
    c->x.response_credit = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            routed_websocket_send(opened, ROUTED_WEBSOCKET_BINARY, message, sizeof(message)),
            ROUTED_OK);
    assert_true(routed_websocket_queued(opened) >= 1000);
    assert_int_equal(routed_websocket_send(opened, ROUTED_WEBSOCKET_BINARY, "x", 1),
                     ROUTED_ERROR_AGAIN);
    exchange_writable(&c->x, 1);
    assert_int_equal(writables, 0);
    exchange_writable(&c->x, 1000);
    assert_int_equal(writables, 1);
    assert_int_equal(routed_websocket_queued(opened), 0);
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
}

/* An echo to a client that sends and never reads: it is stopped, and loses nothing. */
static void test_client_that_does_not_read(void **state)
{
    struct carrier *c = *state;
    static char message[1000];
    connect_to(c, "/large");
    c->x.response_credit = 0;
    int sent = 0;
    while (c->x.request_credit > 2000) {
        memset(message, 'a' + sent % 26, sizeof(message));
        send_frame(c, WEBSOCKET_TEXT, true, message, sizeof(message));
        sent++;
        assert_true(sent < 1000);
    }
    assert_true(routed_websocket_queued(opened) <= 100000);
    exchange_writable(&c->x, 10000000);
    for (int i = 0; i < sent; i++) {
        memset(message, 'a' + i % 26, sizeof(message));
        expect_frame(c, WEBSOCKET_TEXT, message, sizeof(message));
    }
    assert_int_equal(c->x.request_credit, 65536);
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
}

/* ---- time, stop, threads ---- */

static void test_ping(void **state)
{
    struct carrier *c = *state;
    connect_to(c, "/small");
    while (buffer_size(&c->body) == 0)
        loop_turn(c->loop, 1000);
    expect_frame(c, WEBSOCKET_PING, "", 0);
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
}

static void test_dead_client(void **state)
{
    struct carrier *c = *state;
    connect_to(c, "/dead");
    while (!c->failed)
        loop_turn(c->loop, 1000);
    assert_int_equal(c->failed, ROUTED_ERROR_TIMEOUT);
    carrier_close(c, c->failed);
    assert_int_equal(close_code, 1006);
}

/* What was sent before the close goes first, however slowly the client takes it. */
static void test_close_behind_much(void **state)
{
    struct carrier *c = *state;
    static char text[90000];
    memset(text, 'x', sizeof(text));
    connect_to(c, "/large");
    assert_int_equal(routed_websocket_send(opened, ROUTED_WEBSOCKET_TEXT, text, sizeof(text)), 0);
    assert_int_equal(routed_websocket_send(opened, ROUTED_WEBSOCKET_TEXT, text, sizeof(text)), 0);
    assert_int_equal(routed_websocket_close(opened, 1000, NULL), ROUTED_OK);
    for (int i = 0; i < 20; i++) {
        seconds_ahead += 4;
        exchange_writable(&c->x, 6000);
        loop_turn(c->loop, 0);
        assert_int_equal(c->failed, ROUTED_OK);
    }
    expect_frame(c, WEBSOCKET_TEXT, text, sizeof(text));
    expect_frame(c, WEBSOCKET_TEXT, text, sizeof(text));
    expect_close(c, 1000);
    for (int i = 0; i < 2; i++) {
        seconds_ahead += 6;
        loop_turn(c->loop, 0);
    }
    seconds_ahead = 0;
    assert_int_equal(c->failed, ROUTED_ERROR_TIMEOUT); /* it has all, and does not answer */
    carrier_close(c, c->failed);
    assert_int_equal(close_code, 1000);
}

static void test_stop(void **state)
{
    struct carrier *c = *state;
    routed_engine_counters counters = {.size = sizeof(counters)};
    connect_to(c, "/ws/a");
    engine_shut(c->engine, c->loop);
    engine_shut(c->engine, c->loop);
    expect_close(c, 1001);
    routed_engine_count(c->engine, &counters);
    assert_int_equal(counters.websockets_open, 1);
    send_frame(c, WEBSOCKET_CLOSE, true, "\x03\xe9", 2);
    carrier_close(c, ROUTED_OK);
    assert_int_equal(close_code, 1001);
    /* A socket that opens while the server stops. */
    connect_to(c, "/ws/a");
    expect_close(c, 1001);
    carrier_close(c, ROUTED_OK);
    routed_engine_count(c->engine, &counters);
    assert_int_equal(counters.websockets, 2);
    assert_int_equal(counters.websockets_open, 0);
}

static void *send_numbers(void *argument)
{
    routed_websocket *ws = argument;
    for (int i = 0; i < 1000;) {
        uint32_t number = (uint32_t)i;
        int error = routed_websocket_send(ws, ROUTED_WEBSOCKET_BINARY, &number, sizeof(number));
        if (error == ROUTED_ERROR_AGAIN)
            error = routed_websocket_wait(ws, 60000);
        else
            i++;
        assert_int_equal(error, ROUTED_OK);
    }
    assert_int_equal(routed_websocket_close(ws, 1000, "done"), ROUTED_OK);
    assert_int_equal(routed_websocket_close(ws, 1000, "done"), ROUTED_ERROR_CLOSED);
    routed_websocket_release(ws);
    return NULL;
}

static void test_send_from_another_thread(void **state)
{
    struct carrier *c = *state;
    pthread_t worker;
    connect_to(c, "/small");
    routed_websocket_retain(opened);
    assert_int_equal(pthread_create(&worker, NULL, send_numbers, opened), 0);
    uint32_t expected = 0;
    for (;;) {
        struct span payload;
        while (buffer_size(&c->body) == 0) {
            loop_turn(c->loop, 1);
            exchange_writable(&c->x, 100);
        }
        struct websocket_frame f = next_frame(c, &payload);
        if (f.opcode == WEBSOCKET_PING)
            continue;
        if (f.opcode == WEBSOCKET_CLOSE)
            break;
        assert_int_equal(payload.size, 4);
        assert_memory_equal(payload.data, &expected, 4);
        expected++;
    }
    assert_int_equal(expected, 1000);
    pthread_join(worker, NULL);
    send_frame(c, WEBSOCKET_CLOSE, true, "\x03\xe8", 2);
    carrier_close(c, ROUTED_OK);
    assert_int_equal(close_code, 1000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, carrier_finish)
    const struct CMUnitTest tests[] = {
        TEST(test_handshake),
        TEST(test_refused_handshakes),
        TEST(test_echo),
        TEST(test_close_by_the_client),
        TEST(test_close_by_the_application),
        TEST(test_errors),
        TEST(test_lost_connection),
        TEST(test_refused_arguments),
        TEST(test_queue_limit),
        TEST(test_client_that_does_not_read),
        TEST(test_ping),
        TEST(test_dead_client),
        TEST(test_close_behind_much),
        TEST(test_stop),
        TEST(test_send_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
