#include "engine/socket.h"

#include "base/memory.h"
#include "engine/engine.h"
#include "engine/handshake.h"
#include "engine/order.h"
#include "websocket/handshake.h"
#include "websocket/receiver.h"
#include <routed/websocket.h>

#define SOCKET_WINDOW         65536 /* bytes on their way or held */
#define SOCKET_CLOSE_PATIENCE 5000  /* milliseconds for the peer to go on taking, or to answer */
#define SOCKET_REFILL         1000  /* milliseconds for a ration of pings */

struct routed_websocket {
    routed_exchange *x;
    const struct websocket_route *route;
    struct list_link link; /* of the desk */
    struct loop_timer timer;
    struct websocket_receiver receiver;
    struct buffer held; /* came while the queue was long; at most the window */
    milliseconds heard; /* last sign of life */
    milliseconds pinged;
    milliseconds refilled;
    uint64_t taken; /* of what was sent, when a close was last looked at */
    bool is_open;   /* on_open was called */
    bool is_closing;
    bool has_ended;
    uint16_t code; /* that it ends with; 0: none yet */
    size_t reason_size;
    uint8_t reason[WEBSOCKET_REASON_MAX + 1];
    const char *subprotocol;
    void *user;
};

static const routed_websocket_callbacks *callbacks(const routed_websocket *ws)
{
    return &ws->route->callbacks;
}

static void *route_user(const routed_websocket *ws)
{
    return ws->x->match.route->user;
}

static bool claim_close(routed_exchange *x)
{
    int expected = ANSWER_STREAMING;
    return !engine_exchange_is_over(x) &&
           atomic_compare_exchange_strong(&x->phase, &expected, ANSWER_ENDED);
}

/* ---- sending ---- */

/* A frame as one slice, so that it is never cut in two by another. */
static struct slice make_frame(enum websocket_opcode opcode, struct span payload)
{
    uint8_t head[WEBSOCKET_HEAD_MAX];
    size_t size = websocket_frame_write_server(head, opcode, payload.size);
    struct block *block = block_new(size + payload.size);
    if (!block)
        return SLICE_EMPTY;
    memcpy(block_data(block), head, size);
    if (payload.size)
        memcpy(block_data(block) + size, payload.data, payload.size);
    return (struct slice){block, block_data(block), size + payload.size};
}

static void fail(routed_websocket *ws, int error)
{
    if (error && !engine_exchange_is_over(ws->x))
        engine_chain_cut(ws->x, error);
}

static int send_slice(routed_websocket *ws, struct slice frame)
{
    if (!frame.data)
        return ROUTED_ERROR_MEMORY;
    atomic_fetch_add(&ws->x->queued, frame.size);
    return engine_outbox_write(ws->x, frame);
}

static void end(routed_websocket *ws)
{
    if (ws->has_ended || engine_exchange_is_over(ws->x))
        return;
    ws->has_ended = true;
    fail(ws, engine_outbox_end(ws->x));
}

static void remember(routed_websocket *ws, uint16_t code, struct span reason)
{
    if (ws->code)
        return;
    ws->code = code;
    ws->reason_size = reason.size < WEBSOCKET_REASON_MAX ? reason.size : WEBSOCKET_REASON_MAX;
    if (ws->reason_size)
        memcpy(ws->reason, reason.data, ws->reason_size);
    ws->reason[ws->reason_size] = 0;
}

/* Grows by what leaves for the peer, by nothing else. */
static uint64_t taken_by_peer(const struct exchange *e)
{
    return e->response_bytes + (uint64_t)e->response_credit;
}

static void await_close(routed_websocket *ws)
{
    ws->taken = taken_by_peer(ws->x->exchange);
    loop_timer_set(ws->x->loop, &ws->timer, loop_now(ws->x->loop) + SOCKET_CLOSE_PATIENCE);
}

int engine_socket_send_close(routed_websocket *ws, uint16_t code, struct span reason)
{
    uint8_t frame[WEBSOCKET_CLOSE_FRAME_MAX];
    size_t size = websocket_close_write(frame, code, reason);
    ws->is_closing = true;
    remember(ws, code ? code : 1005, reason);
    await_close(ws);
    return send_slice(ws, slice_copy(span_of(frame, size)));
}

