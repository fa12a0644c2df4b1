#include "base/memory.h"
#include "engine/exchange.h"
#include <time.h>

/* ---- the window, as all threads see it ---- */

bool engine_outbox_admit(routed_exchange *x, size_t size, size_t window)
{
    if (atomic_load(&x->queued) >= window) {
        /* The window may open between the two looks: who opens it looks at is_blocked after. */
        atomic_store(&x->is_blocked, true);
        if (atomic_load(&x->queued) >= window)
            return false;
    }
    atomic_fetch_add(&x->queued, size);
    return true;
}

/* After a change that ends waiting: who enters the room counts itself before it looks for one. */
static void wake_all(routed_exchange *x)
{
    if (atomic_load(&x->room.waiting) == 0)
        return;
    pthread_mutex_lock(&x->room.lock);
    pthread_cond_broadcast(&x->room.changed);
    pthread_mutex_unlock(&x->room.lock);
}

void engine_outbox_dismiss(routed_exchange *x, size_t size)
{
    atomic_fetch_sub(&x->queued, size);
    wake_all(x);
}

void engine_outbox_close(routed_exchange *x)
{
    atomic_store(&x->is_closed, true);
    wake_all(x);
}

static struct timespec deadline_after(uint32_t patience)
{
    microseconds at = loop_clock() + (microseconds)patience * 1000;
    return (struct timespec){.tv_sec = (time_t)(at / 1000000),
                             .tv_nsec = (long)(at % 1000000) * 1000};
}

int engine_outbox_wait(routed_exchange *x, uint32_t patience, size_t window)
{
    struct timespec deadline = deadline_after(patience);
    int result = 0;
    pthread_mutex_lock(&x->room.lock);
    atomic_fetch_add(&x->room.waiting, 1);
    while (!atomic_load(&x->is_closed) && atomic_load(&x->queued) >= window && result == 0)
        result = pthread_cond_timedwait(&x->room.changed, &x->room.lock, &deadline);
    atomic_fetch_sub(&x->room.waiting, 1);
    bool is_open = atomic_load(&x->queued) < window;
    pthread_mutex_unlock(&x->room.lock);
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    return is_open ? ROUTED_OK : ROUTED_ERROR_TIMEOUT;
}

/* ---- the queue, on the exchange's thread ---- */

bool engine_outbox_can_write(const routed_exchange *x)
{
    const struct exchange *e = x->exchange;
    return e && !x->outbox.first && (exchange_can_send(e) || e->suppress_content);
}

static int enqueue(routed_exchange *x, struct slice body)
{
    struct parcel *p = memory_new(sizeof(*p));
    if (!p) {
        engine_outbox_dismiss(x, body.size);
        slice_release(&body);
        return ROUTED_ERROR_MEMORY;
    }
    p->next = NULL;
    p->body = body;
    if (x->outbox.last)
        x->outbox.last->next = p;
    else
        x->outbox.first = p;
    x->outbox.last = p;
    return ROUTED_OK;
}

static int pass_on(routed_exchange *x, struct slice body)
{
    if (http_status_has_content(x->exchange->status) || x->exchange->is_tunnel)
        return exchange_send(x->exchange, body);
    slice_release(&body);
    return ROUTED_OK;
}

static int send_now(routed_exchange *x, struct slice body)
{
    size_t size = body.size;
    int error = pass_on(x, body);
    engine_outbox_dismiss(x, size);
    return error;
}

int engine_outbox_write(routed_exchange *x, struct slice body)
{
    return engine_outbox_can_write(x) ? send_now(x, body) : enqueue(x, body);
}

int engine_outbox_write_whole(routed_exchange *x, struct slice body)
{
    if (engine_outbox_can_write(x))
        return pass_on(x, body);
    atomic_fetch_add(&x->queued, body.size);
    return enqueue(x, body);
}

int engine_outbox_end(routed_exchange *x)
{
    if (x->outbox.first) {
        x->outbox.end_is_due = true;
        return ROUTED_OK;
    }
    return exchange_end(x->exchange, x->trailers.count ? &x->trailers : NULL);
}

static struct slice dequeue(struct outbox *o)
{
    struct parcel *p = o->first;
    struct slice body = p->body;
    o->first = p->next;
    if (!o->first)
        o->last = NULL;
    memory_free(p);
    return body;
}

void engine_outbox_drain(routed_exchange *x)
{
    int error = ROUTED_OK;
    while (x->outbox.first && exchange_can_send(x->exchange) && !error)
        error = send_now(x, dequeue(&x->outbox));
    if (!error && !x->outbox.first && x->outbox.end_is_due) {
        x->outbox.end_is_due = false;
        error = engine_outbox_end(x);
    }
    if (error && !engine_exchange_is_over(x))
        engine_chain_fail(x, error);
}

void engine_outbox_notify(routed_exchange *x)
{
    if (!engine_outbox_can_write(x))
        return;
    if (x->body.is_refused) {
        x->body.is_refused = false;
        engine_body_continue(x);
    }
    if (!engine_outbox_can_write(x) || engine_exchange_is_over(x))
        return;
    if (atomic_exchange(&x->is_blocked, false) && x->on_writable)
        x->on_writable(x, x->writable_user);
}

void engine_outbox_release(routed_exchange *x)
{
    while (x->outbox.first) {
        struct slice body = dequeue(&x->outbox);
        engine_outbox_dismiss(x, body.size);
        slice_release(&body);
    }
}
