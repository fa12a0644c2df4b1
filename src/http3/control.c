#include "http3/state.h"

#include <routed/error.h>

/* The client's control stream (RFC 9114 section 6.2.1). nghttp3 gets of it what is SETTINGS; the
 * rest is read here: frames that it would ignore are what floods are made of, it does not see to
 * the end of GOAWAY and MAX_PUSH_ID, and it ends the process when PRIORITY_UPDATE is cut between
 * its two parts (all seen in 1.8). */

static void fail_control(struct http3_session *s, uint64_t code)
{
    http3_session_break(s, ROUTED_ERROR_FRAMING, code);
}

/* ---- priorities that change (RFC 9218 section 7.2) ---- */

/* For a request that has not come: nghttp3 remembers it with a stream of its own. */
static void keep_for_later(struct http3_session *s, int64_t id, nghttp3_pri priority)
{
    nghttp3_ssize result = nghttp3_conn_read_stream(s->machine, id, NULL, 0, 0);
    if (result < 0)
        http3_machine_failed(s, (int)result);
    else
        http3_request_set_priority(s, id, priority);
}

static void apply_update(struct http3_session *s, int64_t id, nghttp3_pri priority)
{
    struct http3_stream *t = http3_streams_find(s, id);
    if (t && !t->is_gone) {
        t->has_update = true;
        http3_request_set_priority(s, id, priority);
    } else if (!t && id >= s->next_request && !s->is_shut) {
        keep_for_later(s, id, priority);
    }
}

static void take_update(struct http3_session *s)
{
    struct span value = span_of(s->payload, s->payload_size);
    struct http3_number element = {0};
    nghttp3_pri priority = {.urgency = NGHTTP3_DEFAULT_URGENCY, .inc = 0};
    if (!http3_number_read(&element, &value)) {
        fail_control(s, NGHTTP3_H3_FRAME_ERROR);
        return;
    }
    int64_t id = (int64_t)element.value;
    if (!http3_state_is_request_stream(id) ||
        element.value / 4 >= http3_session_streams_allowed(s)) {
        fail_control(s, NGHTTP3_H3_ID_ERROR);
        return;
    }
    if (s->payload_size == HTTP3_PAYLOAD_MAX)
        return;
    if (value.size && nghttp3_pri_parse_priority(&priority, value.data, value.size))
        fail_control(s, NGHTTP3_H3_GENERAL_PROTOCOL_ERROR);
    else
        apply_update(s, id, priority);
}

/* ---- frames that are a number ---- */

static bool is_number_frame(uint64_t type)
{
    return type == HTTP3_FRAME_GOAWAY || type == HTTP3_FRAME_MAX_PUSH_ID;
}

/* Push ids that may be used only grow, those that are not taken only shrink (RFC 9114 sections
 * 7.2.7 and 5.2). Nothing is ever pushed. */
static void take_number(struct http3_session *s)
{
    struct span payload = span_of(s->payload, s->payload_size);
    struct http3_number number = {0};
    http3_number_read(&number, &payload);
    bool is_farewell = s->control.type == HTTP3_FRAME_GOAWAY;
    if (is_farewell ? number.value > s->push_end : number.value < s->push_max)
        fail_control(s, NGHTTP3_H3_ID_ERROR);
    *(is_farewell ? &s->push_end : &s->push_max) = number.value;
}

/* ---- SETTINGS ---- */

static void feed(struct http3_session *s, struct span bytes)
{
    nghttp3_ssize result =
        nghttp3_conn_read_stream(s->machine, s->control_id, bytes.data, bytes.size, 0);
    if (result < 0)
        http3_machine_failed(s, (int)result);
}

static void begin_settings(struct http3_session *s)
{
    const uint64_t size = s->control.left;
    const uint8_t head[] = {HTTP3_FRAME_SETTINGS, (uint8_t)(0x40 | size >> 8), (uint8_t)size};
    if (size > HTTP3_SETTINGS_SIZE_MAX)
        http3_session_break(s, ROUTED_ERROR_BUDGET, NGHTTP3_H3_EXCESSIVE_LOAD);
    else
        feed(s, span_of(head, sizeof(head)));
}

/* ---- frames ---- */

static void begin_frame(struct http3_session *s)
{
    const struct http3_frames *f = &s->control;
    bool is_first = !s->control_begun;
    s->control_begun = true;
    s->payload_size = 0;
    if (is_first && f->type == HTTP3_FRAME_SETTINGS)
        begin_settings(s);
    else if (is_first)
        fail_control(s, NGHTTP3_H3_MISSING_SETTINGS);
    else if (f->type == HTTP3_FRAME_SETTINGS || f->type == HTTP3_FRAME_DATA ||
             f->type == HTTP3_FRAME_HEADERS || f->type == HTTP3_FRAME_PUSH_PROMISE ||
             http3_frames_is_http2(f->type))
        fail_control(s, NGHTTP3_H3_FRAME_UNEXPECTED);
    else if (f->type == HTTP3_FRAME_CANCEL_PUSH || f->type == HTTP3_FRAME_PRIORITY_UPDATE_PUSH)
        fail_control(s, NGHTTP3_H3_ID_ERROR); /* of what was never promised */
    else if (f->left == 0 && (is_number_frame(f->type) || f->type == HTTP3_FRAME_PRIORITY_UPDATE))
        fail_control(s, NGHTTP3_H3_FRAME_ERROR);
    else
        http3_charge_unknown(s, f->left);
}

static void keep_payload(struct http3_session *s, struct span payload)
{
    size_t room = sizeof(s->payload) - s->payload_size;
    size_t size = payload.size < room ? payload.size : room;
    memcpy(s->payload + s->payload_size, payload.data, size);
    s->payload_size += size;
}

static void take_payload(struct http3_session *s, struct span payload)
{
    uint64_t type = s->control.type;
    bool is_whole = s->control.left == 0;
    if (type == HTTP3_FRAME_SETTINGS) {
        feed(s, payload);
        return;
    }
    keep_payload(s, payload);
    if (is_number_frame(type) &&
        http3_number_size(s->payload[0]) != s->payload_size + s->control.left)
        fail_control(s, NGHTTP3_H3_FRAME_ERROR);
    else if (is_number_frame(type) && is_whole)
        take_number(s);
    else if (type == HTTP3_FRAME_PRIORITY_UPDATE && is_whole)
        take_update(s);
}

void http3_control_receive(struct http3_session *s, struct span bytes)
{
    struct span payload;
    enum http3_part part;
    while (!s->failure &&
           (part = http3_frames_next(&s->control, &bytes, &payload)) != HTTP3_PART_NONE)
        if (part == HTTP3_PART_HEAD)
            begin_frame(s);
        else
            take_payload(s, payload);
}
