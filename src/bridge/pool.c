#include "bridge/pool.h"

#include "base/memory.h"
#include <routed/error.h>

#define BACKOFF_FIRST 10
#define BACKOFF_MAX   1000
/* While requests wait an engine is tried this often, whatever its back-off. */
#define ATTEMPT_INTERVAL 50
/* A line that was idle for less is not asked again whether it is alive: under load its events
 * are fresh, and without load the question costs nothing. In milliseconds. */
#define TRUSTED_IDLE 1
/* For the last bytes of a line that finishes. */
#define FINISH_TIMEOUT 5000

enum line_state {
    LINE_CONNECTING,
    LINE_IDLE,
    LINE_HELD,
    LINE_FINISHING
};

struct bridge_engine {
    struct bridge_line *hot;
    struct list_link idle; /* newest first */
    unsigned idle_count;   /* with the hot one */
    unsigned open;         /* lines in any state */
    unsigned connecting;
    milliseconds backoff; /* 0: the last attempt was good */
    milliseconds tried_at;
};

milliseconds bridge_deadline(milliseconds now, uint64_t limit)
{
    return limit > CLOCK_NEVER - now ? CLOCK_NEVER : now + limit;
}

static void set_timer(struct bridge_pool *p, struct loop_timer *t, milliseconds due)
{
    if (due == CLOCK_NEVER)
        loop_timer_clear(p->host.loop, t);
    else
        loop_timer_set(p->host.loop, t, due);
}

static void wake(struct bridge_pool *p)
{
    if (p->waiting_count)
        loop_task_defer(p->host.loop, &p->serve);
}

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
    if (!loop_timer_is_set(&p->expiry))
        set_timer(p, &p->expiry, bridge_deadline(line->idle_since, p->limits->engine_idle_expiry));
}

static struct bridge_line *newest_idle(const struct bridge_engine *e)
{
    if (e->hot)
        return e->hot;
    return list_is_empty(&e->idle) ? NULL : LIST_ITEM(e->idle.next, struct bridge_line, idle_link);
}

static struct bridge_line *oldest_idle(const struct bridge_engine *e)
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

static void close_line(struct bridge_line *line)
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
    wake(p);
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
    return true;
}

static struct bridge_wait *first_waiting(struct bridge_pool *p)
{
    return list_is_empty(&p->waiting) ? NULL : LIST_ITEM(p->waiting.next, struct bridge_wait, link);
}

static void hand_over(struct bridge_wait *w, struct bridge_line *line)
{
    bridge_pool_leave(line->pool, w);
    w->on_line(w, line);
}

static void on_connect(struct bridge_channel *c)
{
    struct bridge_line *line = LIST_ITEM(c, struct bridge_line, channel);
    struct bridge_pool *p = line->pool;
    struct bridge_wait *w = first_waiting(p);
    if (!conclude_connect(line))
        close_line(line);
    else if (w)
        hand_over(w, line);
    else
        bridge_line_keep(line);
    wake(p); /* an engine that can be had again is there for all who wait */
}

static void on_line_due(struct loop_timer *t)
{
    struct bridge_line *line = LIST_ITEM(t, struct bridge_line, timer);
    if (line->state == LINE_CONNECTING) {
        metric_add(line->pool->metrics, BRIDGE_LIMIT_CONNECT, 1);
        on_connect_failed(line->pool, line->engine, ROUTED_ERROR_TIMEOUT);
    }
    close_line(line);
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
    close_line(line);
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
    if (line->state == LINE_HELD)
        line->events->on_drained(line->holder, content);
    else if (line->state == LINE_FINISHING && stream_queued(&c->stream) == 0)
        close_line(line);
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
    close_line(line);
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
static struct bridge_line *connect_line(struct bridge_pool *p, struct bridge_engine *e)
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
        set_timer(p, &line->timer,
                  bridge_deadline(loop_now(loop), p->limits->engine_connect_timeout));
        return NULL;
    }
    if (conclude_connect(line))
        return line;
    close_line(line);
    return NULL;
}

/* ---- choosing ---- */

static milliseconds next_attempt(const struct bridge_engine *e, bool is_urgent)
{
    milliseconds pause = e->backoff;
    if (is_urgent && pause > ATTEMPT_INTERVAL)
        pause = ATTEMPT_INTERVAL;
    return e->tried_at + pause;
}

