#include "bridge/carrier.h"

#include "base/error.h"
#include "base/memory.h"
#include "bridge/refusal.h"
#include "wire/bytes.h"

static struct bridge_carrier *of_exchange(struct exchange *x)
{
    return x->carrier_state;
}

static struct bridge_carrier *of_channel(struct bridge_channel *channel)
{
    return LIST_ITEM(channel, struct bridge_carrier, channel);
}

/* ---- the end ---- */

static void release_held(struct bridge_carrier *c)
{
    for (uint32_t i = 0; i < c->held_count; i++)
        slice_release(&c->held[i]);
    c->head_size = c->held_count = c->held_bytes = 0;
}

static void end_exchange(struct bridge_carrier *c, int error)
{
    if (!c->has_exchange)
        return;
    c->has_exchange = false;
    release_held(c);
    exchange_close(&c->exchange, error);
}

void bridge_carrier_close(struct bridge_carrier *c, int error)
{
    end_exchange(c, error);
    bridge_channel_close(&c->channel);
}

static void on_free(struct bridge_channel *channel)
{
    struct bridge_carrier *c = of_channel(channel);
    struct bridge_carrier_host *host = c->host;
    exchange_release(&c->exchange);
    list_remove(&c->link);
    host->count--;
    memory_free(c);
    host->on_gone(host);
}

void bridge_carrier_close_idle(struct bridge_carrier *c)
{
    if (!c->has_exchange && bridge_channel_is_idle(&c->channel))
        bridge_carrier_close(c, ROUTED_OK);
}

/* ---- the response, as the exchange gives it ---- */

/* What cannot be queued breaks the connection: half an answer must not look like a whole one. */
static int check(struct bridge_carrier *c, int error)
{
    if (error) {
        c->is_broken = true;
        c->failure = error;
        bridge_channel_resume(&c->channel);
    }
    return error;
}

static int respond_upgrade(struct bridge_carrier *c, const struct http_response *head)
{
    int error = wire_response_write(bridge_channel_output(&c->channel), WIRE_RESPONSE_START, head,
                                    HTTP_LENGTH_UNKNOWN, 0);
    if (!error)
        error = bridge_channel_send_mark(&c->channel, WIRE_RESPONSE_END);
    if (!error && c->has_request_end)
        error = wire_decoder_enter_tunnel(&c->channel.decoder);
    return check(c, error);
}

static int carrier_respond(struct exchange *x, const struct http_response *head, int64_t length)
{
    struct bridge_carrier *c = of_exchange(x);
    if (head->status == HTTP_SWITCHING_PROTOCOLS)
        return respond_upgrade(c, head);
    struct buffer *output = bridge_channel_output(&c->channel);
    size_t before = buffer_size(output);
    int error = wire_response_write(output, WIRE_RESPONSE_START, head, length, 0);
    c->head_size = (uint32_t)(buffer_size(output) - before);
    return check(c, error);
}

static int carrier_inform(struct exchange *x, const struct http_response *head)
{
    struct bridge_carrier *c = of_exchange(x);
    return check(c, wire_response_write(bridge_channel_output(&c->channel), WIRE_RESPONSE_START,
                                        head, HTTP_LENGTH_UNKNOWN, 0));
}

/* The head goes out as the start that it was written as. */
static int commit_start(struct bridge_carrier *c)
{
    int error = ROUTED_OK;
    uint32_t count = c->held_count;
    c->head_size = c->held_count = c->held_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (error)
            slice_release(&c->held[i]);
        else
            error = bridge_channel_send_chunk(&c->channel, WIRE_RESPONSE_CHUNK, c->held[i]);
    }
    return error;
}

/* Everything is here before the head was written out: the start becomes a single frame, which
 * differs in its type, and in its content with its size in front. */