static void close_with(routed_websocket *ws, uint16_t code)
{
    if (claim_close(ws->x))
        fail(ws, engine_socket_send_close(ws, code, SPAN_EMPTY));
}

void engine_socket_shut(routed_websocket *ws)
{
    close_with(ws, 1001);
}

/* ---- receiving ---- */

static void on_message(routed_websocket *ws, const struct websocket_event *event)
{
    int type = event->opcode == WEBSOCKET_TEXT ? ROUTED_WEBSOCKET_TEXT : ROUTED_WEBSOCKET_BINARY;
    if (!callbacks(ws)->on_message || ws->is_closing)
        return;
    if (callbacks(ws)->on_message(ws, type, event->payload.data, event->payload.size,
                                  route_user(ws)) < 0) {
        engine_desk_count(&ws->x->desk->counters.handler_failures, 1);
        close_with(ws, 1011);
    }
}

static void on_close_frame(routed_websocket *ws, const struct websocket_event *event)
{
    remember(ws, event->code ? event->code : 1005, event->payload);
    if (claim_close(ws->x))
        fail(ws, engine_socket_send_close(ws, event->code, SPAN_EMPTY));
    end(ws);
}

static void on_error(routed_websocket *ws, const struct websocket_event *event)
{
    close_with(ws, websocket_close_code(event->error));
    end(ws);
}

static void on_event(routed_websocket *ws, const struct websocket_event *event)
{
    switch (event->type) {
    case WEBSOCKET_EVENT_MESSAGE:
        on_message(ws, event);
        break;
    case WEBSOCKET_EVENT_PING:
        if (!ws->is_closing)
            fail(ws, send_slice(ws, make_frame(WEBSOCKET_PONG, event->payload)));
        break;
    case WEBSOCKET_EVENT_CLOSE:
        on_close_frame(ws, event);
        break;
    case WEBSOCKET_EVENT_ERROR:
        on_error(ws, event);
        break;
    default:
        break;
    }
}

/* Who sends much and reads little is not listened to: else each message could make one more that
 * waits. Half of the limit is left for the answers to one message. */
static bool is_stalled(const routed_websocket *ws)
{
    return engine_exchange_is_over(ws->x) ||
           atomic_load(&ws->x->queued) > ws->route->options.queue_limit / 2;
}

/* Returns how many bytes were used. */
static size_t feed(routed_websocket *ws, struct span input)
{
    struct websocket_event event = {.type = WEBSOCKET_EVENT_PONG};
    size_t size = input.size;
    while (event.type != WEBSOCKET_EVENT_MORE && !is_stalled(ws)) {
        websocket_receiver_feed(&ws->receiver, &input, &event);
        on_event(ws, &event);
    }
    size_t used = size - input.size;
    if (used && !engine_exchange_is_over(ws->x))
        exchange_grant(ws->x->exchange, used);
    return used;
}

static void note_life(routed_websocket *ws)
{
    milliseconds now = loop_now(ws->x->loop);
    ws->heard = now;
    if (now - ws->refilled >= SOCKET_REFILL) {
        ws->refilled = now;
        websocket_receiver_refill(&ws->receiver);
    }
}

void engine_socket_receive(routed_websocket *ws, struct slice bytes)
{
    struct span input = slice_span(bytes);
    note_life(ws);
    if (buffer_size(&ws->held) == 0)
        input = span_after(input, feed(ws, input));
    if (input.size && !engine_exchange_is_over(ws->x))
        fail(ws, buffer_append_span(&ws->held, input));
    slice_release(&bytes);
}

void engine_socket_receive_end(routed_websocket *ws)
{
    claim_close(ws->x);
    ws->is_closing = true;
    end(ws);
}

void engine_socket_writable(routed_websocket *ws)
{
    routed_exchange *x = ws->x;
    ws->heard = loop_now(x->loop);
    if (buffer_size(&ws->held)) {
        buffer_consume(&ws->held, feed(ws, buffer_span(&ws->held)));
        if (buffer_size(&ws->held) == 0)
            buffer_release(&ws->held);
    }
    if (engine_exchange_is_over(x) || x->outbox.first || ws->is_closing)
        return;
    if (atomic_exchange(&x->is_blocked, false) && callbacks(ws)->on_writable)
        callbacks(ws)->on_writable(ws, route_user(ws));
}

