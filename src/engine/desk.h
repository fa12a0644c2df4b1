/* engine/desk.h: what an engine keeps for each thread (loop) that it works on: counters without
 * contention, exchange objects and a block for reuse, the open WebSockets.
 *
 * A desk is found by its loop and lives as long as the engine. Only its own thread uses it, but
 * for the counters, which any thread may read. */
#ifndef ENGINE_DESK_H
#define ENGINE_DESK_H

#include "engine/setup.h"

/* Exchange objects kept for reuse, of 0.8 KiB: some connections' worth of streams is under way at
 * once. */
#define DESK_SPARES_MAX 1024

struct counters {
    atomic_uint_fast64_t exchanges;
    atomic_uint_fast64_t exchanges_open;
    atomic_uint_fast64_t exchanges_cut;
    atomic_uint_fast64_t handler_failures;
    atomic_uint_fast64_t bodies_too_large;
    atomic_uint_fast64_t websockets;
    atomic_uint_fast64_t websockets_open;
    atomic_uint_fast64_t websockets_refused;
};

struct desk {
    struct desk *next;
    struct loop *loop; /* a name, never used: the loop may be gone */
    struct counters counters;
    struct routed_exchange *spares;
    size_t spare_count;
    struct block *answer; /* what small answers are copied into, one after the other */
    struct list_link websockets;
    atomic_bool is_shut; /* the server stops: no more WebSockets */
};

/* The desk of this loop, made if need be; NULL without memory. */
struct desk *engine_desk_of(routed_engine *engine, struct loop *loop);
/* A server starts: the desks of one that stopped may be used again. */
void engine_desk_open_all(routed_engine *engine);
void engine_desk_free_all(routed_engine *engine);

/* Each counter has one writer. */
static inline void engine_desk_count(atomic_uint_fast64_t *counter, int64_t change)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + (uint64_t)change, memory_order_relaxed);
}

#endif
