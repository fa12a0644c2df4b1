#include "ffi/queue.h"

#include "base/memory.h"
#include "io/doorbell.h"

/* An id: generation, worker, slot. Generations start at 1, so no id is 0. */
#define SLOT_BITS   22
#define WORKER_BITS 6
#define SLOTS_MAX   ((uint32_t)1 << SLOT_BITS)

static uint64_t make_id(uint32_t generation, unsigned worker, uint32_t slot)
{
    return (uint64_t)generation << (SLOT_BITS + WORKER_BITS) | (uint64_t)worker << SLOT_BITS | slot;
}

/* ---- payloads ---- */

void ffi_payload_list_init(struct ffi_payload_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

void ffi_payload_list_release(struct ffi_payload_list *l)
{
    while (l->first) {
        struct ffi_payload *p = l->first;
        l->first = p->next;
        slice_release(&p->bytes);
        memory_free(p);
    }
    ffi_payload_list_init(l);
}

/* A frame as the decoder reads it: four bytes of size, then the payload. */
static struct ffi_payload *payload_new(struct span payload)
{
    struct ffi_payload *p = memory_new(sizeof(*p));
    struct block *block = p ? block_new(payload.size + 4) : NULL;
    if (!block) {
        memory_free(p);
        return NULL;
    }
    uint8_t *bytes = block_data(block);
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(payload.size >> (24 - 8 * i));
    memcpy(bytes + 4, payload.data, payload.size);
    *p = (struct ffi_payload){NULL, {block, bytes, payload.size + 4}};
    return p;
}

/* ---- calls ---- */

static bool grow_slots(struct ffi_context *c)
{
    uint32_t slots = c->slots ? c->slots * 2 : 64;
    if (slots > SLOTS_MAX)
        return false;
    struct ffi_call **calls = memory_resize(c->calls, slots * sizeof(struct ffi_call *));
    if (!calls)
        return false;
    c->calls = calls;
    uint32_t *generations = memory_resize(c->generations, slots * sizeof(*generations));
    if (!generations)
        return false;
    c->generations = generations;
    for (uint32_t i = c->slots; i < slots; i++) {
        c->calls[i] = NULL;
        c->generations[i] = 1;
    }
    c->free_hint = c->slots;
    c->slots = slots;
    return true;
}

static bool find_slot(struct ffi_context *c, uint32_t *slot)
{
    for (uint32_t i = 0; i < c->slots; i++) {
        uint32_t candidate = (c->free_hint + i) % c->slots;
        if (!c->calls[candidate]) {
            *slot = candidate;
            c->free_hint = (candidate + 1) % c->slots;
            return true;
        }
    }
    *slot = c->slots;
    return grow_slots(c);
}

struct ffi_call *ffi_queue_new_call(struct ffi_context *context)
{
    uint32_t slot;
    struct ffi_call *call = memory_new_zeroed(sizeof(*call));
    if (!call || !find_slot(context, &slot)) {
        memory_free(call);
        return NULL;
    }
    context->calls[slot] = call;
    call->id = make_id(context->generations[slot], context->number, slot);
    call->context = context;
    list_init(&call->ready);
    list_init(&call->answered);
    ffi_payload_list_init(&call->sent);
    ffi_payload_list_init(&call->taken);
    wire_decoder_init(&call->decoder, WIRE_RESPONSES, NULL);
    return call;
}

void ffi_queue_free_call(struct ffi_call *call)
{
    struct ffi_context *c = call->context;
    uint32_t slot = (uint32_t)(call->id & (SLOTS_MAX - 1));
    c->calls[slot] = NULL;
    c->generations[slot]++;
    list_remove(&call->ready);
    list_remove(&call->answered);
    buffer_release(&call->head);
    buffer_release(&call->body);
    ffi_payload_list_release(&call->sent);
    ffi_payload_list_release(&call->taken);
    wire_decoder_release(&call->decoder);
    memory_free(call);
}

static struct ffi_call *find_call(struct ffi_queue *q, uint64_t id)
{
    unsigned worker = (unsigned)(id >> SLOT_BITS) & (FFI_WORKERS_MAX - 1);
    uint32_t slot = (uint32_t)(id & (SLOTS_MAX - 1));
    struct ffi_context *c = q->contexts[worker];
    if (!c || slot >= c->slots || !c->calls[slot] || c->calls[slot]->id != id)
        return NULL;
    return c->calls[slot]->is_over ? NULL : c->calls[slot];
}

/* ---- the host tells ---- */

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
    struct ffi_call *call = find_call(q, id);
    if (!call)
        return ROUTED_ERROR_CLOSED;
    if (call->sent_size >= call->context->window) {
        call->wants_writable = true;
        return ROUTED_ERROR_AGAIN;
    }
    call->sent_size += payload->bytes.size;
    *call->sent.last = payload;
    call->sent.last = &payload->next;
    wake_worker(call);
    return ROUTED_OK;
}

int ffi_queue_send(struct ffi_queue *q, uint64_t id, struct span payload)
{
    if (!payload_is_possible(payload))
        return ROUTED_ERROR_BRIDGE_FRAME;
    struct ffi_payload *p = payload_new(payload);
    if (!p)
        return ROUTED_ERROR_MEMORY;
    pthread_mutex_lock(&q->mutex);
    int error = send_locked(q, id, p);
    pthread_mutex_unlock(&q->mutex);
    if (error) {
        slice_release(&p->bytes);
        memory_free(p);
    }
    return error;
}

