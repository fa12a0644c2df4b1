#include "ffi/queue.h"

#include "base/clock.h"
#include "base/memory.h"
#include "io/doorbell.h"

/* ---- the host tells ---- */

static struct ffi_call *find_open_call(struct ffi_queue *q, uint64_t id)
{
    struct ffi_context *c = q->contexts[ffi_call_worker(id)];
    struct ffi_call *call = c ? ffi_call_find(c, id) : NULL;
    return call && !call->is_over ? call : NULL;
}

static void wake_worker(struct ffi_call *call)
{
    struct ffi_context *c = call->context;
    if (!list_is_linked(&call->answered))
        list_append(&c->answered, &call->answered);
    if (!c->is_posted)
        c->is_posted = loop_post(c->loop, &c->message);
}

static bool payload_is_possible(struct span payload)
{
    if (payload.size < 2 || payload.size > WIRE_PAYLOAD_MAX || payload.data[0] != WIRE_VERSION)
        return false;
    switch (payload.data[1]) {
    case WIRE_RESPONSE_SINGLE_LITERAL:
    case WIRE_RESPONSE_START_LITERAL:
    case WIRE_RESPONSE_CHUNK:
    case WIRE_RESPONSE_END:
    case WIRE_TUNNEL_CHUNK:
    case WIRE_TUNNEL_CLOSE:
    case WIRE_RESPONSE_SINGLE:
    case WIRE_RESPONSE_START:
        return true;
    default:
        return false;
    }
}

static int send_locked(struct ffi_queue *q, uint64_t id, struct ffi_payload *payload)
{
    struct ffi_call *call = find_open_call(q, id);
    if (!call)
        return ROUTED_ERROR_CLOSED;
    if (call->sent_weight >= call->context->window) {
        call->wants_writable = true;
        return ROUTED_ERROR_AGAIN;
    }
    call->sent_weight += ffi_payload_weight(payload);
    ffi_payload_list_append(&call->sent, payload);
    wake_worker(call);
    return ROUTED_OK;
}

int ffi_queue_send(struct ffi_queue *q, uint64_t id, struct span payload)
{
    if (!payload_is_possible(payload))
        return ROUTED_ERROR_BRIDGE_FRAME;
    struct ffi_payload *p = ffi_payload_new(payload);
    if (!p)
        return ROUTED_ERROR_MEMORY;
    pthread_mutex_lock(&q->mutex);
    int error = send_locked(q, id, p);
    pthread_mutex_unlock(&q->mutex);
    if (error)
        ffi_payload_free(p);
    return error;
}

int ffi_queue_grant(struct ffi_queue *q, uint64_t id, uint64_t bytes)
{
    pthread_mutex_lock(&q->mutex);
    struct ffi_call *call = find_open_call(q, id);
    if (call && bytes) {
        call->granted = bytes < UINT64_MAX - call->granted ? call->granted + bytes : UINT64_MAX;
        wake_worker(call);
    }
    pthread_mutex_unlock(&q->mutex);
    return call ? ROUTED_OK : ROUTED_ERROR_CLOSED;
}

int ffi_queue_abort(struct ffi_queue *q, uint64_t id)
{
    pthread_mutex_lock(&q->mutex);
    struct ffi_call *call = find_open_call(q, id);
    if (call) {
        call->wants_abort = true;
        wake_worker(call);
    }
    pthread_mutex_unlock(&q->mutex);
    return call ? ROUTED_OK : ROUTED_ERROR_CLOSED;
}

/* ---- the bell ---- */

static void set_bell(struct ffi_queue *q)
{
    bool has_events = !list_is_empty(&q->ready) || (q->has_stopped && !q->told_stopped);
    if (has_events == q->is_rung)
        return;
    q->is_rung = has_events;
    if (has_events)
        doorbell_ring(q->doorbell);
    else
        doorbell_silence(q->doorbell);
}

void ffi_queue_tell(struct ffi_queue *q, struct ffi_call *call)
{
    if (!list_is_linked(&call->ready))
        list_append(&q->ready, &call->ready);
    set_bell(q);
}

void ffi_queue_drop(struct ffi_queue *q, struct ffi_call *call)
{
    ffi_call_free(call);
    set_bell(q);
}

void ffi_queue_stop(struct ffi_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->has_stopped = true;
    set_bell(q);
    pthread_mutex_unlock(&q->mutex);
}

/* ---- the host asks ---- */

