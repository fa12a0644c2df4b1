#include "engine/carrier.h"

#include "websocket/frame.h"
#include <routed/events.h>
#include <routed/websocket.h>

/* Every scenario runs once for each allocation that it makes, and each time another one fails.
 * Whatever happens then, nothing crashes, nothing leaks, every exchange is answered or cut, and
 * is told of its end. */

static int opened_sockets;
static int closed_sockets;

static int pass(routed_exchange *x, void *user)
{
    (void)user;
    int error = routed_response_set_field(x, "x-shop", "open");
    return error ? error : ROUTED_NEXT;
}

static int on_complete(routed_exchange *x, const void *bytes, size_t size, void *user)
{
    (void)user;
    return routed_response_bytes(x, "text/plain", bytes, size);
}

static int collect(routed_exchange *x, void *user)
{
    if (!routed_request_param(x, "id") || !routed_request_field(x, "x-a"))
        return ROUTED_ERROR_MEMORY;
    return routed_request_collect(x, 100000, on_complete, user);
}

static int echo_part(routed_exchange *x, const void *bytes, size_t size, int is_end, void *user)
{
    (void)user;
    return is_end ? routed_response_end(x) : routed_response_write(x, bytes, size);
}

static int echo(routed_exchange *x, void *user)
{
    int error = routed_response_begin(x, ROUTED_LENGTH_UNKNOWN);
    return error ? error : routed_request_read(x, echo_part, user);
}

static void tick(routed_exchange *x, void *user)
{
    (void)user;
    int error = routed_events_send(x, "1", "tick", "a\nb");
    if (error)
        routed_response_fail(x, error);
    else
        routed_response_end(x);
}

static int events(routed_exchange *x, void *user)
{
    int error = routed_events_begin(x);
    return error ? error : routed_exchange_post(x, tick, user);
}

static int on_open(routed_websocket *ws, void *user)
{
    (void)ws;
    (void)user;
    opened_sockets++;
    return ROUTED_OK;
}

static int on_message(routed_websocket *ws, int type, const void *data, size_t size, void *user)
{
    (void)user;
    return routed_websocket_send(ws, type, data, size);
}

static void on_close(routed_websocket *ws, int code, const char *reason, size_t size, void *user)
{
    (void)ws;
    (void)code;
    (void)reason;
    (void)size;
    (void)user;
    closed_sockets++;
}

static int build(routed_engine *e)
{
    routed_websocket_callbacks callbacks = ROUTED_WEBSOCKET_CALLBACKS;
    routed_websocket_options options = ROUTED_WEBSOCKET_OPTIONS;
    callbacks.on_open = on_open;
    callbacks.on_message = on_message;
    callbacks.on_close = on_close;
    options.subprotocols = "chat";
    routed_group *shop = routed_engine_group(e, "/shop/{what}");
    if (!shop)
        return ROUTED_ERROR_MEMORY;
    int error = routed_group_use(shop, pass, NULL, NULL);
    if (!error)
        error = routed_group_route(shop, "POST", "/{id}", collect, NULL, NULL);
    if (!error)
        error = routed_engine_route(e, "POST", "/echo", echo, NULL, NULL);
    if (!error)
        error = routed_engine_route(e, "GET", "/events", events, NULL, NULL);
    if (!error)
        error = routed_engine_websocket(e, "/ws", &callbacks, NULL, &options);
    return error ? error : engine_freeze(e);
}

/* What a client would see: an answer, or a cut. */
static void finish(struct carrier *c)
{
    for (int i = 0; i < 3; i++)
        loop_turn(c->loop, 0);
    exchange_writable(&c->x, 1000000);
    carrier_close(c, c->failed ? c->failed : ROUTED_OK);
}

static void upload(struct carrier *c, const char *target)
{
    static const char bytes[5000] = {'a'};
    carrier_request(c, "POST", target);
    c->x.response_credit = 6000;
    c->x.request.content_length = HTTP_LENGTH_UNKNOWN;
    field_list_append_copy(&c->x.request.fields, &c->x.arena, SPAN("x-a"), SPAN("1"));
    carrier_go(c);
    for (int i = 0; i < 4 && !c->failed; i++) {
        struct slice s = slice_copy(span_of(bytes, sizeof(bytes)));
        exchange_deliver(&c->x, s);
    }
    exchange_deliver_end(&c->x, NULL);
    finish(c);
}

static void talk(struct carrier *c)
{
    carrier_request(c, "GET", "/ws");
    struct http_request *r = &c->x.request;
    r->upgrade = HTTP_UPGRADE_WEBSOCKET;
    field_list_append_copy(&r->fields, &c->x.arena, SPAN("sec-websocket-key"),
                           SPAN("dGhlIHNhbXBsZSBub25jZQ=="));
    field_list_append_copy(&r->fields, &c->x.arena, SPAN("sec-websocket-version"), SPAN("13"));
    field_list_append_copy(&r->fields, &c->x.arena, SPAN("sec-websocket-protocol"), SPAN("chat"));
    c->x.response_credit = 1;
    carrier_go(c);
    if (c->x.is_tunnel) {
        static const uint8_t frames[] = {0x81, 0x81, 0, 0, 0, 0, 'a', 0x89, 0x80, 0, 0, 0, 0,
                                         0x81, 0x81, 0, 0, 0, 0, 'b', 0x88, 0x80, 0, 0, 0, 0};
        exchange_deliver(&c->x, slice_copy(span_of(frames, sizeof(frames))));
    }
    finish(c);
}

static void run_scenarios(routed_engine *e, struct carrier *c)
{
    upload(c, "/shop/books/%37");
    upload(c, "/echo");
    carrier_do(c, "GET", "/none");
    carrier_do(c, "DELETE", "/echo");
    carrier_request(c, "GET", "/events");
    carrier_go(c);
    finish(c);
    talk(c);
    routed_engine_counters counters = {.size = sizeof(counters)};
    assert_int_equal(routed_engine_count(e, &counters), ROUTED_OK);
    assert_int_equal(counters.exchanges_open, 0);
    assert_int_equal(counters.websockets_open, 0);
    assert_int_equal(opened_sockets, closed_sockets);
}

/* True when the fault came before the end. */
static bool run_with_fault(struct carrier *c, uint64_t nth)
{
    memory_fault_set(nth);
    routed_engine *e = routed_engine_new();
    if (e && build(e) == ROUTED_OK) {
        c->engine = e;
        run_scenarios(e, c);
        exchange_release(&c->x);
    } else {
        assert_true(memory_fault_fired());
    }
    bool has_fired = memory_fault_fired();
    memory_fault_set(0);
    routed_engine_free(e);
    carrier_clear(c);
    return has_fired;
}

static void test_each_allocation_fails(void **state)
{
    struct carrier c;
    (void)state;
    carrier_setup(&c, NULL);
    size_t held = memory_held();
    uint64_t nth = 1;
    while (run_with_fault(&c, nth)) {
        assert_int_equal(memory_held(), held);
        nth++;
    }
    assert_true(nth > 60);
    assert_int_equal(memory_held(), held);
    carrier_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
