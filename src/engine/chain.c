#include "base/error.h"
#include "engine/exchange.h"
#include "engine/socket.h"

/* ---- failures ---- */

/* What the client is told: its own mistakes by their status, everything else as 500. */
static int status_of(int code)
{
    uint16_t status = error_status(code);
    return code <= -100 && code > -300 && status >= 400 ? status : 500;
}

void engine_chain_cut(routed_exchange *x, int code)
{
    atomic_store(&x->phase, ANSWER_ENDED);
    exchange_fail(x->exchange, code);
    engine_outbox_close(x);
}

/* What the handler said of content that is not sent must not be said of the text that is. */
static void remove_content_fields(routed_exchange *x)
{
    static const enum field_name names[] = {
        FIELD_CONTENT_ENCODING, FIELD_CONTENT_RANGE, FIELD_ETAG,
        FIELD_LAST_MODIFIED,    FIELD_CACHE_CONTROL, FIELD_LOCATION};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        engine_head_remove_field(x, field_text(names[i]));
}

static void answer_or_cut(routed_exchange *x, int status, int code)
{
    struct exchange *e = x->exchange;
    x->body.is_dropped = true;
    if (!e || e->is_closed || e->is_failed)
        return;
    if (e->response_phase == EXCHANGE_HEAD) {
        atomic_store(&x->phase, ANSWER_ENDED);
        remove_content_fields(x);
        if (engine_head_send_error(x, status) != ROUTED_OK)
            engine_chain_cut(x, code);
    } else if (e->response_phase != EXCHANGE_ENDED) {
        engine_chain_cut(x, code);
    }
}

void engine_chain_fail(routed_exchange *x, int code)
{
    if (engine_exchange_is_over(x))
        return;
    engine_desk_count(&x->desk->counters.handler_failures, 1);
    int status = status_of(code);
    answer_or_cut(x, status, status == 500 ? ROUTED_ERROR_HANDLER : code);
}

void engine_chain_refuse_body(routed_exchange *x)
{
    engine_desk_count(&x->desk->counters.bodies_too_large, 1);
    answer_or_cut(x, 413, ROUTED_ERROR_CONTENT_TOO_LARGE);
}

/* ---- after the middleware ---- */

int engine_chain_answer_error(routed_exchange *x, int status)
{
    atomic_store(&x->phase, ANSWER_ENDED);
    return engine_head_send_error(x, status);
}

static int answer_allow(routed_exchange *x, int status)
{
    struct span allow = engine_route_allow(&x->exchange->arena, x->engine, x->match.allowed);
    if (!allow.data)
        return ROUTED_ERROR_MEMORY;
    int error = engine_head_set_field(x, SPAN("allow"), allow);
    if (error)
        return error;
    atomic_store(&x->phase, ANSWER_ENDED);
    if (status != 204)
        return engine_head_send_error(x, status);
    x->status = 204;
    return engine_head_send_whole(x, SLICE_EMPTY);
}

static int call_handler(routed_exchange *x)
{
    const struct route *route = x->match.route;
    if (route->websocket)
        return engine_socket_open(x);
    int64_t length = x->exchange->request.content_length;
    if (route->body_limit >= 0 && length > route->body_limit) {
        engine_chain_refuse_body(x);
        return ROUTED_OK;
    }
    return route->handler(x, route->user);
}

static int answer(routed_exchange *x)
{
    switch (x->match.answer) {
    case ROUTE_HANDLER:
        return call_handler(x);
    case ROUTE_NOT_ALLOWED:
        return answer_allow(x, 405);
    case ROUTE_OPTIONS:
        return answer_allow(x, 204);
    case ROUTE_BAD_TARGET:
        return engine_chain_answer_error(x, 400);
    default:
        return engine_chain_answer_error(x, 404);
    }
}

/* ---- middleware ---- */

static bool is_answered(const routed_exchange *x)
{
    return engine_exchange_is_over(x) || atomic_load(&x->phase) != ANSWER_OPEN;
}

/* ROUTED_NEXT when all layers let the exchange pass. */
static int run_layers(routed_exchange *x)
{
    const struct layer_list *chain = &x->match.group->chain;
    while (x->layers_entered < chain->count) {
        const struct layer *layer = &chain->items[x->layers_entered++];
        int result = layer->before ? layer->before(x, layer->user) : ROUTED_NEXT;
        if (result < 0)
            return result;
        if (result == ROUTED_STOP && !x->is_next) {
            x->may_run = true;
            return ROUTED_STOP;
        }
        x->is_next = false;
        if (is_answered(x))
            return ROUTED_STOP;
    }
    return ROUTED_NEXT;
}

void engine_chain_run(routed_exchange *x)
{
    if (x->is_running) {
        x->is_next = true;
        return;
    }
    if (!x->may_run || is_answered(x))
        return;
    x->may_run = false;
    x->is_running = true;
    int result = run_layers(x);
    if (result == ROUTED_NEXT)
        result = answer(x);
    if (result < 0)
        engine_chain_fail(x, result);
    x->is_running = false;
}

void engine_chain_run_after_hooks(routed_exchange *x)
{
    if (x->hooks_ran)
        return;
    x->hooks_ran = true;
    const struct layer_list *chain = &x->match.group->chain;
    for (size_t i = x->layers_entered; i > 0; i--)
        if (chain->items[i - 1].after)
            chain->items[i - 1].after(x, chain->items[i - 1].user);
}
