#include "engine/exchange.h"

#include "base/memory.h"
#include "engine/engine.h"
#include "engine/order.h"
#include "engine/socket.h"

/* ---- the object ---- */

static bool room_open(struct waiting_room *room)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic))
        return false;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&room->lock, NULL);
    pthread_cond_init(&room->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    atomic_init(&room->waiting, 0);
    return true;
}

static routed_exchange *exchange_new(void)
{
    routed_exchange *x = memory_new(sizeof(*x));
    if (x && !room_open(&x->room)) {
        memory_free(x);
        return NULL;
    }
    return x;
}

void engine_exchange_free(routed_exchange *x)
{
    pthread_mutex_destroy(&x->room.lock);
    pthread_cond_destroy(&x->room.changed);
    memory_free(x);
}

static routed_exchange *take_spare(struct desk *desk)
{
    routed_exchange *x = desk->spares;
    if (!x)
        return exchange_new();
    desk->spares = x->next_spare;
    desk->spare_count--;
    return x;
}

static void prepare(routed_exchange *x, struct exchange *e, routed_engine *engine,
                    struct desk *desk)
{
    memset(x, 0, offsetof(routed_exchange, match));
    atomic_init(&x->references, 1);
    x->engine = engine;
    x->desk = desk;
    x->loop = e->loop;
    loop_retain(x->loop);
    x->exchange = e;
    x->status = 200;
    x->may_run = true;
    list_init(&x->timers);
}

void routed_exchange_retain(routed_exchange *x)
{
    atomic_fetch_add_explicit(&x->references, 1, memory_order_relaxed);
}

void routed_exchange_release(routed_exchange *x)
{
    if (!x || atomic_fetch_sub_explicit(&x->references, 1, memory_order_acq_rel) != 1)
        return;
    if (x->websocket)
        engine_socket_free(x->websocket);
    bool is_here = engine_exchange_is_here(x);
    loop_release(x->loop);
    if (is_here && x->desk->spare_count < DESK_SPARES_MAX) {
        x->next_spare = x->desk->spares;
        x->desk->spares = x;
        x->desk->spare_count++;
    } else {
        engine_exchange_free(x);
    }
}

/* ---- the application ---- */

static void on_request(struct exchange *e, void *context)
{
    routed_engine *engine = context;
    e->application_state = NULL;
    e->reached_application = true;
    if (!atomic_load_explicit(&engine->is_frozen, memory_order_acquire)) {
        exchange_fail(e, ROUTED_ERROR_STATE);
        return;
    }
    struct desk *desk = engine_desk_of(engine, e->loop);
    routed_exchange *x = desk ? take_spare(desk) : NULL;
    if (!x) {
        exchange_fail(e, ROUTED_ERROR_MEMORY);
        return;
    }
    prepare(x, e, engine, desk);
    e->application_state = x;
    engine_desk_count(&desk->counters.exchanges, 1);
    engine_desk_count(&desk->counters.exchanges_open, 1);
    engine_route_match(&x->match, engine, &e->request);
    engine_chain_run(x);
}

static void on_body(struct exchange *e, struct slice body)
{
    routed_exchange *x = e->application_state;
    if (x->websocket)
        engine_socket_receive(x->websocket, body);
    else
        engine_body_receive(x, body);
}

static void on_end(struct exchange *e, const struct field_list *trailers)
{
    routed_exchange *x = e->application_state;
    if (x->websocket)
        engine_socket_receive_end(x->websocket);
    else
        engine_body_receive_end(x, trailers);
}

static void on_writable(struct exchange *e)
{
    routed_exchange *x = e->application_state;
    engine_outbox_drain(x);
    if (engine_exchange_is_over(x))
        return;
    if (x->websocket)
        engine_socket_writable(x->websocket);
    else
        engine_outbox_notify(x);
}

static void clear_timers(routed_exchange *x)
{
    while (!list_is_empty(&x->timers)) {
        struct exchange_timer *t = LIST_ITEM(x->timers.next, struct exchange_timer, link);
        list_remove(&t->link);
        loop_timer_clear(x->loop, &t->timer);
    }
}

