#include "websocket/receiver.h"

#include <routed/error.h>

/* A buffer above this is given back after its message: an idle WebSocket holds little. */
#define GATHERED_KEPT 4096

void websocket_receiver_init(struct websocket_receiver *r, bool masked,
                             const struct websocket_limits *limits)
{
    static const struct websocket_limits standard = {WEBSOCKET_MESSAGE_MAX, WEBSOCKET_FRAGMENTS_MAX,
                                                     WEBSOCKET_CONTROLS_MAX};
    *r = (struct websocket_receiver){.limits = limits ? *limits : standard, .masked = masked};
}

void websocket_receiver_release(struct websocket_receiver *r)
{
    buffer_release(&r->gathered);
}

void websocket_receiver_refill(struct websocket_receiver *r)
{
    r->controls = 0;
}

/* All these functions return true when `event` is filled in. */

static bool fail(struct websocket_receiver *r, struct websocket_event *event, int error,
                 const char *text)
{
    r->is_over = true;
    event->type = WEBSOCKET_EVENT_ERROR;
    event->error = error;
    event->text = text;
    return true;
}

static bool violation(struct websocket_receiver *r, struct websocket_event *event, const char *text)
{
    return fail(r, event, ROUTED_ERROR_WEBSOCKET_PROTOCOL, text);
}

static bool is_text(const struct websocket_receiver *r)
{
    return r->message == WEBSOCKET_TEXT;
}

/* ---- frame heads ---- */

static bool data_frame_begin(struct websocket_receiver *r, struct websocket_event *event)
{
    bool is_continuation = r->frame.opcode == WEBSOCKET_CONTINUATION;
    bool is_inside = r->message != WEBSOCKET_CONTINUATION;
    if (is_continuation && !is_inside)
        return violation(r, event, "continuation without a message");
    if (!is_continuation && is_inside)
        return violation(r, event, "new message inside a message");
    if (!is_continuation) {
        r->message = r->frame.opcode;
        r->utf8 = WEBSOCKET_UTF8_START;
        r->fragments = 0;
    }
    if (++r->fragments > r->limits.fragments_max)
        return fail(r, event, ROUTED_ERROR_WEBSOCKET_TOO_BIG, "too many fragments");
    size_t room = r->limits.message_max - buffer_size(&r->gathered);
    if (r->frame.size > room)
        return fail(r, event, ROUTED_ERROR_WEBSOCKET_TOO_BIG, "message too big");
    return false;
}

static bool control_frame_begin(struct websocket_receiver *r, struct websocket_event *event)
{
    if (r->frame.opcode == WEBSOCKET_CLOSE)
        return r->frame.size == 1 && violation(r, event, "close frame of one byte");
    if (++r->controls > r->limits.controls_max)
        return fail(r, event, ROUTED_ERROR_BUDGET, "too many pings");
    return false;
}

static bool frame_begin(struct websocket_receiver *r, struct websocket_event *event)
{
    r->head_size = 0;
    r->received = 0;
    r->in_frame = true;
    return websocket_opcode_is_control(r->frame.opcode) ? control_frame_begin(r, event)
                                                        : data_frame_begin(r, event);
}

/* Byte for byte: a head is short, and each byte can be the one that is wrong. */
static bool head_take(struct websocket_receiver *r, struct span *input,
                      struct websocket_event *event)
{
    while (input->size && !r->in_frame) {
        r->head[r->head_size++] = input->data[0];
        *input = span_after(*input, 1);
        int size = websocket_frame_read(span_of(r->head, r->head_size), r->masked, &r->frame);
        if (size < 0)
            return violation(r, event, "malformed frame head");
        if (size > 0)
            return frame_begin(r, event);
    }
    return false;
}

/* ---- payload ---- */

/* The part of the input that belongs to the frame, unmasked into `out`. */
static void payload_take(struct websocket_receiver *r, struct span *input, uint8_t *out,
                         size_t size)
{
    if (size == 0)
        return;
    if (r->masked)
        websocket_mask(out, input->data, size, r->frame.mask, r->received);
    else
        memcpy(out, input->data, size);
    *input = span_after(*input, size);
    r->received += size;
}

