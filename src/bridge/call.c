#include "bridge/call.h"

#include "bridge/refusal.h"
#include <routed/error.h>

#define SWITCHING_PROTOCOLS 101

struct bridge_call {
    struct exchange *x;
    struct bridge_client *client;
    struct bridge_line *line; /* NULL: none yet, or no more */
    struct bridge_wait wait;
    struct loop_timer timer;
    uint8_t *gathered; /* short content before it is sent; NULL: not gathering */
    size_t gathered_size;
    uint64_t in_before; /* the line's counts when it was taken */
    uint64_t out_before;
    milliseconds since; /* the engine last did something, or was last given something to do */
    milliseconds total_due;
    struct http_response held; /* a head that may turn out to be a refusal */
    struct bridge_refusal refusal;
    bool was_retried;
    bool is_over;            /* the exchange has failed or has its answer: nothing is passed on */
    bool has_request_end;    /* the client's end came */
    bool is_request_sent;    /* the last frame is queued */
    bool is_request_written; /* and taken by the kernel */
    bool has_head;           /* of the final response */
    bool has_response_end;
};

static milliseconds now_of(const struct bridge_call *call)
{
    return loop_now(call->client->loop);
}

static void count(struct bridge_call *call, enum bridge_metric which)
{
    metric_add(&call->client->metrics, which, 1);
}

static size_t queued(const struct bridge_call *call)
{
    return stream_queued(&call->line->channel.stream);
}

/* ---- the end of a call ---- */

static void drop_line(struct bridge_call *call)
{
    struct bridge_line *line = call->line;
    call->line = NULL;
    loop_timer_clear(call->client->loop, &call->timer);
    if (line)
        bridge_line_discard(line);
}

static void fail(struct bridge_call *call, int error)
{
    call->is_over = true;
    drop_line(call);
    exchange_fail(call->x, error);
}

/* A failure that is the engine's. */
static void blame(struct bridge_call *call, enum bridge_metric which, int error, const char *text)
{
    const struct span id = call->x->request_id;
    count(call, which);
    log_write(call->client->log, LOG_WARNING, "engine %u: %s (request %.*s)",
              bridge_line_engine(call->line), text, (int)id.size, (const char *)id.data);
    fail(call, error);
}

/* The response is passed on whole. A line whose request is still being written cannot be used
 * again. */
static void conclude(struct bridge_call *call)
{
    call->has_response_end = true;
    if (call->x->is_tunnel)
        return;
    call->is_over = true;
    if (!call->is_request_written) {
        drop_line(call);
        return;
    }
    struct bridge_line *line = call->line;
    call->line = NULL;
    loop_timer_clear(call->client->loop, &call->timer);
    bridge_line_keep(line);
}

/* ---- time ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How long the engine may take for what it is to do now; no limit while it is the client's turn. */
static uint64_t current_limit(const struct bridge_call *call)
{
    const routed_limits *limits = call->client->limits;
    if (call->x->is_tunnel)
        return ROUTED_NO_LIMIT;
    if (queued(call))
        return limits->engine_idle_timeout;
    if (!call->is_request_written)
        return ROUTED_NO_LIMIT;
    if (!call->has_head)
        return limits->engine_answer_timeout;
    if (bridge_channel_is_blocked(&call->line->channel))
        return ROUTED_NO_LIMIT;
    return limits->engine_idle_timeout;
}

/* A timer that fires too early looks again: it is cheaper than one that is moved all the time. */
static void arm(struct bridge_call *call)
{
    const routed_limits *limits = call->client->limits;
    uint64_t limit = current_limit(call);
    milliseconds due = bridge_deadline(call->since, limit);
    if (limit == ROUTED_NO_LIMIT)
        due = bridge_deadline(now_of(call),
                              least(limits->engine_idle_timeout, limits->engine_answer_timeout));
    if (call->x->is_tunnel)
        due = CLOCK_NEVER;
    else
        due = least(due, call->total_due);
    if (due == CLOCK_NEVER)
        loop_timer_clear(call->client->loop, &call->timer);
    else if (!loop_timer_is_set(&call->timer) || due < call->timer.due)
        loop_timer_set(call->client->loop, &call->timer, due);
}

static void time_out(struct bridge_call *call, enum bridge_metric limit)
{
    count(call, limit);
    blame(call, BRIDGE_TIMEOUTS, ROUTED_ERROR_ENGINE_TIMEOUT, "no answer in time");
}

