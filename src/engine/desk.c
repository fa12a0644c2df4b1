#include "engine/desk.h"

#include "base/memory.h"
#include "engine/exchange.h"

static struct desk *find(const routed_engine *engine, const struct loop *loop)
{
    struct desk *d = atomic_load_explicit(&engine->desks, memory_order_acquire);
    while (d && d->loop != loop)
        d = d->next;
    return d;
}

static struct desk *add(routed_engine *engine, struct loop *loop)
{
    struct desk *d = memory_new_zeroed(sizeof(*d));
    if (!d)
        return NULL;
    d->loop = loop;
    list_init(&d->websockets);
    pthread_mutex_lock(&engine->desk_lock);
    d->next = atomic_load_explicit(&engine->desks, memory_order_relaxed);
    atomic_store_explicit(&engine->desks, d, memory_order_release);
    pthread_mutex_unlock(&engine->desk_lock);
    return d;
}

struct desk *engine_desk_of(routed_engine *engine, struct loop *loop)
{
    struct desk *d = find(engine, loop);
    return d ? d : add(engine, loop);
}

void engine_desk_open_all(routed_engine *engine)
{
    for (struct desk *d = atomic_load(&engine->desks); d; d = d->next)
        atomic_store(&d->is_shut, false);
}

void engine_desk_free_all(routed_engine *engine)
{
    struct desk *d = atomic_load(&engine->desks);
    while (d) {
        struct desk *next = d->next;
        while (d->spares) {
            struct routed_exchange *x = d->spares;
            d->spares = x->next_spare;
            engine_exchange_free(x);
        }
        block_release(d->answer);
        memory_free(d);
        d = next;
    }
}

int routed_engine_count(const routed_engine *engine, routed_engine_counters *counters)
{
    if (!engine || !counters || counters->size < sizeof(size_t))
        return ROUTED_ERROR_ARGUMENT;
    routed_engine_counters sum = {.size = counters->size};
    struct desk *d = atomic_load_explicit(&engine->desks, memory_order_acquire);
    for (; d; d = d->next) {
        struct counters *c = &d->counters;
        sum.exchanges += atomic_load_explicit(&c->exchanges, memory_order_relaxed);
        sum.exchanges_open += atomic_load_explicit(&c->exchanges_open, memory_order_relaxed);
        sum.exchanges_cut += atomic_load_explicit(&c->exchanges_cut, memory_order_relaxed);
        sum.handler_failures += atomic_load_explicit(&c->handler_failures, memory_order_relaxed);
        sum.bodies_too_large += atomic_load_explicit(&c->bodies_too_large, memory_order_relaxed);
        sum.websockets += atomic_load_explicit(&c->websockets, memory_order_relaxed);
        sum.websockets_open += atomic_load_explicit(&c->websockets_open, memory_order_relaxed);
        sum.websockets_refused +=
            atomic_load_explicit(&c->websockets_refused, memory_order_relaxed);
    }
    size_t size = counters->size < sizeof(sum) ? counters->size : sizeof(sum);
    memcpy(counters, &sum, size);
    return ROUTED_OK;
}
