#include "bridge/line.h"

#include "base/memory.h"
#include "bridge/pool.h"
#include <routed/error.h>

#define BACKOFF_FIRST 10
#define BACKOFF_MAX   1000
/* A line that was idle for less is not asked whether it is alive: its events are fresh. In
 * milliseconds. */
#define TRUSTED_IDLE 1
/* For the last bytes of a line that finishes. */
#define FINISH_TIMEOUT 5000

unsigned bridge_line_engine(const struct bridge_line *line)
{
    return (unsigned)(line->engine - line->pool->engines);
}

/* ---- idle lines ---- */

static void leave_idle(struct bridge_line *line)
{
    struct bridge_engine *e = line->engine;
    if (e->hot == line)
        e->hot = NULL;
    list_remove(&line->idle_link);
    e->idle_count--;
    metric_subtract(line->pool->metrics, BRIDGE_IDLE, 1);
}

static void enter_idle(struct bridge_line *line)
{
    struct bridge_engine *e = line->engine;
    struct bridge_pool *p = line->pool;
    line->state = LINE_IDLE;
    line->idle_since = loop_now(p->host.loop);
    if (e->hot)
        list_prepend(&e->idle, &e->hot->idle_link);
    e->hot = line;
    e->idle_count++;
    metric_add(p->metrics, BRIDGE_IDLE, 1);
    bridge_pool_expire_later(p, line);
}

struct bridge_line *bridge_line_newest(const struct bridge_engine *e)
{
    if (e->hot)
        return e->hot;
    return list_is_empty(&e->idle) ? NULL : LIST_ITEM(e->idle.next, struct bridge_line, idle_link);
}

struct bridge_line *bridge_line_oldest(const struct bridge_engine *e)
{
    if (list_is_empty(&e->idle))
        return e->hot;
    return LIST_ITEM(e->idle.previous, struct bridge_line, idle_link);
}

/* ---- closing lines ---- */

static void on_line_free(struct bridge_channel *c)
{
    memory_free(LIST_ITEM(c, struct bridge_line, channel));
}

void bridge_line_discard(struct bridge_line *line)
{
    struct bridge_pool *p = line->pool;
    if (line->state == LINE_IDLE)
        leave_idle(line);
    if (line->state == LINE_CONNECTING) {
        line->engine->connecting--;
        p->connecting--;
    } else {
        metric_subtract(p->metrics, BRIDGE_OPEN, 1);
    }
    line->engine->open--;
    list_remove(&line->link);
    loop_timer_clear(p->host.loop, &line->timer);
    bridge_pool_wake(p);
    bridge_pool_ring(p, line->engine);
    bridge_channel_close(&line->channel);
}

/* ---- connecting ---- */

static void on_connect_failed(struct bridge_pool *p, struct bridge_engine *e, int error)
{
    metric_add(p->metrics, BRIDGE_CONNECT_FAILURES, 1);
    if (e->backoff == 0)
        log_write(p->log, LOG_WARNING, "engine %u: no connection: %s", (unsigned)(e - p->engines),
                  routed_error_text(error));
    e->backoff = e->backoff ? e->backoff * 2 : BACKOFF_FIRST;
    if (e->backoff > BACKOFF_MAX)
        e->backoff = BACKOFF_MAX;
}

static bool peer_is_allowed(const struct bridge_line *line)
{
    uint32_t user;
    int32_t process;
    if (!line->channel.stream.is_unix)
        return true;
    if (!socket_peer_credentials(line->channel.stream.handle.fd, &user, &process))
        return false;
    return user == 0 || user == line->pool->options->user;
}

