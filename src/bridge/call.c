#include "bridge/call_state.h"
#include <routed/error.h>

/* ---- the end of a call ---- */

static void drop_line(struct bridge_call *call)
{
    struct bridge_line *line = call->line;
    call->line = NULL;
    loop_timer_clear(call->client->loop, &call->timer);
    if (line)
        bridge_line_discard(line);
}

void bridge_call_fail(struct bridge_call *call, int error)
{
    call->is_over = true;
    drop_line(call);
    exchange_fail(call->x, error);
}

void bridge_call_blame(struct bridge_call *call, enum bridge_metric which, int error,
                       const char *text)
{
    const struct span id = call->x->request_id;
    bridge_call_count(call, which);
    log_write(call->client->log, LOG_WARNING, "engine %u: %s (request %.*s)",
              bridge_line_engine(call->line), text, (int)id.size, (const char *)id.data);
    bridge_call_fail(call, error);
}

/* A line whose request is still being written cannot be used again. */
void bridge_call_conclude(struct bridge_call *call)
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
    bridge_call_count(call, BRIDGE_RETRIES);
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
        bridge_call_fail(call, error);
    } else if (error == ROUTED_ERROR_BRIDGE_FRAME) {
        bridge_call_blame(call, BRIDGE_FRAMES_INVALID, error, text);
    } else if (call->has_response_end) {
        call->is_over = true; /* a tunnel whose engine has said everything */
        drop_line(call);
    } else if (can_retry(call) || (error == ROUTED_ERROR_NO_ENGINE && can_move(call))) {
        retry(call);
    } else if (error == ROUTED_ERROR_NO_ENGINE) {
        bridge_call_blame(call, BRIDGE_ENGINE_CLOSED, error, text);
    } else {
        bridge_call_blame(call, BRIDGE_ENGINE_CLOSED, ROUTED_ERROR_BRIDGE_CLOSED, text);
    }
}

/* ---- the request ---- */

static void on_drained(void *holder, size_t content)
{
    struct bridge_call *call = holder;
    call->since = bridge_call_now(call);
    if (call->line->channel.stream.bytes_out > call->out_before)
        call->x->reached_application = true;
    if (call->is_request_sent && bridge_call_queued(call) == 0)
        call->is_request_written = true;
    bridge_patience_set(call);
    if (!call->has_request_end || call->x->is_tunnel)
        exchange_grant(call->x, content);
}

static const struct bridge_line_events line_events = {
    .on_head = bridge_reply_head,
    .on_body = bridge_reply_body,
    .on_end = bridge_reply_end,
    .on_upgrade = bridge_reply_upgrade,
    .on_tunnel_close = bridge_reply_end,
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
    call->since = bridge_call_now(call);
    bridge_line_hold(line, &line_events, call);
    int error = write_first_frame(call);
    if (error) {
        bridge_call_fail(call, error);
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
    bridge_call_fail(LIST_ITEM(w, struct bridge_call, wait), error);
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
        bridge_call_fail(call, error);
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
    bridge_patience_init(call);
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
        bridge_call_fail(call, ROUTED_ERROR_MEMORY);
}

/* Nothing was on its way to the engine: from now on it is the engine's turn. */
static void note_new_output(struct bridge_call *call)
{
    if (bridge_call_queued(call) == 0)
        call->since = bridge_call_now(call);
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
        bridge_call_fail(call, ROUTED_ERROR_MEMORY);
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
        bridge_call_fail(call, ROUTED_ERROR_MEMORY);
}

static void on_writable(struct exchange *x)
{
    struct bridge_call *call = x->application_state;
    if (!call->line)
        return;
    call->since = bridge_call_now(call);
    bridge_channel_resume(&call->line->channel);
}

static void on_close(struct exchange *x, int error)
{
    struct bridge_call *call = x->application_state;
    if (!call)
        return;
    if (error && !call->is_over)
        bridge_call_count(call, BRIDGE_CANCELLED);
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