static void on_due(struct loop_timer *t)
{
    struct bridge_call *call = LIST_ITEM(t, struct bridge_call, timer);
    milliseconds now = now_of(call);
    if (call->total_due <= now)
        time_out(call, BRIDGE_LIMIT_TOTAL);
    else if (bridge_deadline(call->since, current_limit(call)) <= now)
        time_out(call, queued(call) || call->has_head ? BRIDGE_LIMIT_STALL : BRIDGE_LIMIT_ANSWER);
    else
        arm(call);
}

/* ---- the response ---- */

static void refuse_response(struct bridge_call *call)
{
    blame(call, BRIDGE_RESPONSES_INVALID, ROUTED_ERROR_RESPONSE,
          "a response that must not be passed on");
}

static void respond(struct bridge_call *call, const struct http_response *response)
{
    int error = exchange_respond(call->x, response);
    if (error == ROUTED_ERROR_MEMORY) {
        fail(call, error);
        return;
    }
    if (error) {
        refuse_response(call);
        return;
    }
}

static void inform(struct bridge_call *call, const struct wire_head *head)
{
    struct http_response response;
    int error = wire_response_read(head, &call->x->arena, &response);
    if (!error)
        error = exchange_inform(call->x, &response);
    if (error == ROUTED_ERROR_MEMORY)
        fail(call, error);
    else if (error)
        refuse_response(call);
}

static void on_head(void *holder, const struct wire_head *head)
{
    struct bridge_call *call = holder;
    if (head->status < 200 && head->status != SWITCHING_PROTOCOLS) {
        inform(call, head);
        return;
    }
    call->has_head = true;
    call->since = now_of(call);
    int error = wire_response_read(head, &call->x->arena, &call->held);
    if (!error)
        error =
            wire_response_state_length(head, call->x->request.method, &call->x->arena, &call->held);
    if (error == ROUTED_ERROR_MEMORY)
        fail(call, error);
    else if (error)
        refuse_response(call);
    else if (head->status != SWITCHING_PROTOCOLS && !bridge_refusal_begin(&call->refusal, head))
        respond(call, &call->held);
    if (call->line)
        arm(call);
}

/* Nothing of a tunnel is sent before the whole 101 is here. */
static void on_upgrade(void *holder)
{
    struct bridge_call *call = holder;
    respond(call, &call->held);
    if (!call->line)
        return;
    arm(call);
    exchange_grant(call->x, call->client->limits->window);
}

static void pass_on(struct bridge_call *call, struct slice body)
{
    int error = exchange_send(call->x, body);
    if (!error)
        return;
    if (error == ROUTED_ERROR_MEMORY)
        fail(call, error);
    else
        refuse_response(call);
}

/* Content of a response that looks like a refusal. True when it is clear that it is none. */
static bool clear_suspicion(struct bridge_call *call, struct slice *body)
{
    struct span known = SPAN_EMPTY;
    switch (bridge_refusal_feed(&call->refusal, body, &known)) {
    case BRIDGE_REFUSAL_CERTAIN:
        blame(call, BRIDGE_RESPONSES_INVALID, ROUTED_ERROR_RESPONSE,
              "the engine cannot read the request");
        return false;
    case BRIDGE_REFUSAL_NONE:
        respond(call, &call->held);
        if (!call->is_over && known.size)
            pass_on(call, slice_static(known));
        return !call->is_over;
    case BRIDGE_REFUSAL_OPEN:
    default:
        return false;
    }
}

static void on_body(void *holder, struct slice *body)
{
    struct bridge_call *call = holder;
    call->since = now_of(call);
    if (call->refusal.is_open && !clear_suspicion(call, body))
        return;
    if (!call->x->suppress_content && !exchange_can_send(call->x))
        return;
    struct slice taken = *body;
    *body = SLICE_EMPTY;
    pass_on(call, taken);
}

static void on_end(void *holder)
{
    struct bridge_call *call = holder;
    if (exchange_end(call->x, NULL))
        refuse_response(call);
    else
        conclude(call);
}

static void on_tunnel_close(void *holder)
{
    on_end(holder);
}

/* ---- failing lines ---- */