static int commit_single(struct bridge_carrier *c)
{
    struct buffer *output = bridge_channel_output(&c->channel);
    if (!buffer_reserve(output, 4))
        return ROUTED_ERROR_MEMORY;
    uint8_t *frame = output->data + output->tail - c->head_size;
    wire_bytes_write_u32(frame, wire_bytes_read_u32(frame) + 4 + c->held_bytes);
    frame[WIRE_PREFIX_SIZE - 1] = WIRE_RESPONSE_SINGLE;
    wire_bytes_write_u32(frame + c->head_size, c->held_bytes);
    buffer_commit(output, 4);
    int error = ROUTED_OK;
    uint32_t count = c->held_count;
    c->head_size = c->held_count = c->held_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (error)
            slice_release(&c->held[i]);
        else
            error = bridge_channel_send_content(&c->channel, c->held[i]);
    }
    return error;
}

static int carrier_send(struct exchange *x, struct slice body)
{
    struct bridge_carrier *c = of_exchange(x);
    if (c->head_size && c->held_count < BRIDGE_CARRIER_HELD_MAX &&
        body.size <= BRIDGE_CARRIER_HELD_BYTES_MAX - c->held_bytes) {
        c->held[c->held_count++] = body;
        c->held_bytes += (uint32_t)body.size;
        return ROUTED_OK;
    }
    int error = c->head_size ? commit_start(c) : ROUTED_OK;
    if (error)
        slice_release(&body);
    else
        error = bridge_channel_send_chunk(
            &c->channel, x->is_tunnel ? WIRE_TUNNEL_CHUNK : WIRE_RESPONSE_CHUNK, body);
    return check(c, error);
}

static int carrier_end(struct exchange *x, const struct field_list *trailers)
{
    struct bridge_carrier *c = of_exchange(x);
    (void)trailers; /* version 1 has no place for them */
    if (c->head_size)
        return check(c, commit_single(c));
    return check(c, bridge_channel_send_mark(&c->channel,
                                             x->is_tunnel ? WIRE_TUNNEL_CLOSE : WIRE_RESPONSE_END));
}

/* A whole answer without an exchange. */
static int answer(struct bridge_carrier *c, struct http_response *head, struct span content)
{
    int error = wire_response_write(bridge_channel_output(&c->channel), WIRE_RESPONSE_SINGLE, head,
                                    HTTP_LENGTH_UNKNOWN, (uint32_t)content.size);
    if (!error)
        error = bridge_channel_send_content(&c->channel, slice_static(content));
    return check(c, error);
}

static void answer_error(struct bridge_carrier *c, uint16_t status)
{
    struct field fields[2] = {
        {field_text(FIELD_CONTENT_TYPE), SPAN("text/plain; charset=utf-8"), FIELD_CONTENT_TYPE},
        {field_text(FIELD_RETRY_AFTER), SPAN("1"), FIELD_RETRY_AFTER}};
    struct http_response head = {.status = status, .fields = {fields, status == 503 ? 2 : 1, 2}};
    bool is_head = span_equals(c->exchange.request.method, SPAN("HEAD"));
    answer(c, &head, is_head ? SPAN_EMPTY : http_reason(status));
}

static void carrier_fail(struct exchange *x, int error)
{
    struct bridge_carrier *c = of_exchange(x);
    uint16_t status = error_status(error);
    c->failure = error;
    if (x->response_phase == EXCHANGE_HEAD && status >= 400)
        answer_error(c, status);
    else
        check(c, error);
}

static void carrier_grant(struct exchange *x, size_t bytes)
{
    (void)bytes;
    bridge_channel_resume(&of_exchange(x)->channel);
}

static const struct exchange_carrier carrier = {
    .inform = carrier_inform,
    .respond = carrier_respond,
    .send = carrier_send,
    .end = carrier_end,
    .fail = carrier_fail,
    .grant = carrier_grant,
};

/* ---- the request, as the frames give it ---- */

static void log_peer(const struct bridge_carrier *c, const char *text)
{
    log_write(c->host->options.log, LOG_WARNING, "bridge: %s", text);
}