int ffi_queue_grant(struct ffi_queue *q, uint64_t id, uint64_t bytes)
{
    pthread_mutex_lock(&q->mutex);
    struct ffi_call *call = find_call(q, id);
    if (call && bytes) {
        call->granted += bytes < SIZE_MAX / 4 - call->granted ? bytes : 0;
        wake_worker(call);
    }
    pthread_mutex_unlock(&q->mutex);
    return call ? ROUTED_OK : ROUTED_ERROR_CLOSED;
}

int ffi_queue_abort(struct ffi_queue *q, uint64_t id)
{
    pthread_mutex_lock(&q->mutex);
    struct ffi_call *call = find_call(q, id);
    if (call) {
        call->wants_abort = true;
        wake_worker(call);
    }
    pthread_mutex_unlock(&q->mutex);
    return call ? ROUTED_OK : ROUTED_ERROR_CLOSED;
}

/* ---- the host asks ---- */

static void ring(struct ffi_queue *q)
{
    if (q->is_rung)
        return;
    q->is_rung = true;
    doorbell_ring(q->doorbell);
}

void ffi_queue_tell(struct ffi_queue *q, struct ffi_call *call)
{
    if (!list_is_linked(&call->ready))
        list_append(&q->ready, &call->ready);
    ring(q);
}

void ffi_queue_stop(struct ffi_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->has_stopped = true;
    ring(q);
    pthread_mutex_unlock(&q->mutex);
}

/* Bytes that were told stay until the next poll. */
static bool lend(struct ffi_queue *q, struct buffer *b, routed_ffi_event *event)
{
    if (q->told_count == q->told_capacity) {
        size_t capacity = q->told_capacity ? q->told_capacity * 2 : 64;
        struct buffer *grown = memory_resize(q->told_buffers, capacity * sizeof(*grown));
        if (!grown)
            return false;
        q->told_buffers = grown;
        q->told_capacity = capacity;
    }
    q->told_buffers[q->told_count++] = *b;
    event->data = buffer_span(b).data;
    event->size = buffer_size(b);
    *b = BUFFER_EMPTY;
    return true;
}

static void take_back(struct ffi_queue *q)
{
    for (size_t i = 0; i < q->told_count; i++)
        buffer_release(&q->told_buffers[i]);
    q->told_count = 0;
}

/* The next thing to tell of a call, in the order of the protocol; false: nothing (more) now. */
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
        return true;
    }
    if (call->has_writable) {
        call->has_writable = false;
        event->kind = ROUTED_FFI_WRITABLE;
        return true;
    }
    if (call->has_closed) {
        call->has_closed = false;
        event->kind = ROUTED_FFI_CLOSED;
        event->code = call->code;
        return true;
    }
    return false;
}

static bool has_more(const struct ffi_call *call)
{
    return buffer_size(&call->head) || buffer_size(&call->body) || call->has_end ||
           call->has_writable || call->has_closed;
}

static uint64_t take_events(struct ffi_queue *q, routed_ffi_event *events, uint64_t max)
{
    uint64_t count = 0;
    while (count < max && !list_is_empty(&q->ready)) {
        struct ffi_call *call = LIST_ITEM(q->ready.next, struct ffi_call, ready);
        if (!next_event(q, call, &events[count]))
            break; /* no memory to lend: the next poll tries again */
        bool was_last = events[count++].kind == ROUTED_FFI_CLOSED;
        if (was_last)
            ffi_queue_free_call(call);
        else if (!has_more(call))
            list_remove(&call->ready);
    }
    if (count < max && q->has_stopped && !q->told_stopped && list_is_empty(&q->ready)) {
        q->told_stopped = true;
        events[count++] = (routed_ffi_event){.kind = ROUTED_FFI_STOPPED};
    }
    bool has_rest = !list_is_empty(&q->ready) || (q->has_stopped && !q->told_stopped);
    if (q->is_rung && !has_rest) {
        q->is_rung = false;
        doorbell_silence(q->doorbell);
    }
    return count;
}

int64_t ffi_queue_poll(struct ffi_queue *q, routed_ffi_event *events, uint64_t max,
                       uint64_t timeout)
{
    take_back(q);
    for (;;) {
        pthread_mutex_lock(&q->mutex);
        uint64_t count = take_events(q, events, max);
        pthread_mutex_unlock(&q->mutex);
        if (count || max == 0 || timeout == 0)
            return (int64_t)count;
        if (!doorbell_wait(q->doorbell, timeout))
            return 0;
        if (timeout != UINT64_MAX)
            timeout = 0;
    }
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
    memory_free(q->told_buffers);
    for (unsigned i = 0; i < q->context_count; i++) {
        struct ffi_context *c = q->contexts[i];
        for (uint32_t slot = 0; slot < c->slots; slot++)
            if (c->calls[slot])
                ffi_queue_free_call(c->calls[slot]);
        memory_free(c->calls);
        memory_free(c->generations);
        memory_free(c);
    }
    doorbell_close(q->doorbell);
    pthread_mutex_destroy(&q->mutex);
}
