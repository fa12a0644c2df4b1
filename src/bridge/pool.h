/* bridge/pool.h: the front's connections to its engines, for one worker.
 *
 * Each engine has one hot slot and a last-in-first-out list of idle connections. A request takes
 * the engine with the fewest requests in flight, round robin among equals; an engine that cannot
 * be connected to is left alone for 10 ms, doubling up to 1 s. While no engine can be had requests
 * wait in one queue, bounded in number and time, and engines are tried at least every 50 ms. */
#ifndef BRIDGE_POOL_H
#define BRIDGE_POOL_H

#include "base/log.h"
#include "base/metrics.h"
#include "bridge/channel.h"
#include "bridge/client.h"
#include <routed/limits.h>

struct bridge_engine;
struct bridge_line;

/* What the holder of a line hears of it; see bridge/channel.h. on_failure must end in
 * bridge_pool_discard. */
struct bridge_line_events {
    void (*on_head)(void *holder, const struct wire_head *head);
    void (*on_body)(void *holder, struct slice *body);
    void (*on_end)(void *holder);
    void (*on_upgrade)(void *holder);
    void (*on_tunnel_close)(void *holder);
    void (*on_drained)(void *holder, size_t content);
    void (*on_failure)(void *holder, int error, const char *text);
};

/* One connection to an engine, held by at most one request. */
struct bridge_line {
    struct bridge_channel channel;
    struct bridge_pool *pool;
    struct bridge_engine *engine;
    struct list_link link;      /* of all lines */
    struct list_link idle_link; /* of the engine's idle list */
    struct loop_timer timer;    /* while connecting or finishing */
    int state;
    bool is_reused; /* answered a request before this one */
    milliseconds idle_since;
    const struct bridge_line_events *events;
    void *holder;
};

/* A request that waits for a line; embedded by who waits. */
struct bridge_wait {
    struct list_link link;
    milliseconds since;
    bool wants_fresh; /* no kept connection will do */
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
    struct loop_timer retry;  /* the queue's next time-out or attempt */
    struct loop_timer expiry; /* of the longest idle line */
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

void bridge_line_hold(struct bridge_line *line, const struct bridge_line_events *events,
                      void *holder);
/* Gives back a line whose exchange is complete: kept when nothing is under way, else closed. */
void bridge_line_keep(struct bridge_line *line);
/* Closes a line that has something to say yet as soon as that is written. */
void bridge_line_finish(struct bridge_line *line);
/* Closes now: this is how version 1 cancels. */
void bridge_line_discard(struct bridge_line *line);
/* For log lines: which engine. */
unsigned bridge_line_engine(const struct bridge_line *line);

/* The point in time `limit` milliseconds from now; CLOCK_NEVER without a limit. */
milliseconds bridge_deadline(milliseconds now, uint64_t limit);

#endif