static void tell_end(routed_exchange *x, int error)
{
    if (x->websocket)
        engine_socket_close(x->websocket);
    for (struct close_hook *h = x->close_hooks; h; h = h->next)
        h->callback(x, error, h->user);
    for (size_t i = 0; i < x->engine->done_hook_count; i++)
        x->engine->done_hooks[i].callback(x, error, x->engine->done_hooks[i].user);
}

static void on_close(struct exchange *e, int error)
{
    routed_exchange *x = e->application_state;
    if (!x)
        return;
    engine_outbox_close(x);
    clear_timers(x);
    engine_outbox_release(x);
    tell_end(x, error);
    engine_body_release(x);
    engine_desk_count(&x->desk->counters.exchanges_open, -1);
    if (error)
        engine_desk_count(&x->desk->counters.exchanges_cut, 1);
    x->exchange = NULL;
    routed_exchange_release(x);
}

const struct exchange_application *engine_application(void)
{
    static const struct exchange_application application = {.on_request = on_request,
                                                            .on_body = on_body,
                                                            .on_end = on_end,
                                                            .on_writable = on_writable,
                                                            .on_close = on_close};
    return &application;
}

/* ---- the handle ---- */

int routed_exchange_next(routed_exchange *x)
{
    return engine_order_submit(x, &(struct order){.kind = ORDER_NEXT});
}

int routed_exchange_post(routed_exchange *x, routed_callback *callback, void *user)
{
    if (!callback)
        return ROUTED_ERROR_ARGUMENT;
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    return engine_order_post(
        x, &(struct order){.kind = ORDER_CALL, .callback = callback, .user = user});
}

static void on_due(struct loop_timer *timer)
{
    struct exchange_timer *t = LIST_ITEM(timer, struct exchange_timer, timer);
    routed_exchange *x = t->x;
    list_remove(&t->link);
    t->next_free = x->free_timers;
    x->free_timers = t;
    if (!engine_exchange_is_over(x))
        t->callback(x, t->user);
}

static struct exchange_timer *take_timer(routed_exchange *x)
{
    struct exchange_timer *t = x->free_timers;
    if (t) {
        x->free_timers = t->next_free;
        return t;
    }
    t = arena_new(&x->exchange->arena, sizeof(*t));
    if (!t)
        return NULL;
    loop_timer_init(&t->timer, on_due);
    list_init(&t->link);
    t->x = x;
    return t;
}

int routed_exchange_after(routed_exchange *x, uint32_t delay, routed_callback *callback, void *user)
{
    if (!callback)
        return ROUTED_ERROR_ARGUMENT;
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (!engine_exchange_is_here(x))
        return ROUTED_ERROR_STATE;
    struct exchange_timer *t = take_timer(x);
    if (!t)
        return ROUTED_ERROR_MEMORY;
    t->callback = callback;
    t->user = user;
    list_append(&x->timers, &t->link);
    loop_timer_set(x->loop, &t->timer, loop_now(x->loop) + delay);
    return ROUTED_OK;
}

int routed_exchange_on_close(routed_exchange *x, routed_close_callback *callback, void *user)
{
    if (!callback)
        return ROUTED_ERROR_ARGUMENT;
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    struct close_hook *h = arena_new(&x->exchange->arena, sizeof(*h));
    if (!h)
        return ROUTED_ERROR_MEMORY;
    *h = (struct close_hook){x->close_hooks, callback, user};
    x->close_hooks = h;
    return ROUTED_OK;
}

int routed_exchange_is_closed(const routed_exchange *x)
{
    return engine_exchange_is_over(x);
}

void *routed_exchange_memory(routed_exchange *x, size_t size)
{
    return x->exchange ? arena_new(&x->exchange->arena, size) : NULL;
}

void routed_exchange_set_user(routed_exchange *x, void *user)
{
    x->user = user;
}

void *routed_exchange_user(const routed_exchange *x)
{
    return x->user;
}

int routed_exchange_status(const routed_exchange *x)
{
    return x->exchange ? x->exchange->status : 0;
}

uint64_t routed_exchange_sent(const routed_exchange *x)
{
    return x->exchange ? x->exchange->response_bytes : 0;
}

uint64_t routed_exchange_received(const routed_exchange *x)
{
    return x->exchange ? x->exchange->request_bytes : 0;
}