/* False when the engine is not whom it should be; the line is still the caller's to close. */
static bool conclude_connect(struct bridge_line *line)
{
    struct bridge_pool *p = line->pool;
    struct bridge_engine *e = line->engine;
    if (!peer_is_allowed(line)) {
        on_connect_failed(p, e, ROUTED_ERROR_PERMISSION);
        return false;
    }
    if (e->backoff)
        log_write(p->log, LOG_INFO, "engine %u: connected again", (unsigned)(e - p->engines));
    e->backoff = 0;
    e->connecting--;
    p->connecting--;
    line->state = LINE_HELD;
    loop_timer_clear(p->host.loop, &line->timer);
    metric_add(p->metrics, BRIDGE_CONNECTS, 1);
    metric_add(p->metrics, BRIDGE_OPEN, 1);
    bridge_pool_watch(p);
    return true;
}

static void on_connect(struct bridge_channel *c)
{
    struct bridge_line *line = LIST_ITEM(c, struct bridge_line, channel);
    struct bridge_pool *p = line->pool;
    if (conclude_connect(line))
        bridge_pool_give(p, line);
    else
        bridge_line_discard(line);
    bridge_pool_wake(p); /* an engine that can be had again is there for all who wait */
}

static void on_line_due(struct loop_timer *t)
{
    struct bridge_line *line = LIST_ITEM(t, struct bridge_line, timer);
    if (line->state == LINE_CONNECTING) {
        metric_add(line->pool->metrics, BRIDGE_LIMIT_CONNECT, 1);
        on_connect_failed(line->pool, line->engine, ROUTED_ERROR_TIMEOUT);
    }
    bridge_line_discard(line);
}

/* ---- events of a line's channel, passed on to its holder ---- */

/* An engine that speaks without being asked is out of step. */
static struct bridge_line *held_line(struct bridge_channel *c)
{
    struct bridge_line *line = LIST_ITEM(c, struct bridge_line, channel);
    if (line->state == LINE_HELD)
        return line;
    if (line->state == LINE_IDLE) {
        metric_add(line->pool->metrics, BRIDGE_FRAMES_INVALID, 1);
        log_write(line->pool->log, LOG_WARNING, "engine %u: a frame without a request",
                  bridge_line_engine(line));
    }
    bridge_line_discard(line);
    return NULL;
}

static void on_head(struct bridge_channel *c, const struct wire_head *head)
{
    struct bridge_line *line = held_line(c);
    if (line)
        line->events->on_head(line->holder, head);
}

static void on_body(struct bridge_channel *c, struct slice *body)
{
    struct bridge_line *line = held_line(c);
    if (line)
        line->events->on_body(line->holder, body);
}

static void on_end(struct bridge_channel *c)
{
    struct bridge_line *line = held_line(c);
    if (line)
        line->events->on_end(line->holder);
}

static void on_upgrade(struct bridge_channel *c)
{
    struct bridge_line *line = held_line(c);
    if (line)
        line->events->on_upgrade(line->holder);
}

static void on_tunnel_close(struct bridge_channel *c)
{
    struct bridge_line *line = held_line(c);
    if (line)
        line->events->on_tunnel_close(line->holder);
}

static void on_flush(struct bridge_channel *c)
{
    (void)c;
}

static void on_drained(struct bridge_channel *c, size_t content)
{
    struct bridge_line *line = LIST_ITEM(c, struct bridge_line, channel);
    bridge_pool_ring(line->pool, line->engine);
    if (line->state == LINE_HELD)
        line->events->on_drained(line->holder, content);
    else if (line->state == LINE_FINISHING && stream_queued(&c->stream) == 0)
        bridge_line_discard(line);
}

/* What was sent before the end is read first; the end itself comes as a failure. */
static void on_ended(struct bridge_channel *c)
{
    (void)c;
}

static void on_failure(struct bridge_channel *c, int error, const char *text)
{
    struct bridge_line *line = LIST_ITEM(c, struct bridge_line, channel);
    if (line->state == LINE_HELD) {
        line->events->on_failure(line->holder, error, text);
        return;
    }
    if (line->state == LINE_CONNECTING)
        on_connect_failed(line->pool, line->engine, error);
    bridge_line_discard(line);
}