static bool is_without_content(const struct bridge_call *call)
{
    return call->is_request_sent && call->x->request_bytes == 0 &&
           call->x->request.upgrade == HTTP_UPGRADE_NONE;
}

static bool can_retry(const struct bridge_call *call)
{
    const struct stream *s = &call->line->channel.stream;
    bool is_unread = s->bytes_out == call->out_before;
    return call->line->is_reused && !call->was_retried && s->bytes_in == call->in_before &&
           is_without_content(call) &&
           (is_unread || http_method_is_idempotent(call->x->request.method));
}

/* The engine ended before it accepted the connection. The next one on its socket finds it closed,
 * unless it came in this very moment: hence idempotent methods only. */
static bool can_move(const struct bridge_call *call)
{
    return !call->was_retried && is_without_content(call) &&
           http_method_is_idempotent(call->x->request.method);
}

static void take_line(struct bridge_call *call);

static void retry(struct bridge_call *call)
{
    count(call, BRIDGE_RETRIES);
    drop_line(call);
    call->was_retried = true;
    call->is_request_sent = call->is_request_written = false;
    call->has_request_end = true;
    call->wait.wants_fresh = true;
    take_line(call);
}

static void on_failure(void *holder, int error, const char *text)
{
    struct bridge_call *call = holder;
    if (error == ROUTED_ERROR_MEMORY) {
        fail(call, error);
    } else if (error == ROUTED_ERROR_BRIDGE_FRAME) {
        blame(call, BRIDGE_FRAMES_INVALID, error, text);
    } else if (call->has_response_end) {
        call->is_over = true; /* a tunnel whose engine has said everything */
        drop_line(call);
    } else if (can_retry(call) || (error == ROUTED_ERROR_NO_ENGINE && can_move(call))) {
        retry(call);
    } else if (error == ROUTED_ERROR_NO_ENGINE) {
        blame(call, BRIDGE_ENGINE_CLOSED, error, text);
    } else {
        blame(call, BRIDGE_ENGINE_CLOSED, ROUTED_ERROR_BRIDGE_CLOSED, text);
    }
}

/* ---- the request ---- */

static void on_drained(void *holder, size_t content)
{
    struct bridge_call *call = holder;
    call->since = now_of(call);
    if (call->line->channel.stream.bytes_out > call->out_before)
        call->x->reached_application = true;
    if (call->is_request_sent && queued(call) == 0)
        call->is_request_written = true;
    arm(call);
    if (!call->has_request_end || call->x->is_tunnel)
        exchange_grant(call->x, content);
}

static const struct bridge_line_events line_events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_upgrade = on_upgrade,
    .on_tunnel_close = on_tunnel_close,
    .on_drained = on_drained,
    .on_failure = on_failure,
};

/* The first frame: with everything when the request is complete, else the head only. */
static int write_first_frame(struct bridge_call *call)
{
    struct exchange *x = call->x;
    struct bridge_channel *channel = &call->line->channel;
    bool is_single = call->has_request_end || x->request.content_length == 0;
    struct wire_origin origin = {x->peer.address, x->peer.port, x->request_id, x->tls};
    int error = wire_request_write(bridge_channel_output(channel),
                                   is_single ? WIRE_REQUEST_SINGLE : WIRE_REQUEST_START,
                                   &x->request, &origin, (uint32_t)call->gathered_size);
    if (error)
        return error;
    call->is_request_sent = is_single;
    if (call->gathered_size == 0)
        return ROUTED_OK;
    /* The arena outlives the line's use by this call. */
    return bridge_channel_send_content(channel,
                                       slice_static(span_of(call->gathered, call->gathered_size)));
}

static void start(struct bridge_call *call, struct bridge_line *line)
{
    call->line = line;
    call->in_before = line->channel.stream.bytes_in;
    call->out_before = line->channel.stream.bytes_out;
    call->since = now_of(call);
    bridge_line_hold(line, &line_events, call);
    int error = write_first_frame(call);
    if (error) {
        fail(call, error);
        return;
    }
    if (!call->is_request_sent)
        exchange_grant(call->x, call->client->limits->window);
}

static void on_line(struct bridge_wait *w, struct bridge_line *line)
{
    start(LIST_ITEM(w, struct bridge_call, wait), line);
}

static void on_refused(struct bridge_wait *w, int error)
{
    fail(LIST_ITEM(w, struct bridge_call, wait), error);
}