static void refuse(struct bridge_carrier *c, const char *text)
{
    char content[128] = BRIDGE_REFUSAL_TEXT;
    size_t size = sizeof(BRIDGE_REFUSAL_TEXT) - 1;
    size_t rest = strlen(text);
    if (rest > sizeof(content) - size)
        rest = sizeof(content) - size;
    memcpy(content + size, text, rest);
    struct http_response head = {.status = BRIDGE_REFUSAL_STATUS};
    struct buffer *output = bridge_channel_output(&c->channel);
    int error = wire_response_write(output, WIRE_RESPONSE_SINGLE, &head, HTTP_LENGTH_UNKNOWN,
                                    (uint32_t)(size + rest));
    if (!error)
        error = buffer_append(output, content, size + rest);
    check(c, error);
    log_peer(c, text);
}

static void on_head(struct bridge_channel *channel, const struct wire_head *head)
{
    struct bridge_carrier *c = of_channel(channel);
    struct exchange *x = &c->exchange;
    const struct bridge_runtime_options *options = &c->host->options;
    struct wire_origin origin;
    if (c->has_exchange) {
        log_peer(c, "a request before the answer to the last one");
        bridge_carrier_close(c, ROUTED_ERROR_BRIDGE_FRAME);
        return;
    }
    c->has_request_end = c->is_discarding = false;
    c->failure = ROUTED_OK;
    exchange_init(x, &carrier, c, c->host->channels.loop);
    int error = wire_request_read(head, &x->arena, &x->request, &origin);
    if (error == ROUTED_ERROR_MEMORY) {
        bridge_carrier_close(c, error);
        return;
    }
    if (error) {
        refuse(c, routed_error_text(error));
        c->is_discarding = true;
        return;
    }
    x->peer =
        (struct exchange_peer){origin.address.size ? origin.address : SPAN("unix"), origin.port};
    x->request_id = origin.request_id;
    x->tls = origin.tls;
    exchange_writable(x, options->limits->window);
    c->has_exchange = true;
    exchange_open(x, options->application, options->context);
}

static bool wants_content(const struct bridge_carrier *c)
{
    return c->has_exchange && !c->is_discarding && !c->exchange.is_failed;
}

/* Nobody will grant credit for what is left. */
static bool is_content_left_over(const struct bridge_carrier *c)
{
    const struct exchange *x = &c->exchange;
    return !wants_content(c) || (x->response_phase == EXCHANGE_ENDED && !x->is_tunnel);
}

static void on_body(struct bridge_channel *channel, struct slice *body)
{
    struct bridge_carrier *c = of_channel(channel);
    struct exchange *x = &c->exchange;
    while (body->size && wants_content(c) && x->request_credit > 0) {
        size_t size = body->size;
        if (size > (uint64_t)x->request_credit)
            size = (size_t)x->request_credit;
        int error = exchange_deliver(x, slice_take(body, size));
        if (error) {
            log_peer(c, "content beyond its declared length");
            bridge_carrier_close(c, error);
            return;
        }
    }
    if (body->size && is_content_left_over(c)) {
        c->is_discarding = true;
        slice_release(body);
    }
}

static int deliver_end(struct bridge_carrier *c)
{
    if (c->exchange.is_tunnel)
        return wire_decoder_enter_tunnel(&c->channel.decoder);
    return wants_content(c) ? exchange_deliver_end(&c->exchange, NULL) : ROUTED_OK;
}

static void on_end(struct bridge_channel *channel)
{
    struct bridge_carrier *c = of_channel(channel);
    c->has_request_end = true;
    int error = c->has_exchange ? deliver_end(c) : ROUTED_OK;
    if (error) {
        log_peer(c, "content short of its declared length");
        bridge_carrier_close(c, error);
        return;
    }
    c->is_discarding = false;
    if (c->host->is_shut)
        bridge_channel_resume(channel);
}