static const struct bridge_channel_events line_events = {
    .on_connect = on_connect,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_upgrade = on_upgrade,
    .on_tunnel_close = on_tunnel_close,
    .on_flush = on_flush,
    .on_drained = on_drained,
    .on_ended = on_ended,
    .on_failure = on_failure,
    .free = on_line_free,
};

static int open_line(struct bridge_pool *p, const struct socket_address *address,
                     struct bridge_line **out)
{
    bool is_unix = socket_address_is_unix(address);
    int fd = socket_connect(address);
    if (fd < 0)
        return fd;
    struct bridge_line *line = memory_new_zeroed(sizeof(*line));
    if (!line) {
        socket_close(fd);
        return ROUTED_ERROR_MEMORY;
    }
    *out = line;
    int error = bridge_channel_open(&line->channel, &p->host, fd, is_unix, !is_unix, WIRE_RESPONSES,
                                    &line_events);
    if (error)
        memory_free(line);
    return error;
}

/* A line that stands, or NULL: it is being made (the pool's count of connecting says so), or it
 * failed (the engine is in back-off). */
struct bridge_line *bridge_line_connect(struct bridge_pool *p, struct bridge_engine *e)
{
    const struct socket_address *address = &p->options->engines[e - p->engines];
    bool is_unix = socket_address_is_unix(address);
    struct loop *loop = p->host.loop;
    e->tried_at = loop_now(loop);
    struct bridge_line *line;
    int error = open_line(p, address, &line);
    if (error) {
        on_connect_failed(p, e, error);
        return NULL;
    }
    line->pool = p;
    line->engine = e;
    line->state = LINE_CONNECTING;
    loop_timer_init(&line->timer, on_line_due);
    list_init(&line->idle_link);
    list_append(&p->lines, &line->link);
    e->open++;
    e->connecting++;
    p->connecting++;
    if (!is_unix) {
        loop_timer_set(loop, &line->timer,
                       bridge_deadline(loop_now(loop), p->limits->engine_connect_timeout));
        return NULL;
    }
    if (conclude_connect(line))
        return line;
    bridge_line_discard(line);
    return NULL;
}

static bool is_good(const struct bridge_line *line, bool can_repeat)
{
    milliseconds idle = loop_now(line->pool->host.loop) - line->idle_since;
    return bridge_channel_is_idle(&line->channel) &&
           (can_repeat || idle < TRUSTED_IDLE || !socket_has_input(line->channel.stream.handle.fd));
}

struct bridge_line *bridge_line_take(struct bridge_pool *p, struct bridge_engine *e,
                                     bool can_repeat)
{
    struct bridge_line *line;
    while ((line = bridge_line_newest(e)) != NULL) {
        if (!is_good(line, can_repeat)) {
            bridge_line_discard(line);
            continue;
        }
        leave_idle(line);
        line->state = LINE_HELD;
        line->is_reused = true;
        metric_add(p->metrics, BRIDGE_REUSES, 1);
        return line;
    }
    return NULL;
}

/* ---- lines in hand ---- */

void bridge_line_hold(struct bridge_line *line, const struct bridge_line_events *events,
                      void *holder)
{
    line->events = events;
    line->holder = holder;
}

void bridge_line_keep(struct bridge_line *line)
{
    struct bridge_pool *p = line->pool;
    bool has_room = line->engine->idle_count < p->limits->engine_idle_connections;
    if (!has_room)
        metric_add(p->metrics, BRIDGE_LIMIT_IDLE, 1);
    if (!has_room || p->is_shut || !bridge_channel_is_idle(&line->channel)) {
        bridge_line_discard(line);
        return;
    }
    enter_idle(line);
    bridge_pool_wake(p);
}

void bridge_line_finish(struct bridge_line *line)
{
    struct bridge_pool *p = line->pool;
    if (stream_queued(&line->channel.stream) == 0) {
        bridge_line_discard(line);
        return;
    }
    line->state = LINE_FINISHING;
    loop_timer_set(p->host.loop, &line->timer, loop_now(p->host.loop) + FINISH_TIMEOUT);
}