/* ---- time ---- */

static void plan(routed_websocket *ws)
{
    const routed_websocket_options *options = &ws->route->options;
    milliseconds last = ws->heard > ws->pinged ? ws->heard : ws->pinged;
    milliseconds due = options->ping_interval ? last + options->ping_interval : CLOCK_NEVER;
    if (options->dead_after && ws->heard + options->dead_after < due)
        due = ws->heard + options->dead_after;
    if (due != CLOCK_NEVER)
        loop_timer_set(ws->x->loop, &ws->timer, due);
}

static void on_due(struct loop_timer *timer)
{
    routed_websocket *ws = LIST_ITEM(timer, routed_websocket, timer);
    const routed_websocket_options *options = &ws->route->options;
    milliseconds now = loop_now(ws->x->loop);
    if (engine_exchange_is_over(ws->x))
        return;
    bool is_taking = ws->is_closing && taken_by_peer(ws->x->exchange) != ws->taken;
    if (is_taking) {
        await_close(ws);
        return;
    }
    if (ws->is_closing || (options->dead_after && now >= ws->heard + options->dead_after)) {
        fail(ws, ROUTED_ERROR_TIMEOUT);
        return;
    }
    milliseconds last = ws->heard > ws->pinged ? ws->heard : ws->pinged;
    if (options->ping_interval && now >= last + options->ping_interval) {
        ws->pinged = now;
        fail(ws, send_slice(ws, make_frame(WEBSOCKET_PING, SPAN_EMPTY)));
    }
    if (!engine_exchange_is_over(ws->x))
        plan(ws);
}

/* ---- opening ---- */

static routed_websocket *socket_new(routed_exchange *x, const struct websocket_route *route)
{
    const char *subprotocol = engine_handshake_subprotocol(x, route);
    routed_websocket *ws = subprotocol ? memory_new_zeroed(sizeof(*ws)) : NULL;
    if (!ws)
        return NULL;
    struct websocket_limits limits = {.message_max = (uint32_t)route->options.message_limit,
                                      .fragments_max = WEBSOCKET_FRAGMENTS_MAX,
                                      .controls_max = WEBSOCKET_CONTROLS_MAX};
    ws->x = x;
    ws->route = route;
    ws->subprotocol = subprotocol;
    ws->heard = ws->pinged = ws->refilled = loop_now(x->loop);
    list_init(&ws->link);
    loop_timer_init(&ws->timer, on_due);
    websocket_receiver_init(&ws->receiver, true, &limits);
    return ws;
}

static void begin(routed_websocket *ws)
{
    routed_exchange *x = ws->x;
    atomic_store(&x->phase, ANSWER_STREAMING);
    ws->is_open = true;
    list_append(&x->desk->websockets, &ws->link);
    engine_desk_count(&x->desk->counters.websockets, 1);
    engine_desk_count(&x->desk->counters.websockets_open, 1);
    plan(ws);
    exchange_grant(x->exchange, SOCKET_WINDOW);
    if (callbacks(ws)->on_open && callbacks(ws)->on_open(ws, route_user(ws)) < 0) {
        engine_desk_count(&x->desk->counters.handler_failures, 1);
        close_with(ws, 1011);
    }
    if (atomic_load(&x->desk->is_shut))
        engine_socket_shut(ws);
}

int engine_socket_open(routed_exchange *x)
{
    if (x->exchange->request.upgrade != HTTP_UPGRADE_WEBSOCKET)
        return engine_handshake_refuse(x, ROUTED_ERROR_UNSUPPORTED);
    int error = websocket_handshake_check(&x->exchange->request);
    if (error)
        return engine_handshake_refuse(x, error);
    routed_websocket *ws = socket_new(x, x->match.route->websocket);
    if (!ws)
        return ROUTED_ERROR_MEMORY;
    error = engine_handshake_answer(x, ws->subprotocol);
    if (error) {
        engine_socket_free(ws);
        x->status = 500;
        return error;
    }
    x->websocket = ws;
    begin(ws);
    return ROUTED_OK;
}

/* ---- the end ---- */

