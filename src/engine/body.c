#include "base/memory.h"
#include "engine/exchange.h"
#include "engine/order.h"

static bool may_tell(const routed_exchange *x)
{
    const struct body_reader *b = &x->body;
    return !b->is_paused && !b->is_refused && !b->is_dropped && !engine_exchange_is_over(x);
}

/* One call of on_body. True when the bytes were taken. */
static bool tell(routed_exchange *x, struct span bytes, bool is_end)
{
    struct body_reader *b = &x->body;
    b->is_telling = true;
    int result = b->on_body(x, bytes.data, bytes.size, is_end, b->user);
    b->is_telling = false;
    if (result == ROUTED_OK)
        return true;
    if (result == ROUTED_ERROR_AGAIN)
        b->is_refused = true;
    else if (!engine_exchange_is_over(x))
        engine_chain_fail(x, result);
    return false;
}

static void grant(routed_exchange *x, size_t bytes)
{
    if (!engine_exchange_is_over(x) && !x->body.is_dropped)
        exchange_grant(x->exchange, bytes);
}

void engine_body_continue(routed_exchange *x)
{
    struct body_reader *b = &x->body;
    if (!b->on_body || b->is_telling)
        return;
    while (buffer_size(&b->held) && may_tell(x)) {
        struct span held = buffer_span(&b->held);
        if (!tell(x, held, false))
            continue;
        buffer_consume(&b->held, held.size);
        grant(x, held.size);
    }
    if (buffer_size(&b->held) == 0)
        buffer_release(&b->held);
    while (b->has_ended && !b->end_is_told && buffer_size(&b->held) == 0 && may_tell(x))
        b->end_is_told = tell(x, SPAN_EMPTY, true);
}

static void hold(routed_exchange *x, struct span bytes)
{
    int error = buffer_append_span(&x->body.held, bytes);
    if (error)
        engine_chain_fail(x, error);
}

static void tell_or_hold(routed_exchange *x, struct slice *bytes)
{
    struct body_reader *b = &x->body;
    if (!may_tell(x) || b->is_telling || buffer_size(&b->held)) {
        hold(x, slice_span(*bytes));
        return;
    }
    b->current = *bytes;
    bool is_taken = tell(x, slice_span(*bytes), false);
    b->current = SLICE_EMPTY;
    if (is_taken) {
        grant(x, bytes->size);
    } else if (b->is_refused) {
        hold(x, slice_span(*bytes));
        /* Resumed from inside the callback that then refused. */
        engine_body_continue(x);
    }
}

void engine_body_receive(routed_exchange *x, struct slice bytes)
{
    struct body_reader *b = &x->body;
    if (b->on_body && !b->is_dropped && !engine_exchange_is_over(x)) {
        b->received += bytes.size;
        if (b->limit >= 0 && b->received > (uint64_t)b->limit)
            engine_chain_refuse_body(x);
        else
            tell_or_hold(x, &bytes);
    }
    slice_release(&bytes);
}

static int copy_trailers(routed_exchange *x, const struct field_list *trailers)
{
    int error = ROUTED_OK;
    for (size_t i = 0; trailers && i < trailers->count && !error; i++)
        error = field_list_append_copy(&x->body.trailers, &x->exchange->arena,
                                       trailers->items[i].text, trailers->items[i].value);
    return error;
}

void engine_body_receive_end(routed_exchange *x, const struct field_list *trailers)
{
    x->body.has_ended = true;
    if (engine_exchange_is_over(x))
        return;
    int error = copy_trailers(x, trailers);
    if (error)
        engine_chain_fail(x, error);
    else
        engine_body_continue(x);
}

void engine_body_release(routed_exchange *x)
{
    buffer_release(&x->body.held);
    buffer_release(&x->body.collected);
}

/* ---- for the handler ---- */

int routed_request_read(routed_exchange *x, routed_body_callback *on_body, void *user)
{
    if (!on_body)
        return ROUTED_ERROR_ARGUMENT;
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (x->body.on_body || x->websocket || !engine_exchange_is_here(x))
        return ROUTED_ERROR_STATE;
    x->body.on_body = on_body;
    x->body.user = user;
    x->body.limit = x->match.route ? x->match.route->body_limit : ROUTED_BODY_LIMIT;
    if (!x->body.has_ended) {
        exchange_grant(x->exchange, BODY_WINDOW);
        return ROUTED_OK;
    }
    /* The end came before anyone asked: told soon, not from inside this call. */
    return engine_order_post(x, &(struct order){.kind = ORDER_RESUME});
}

int routed_request_pause(routed_exchange *x)
{
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (!x->body.on_body || !engine_exchange_is_here(x))
        return ROUTED_ERROR_STATE;
    x->body.is_paused = true;
    return ROUTED_OK;
}

int routed_request_resume(routed_exchange *x)
{
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    return engine_order_submit(x, &(struct order){.kind = ORDER_RESUME});
}

/* ---- whole bodies ---- */

static int complete(routed_exchange *x)
{
    struct body_reader *b = &x->body;
    uint8_t *end = buffer_reserve(&b->collected, 1);
    if (!end)
        return ROUTED_ERROR_MEMORY;
    *end = 0;
    struct span whole = buffer_span(&b->collected);
    return b->on_complete(x, whole.data, whole.size, b->complete_user);
}

static int on_collect(routed_exchange *x, const void *bytes, size_t size, int is_end, void *user)
{
    struct body_reader *b = user;
    if (is_end)
        return complete(x);
    if (size > b->collect_limit - buffer_size(&b->collected)) {
        engine_chain_refuse_body(x);
        return ROUTED_OK;
    }
    return buffer_append(&b->collected, bytes, size);
}

int routed_request_collect(routed_exchange *x, size_t limit, routed_collect_callback *on_complete,
                           void *user)
{
    if (!on_complete)
        return ROUTED_ERROR_ARGUMENT;
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (x->body.on_body)
        return ROUTED_ERROR_STATE;
    int64_t length = x->exchange->request.content_length;
    if (length > 0 && (uint64_t)length > limit) {
        engine_chain_refuse_body(x);
        return ROUTED_OK;
    }
    x->body.on_complete = on_complete;
    x->body.complete_user = user;
    x->body.collect_limit = limit;
    size_t first = length > COLLECT_FIRST_MAX ? COLLECT_FIRST_MAX : (size_t)(length + 1);
    if (length > 0 && !buffer_reserve(&x->body.collected, first))
        return ROUTED_ERROR_MEMORY;
    return routed_request_read(x, on_collect, &x->body);
}