static size_t payload_here(const struct websocket_receiver *r, struct span input)
{
    uint64_t missing = r->frame.size - r->received;
    return input.size < missing ? input.size : (size_t)missing;
}

static bool close_event(struct websocket_receiver *r, struct websocket_event *event)
{
    struct span payload = span_of(r->control, (size_t)r->frame.size);
    uint16_t code = 0;
    if (payload.size >= 2) {
        code = (uint16_t)(payload.data[0] << 8 | payload.data[1]);
        payload = span_after(payload, 2);
        if (!websocket_close_code_is_valid(code))
            return violation(r, event, "close code that must not be sent");
        if (!websocket_utf8_is_valid(payload))
            return fail(r, event, ROUTED_ERROR_WEBSOCKET_UTF8, "close reason is not UTF-8");
    }
    r->is_over = true;
    event->type = WEBSOCKET_EVENT_CLOSE;
    event->code = code;
    event->payload = payload;
    return true;
}

static bool control_take(struct websocket_receiver *r, struct span *input,
                         struct websocket_event *event)
{
    payload_take(r, input, r->control + r->received, payload_here(r, *input));
    if (r->received < r->frame.size)
        return false;
    r->in_frame = false;
    event->opcode = r->frame.opcode;
    if (r->frame.opcode == WEBSOCKET_CLOSE)
        return close_event(r, event);
    event->type = r->frame.opcode == WEBSOCKET_PING ? WEBSOCKET_EVENT_PING : WEBSOCKET_EVENT_PONG;
    event->payload = span_of(r->control, (size_t)r->frame.size);
    return true;
}

static bool message_event(struct websocket_receiver *r, struct websocket_event *event)
{
    if (is_text(r) && !websocket_utf8_is_complete(&r->utf8))
        return fail(r, event, ROUTED_ERROR_WEBSOCKET_UTF8, "text ends inside a character");
    event->type = WEBSOCKET_EVENT_MESSAGE;
    event->opcode = r->message;
    event->payload = buffer_span(&r->gathered);
    r->message = WEBSOCKET_CONTINUATION;
    r->is_told = true;
    return true;
}

static bool data_take(struct websocket_receiver *r, struct span *input,
                      struct websocket_event *event)
{
    size_t size = payload_here(r, *input);
    uint8_t *room = size ? buffer_reserve(&r->gathered, size) : NULL;
    if (size && !room)
        return fail(r, event, ROUTED_ERROR_MEMORY, "out of memory");
    payload_take(r, input, room, size);
    buffer_commit(&r->gathered, size);
    if (size && is_text(r) && !websocket_utf8_feed(&r->utf8, span_of(room, size)))
        return fail(r, event, ROUTED_ERROR_WEBSOCKET_UTF8, "text is not UTF-8");
    if (r->received < r->frame.size)
        return false;
    r->in_frame = false;
    return r->frame.is_final && message_event(r, event);
}

static bool payload_step(struct websocket_receiver *r, struct span *input,
                         struct websocket_event *event)
{
    return websocket_opcode_is_control(r->frame.opcode) ? control_take(r, input, event)
                                                        : data_take(r, input, event);
}

/* The message that was handed out is read by now. */
static void message_forget(struct websocket_receiver *r)
{
    r->is_told = false;
    if (r->gathered.capacity > GATHERED_KEPT)
        buffer_release(&r->gathered);
    else
        buffer_clear(&r->gathered);
}

void websocket_receiver_feed(struct websocket_receiver *r, struct span *input,
                             struct websocket_event *event)
{
    *event = (struct websocket_event){.type = WEBSOCKET_EVENT_MORE};
    if (r->is_told)
        message_forget(r);
    while (!r->is_over) {
        if (!r->in_frame && head_take(r, input, event))
            return;
        if (r->in_frame && payload_step(r, input, event))
            return;
        if (input->size == 0)
            return;
    }
    *input = span_after(*input, input->size);
}
