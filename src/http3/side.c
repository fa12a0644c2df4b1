#include "http3/state.h"

#include <routed/error.h>

/* RFC 9114 section 6.2, RFC 9204 section 4.2. */
enum side_type {
    SIDE_CONTROL = 0x00,
    SIDE_PUSH = 0x01,
    SIDE_QPACK_ENCODER = 0x02,
    SIDE_QPACK_DECODER = 0x03
};

/* ---- the table ---- */

static struct http3_side *find_side(struct http3_session *s, int64_t id)
{
    for (size_t i = 0; i < HTTP3_SIDE_STREAMS_MAX; i++)
        if (s->sides[i].kind != HTTP3_SIDE_FREE && s->sides[i].id == id)
            return &s->sides[i];
    return NULL;
}

static struct http3_side *open_side(struct http3_session *s, int64_t id)
{
    for (size_t i = 0; i < HTTP3_SIDE_STREAMS_MAX; i++)
        if (s->sides[i].kind == HTTP3_SIDE_FREE) {
            s->sides[i] = (struct http3_side){.id = id, .kind = HTTP3_SIDE_NEW};
            return &s->sides[i];
        }
    http3_session_break(s, ROUTED_ERROR_BUDGET, NGHTTP3_H3_EXCESSIVE_LOAD);
    return NULL;
}

/* ---- priorities that change (RFC 9218 section 7.2) ---- */

/* nghttp3 leaves streams alone whose priority was set by the server, and that is each of them, so
 * the frame is read here as well. What is wrong with it nghttp3 says. */
static void apply_update(struct http3_session *s)
{
    struct span value = span_of(s->payload, s->payload_size);
    struct http3_number element = {0};
    nghttp3_pri priority = {.urgency = NGHTTP3_DEFAULT_URGENCY, .inc = 0};
    if (!http3_number_read(&element, &value))
        return;
    struct http3_stream *t = http3_session_find_stream(s, (int64_t)element.value);
    if (!t || t->is_gone ||
        (value.size && nghttp3_pri_parse_priority(&priority, value.data, value.size)))
        return;
    t->has_update = true;
    http3_request_set_priority(s, t, priority);
}

/* ---- the control stream ---- */

static void fail_control(struct http3_session *s, uint64_t code)
{
    http3_session_break(s, ROUTED_ERROR_FRAMING, code);
}

/* The payload is one number, no less and no more, which nghttp3 (seen in 1.8) does not see to: it
 * would take the rest for another frame. */
static bool is_one_number(const struct http3_session *s)
{
    return http3_number_size(s->payload[0]) == s->payload_size + s->control.left;
}

/* Push ids only grow (RFC 9114 section 7.2.7). */
static void judge_push_id(struct http3_session *s)
{
    struct span payload = span_of(s->payload, s->payload_size);
    struct http3_number number = {0};
    http3_number_read(&number, &payload);
    if (number.value < s->max_push_id)
        fail_control(s, NGHTTP3_H3_ID_ERROR);
    s->max_push_id = number.value;
}

static bool is_number_frame(uint64_t type)
{
    return type == HTTP3_FRAME_GOAWAY || type == HTTP3_FRAME_MAX_PUSH_ID;
}

/* The first SETTINGS costs nothing; a second is an error, which nghttp3 knows. */
static void begin_control_frame(struct http3_session *s)
{
    const struct http3_frames *f = &s->control;
    bool is_first = !s->control_begun;
    s->control_begun = true;
    s->payload_size = 0;
    if (is_first && f->type != HTTP3_FRAME_SETTINGS)
        fail_control(s, NGHTTP3_H3_MISSING_SETTINGS);
    else if (f->type == HTTP3_FRAME_CANCEL_PUSH) /* of what was never promised */
        fail_control(s, NGHTTP3_H3_ID_ERROR);
    else if (is_number_frame(f->type) && f->left == 0)
        fail_control(s, NGHTTP3_H3_FRAME_ERROR);
    else if (f->type != HTTP3_FRAME_SETTINGS)
        http3_session_charge_unknown(s, f->left);
    else if (f->left > HTTP3_SETTINGS_SIZE_MAX)
        http3_session_break(s, ROUTED_ERROR_BUDGET, NGHTTP3_H3_EXCESSIVE_LOAD);
}

