#include "base/limits.h"
#include "base/memory.h"
#include "ffi/queue.h"
#include "wire/head.h"

/* Of content that may come: as good as without end. */
#define CREDIT_MAX ((int64_t)(SIZE_MAX >> 2))

static void lock(struct ffi_call *call)
{
    pthread_mutex_lock(&call->context->queue->mutex);
}

static void unlock(struct ffi_call *call)
{
    pthread_mutex_unlock(&call->context->queue->mutex);
}

/* ---- patience ---- */

static void on_late(struct loop_timer *t)
{
    struct ffi_call *call = LIST_ITEM(t, struct ffi_call, patience);
    metric_add(&call->context->metrics, 0, 1);
    exchange_fail(call->exchange, ROUTED_ERROR_ENGINE_TIMEOUT);
}

/* The request is with the host, whole: from now on it is the host's turn. */
static void await_answer(struct ffi_call *call)
{
    struct ffi_context *c = call->context;
    milliseconds due = clock_after(loop_now(c->loop), c->answer_timeout);
    if (due != CLOCK_NEVER && call->exchange->response_phase == EXCHANGE_HEAD)
        loop_timer_set(c->loop, &call->patience, due);
}

static void stop_waiting(struct ffi_call *call)
{
    loop_timer_clear(call->context->loop, &call->patience);
}

/* ---- the request, to the host ---- */

/* The end of such a request is in its head. A tunnel has no length. */
static bool is_whole(const struct exchange *x)
{
    return x->request.content_length == 0;
}

/* The payload alone: the host needs no size in front of it. */
static int write_head(struct buffer *out, const struct exchange *x)
{
    struct wire_origin origin = {.address = x->peer.address,
                                 .port = x->peer.port,
                                 .request_id = x->request_id,
                                 .tls = x->tls};
    int error = wire_request_write(out, is_whole(x) ? WIRE_REQUEST_SINGLE : WIRE_REQUEST_START,
                                   &x->request, &origin, 0);
    if (!error)
        buffer_consume(out, 4);
    return error;
}

static void on_request(struct exchange *x, void *context)
{
    struct ffi_context *c = context;
    struct buffer head = BUFFER_EMPTY;
    int error = write_head(&head, x);
    pthread_mutex_lock(&c->queue->mutex);
    struct ffi_call *call = error ? NULL : ffi_call_new(c);
    if (call) {
        call->exchange = x;
        call->head = head;
        loop_timer_init(&call->patience, on_late);
        x->application_state = call;
        x->reached_application = true;
        ffi_queue_tell(c->queue, call);
    }
    pthread_mutex_unlock(&c->queue->mutex);
    if (call) {
        if (is_whole(x))
            await_answer(call);
        exchange_grant(x, c->window);
        return;
    }
    buffer_release(&head);
    exchange_fail(x, error ? error : ROUTED_ERROR_MEMORY);
}

static void on_body(struct exchange *x, struct slice body)
{
    struct ffi_call *call = x->application_state;
    lock(call);
    int error = buffer_append_span(&call->body, slice_span(body));
    if (!error)
        ffi_queue_tell(call->context->queue, call);
    unlock(call);
    slice_release(&body);
    if (error)
        exchange_fail(x, error);
}

static void on_end(struct exchange *x, const struct field_list *trailers)
{
    struct ffi_call *call = x->application_state;
    (void)trailers; /* version 1 of the bridge has no place for them */
    if (is_whole(x))
        return;
    lock(call);
    call->has_end = true;
    ffi_queue_tell(call->context->queue, call);
    unlock(call);
    await_answer(call);
}

/* Nothing more goes to the exchange. What was cut is not told as if it were whole. */
static void settle(struct ffi_call *call, int error)
{
    call->is_over = true;
    call->has_closed = true;
    call->has_writable = false;
    call->code = error;
    call->exchange = NULL;
    stop_waiting(call);
    list_remove(&call->answered);
    ffi_payload_list_release(&call->sent);
    ffi_payload_list_release(&call->taken);
    if (error) {
        buffer_release(&call->body);
        call->has_end = false;
    }
}

static void on_close(struct exchange *x, int error)
{
    struct ffi_call *call = x->application_state;
    if (!call)
        return;
    struct ffi_queue *q = call->context->queue;
    pthread_mutex_lock(&q->mutex);
    settle(call, error);
    if (buffer_size(&call->head))
        ffi_queue_drop(q, call);
    else
        ffi_queue_tell(q, call);
    pthread_mutex_unlock(&q->mutex);
}

/* ---- the response, from the host ---- */

static int pass_head(struct ffi_call *call, const struct wire_head *head)
{
    struct exchange *x = call->exchange;
    struct http_response response = {0};
    int error = wire_response_read(head, &x->arena, &response);
    if (error)
        return error;
    if (http_status_is_interim(response.status)) {
        if (loop_timer_is_set(&call->patience)) /* a sign of life */
            await_answer(call);
        return exchange_inform(x, &response);
    }
    stop_waiting(call);
    error = wire_response_state_length(head, x->request.method, &x->arena, &response);
    if (error)
        return error;
    error = exchange_respond(x, &response);
    if (!error && response.status == HTTP_SWITCHING_PROTOCOLS)
        exchange_grant(x, call->context->window);
    return error;
}