static void on_tunnel_close(struct bridge_channel *channel)
{
    struct bridge_carrier *c = of_channel(channel);
    if (c->has_exchange && exchange_deliver_end(&c->exchange, NULL))
        bridge_carrier_close(c, ROUTED_ERROR_BRIDGE_FRAME);
    bridge_channel_resume(channel); /* the tunnel may be over */
}

/* Ends an exchange that has its answer, or never will. Waits for this moment of the turn because
 * on_close must not come from inside a call of the application. */
static void finish_exchange(struct bridge_carrier *c)
{
    const struct exchange *x = &c->exchange;
    if (!c->has_exchange)
        return;
    if (x->is_failed) {
        c->is_discarding = !c->has_request_end;
        end_exchange(c, c->failure);
    } else if (x->is_tunnel) {
        if (exchange_is_complete(x)) {
            c->is_finishing = true;
            end_exchange(c, ROUTED_OK);
        }
    } else if (x->response_phase == EXCHANGE_ENDED) {
        c->is_discarding = !c->has_request_end;
        end_exchange(c, ROUTED_OK); /* what it did not read, it chose not to */
    }
}

static bool is_done(const struct bridge_carrier *c)
{
    if (stream_queued(&c->channel.stream))
        return false;
    return c->is_finishing ||
           (c->host->is_shut && !c->has_exchange && wire_decoder_is_idle(&c->channel.decoder));
}

static void on_flush(struct bridge_channel *channel)
{
    struct bridge_carrier *c = of_channel(channel);
    if (!c->is_broken && c->head_size)
        check(c, commit_start(c));
    if (c->is_broken) {
        bridge_carrier_close(c, c->failure);
        return;
    }
    finish_exchange(c);
    if (is_done(c))
        bridge_carrier_close(c, ROUTED_OK);
}

static void on_drained(struct bridge_channel *channel, size_t content)
{
    struct bridge_carrier *c = of_channel(channel);
    if (is_done(c))
        bridge_carrier_close(c, ROUTED_OK);
    else if (c->has_exchange)
        exchange_writable(&c->exchange, content);
}

/* Closing is how the front cancels. Only of a tunnel the last bytes are still wanted. */
static void on_ended(struct bridge_channel *channel)
{
    struct bridge_carrier *c = of_channel(channel);
    bool has_last_bytes =
        c->has_exchange && c->exchange.is_tunnel && !bridge_channel_is_blocked(channel);
    if (!has_last_bytes)
        bridge_carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
}

static void on_failure(struct bridge_channel *channel, int error, const char *text)
{
    struct bridge_carrier *c = of_channel(channel);
    if (error == ROUTED_ERROR_BRIDGE_FRAME && !c->has_exchange && !c->is_discarding) {
        refuse(c, text);
        c->is_finishing = true;
        return;
    }
    if (error == ROUTED_ERROR_BRIDGE_FRAME)
        log_peer(c, text);
    bridge_carrier_close(c, error == ROUTED_ERROR_BRIDGE_CLOSED ? ROUTED_ERROR_CLIENT_GONE : error);
}

static void on_connect(struct bridge_channel *channel)
{
    (void)channel;
}

int bridge_carrier_open(struct bridge_carrier_host *host, int fd, bool is_unix)
{
    static const struct bridge_channel_events events = {
        .on_connect = on_connect,
        .on_head = on_head,
        .on_body = on_body,
        .on_end = on_end,
        .on_tunnel_close = on_tunnel_close,
        .on_flush = on_flush,
        .on_drained = on_drained,
        .on_ended = on_ended,
        .on_failure = on_failure,
        .free = on_free,
    };
    struct bridge_carrier *c = memory_new_zeroed(sizeof(*c));
    if (!c) {
        socket_close(fd);
        return ROUTED_ERROR_MEMORY;
    }
    c->host = host;
    int error = bridge_channel_open(&c->channel, &host->channels, fd, is_unix, false, WIRE_REQUESTS,
                                    &events);
    if (error) {
        memory_free(c);
        return error;
    }
    list_append(&host->carriers, &c->link);
    host->count++;
    return ROUTED_OK;
}