static void keep_payload(struct http3_session *s, struct span payload)
{
    size_t room = sizeof(s->payload) - s->payload_size;
    size_t size = payload.size < room ? payload.size : room;
    memcpy(s->payload + s->payload_size, payload.data, size);
    s->payload_size += size;
    if (is_number_frame(s->control.type) && !is_one_number(s))
        fail_control(s, NGHTTP3_H3_FRAME_ERROR);
}

/* What is longer than there is room for is no priority. */
static void end_control_frame(struct http3_session *s)
{
    if (s->control.type == HTTP3_FRAME_MAX_PUSH_ID)
        judge_push_id(s);
    else if (s->control.type == HTTP3_FRAME_PRIORITY_UPDATE && s->payload_size < HTTP3_PAYLOAD_MAX)
        apply_update(s);
}

/* Frames that nghttp3 ignores are what floods are made of. */
static void look_at_control(struct http3_session *s, struct span bytes)
{
    struct span payload;
    enum http3_part part;
    while (!s->failure && (part = http3_frames_next(&s->control, &bytes, &payload)))
        if (part == HTTP3_PART_HEAD) {
            begin_control_frame(s);
        } else {
            keep_payload(s, payload);
            if (s->control.left == 0 && !s->failure)
                end_control_frame(s);
        }
}

/* ---- bytes ---- */

static void feed(struct http3_session *s, int64_t id, struct span bytes)
{
    if (s->failure || !bytes.size)
        return;
    nghttp3_ssize result = nghttp3_conn_read_stream(s->machine, id, bytes.data, bytes.size, 0);
    if (result < 0)
        http3_machine_failed(s, (int)result);
}

static void ignore(struct http3_session *s, struct http3_side *side, bool ends)
{
    side->kind = HTTP3_SIDE_IGNORED;
    http3_session_charge_glitch(s);
    if (!ends)
        s->transport.stop(s->transport.transport, side->id, NGHTTP3_H3_STREAM_CREATION_ERROR);
}

static void begin_side(struct http3_session *s, struct http3_side *side, bool ends)
{
    const uint8_t type = (uint8_t)side->type.value;
    switch (side->type.value) {
    case SIDE_CONTROL:
        side->kind = HTTP3_SIDE_CONTROL;
        break;
    case SIDE_QPACK_ENCODER:
    case SIDE_QPACK_DECODER:
        side->kind = HTTP3_SIDE_QPACK;
        break;
    case SIDE_PUSH:
        http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_H3_STREAM_CREATION_ERROR);
        return;
    default:
        ignore(s, side, ends);
        return;
    }
    feed(s, side->id, span_of(&type, 1)); /* one that is there already is refused by nghttp3 */
}

static bool is_critical(const struct http3_side *side)
{
    return side->kind == HTTP3_SIDE_CONTROL || side->kind == HTTP3_SIDE_QPACK;
}

void http3_side_receive(struct http3_session *s, int64_t id, struct span bytes, bool ends)
{
    struct http3_side *side = find_side(s, id);
    if (!side)
        side = open_side(s, id);
    if (!side)
        return;
    if (bytes.size && !ends)
        s->transport.grant_stream(s->transport.transport, id, bytes.size);
    if (side->kind == HTTP3_SIDE_NEW && http3_number_read(&side->type, &bytes))
        begin_side(s, side, ends);
    if (s->failure || !is_critical(side))
        return;
    if (side->kind == HTTP3_SIDE_CONTROL)
        look_at_control(s, bytes);
    feed(s, id, bytes);
    if (ends)
        http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_H3_CLOSED_CRITICAL_STREAM);
}

void http3_side_end(struct http3_session *s, int64_t id)
{
    struct http3_side *side = find_side(s, id);
    if (!side)
        return;
    if (is_critical(side))
        http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_H3_CLOSED_CRITICAL_STREAM);
    side->kind = HTTP3_SIDE_FREE;
}