/* An engine in doubt gets one attempt at a time. */
static bool can_connect(const struct bridge_pool *p, const struct bridge_engine *e, bool is_urgent)
{
    if (e->open >= p->limits->engine_connections)
        return false;
    return e->backoff == 0 ||
           (e->connecting == 0 && loop_now(p->host.loop) >= next_attempt(e, is_urgent));
}

static bool is_up(const struct bridge_pool *p, const struct bridge_engine *e)
{
    const atomic_uchar *flags = p->options->is_alive;
    return !flags || atomic_load_explicit(&flags[e - p->engines], memory_order_relaxed);
}

static struct bridge_engine *choose(struct bridge_pool *p, bool wants_fresh, bool is_urgent)
{
    struct bridge_engine *best = NULL;
    unsigned count = p->options->count;
    for (unsigned i = 0; i < count; i++) {
        struct bridge_engine *e = &p->engines[(p->next + i) % count];
        if (!is_up(p, e) || ((wants_fresh || e->idle_count == 0) && !can_connect(p, e, is_urgent)))
            continue;
        if (!best || e->open - e->idle_count < best->open - best->idle_count)
            best = e;
    }
    if (best)
        p->next = (unsigned)(best - p->engines + 1) % count;
    return best;
}

/* A connection that was idle for a while is asked whether it still stands. */
static struct bridge_line *take_idle(struct bridge_pool *p, struct bridge_engine *e)
{
    struct bridge_line *line;
    while ((line = newest_idle(e)) != NULL) {
        milliseconds idle = loop_now(p->host.loop) - line->idle_since;
        bool is_good = bridge_channel_is_idle(&line->channel) &&
                       (idle < TRUSTED_IDLE || !socket_has_input(line->channel.stream.handle.fd));
        if (!is_good) {
            close_line(line);
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

/* A fresh line may take the place of an idle one. */
static void make_room(struct bridge_pool *p)
{
    for (unsigned i = 0; i < p->options->count; i++) {
        struct bridge_engine *e = &p->engines[i];
        if (e->open >= p->limits->engine_connections && e->idle_count)
            close_line(oldest_idle(e));
    }
}

/* A line at once, or NULL. Each failure puts an engine into back-off, so this ends. With enough
 * connections under way for everybody who waits no further one is begun. */
static struct bridge_line *find_line(struct bridge_pool *p, bool wants_fresh, unsigned wanted)
{
    struct bridge_engine *e;
    if (wants_fresh)
        make_room(p);
    while ((e = choose(p, wants_fresh, false)) != NULL || (e = choose(p, wants_fresh, true))) {
        struct bridge_line *line = wants_fresh ? NULL : take_idle(p, e);
        if (line)
            return line;
        if (!can_connect(p, e, true))
            continue;
        if (p->connecting >= wanted)
            return NULL;
        line = connect_line(p, e);
        if (line)
            return line;
    }
    return NULL;
}

/* ---- waiting ---- */

static milliseconds earlier(milliseconds a, milliseconds b)
{
    return a < b ? a : b;
}

static void plan_retry(struct bridge_pool *p)
{
    struct bridge_wait *first = first_waiting(p);
    milliseconds due = CLOCK_NEVER;
    if (first) {
        due = bridge_deadline(first->since, p->limits->queue_timeout);
        for (unsigned i = 0; i < p->options->count; i++) {
            const struct bridge_engine *e = &p->engines[i];
            if (!is_up(p, e))
                due = earlier(due, loop_now(p->host.loop) + ATTEMPT_INTERVAL);
            else if (e->backoff && e->connecting == 0)
                due = earlier(due, next_attempt(e, true));
        }
    }
    set_timer(p, &p->retry, due);
}

static void serve_waiting(struct bridge_pool *p)
{
    struct bridge_wait *w;
    while ((w = first_waiting(p)) != NULL) {
        struct bridge_line *line = find_line(p, w->wants_fresh, p->waiting_count);
        if (!line)
            break;
        hand_over(w, line);
    }
    plan_retry(p);
}

static void on_serve(struct loop_task *t)
{
    serve_waiting(LIST_ITEM(t, struct bridge_pool, serve));
}

static void on_retry_due(struct loop_timer *t)
{
    struct bridge_pool *p = LIST_ITEM(t, struct bridge_pool, retry);
    milliseconds now = loop_now(p->host.loop);
    struct bridge_wait *w;
    while ((w = first_waiting(p)) != NULL &&
           bridge_deadline(w->since, p->limits->queue_timeout) <= now) {
        metric_add(p->metrics, BRIDGE_LIMIT_QUEUE_TIMEOUT, 1);
        bridge_pool_leave(p, w);
        w->on_refused(w, ROUTED_ERROR_NO_ENGINE);
    }
    serve_waiting(p);
}

static bool is_full(const struct bridge_pool *p)
{
    for (unsigned i = 0; i < p->options->count; i++)
        if (p->engines[i].open >= p->limits->engine_connections)
            return true;
    return false;
}

int bridge_pool_take(struct bridge_pool *p, struct bridge_wait *w, struct bridge_line **line)
{
    *line = find_line(p, w->wants_fresh, p->waiting_count + 1);
    if (*line)
        return ROUTED_OK;
    if (is_full(p))
        metric_add(p->metrics, BRIDGE_LIMIT_CONNECTIONS, 1);
    /* Those for whom a connection is being made do not fill the queue. */
    if (p->waiting_count >= p->connecting &&
        p->waiting_count - p->connecting >= p->limits->queue_requests) {
        metric_add(p->metrics, BRIDGE_LIMIT_QUEUE, 1);
        return ROUTED_ERROR_NO_ENGINE;
    }
    w->since = loop_now(p->host.loop);
    list_append(&p->waiting, &w->link);
    p->waiting_count++;
    metric_add(p->metrics, BRIDGE_QUEUED, 1);
    plan_retry(p);
    return ROUTED_ERROR_AGAIN;
}

void bridge_pool_leave(struct bridge_pool *p, struct bridge_wait *w)
{
    if (!list_is_linked(&w->link))
        return;
    list_remove(&w->link);
    p->waiting_count--;
    metric_subtract(p->metrics, BRIDGE_QUEUED, 1);
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
        close_line(line);
        return;
    }
    enter_idle(line);
    wake(p);
}

void bridge_line_finish(struct bridge_line *line)
{
    struct bridge_pool *p = line->pool;
    if (stream_queued(&line->channel.stream) == 0) {
        close_line(line);
        return;
    }
    line->state = LINE_FINISHING;
    loop_timer_set(p->host.loop, &line->timer, loop_now(p->host.loop) + FINISH_TIMEOUT);
}

void bridge_line_discard(struct bridge_line *line)
{
    close_line(line);
}

/* ---- life ---- */

static void on_expiry_due(struct loop_timer *t)
{
    struct bridge_pool *p = LIST_ITEM(t, struct bridge_pool, expiry);
    milliseconds now = loop_now(p->host.loop);
    milliseconds next = CLOCK_NEVER;
    for (unsigned i = 0; i < p->options->count; i++) {
        struct bridge_line *line;
        while ((line = oldest_idle(&p->engines[i])) != NULL) {
            milliseconds due = bridge_deadline(line->idle_since, p->limits->engine_idle_expiry);
            if (due > now) {
                next = due < next ? due : next;
                break;
            }
            metric_add(p->metrics, BRIDGE_LIMIT_EXPIRY, 1);
            close_line(line);
        }
    }
    set_timer(p, &p->expiry, next);
}

int bridge_pool_init(struct bridge_pool *p, struct loop *loop,
                     const struct bridge_client_options *options, const routed_limits *limits,
                     const struct log *log, struct metric_set *metrics)
{
    *p = (struct bridge_pool){.host = {.loop = loop},
                              .options = options,
                              .limits = limits,
                              .log = log,
                              .metrics = metrics};
    p->engines = memory_new_zeroed(options->count * sizeof(*p->engines));
    if (!p->engines)
        return ROUTED_ERROR_MEMORY;
    for (unsigned i = 0; i < options->count; i++)
        list_init(&p->engines[i].idle);
    list_init(&p->lines);
    list_init(&p->waiting);
    loop_task_init(&p->serve, on_serve);
    loop_timer_init(&p->retry, on_retry_due);
    loop_timer_init(&p->expiry, on_expiry_due);
    return ROUTED_OK;
}

void bridge_pool_shut(struct bridge_pool *p)
{
    p->is_shut = true;
    for (unsigned i = 0; i < p->options->count; i++)
        while (newest_idle(&p->engines[i]))
            close_line(newest_idle(&p->engines[i]));
}

void bridge_pool_release(struct bridge_pool *p)
{
    while (!list_is_empty(&p->lines))
        close_line(LIST_ITEM(p->lines.next, struct bridge_line, link));
    loop_task_cancel(&p->serve);
    loop_timer_clear(p->host.loop, &p->retry);
    loop_timer_clear(p->host.loop, &p->expiry);
    bridge_channel_host_release(&p->host);
    memory_free(p->engines);
}