static int pass_event(struct ffi_call *call, const struct wire_event *event, struct block *block)
{
    struct exchange *x = call->exchange;
    switch (event->type) {
    case WIRE_EVENT_HEAD:
        return pass_head(call, &event->head);
    case WIRE_EVENT_BODY:
    case WIRE_EVENT_TUNNEL:
        return exchange_send(x,
                             slice_of_block(block, (size_t)(event->bytes.data - block_data(block)),
                                            event->bytes.size));
    case WIRE_EVENT_END:
    case WIRE_EVENT_TUNNEL_CLOSE:
        return exchange_end(x, NULL);
    case WIRE_EVENT_ERROR:
        return event->error;
    case WIRE_EVENT_MORE:
        break;
    }
    return ROUTED_OK;
}

/* Only whole frames come, so a payload is used up in one go: the exchange takes one payload more
 * than its credit allows at most. */
static int pass_payload(struct ffi_call *call, struct ffi_payload *p)
{
    struct span input = slice_span(p->bytes);
    struct wire_event event;
    do {
        wire_decoder_feed(&call->decoder, &input, &event);
        int error = pass_event(call, &event, p->bytes.block);
        if (error)
            return error;
    } while (event.type != WIRE_EVENT_MORE);
    return ROUTED_OK;
}

static void note_taken(struct ffi_call *call, size_t weight)
{
    lock(call);
    call->sent_weight -= weight;
    if (call->wants_writable && call->sent_weight < call->context->window) {
        call->wants_writable = false;
        call->has_writable = true;
        ffi_queue_tell(call->context->queue, call);
    }
    unlock(call);
}

static bool has_window(const struct exchange *x)
{
    return x->response_phase == EXCHANGE_HEAD || exchange_can_send(x) || x->suppress_content;
}

static void pass_all(struct ffi_call *call)
{
    while (call->taken.first && has_window(call->exchange)) {
        struct ffi_payload *p = ffi_payload_list_take(&call->taken);
        size_t weight = ffi_payload_weight(p);
        int error = pass_payload(call, p);
        ffi_payload_free(p);
        note_taken(call, weight);
        if (error) {
            exchange_fail(call->exchange,
                          error == ROUTED_ERROR_MEMORY ? error : ROUTED_ERROR_RESPONSE);
            return;
        }
    }
}

static void on_writable(struct exchange *x)
{
    pass_all(x->application_state);
}

/* What a host said since its worker last looked. */
struct answer {
    struct ffi_call *call; /* NULL: nothing */
    uint64_t granted;
    bool wants_abort;
};

/* With the mutex held. */
static struct answer take_over(struct ffi_call *call)
{
    struct answer a = {call, call->granted, call->wants_abort};
    list_remove(&call->answered);
    ffi_payload_list_join(&call->taken, &call->sent);
    call->granted = 0;
    return a;
}

static struct answer next_answer(struct ffi_context *c)
{
    struct answer a = {0};
    pthread_mutex_lock(&c->queue->mutex);
    if (list_is_empty(&c->answered))
        c->is_posted = false;
    else
        a = take_over(LIST_ITEM(c->answered.next, struct ffi_call, answered));
    pthread_mutex_unlock(&c->queue->mutex);
    return a;
}

/* No sum of grants, however wrong, is to overflow the exchange's count. */
static void give(struct exchange *x, uint64_t granted)
{
    int64_t room = CREDIT_MAX - x->request_credit;
    if (room > 0)
        exchange_grant(x, granted < (uint64_t)room ? (size_t)granted : (size_t)room);
}

/* on_close never runs inside exchange_ calls, so the call outlives this turn of the loop. */
static void on_message(struct loop_message *m)
{
    struct ffi_context *c = LIST_ITEM(m, struct ffi_context, message);
    for (struct answer a = next_answer(c); a.call; a = next_answer(c)) {
        give(a.call->exchange, a.granted);
        pass_all(a.call);
        if (a.wants_abort)
            exchange_fail(a.call->exchange, ROUTED_ERROR_HANDLER);
    }
}

/* ---- the face ---- */

static const struct metric_name names[] = {{"limit.engine_answer_timeout", METRIC_COUNTER}};

static const struct metric_set *metrics_of(void *context)
{
    const struct ffi_context *c = context;
    return &c->metrics;
}

static int open_context(void *state, struct loop *loop, const routed_limits *limits,
                        const struct log *log, void **context)
{
    struct ffi_queue *q = state;
    struct ffi_context *c = memory_new_zeroed(sizeof(*c));
    (void)log;
    if (!c)
        return ROUTED_ERROR_MEMORY;
    c->queue = q;
    c->loop = loop;
    c->window = limits->window < CREDIT_MAX ? (size_t)limits->window : (size_t)CREDIT_MAX;
    c->answer_timeout = limits->engine_answer_timeout;
    c->metrics = (struct metric_set){.names = names, .count = 1, .values = &c->late};
    c->message.on_delivery = on_message;
    list_init(&c->answered);
    pthread_mutex_lock(&q->mutex);
    c->number = q->context_count;
    q->contexts[q->context_count++] = c;
    pthread_mutex_unlock(&q->mutex);
    *context = c;
    return ROUTED_OK;
}

static const struct exchange_application application = {
    .on_request = on_request,
    .on_body = on_body,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
};

void ffi_queue_face(struct face *out, struct ffi_queue *q)
{
    *out = (struct face){
        .application = &application, .open = open_context, .metrics = metrics_of, .state = q};
}