static void take_line(struct bridge_call *call)
{
    const struct http_request *request = &call->x->request;
    call->wait.can_repeat = request->content_length == 0 && request->upgrade == HTTP_UPGRADE_NONE &&
                            http_method_is_idempotent(request->method);
    struct bridge_line *line;
    int error = bridge_pool_take(&call->client->pool, &call->wait, &line);
    if (!error)
        start(call, line);
    else if (error != ROUTED_ERROR_AGAIN)
        fail(call, error);
}

static bool is_short(const struct exchange *x)
{
    return x->request.content_length > 0 && x->request.content_length <= BRIDGE_GATHER_MAX;
}

static void call_init(struct bridge_call *call, struct exchange *x, struct bridge_client *client)
{
    *call = (struct bridge_call){.x = x, .client = client};
    call->wait.on_line = on_line;
    call->wait.on_refused = on_refused;
    list_init(&call->wait.link);
    loop_timer_init(&call->timer, on_due);
    call->total_due = bridge_deadline(now_of(call), client->limits->engine_total_timeout);
}

static void on_request(struct exchange *x, void *context)
{
    struct bridge_call *call = arena_new(&x->arena, sizeof(*call));
    if (!call) {
        exchange_fail(x, ROUTED_ERROR_MEMORY);
        return;
    }
    call_init(call, x, context);
    x->application_state = call;
    if (!is_short(x)) {
        take_line(call);
        return;
    }
    size_t length = (size_t)x->request.content_length;
    call->gathered = arena_new(&x->arena, length);
    if (call->gathered)
        exchange_grant(x, length);
    else
        fail(call, ROUTED_ERROR_MEMORY);
}

/* Nothing was on its way to the engine: from now on it is the engine's turn. */
static void note_new_output(struct bridge_call *call)
{
    if (queued(call) == 0)
        call->since = now_of(call);
}

static void on_request_body(struct exchange *x, struct slice body)
{
    struct bridge_call *call = x->application_state;
    if (call->gathered && !x->is_tunnel && !call->is_over) {
        memcpy(call->gathered + call->gathered_size, body.data, body.size);
        call->gathered_size += body.size;
        slice_release(&body);
        return;
    }
    if (!call->line) {
        size_t size = body.size;
        slice_release(&body);
        if (x->is_tunnel) /* nobody listens any more, but the client's end is still to come */
            exchange_grant(x, size);
        return;
    }
    note_new_output(call);
    if (bridge_channel_send_chunk(&call->line->channel,
                                  x->is_tunnel ? WIRE_TUNNEL_CHUNK : WIRE_REQUEST_CHUNK, body))
        fail(call, ROUTED_ERROR_MEMORY);
}

static void on_request_end(struct exchange *x, const struct field_list *trailers)
{
    struct bridge_call *call = x->application_state;
    (void)trailers; /* version 1 has no place for them */
    call->has_request_end = true;
    if (call->is_over)
        return;
    if (call->gathered && !call->line && !x->is_tunnel) {
        take_line(call);
        return;
    }
    if (!call->line || (call->is_request_sent && !x->is_tunnel))
        return;
    note_new_output(call);
    call->is_request_sent = true;
    if (bridge_channel_send_mark(&call->line->channel,
                                 x->is_tunnel ? WIRE_TUNNEL_CLOSE : WIRE_REQUEST_END))
        fail(call, ROUTED_ERROR_MEMORY);
}

static void on_writable(struct exchange *x)
{
    struct bridge_call *call = x->application_state;
    if (!call->line)
        return;
    call->since = now_of(call);
    bridge_channel_resume(&call->line->channel);
}

static void on_close(struct exchange *x, int error)
{
    struct bridge_call *call = x->application_state;
    if (!call)
        return;
    if (error && !call->is_over)
        count(call, BRIDGE_CANCELLED);
    call->is_over = true;
    bridge_pool_leave(&call->client->pool, &call->wait);
    if (call->line && !error && x->is_tunnel) {
        loop_timer_clear(call->client->loop, &call->timer);
        bridge_line_finish(call->line);
        call->line = NULL;
    }
    drop_line(call);
}

const struct exchange_application bridge_call_application = {
    .on_request = on_request,
    .on_body = on_request_body,
    .on_end = on_request_end,
    .on_writable = on_writable,
    .on_close = on_close,
};
