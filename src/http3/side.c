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
    http3_charge_glitch(s);
    if (!ends)
        s->transport.stop(s->transport.transport, side->id, NGHTTP3_H3_STREAM_CREATION_ERROR);
}

static void begin_side(struct http3_session *s, struct http3_side *side, bool ends)
{
    const uint8_t type = (uint8_t)side->type.value;
    switch (side->type.value) {
    case SIDE_CONTROL:
        side->kind = HTTP3_SIDE_CONTROL;
        s->control_id = side->id;
        break;
    case SIDE_QPACK_ENCODER:
        side->kind = HTTP3_SIDE_ENCODER;
        break;
    case SIDE_QPACK_DECODER:
        side->kind = HTTP3_SIDE_DECODER;
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
    return side->kind >= HTTP3_SIDE_CONTROL;
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
    else if (side->kind == HTTP3_SIDE_NEW && ends)
        http3_charge_glitch(s);
    if (s->failure || !is_critical(side))
        return;
    if (side->kind == HTTP3_SIDE_CONTROL)
        http3_control_receive(s, bytes);
    else if (side->kind == HTTP3_SIDE_ENCODER)
        http3_qpack_receive(s, bytes);
    else
        feed(s, id, bytes);
    if (ends)
        http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_H3_CLOSED_CRITICAL_STREAM);
}

/* One without a type is odd but legal. */
void http3_side_reset(struct http3_session *s, int64_t id)
{
    const struct http3_side *side = find_side(s, id);
    if (!side || side->kind == HTTP3_SIDE_NEW)
        http3_charge_glitch(s);
    http3_side_end(s, id);
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
