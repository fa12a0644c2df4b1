/* bridge/line.h: one connection of the front to an engine: made, held by one request at a time,
 * kept idle in between, closed. Which line a request gets is the pool's business. */
#ifndef BRIDGE_LINE_H
#define BRIDGE_LINE_H

#include "base/clock.h"
#include "bridge/channel.h"

struct bridge_pool;
struct bridge_line;

/* An engine as the pool sees it. */
struct bridge_engine {
    struct bridge_line *hot; /* the line that became idle last */
    struct list_link idle;   /* the others, newest first */
    unsigned idle_count;     /* with the hot one */
    unsigned open;           /* lines in any state */
    unsigned connecting;
    bool has_news; /* it was sent something, or a line was closed, and its bell not rung yet */
    milliseconds backoff; /* 0: the last attempt was good */
    milliseconds tried_at;
};

enum bridge_line_state {
    LINE_CONNECTING,
    LINE_IDLE,
    LINE_HELD,
    LINE_FINISHING /* says its last bytes, then closes */
};

/* What the holder of a line hears of it; see bridge/channel.h. on_failure must end in
 * bridge_line_discard. */
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
    enum bridge_line_state state;
    bool is_reused; /* answered a request before this one */
    milliseconds idle_since;
    const struct bridge_line_events *events;
    void *holder;
};

/* A line that stands, or NULL: it is being made (the pool's count of connecting says so), or it
 * failed (the engine is in back-off). */
struct bridge_line *bridge_line_connect(struct bridge_pool *p, struct bridge_engine *e);
/* The newest idle line, or NULL. Unless the request can be repeated where it turns out to be
 * closed, the kernel is asked whether it still stands. */
struct bridge_line *bridge_line_take(struct bridge_pool *p, struct bridge_engine *e,
                                     bool can_repeat);
/* Idle lines; NULL when there is none. */
struct bridge_line *bridge_line_newest(const struct bridge_engine *e);
struct bridge_line *bridge_line_oldest(const struct bridge_engine *e);

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

#endif
