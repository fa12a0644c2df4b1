/* bridge/pool.h: the front's connections to its engines, for one worker.
 *
 * Each engine has one hot slot and a last-in-first-out list of idle connections. A request takes
 * the engine with the fewest requests in flight, round robin among equals; an engine that cannot
 * be connected to is left alone for 10 ms, doubling up to 1 s. While no engine can be had requests
 * wait in one queue, bounded in number and time, and engines are tried at least every 50 ms. As
 * often it is looked whether an engine is down that had not accepted a connection: the connection
 * alone would not tell, since the listening socket outlives the engine. */
#ifndef BRIDGE_POOL_H
#define BRIDGE_POOL_H

#include "base/log.h"
#include "base/metrics.h"
#include "bridge/client.h"
#include "bridge/line.h"
#include <routed/limits.h>

/* A request that waits for a line; embedded by who waits. */
struct bridge_wait {
    struct list_link link;
    milliseconds since;
    bool wants_fresh; /* no kept connection will do */
    bool can_repeat;  /* a kept connection that fails at once costs nothing but time */
    /* From the loop. The wait is over; the line is the waiter's until it gives it back. */
    void (*on_line)(struct bridge_wait *w, struct bridge_line *line);
    void (*on_refused)(struct bridge_wait *w, int error);
};

struct bridge_pool {
    struct bridge_channel_host host;
    const struct bridge_client_options *options;
    const routed_limits *limits;
    const struct log *log;
    struct metric_set *metrics;
    struct bridge_engine *engines;
    unsigned next; /* where the search for an engine starts */
    unsigned connecting;
    struct list_link lines;
    struct list_link waiting;
    unsigned waiting_count;
    struct loop_task serve;
    struct loop_task ring;    /* for engines that have news */
    struct loop_timer retry;  /* the queue's next time-out or attempt */
    struct loop_timer expiry; /* of the longest idle line */
    struct loop_timer watch;  /* over lines that no engine may have accepted yet */
    bool is_shut;
};

/* ROUTED_OK or ROUTED_ERROR_MEMORY. All pointers outlive the pool. */
int bridge_pool_init(struct bridge_pool *p, struct loop *loop,
                     const struct bridge_client_options *options, const routed_limits *limits,
                     const struct log *log, struct metric_set *metrics);
/* Closes every line; none may be held, nobody may wait. */
void bridge_pool_release(struct bridge_pool *p);
/* Keeps no idle lines from now on. */
void bridge_pool_shut(struct bridge_pool *p);

/* ROUTED_OK and *line, or ROUTED_ERROR_AGAIN: on_line or on_refused will come. Or
 * ROUTED_ERROR_NO_ENGINE: the queue is full; or ROUTED_ERROR_MEMORY. */
int bridge_pool_take(struct bridge_pool *p, struct bridge_wait *w, struct bridge_line **line);
/* Ends a wait; harmless when it is over. */
void bridge_pool_leave(struct bridge_pool *p, struct bridge_wait *w);

/* ---- for bridge/line.c ---- */

/* Those who wait are served before the loop sleeps. */
void bridge_pool_wake(struct bridge_pool *p);
/* The engine was given something to read: it is woken when this turn has written all it has. */
void bridge_pool_ring(struct bridge_pool *p, struct bridge_engine *e);
/* A new line goes to who waits longest, or is kept. */
void bridge_pool_give(struct bridge_pool *p, struct bridge_line *line);
/* The line was made, and is in nobody's hands but the kernel's until the engine accepts it. */
void bridge_pool_watch(struct bridge_pool *p);
/* The line became idle. */
void bridge_pool_expire_later(struct bridge_pool *p, const struct bridge_line *line);

/* The point in time `limit` milliseconds from now; CLOCK_NEVER without a limit. */
milliseconds bridge_deadline(milliseconds now, uint64_t limit);

#endif