/* Bytes that were told stay until the next poll. */
static bool lend(struct ffi_queue *q, struct buffer *b, routed_ffi_event *event)
{
    if (q->lent_count == q->lent_capacity) {
        size_t capacity = q->lent_capacity ? q->lent_capacity * 2 : 64;
        struct buffer *grown = memory_resize(q->lent, capacity * sizeof(*grown));
        if (!grown)
            return false;
        q->lent = grown;
        q->lent_capacity = capacity;
    }
    q->lent[q->lent_count++] = *b;
    event->data = buffer_span(b).data;
    event->size = buffer_size(b);
    *b = BUFFER_EMPTY;
    return true;
}

static void take_back(struct ffi_queue *q)
{
    for (size_t i = 0; i < q->lent_count; i++)
        buffer_release(&q->lent[i]);
    q->lent_count = 0;
}

/* The next thing to tell of a call, in the order of the protocol; false: no memory to lend. */
static bool next_event(struct ffi_queue *q, struct ffi_call *call, routed_ffi_event *event)
{
    *event = (routed_ffi_event){.exchange = call->id};
    if (buffer_size(&call->head)) {
        event->kind = ROUTED_FFI_REQUEST;
        return lend(q, &call->head, event);
    }
    if (buffer_size(&call->body)) {
        event->kind = ROUTED_FFI_BODY;
        return lend(q, &call->body, event);
    }
    if (call->has_end) {
        call->has_end = false;
        event->kind = ROUTED_FFI_END;
    } else if (call->has_writable) {
        call->has_writable = false;
        event->kind = ROUTED_FFI_WRITABLE;
    } else {
        event->kind = ROUTED_FFI_CLOSED;
        event->code = call->code;
    }
    return true;
}

static bool has_more(const struct ffi_call *call)
{
    return buffer_size(&call->head) || buffer_size(&call->body) || call->has_end ||
           call->has_writable || call->has_closed;
}

static int64_t take_events(struct ffi_queue *q, routed_ffi_event *events, uint64_t max)
{
    if (q->told_stopped)
        return ROUTED_ERROR_CLOSED;
    uint64_t count = 0;
    while (count < max && !list_is_empty(&q->ready)) {
        struct ffi_call *call = LIST_ITEM(q->ready.next, struct ffi_call, ready);
        if (!next_event(q, call, &events[count]))
            return count ? (int64_t)count : ROUTED_ERROR_MEMORY;
        if (events[count++].kind == ROUTED_FFI_CLOSED)
            ffi_call_free(call);
        else if (!has_more(call))
            list_remove(&call->ready);
    }
    if (count < max && q->has_stopped) {
        q->told_stopped = true;
        events[count++] = (routed_ffi_event){.kind = ROUTED_FFI_STOPPED};
    }
    set_bell(q);
    return (int64_t)count;
}

static int64_t take_events_locked(struct ffi_queue *q, routed_ffi_event *events, uint64_t max)
{
    pthread_mutex_lock(&q->mutex);
    int64_t count = take_events(q, events, max);
    pthread_mutex_unlock(&q->mutex);
    return count;
}

int64_t ffi_queue_poll(struct ffi_queue *q, routed_ffi_event *events, uint64_t max,
                       uint64_t timeout)
{
    take_back(q);
    int64_t count = take_events_locked(q, events, max);
    if (count || max == 0 || timeout == 0)
        return count;
    milliseconds now = loop_clock() / 1000;
    milliseconds due = clock_after(now, timeout);
    while (count == 0 && now < due) {
        if (!doorbell_wait(q->doorbell, due == CLOCK_NEVER ? CLOCK_NEVER : due - now))
            return 0;
        count = take_events_locked(q, events, max);
        now = loop_clock() / 1000;
    }
    return count;
}

/* ---- life ---- */

int ffi_queue_init(struct ffi_queue *q)
{
    *q = (struct ffi_queue){.doorbell = doorbell_open()};
    if (q->doorbell < 0)
        return q->doorbell;
    pthread_mutex_init(&q->mutex, NULL);
    list_init(&q->ready);
    return ROUTED_OK;
}

void ffi_queue_release(struct ffi_queue *q)
{
    take_back(q);
    memory_free(q->lent);
    for (unsigned i = 0; i < q->context_count; i++)
        ffi_context_free(q->contexts[i]);
    doorbell_close(q->doorbell);
    pthread_mutex_destroy(&q->mutex);
}
