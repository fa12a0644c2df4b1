#include "bridge/pool.h"

#include "base/memory.h"
#include <routed/error.h>

/* While requests wait an engine is tried this often, whatever its back-off. */
#define ATTEMPT_INTERVAL 50

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

void bridge_pool_wake(struct bridge_pool *p)
{
    if (p->waiting_count)
        loop_task_defer(p->host.loop, &p->serve);
}

/* ---- bells ---- */

static void ring_bells(struct bridge_pool *p)
{
    for (unsigned i = 0; i < p->options->count; i++) {
        if (!p->engines[i].has_news)
            continue;
        p->engines[i].has_news = false;
        bell_ring(&p->options->bells[i]);
    }
}

static void on_ring(struct loop_task *t)
{
    ring_bells(LIST_ITEM(t, struct bridge_pool, ring));
}

void bridge_pool_ring(struct bridge_pool *p, struct bridge_engine *e)
{
    if (!p->options->bells)
        return;
    e->has_news = true;
    loop_task_defer_last(p->host.loop, &p->ring);
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

/* A fresh line may take the place of an idle one. */
static void make_room(struct bridge_pool *p)
{
    for (unsigned i = 0; i < p->options->count; i++) {
        struct bridge_engine *e = &p->engines[i];
        if (e->open >= p->limits->engine_connections && e->idle_count)
            bridge_line_discard(bridge_line_oldest(e));
    }
}

/* A line at once, or NULL. Each failure puts an engine into back-off, so this ends. With enough
 * connections under way for everybody who waits no further one is begun. */
static struct bridge_line *find_line(struct bridge_pool *p, const struct bridge_wait *w,
                                     unsigned wanted)
{
    struct bridge_engine *e;
    if (w->wants_fresh)
        make_room(p);
    while ((e = choose(p, w->wants_fresh, false)) || (e = choose(p, w->wants_fresh, true))) {
        struct bridge_line *line = w->wants_fresh ? NULL : bridge_line_take(p, e, w->can_repeat);
        if (line)
            return line;
        if (!can_connect(p, e, true))
            continue;
        if (p->connecting >= wanted)
            return NULL;
        line = bridge_line_connect(p, e);
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

static struct bridge_wait *first_waiting(struct bridge_pool *p)
{
    return list_is_empty(&p->waiting) ? NULL : LIST_ITEM(p->waiting.next, struct bridge_wait, link);
}

static void hand_over(struct bridge_wait *w, struct bridge_line *line)
{
    bridge_pool_leave(line->pool, w);
    w->on_line(w, line);
}

void bridge_pool_give(struct bridge_pool *p, struct bridge_line *line)
{
    struct bridge_wait *w = first_waiting(p);
    if (w)
        hand_over(w, line);
    else
        bridge_line_keep(line);
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
        struct bridge_line *line = find_line(p, w, p->waiting_count);
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
    *line = find_line(p, w, p->waiting_count + 1);
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

/* ---- engines that end before they accept ---- */

static bool is_unanswered(const struct bridge_line *line)
{
    return line->state == LINE_HELD && !line->is_reused && line->channel.stream.bytes_in == 0;
}

/* What an engine that is down had accepted fails by itself. */
static struct bridge_line *find_left_line(const struct bridge_pool *p)
{
    for (struct list_link *l = p->lines.next; l != &p->lines; l = l->next) {
        struct bridge_line *line = LIST_ITEM(l, struct bridge_line, link);
        if (is_unanswered(line) && !is_up(p, line->engine))
            return line;
    }
    return NULL;
}

static bool has_unanswered_line(const struct bridge_pool *p)
{
    for (struct list_link *l = p->lines.next; l != &p->lines; l = l->next)
        if (is_unanswered(LIST_ITEM(l, struct bridge_line, link)))
            return true;
    return false;
}

static void on_watch_due(struct loop_timer *t)
{
    struct bridge_pool *p = LIST_ITEM(t, struct bridge_pool, watch);
    struct bridge_line *line;
    while ((line = find_left_line(p)) != NULL)
        line->events->on_failure(line->holder, ROUTED_ERROR_NO_ENGINE,
                                 "ended before it took the request");
    if (has_unanswered_line(p))
        bridge_pool_watch(p);
}

void bridge_pool_watch(struct bridge_pool *p)
{
    if (p->options->is_alive && !loop_timer_is_set(&p->watch))
        loop_timer_set(p->host.loop, &p->watch, loop_now(p->host.loop) + ATTEMPT_INTERVAL);
}

/* ---- life ---- */

void bridge_pool_expire_later(struct bridge_pool *p, const struct bridge_line *line)
{
    if (!loop_timer_is_set(&p->expiry))
        set_timer(p, &p->expiry, bridge_deadline(line->idle_since, p->limits->engine_idle_expiry));
}

static void on_expiry_due(struct loop_timer *t)
{
    struct bridge_pool *p = LIST_ITEM(t, struct bridge_pool, expiry);
    milliseconds now = loop_now(p->host.loop);
    milliseconds next = CLOCK_NEVER;
    for (unsigned i = 0; i < p->options->count; i++) {
        struct bridge_line *line;
        while ((line = bridge_line_oldest(&p->engines[i])) != NULL) {
            milliseconds due = bridge_deadline(line->idle_since, p->limits->engine_idle_expiry);
            if (due > now) {
                next = due < next ? due : next;
                break;
            }
            metric_add(p->metrics, BRIDGE_LIMIT_EXPIRY, 1);
            bridge_line_discard(line);
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
    loop_task_init(&p->ring, on_ring);
    loop_timer_init(&p->retry, on_retry_due);
    loop_timer_init(&p->expiry, on_expiry_due);
    loop_timer_init(&p->watch, on_watch_due);
    return ROUTED_OK;
}

void bridge_pool_shut(struct bridge_pool *p)
{
    p->is_shut = true;
    for (unsigned i = 0; i < p->options->count; i++)
        while (bridge_line_newest(&p->engines[i]))
            bridge_line_discard(bridge_line_newest(&p->engines[i]));
}

void bridge_pool_release(struct bridge_pool *p)
{
    while (!list_is_empty(&p->lines))
        bridge_line_discard(LIST_ITEM(p->lines.next, struct bridge_line, link));
    loop_task_cancel(&p->serve);
    loop_task_cancel(&p->ring);
    ring_bells(p);
    loop_timer_clear(p->host.loop, &p->retry);
    loop_timer_clear(p->host.loop, &p->expiry);
    loop_timer_clear(p->host.loop, &p->watch);
    bridge_channel_host_release(&p->host);
    memory_free(p->engines);
}