void engine_socket_close(routed_websocket *ws)
{
    routed_exchange *x = ws->x;
    loop_timer_clear(x->loop, &ws->timer);
    list_remove(&ws->link);
    engine_desk_count(&x->desk->counters.websockets_open, -1);
    uint16_t code = ws->code ? ws->code : 1006;
    if (callbacks(ws)->on_close)
        callbacks(ws)->on_close(ws, code, (const char *)ws->reason, ws->reason_size,
                                route_user(ws));
    websocket_receiver_release(&ws->receiver);
    buffer_release(&ws->held);
}

void engine_socket_free(routed_websocket *ws)
{
    memory_free(ws);
}

void engine_shut(routed_engine *engine, struct loop *loop)
{
    struct desk *desk = engine_desk_of(engine, loop);
    if (!desk)
        return;
    atomic_store(&desk->is_shut, true);
    for (struct list_link *l = desk->websockets.next; l != &desk->websockets; l = l->next)
        engine_socket_shut(LIST_ITEM(l, routed_websocket, link));
}

/* ---- the public handle ---- */

static int check_open(const routed_exchange *x)
{
    bool is_open = !engine_exchange_is_over(x) && atomic_load(&x->phase) == (int)ANSWER_STREAMING;
    return is_open ? ROUTED_OK : ROUTED_ERROR_CLOSED;
}

int routed_websocket_send(routed_websocket *ws, int type, const void *data, size_t size)
{
    struct span payload = span_of(data, size);
    bool is_text = type == ROUTED_WEBSOCKET_TEXT;
    if ((!is_text && type != ROUTED_WEBSOCKET_BINARY) || (size && !data) ||
        (is_text && !websocket_utf8_is_valid(payload)))
        return ROUTED_ERROR_ARGUMENT;
    int error = check_open(ws->x);
    if (error)
        return error;
    size_t admitted = size + WEBSOCKET_HEAD_MAX;
    if (!engine_outbox_admit(ws->x, admitted, ws->route->options.queue_limit))
        return ROUTED_ERROR_AGAIN;
    struct order o = {.kind = ORDER_WRITE};
    o.body = make_frame(is_text ? WEBSOCKET_TEXT : WEBSOCKET_BINARY, payload);
    engine_outbox_dismiss(ws->x, admitted - o.body.size);
    return o.body.data ? engine_order_submit(ws->x, &o) : ROUTED_ERROR_MEMORY;
}

int routed_websocket_close(routed_websocket *ws, int code, const char *reason)
{
    struct span text = span_from(reason);
    if (code < 1000 || code > 4999 || !websocket_close_code_is_valid((uint16_t)code) ||
        text.size > WEBSOCKET_REASON_MAX || !websocket_utf8_is_valid(text))
        return ROUTED_ERROR_ARGUMENT;
    if (!claim_close(ws->x))
        return ROUTED_ERROR_CLOSED;
    struct order o = {.kind = ORDER_CLOSE_SOCKET, .number = code, .value = text};
    int error = engine_order_submit(ws->x, &o);
    if (error == ROUTED_ERROR_MEMORY)
        atomic_store(&ws->x->phase, ANSWER_STREAMING);
    return error;
}

int routed_websocket_wait(routed_websocket *ws, uint32_t patience)
{
    int error = check_open(ws->x);
    if (error)
        return error;
    if (engine_exchange_is_here(ws->x))
        return ROUTED_ERROR_STATE;
    return engine_outbox_wait(ws->x, patience, ws->route->options.queue_limit);
}

size_t routed_websocket_queued(const routed_websocket *ws)
{
    return atomic_load(&ws->x->queued);
}

const char *routed_websocket_subprotocol(const routed_websocket *ws)
{
    return ws->x->exchange ? ws->subprotocol : "";
}

const char *routed_websocket_origin(routed_websocket *ws)
{
    return routed_request_field(ws->x, "origin");
}

routed_exchange *routed_websocket_exchange(routed_websocket *ws)
{
    return ws->x;
}

void routed_websocket_set_user(routed_websocket *ws, void *user)
{
    ws->user = user;
}

void *routed_websocket_user(const routed_websocket *ws)
{
    return ws->user;
}

void routed_websocket_retain(routed_websocket *ws)
{
    routed_exchange_retain(ws->x);
}

void routed_websocket_release(routed_websocket *ws)
{
    if (ws)
        routed_exchange_release(ws->x);
}
