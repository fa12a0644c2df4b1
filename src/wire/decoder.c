#include "wire/decoder.h"

#include "wire/bytes.h"
#include <routed/error.h>

#define TYPE_COUNT          15
#define REQUEST_STRINGS     6
#define NAME_IS_LITERAL     0xffff
#define GATHER_STEP         2048
#define SWITCHING_PROTOCOLS 101

/* Where inside a frame the decoder is. */
enum step {
    STEP_PREFIX,
    STEP_HEAD,    /* the fields of a head */
    STEP_CONTENT, /* of a chunk or of a single frame */
    STEP_END      /* a single frame's END is due */
};

/* What a frame of a type is about. */
enum frame_kind {
    KIND_UNKNOWN,
    KIND_HEAD,
    KIND_CHUNK,
    KIND_END,
    KIND_TUNNEL_CHUNK,
    KIND_TUNNEL_CLOSE
};

static const struct {
    uint8_t kind;
    uint8_t directions; /* one bit for each enum wire_direction */
} types[TYPE_COUNT] = {
    [WIRE_REQUEST_SINGLE_LITERAL] = {KIND_HEAD, 1 << WIRE_REQUESTS},
    [WIRE_RESPONSE_SINGLE_LITERAL] = {KIND_HEAD, 1 << WIRE_RESPONSES},
    [WIRE_REQUEST_START_LITERAL] = {KIND_HEAD, 1 << WIRE_REQUESTS},
    [WIRE_REQUEST_CHUNK] = {KIND_CHUNK, 1 << WIRE_REQUESTS},
    [WIRE_REQUEST_END] = {KIND_END, 1 << WIRE_REQUESTS},
    [WIRE_RESPONSE_START_LITERAL] = {KIND_HEAD, 1 << WIRE_RESPONSES},
    [WIRE_RESPONSE_CHUNK] = {KIND_CHUNK, 1 << WIRE_RESPONSES},
    [WIRE_RESPONSE_END] = {KIND_END, 1 << WIRE_RESPONSES},
    [WIRE_TUNNEL_CHUNK] = {KIND_TUNNEL_CHUNK, 1 << WIRE_REQUESTS | 1 << WIRE_RESPONSES},
    [WIRE_TUNNEL_CLOSE] = {KIND_TUNNEL_CLOSE, 1 << WIRE_REQUESTS | 1 << WIRE_RESPONSES},
    [WIRE_REQUEST_SINGLE] = {KIND_HEAD, 1 << WIRE_REQUESTS},
    [WIRE_RESPONSE_SINGLE] = {KIND_HEAD, 1 << WIRE_RESPONSES},
    [WIRE_REQUEST_START] = {KIND_HEAD, 1 << WIRE_REQUESTS},
    [WIRE_RESPONSE_START] = {KIND_HEAD, 1 << WIRE_RESPONSES},
};

static bool kind_is_allowed(enum frame_kind kind, enum wire_phase phase)
{
    switch (phase) {
    case WIRE_PHASE_HEAD:
        return kind == KIND_HEAD;
    case WIRE_PHASE_BODY:
        return kind == KIND_CHUNK || kind == KIND_END;
    case WIRE_PHASE_UPGRADE:
        return kind == KIND_END;
    case WIRE_PHASE_TUNNEL:
        return kind == KIND_TUNNEL_CHUNK || kind == KIND_TUNNEL_CLOSE;
    case WIRE_PHASE_TUNNEL_ENDED:
    case WIRE_PHASE_FAILED:
        break;
    }
    return false;
}

void wire_decoder_init(struct wire_decoder *d, enum wire_direction direction,
                       const struct wire_limits *limits)
{
    static const struct wire_limits standard = {WIRE_PAYLOAD_MAX, WIRE_HEAD_MAX, WIRE_FIELDS_MAX};
    *d = (struct wire_decoder){.limits = limits ? *limits : standard, .direction = direction};
}

void wire_decoder_release(struct wire_decoder *d)
{
    buffer_release(&d->gathered);
}

bool wire_decoder_is_idle(const struct wire_decoder *d)
{
    return d->phase == WIRE_PHASE_HEAD && d->step == STEP_PREFIX && d->prefix_size == 0 &&
           !d->after_interim;
}

int wire_decoder_enter_tunnel(struct wire_decoder *d)
{
    if (d->direction != WIRE_REQUESTS || d->phase != WIRE_PHASE_HEAD || d->step != STEP_PREFIX)
        return ROUTED_ERROR_STATE;
    d->phase = WIRE_PHASE_TUNNEL;
    return ROUTED_OK;
}

/* Always false, so that a check can end with it. */
static bool fail(struct wire_decoder *d, const char *text)
{
    d->phase = WIRE_PHASE_FAILED;
    d->error = ROUTED_ERROR_BRIDGE_FRAME;
    d->text = text;
    return false;
}

/* ---- the walk through a head: finds its end, proves its sizes ---- */

enum stage {
    STAGE_STATUS,
    STAGE_STRINGS,
    STAGE_COUNT,
    STAGE_NAME,
    STAGE_VALUE,
    STAGE_BODY_SIZE,
    STAGE_DONE
};

/* True when `size` more bytes are here; they must fit into the frame and the head limit, which
 * is judged first. */
static bool has_bytes(struct wire_decoder *d, struct span head, uint32_t from, uint32_t size)
{
    if (size > d->frame_size || from > d->frame_size - size)
        return fail(d, "truncated frame");
    if (d->stage != STAGE_BODY_SIZE && (uint64_t)from + size > d->limits.head_max)
        return fail(d, "head too large");
    return head.size >= (size_t)from + size;
}

/* The size of the string at `from` with its own size in front; 0 when it is not all here. */
static uint32_t string_size(struct wire_decoder *d, struct span head, uint32_t from)
{
    if (!has_bytes(d, head, from, 4))
        return 0;
    uint32_t size = wire_bytes_read_u32(head.data + from);
    return has_bytes(d, head, from + 4, size) ? 4 + size : 0;
}

static uint32_t name_size(struct wire_decoder *d, struct span head, uint32_t from)
{
    if (wire_type_is_literal(d->head.type))
        return string_size(d, head, from);
    if (!has_bytes(d, head, from, 2))
        return 0;
    uint16_t token = wire_bytes_read_u16(head.data + from);
    if (token < FIELD_BRIDGE_COUNT)
        return 2;
    if (token != NAME_IS_LITERAL) {
        fail(d, "unknown field name token");
        return 0;
    }
    uint32_t size = string_size(d, head, from + 2);
    return size ? 2 + size : 0;
}

/* After the last field: the body size of a single frame, or nothing. */
static void fields_end(struct wire_decoder *d)
{
    d->stage = wire_type_is_single(d->head.type) ? STAGE_BODY_SIZE : STAGE_DONE;
}

static bool status_read(struct wire_decoder *d, uint32_t status)
{
    bool is_interim = status < 200 && status != SWITCHING_PROTOCOLS;
    if (status < 100 || status > 999)
        return fail(d, "status out of range");
    if (is_interim && wire_type_is_single(d->head.type))
        return fail(d, "interim response in a single frame");
    d->head.status = (uint16_t)status;
    d->stage = STAGE_COUNT;
    return true;
}

static bool count_read(struct wire_decoder *d, uint32_t count)
{
    if (count > d->limits.fields_max)
        return fail(d, "too many fields");
    d->head.field_count = d->parts_left = count;
    d->stage = STAGE_NAME;
    if (count == 0)
        fields_end(d);
    return true;
}

static bool body_size_read(struct wire_decoder *d, uint32_t body_size)
{
    uint32_t rest = d->frame_size - d->walked - 4;
    if (body_size != rest)
        return fail(d, body_size < rest ? "trailing bytes in frame" : "truncated frame");
    if (body_size && d->head.status == SWITCHING_PROTOCOLS)
        return fail(d, "content in an upgrade response");
    d->head.body_size = body_size;
    d->stage = STAGE_DONE;
    return true;
}

static uint32_t number_part(struct wire_decoder *d, struct span head, uint32_t size,
                            bool (*read)(struct wire_decoder *d, uint32_t number))
{
    if (!has_bytes(d, head, d->walked, size))
        return 0;
    const uint8_t *at = head.data + d->walked;
    return read(d, size == 2 ? wire_bytes_read_u16(at) : wire_bytes_read_u32(at)) ? size : 0;
}

/* One part further; returns its size, 0 when it is not all here or wrong. */
static uint32_t walk_part(struct wire_decoder *d, struct span head)
{
    uint32_t size = 0;
    switch (d->stage) {
    case STAGE_STATUS:
        return number_part(d, head, 2, status_read);
    case STAGE_STRINGS:
        size = string_size(d, head, d->walked);
        if (size && --d->parts_left == 0)
            d->stage = STAGE_COUNT;
        return size;
    case STAGE_COUNT:
        return number_part(d, head, 4, count_read);
    case STAGE_NAME:
        size = name_size(d, head, d->walked);
        if (size)
            d->stage = STAGE_VALUE;
        return size;
    case STAGE_VALUE:
        size = string_size(d, head, d->walked);
        if (size) {
            d->stage = STAGE_NAME;
            if (--d->parts_left == 0)
                fields_end(d);
        }
        return size;
    case STAGE_BODY_SIZE:
        return number_part(d, head, 4, body_size_read);
    default:
        return 0;
    }
}

/* True when the whole head is in `head`, which starts where the walk once started. */
static bool walk(struct wire_decoder *d, struct span head)
{
    while (d->stage != STAGE_DONE) {
        uint32_t size = walk_part(d, head);
        if (size == 0)
            return false;
        d->walked += size;
    }
    if (!wire_type_is_single(d->head.type) && d->walked != d->frame_size)
        return fail(d, "trailing bytes in frame");
    return true;
}

static void walk_start(struct wire_decoder *d)
{
    bool is_request = d->direction == WIRE_REQUESTS;
    d->head = (struct wire_head){.type = (enum wire_type)d->prefix[5]};
    d->walked = 0;
    d->parts_left = is_request ? REQUEST_STRINGS : 0;
    d->stage = is_request ? STAGE_STRINGS : STAGE_STATUS;
    d->step = STEP_HEAD;
}

/* ---- frames ---- */

static bool type_check(struct wire_decoder *d)
{
    uint8_t type = d->prefix[5];
    if (type >= TYPE_COUNT || types[type].kind == KIND_UNKNOWN)
        return fail(d, "unknown frame type");
    if (!(types[type].directions & 1 << d->direction) ||
        !kind_is_allowed((enum frame_kind)types[type].kind, d->phase))
        return fail(d, "frame out of turn");
    return true;
}

/* What must follow the type: nothing after a mark, the size of a chunk's content. */
static bool shape_check(struct wire_decoder *d)
{
    switch (types[d->prefix[5]].kind) {
    case KIND_END:
    case KIND_TUNNEL_CLOSE:
        return d->frame_size == 0 || fail(d, "trailing bytes in frame");
    case KIND_CHUNK:
    case KIND_TUNNEL_CHUNK:
        return d->frame_size >= 4 || fail(d, "truncated frame");
    default:
        return true;
    }
}

static bool chunk_check(struct wire_decoder *d)
{
    uint32_t size = wire_bytes_read_u32(d->prefix + WIRE_PREFIX_SIZE);
    if (size != d->frame_size - 4)
        return fail(d, size < d->frame_size - 4 ? "trailing bytes in frame" : "truncated frame");
    d->content_left = size;
    return true;
}

static bool size_check(struct wire_decoder *d)
{
    uint32_t payload = wire_bytes_read_u32(d->prefix);
    if (payload < 2)
        return fail(d, "truncated frame");
    if (payload > d->limits.payload_max)
        return fail(d, "frame too large");
    d->frame_size = payload - 2;
    return true;
}

static bool is_chunk(const struct wire_decoder *d)
{
    enum frame_kind kind = (enum frame_kind)types[d->prefix[5]].kind;
    return kind == KIND_CHUNK || kind == KIND_TUNNEL_CHUNK;
}

/* Judges each part of the prefix as soon as its last byte is here. */
static bool prefix_check(struct wire_decoder *d)
{
    switch (d->prefix_size) {
    case 4:
        return size_check(d);
    case 5:
        return d->prefix[4] == WIRE_VERSION || fail(d, "unsupported version");
    case WIRE_PREFIX_SIZE:
        return type_check(d) && shape_check(d);
    case WIRE_CHUNK_PREFIX_SIZE:
        return chunk_check(d);
    default:
        return true;
    }
}

static bool prefix_is_whole(const struct wire_decoder *d)
{
    return d->prefix_size == WIRE_CHUNK_PREFIX_SIZE ||
           (d->prefix_size == WIRE_PREFIX_SIZE && !is_chunk(d));
}

/* True when a whole prefix was taken and it is good. */
static bool prefix_take(struct wire_decoder *d, struct span *input)
{
    while (input->size) {
        d->prefix[d->prefix_size++] = input->data[0];
        *input = span_after(*input, 1);
        if (!prefix_check(d))
            return false;
        if (prefix_is_whole(d)) {
            d->prefix_size = 0;
            return true;
        }
    }
    return false;
}

/* A mark is its prefix. True when it makes an event. */
static bool mark_take(struct wire_decoder *d, struct wire_event *event)
{
    if (d->prefix[5] == WIRE_TUNNEL_CLOSE) {
        d->phase = WIRE_PHASE_TUNNEL_ENDED;
        event->type = WIRE_EVENT_TUNNEL_CLOSE;
        return true;
    }
    if (d->phase == WIRE_PHASE_UPGRADE) {
        d->phase = WIRE_PHASE_TUNNEL;
        return false;
    }
    d->phase = WIRE_PHASE_HEAD;
    event->type = WIRE_EVENT_END;
    return true;
}

static bool frame_begin(struct wire_decoder *d, struct wire_event *event)
{
    switch (types[d->prefix[5]].kind) {
    case KIND_HEAD:
        walk_start(d);
        return false;
    case KIND_CHUNK:
    case KIND_TUNNEL_CHUNK:
        if (d->content_left)
            d->step = STEP_CONTENT;
        return false;
    default:
        return mark_take(d, event);
    }
}

/* ---- events ---- */

/* What a message looks like after this head. */
static void head_conclude(struct wire_decoder *d)
{
    bool is_response = d->direction == WIRE_RESPONSES;
    bool is_single = wire_type_is_single(d->head.type);
    d->step = STEP_PREFIX;
    d->after_interim = false;
    if (is_response && d->head.status == SWITCHING_PROTOCOLS) {
        d->phase = is_single ? WIRE_PHASE_TUNNEL : WIRE_PHASE_UPGRADE;
    } else if (is_response && d->head.status < 200) {
        d->after_interim = true;
    } else if (is_single) {
        d->content_left = d->head.body_size;
        d->step = d->content_left ? STEP_CONTENT : STEP_END;
    } else {
        d->phase = WIRE_PHASE_BODY;
    }
}

static bool head_event(struct wire_decoder *d, struct span head, struct wire_event *event)
{
    uint32_t size = wire_type_is_single(d->head.type) ? d->walked - 4 : d->walked;
    d->head.bytes = span_of(head.data, size);
    event->type = WIRE_EVENT_HEAD;
    event->head = d->head;
    head_conclude(d);
    return true;
}

/* Small steps, so that content behind a head is not gathered with it. */
static bool head_gather(struct wire_decoder *d, struct span *input, struct wire_event *event)
{
    while (input->size) {
        size_t before = buffer_size(&d->gathered);
        size_t size = input->size < GATHER_STEP ? input->size : GATHER_STEP;
        if (buffer_append(&d->gathered, input->data, size)) {
            fail(d, "out of memory");
            d->error = ROUTED_ERROR_MEMORY;
            return false;
        }
        bool is_whole = walk(d, buffer_span(&d->gathered));
        *input = span_after(*input, is_whole ? d->walked - before : size);
        if (is_whole)
            return head_event(d, buffer_span(&d->gathered), event);
        if (d->phase == WIRE_PHASE_FAILED)
            return false;
    }
    return false;
}

static bool head_take(struct wire_decoder *d, struct span *input, struct wire_event *event)
{
    if (buffer_size(&d->gathered) == 0) {
        struct span head = *input;
        if (walk(d, head)) {
            *input = span_after(*input, d->walked);
            return head_event(d, head, event);
        }
        if (d->phase == WIRE_PHASE_FAILED)
            return false;
    }
    return head_gather(d, input, event);
}

static bool content_take(struct wire_decoder *d, struct span *input, struct wire_event *event)
{
    if (input->size == 0)
        return false;
    size_t size = input->size < d->content_left ? input->size : d->content_left;
    event->type = d->phase == WIRE_PHASE_TUNNEL ? WIRE_EVENT_TUNNEL : WIRE_EVENT_BODY;
    event->bytes = span_part(*input, 0, size);
    *input = span_after(*input, size);
    d->content_left -= (uint32_t)size;
    if (d->content_left == 0)
        d->step = d->phase == WIRE_PHASE_HEAD ? STEP_END : STEP_PREFIX;
    return true;
}

/* True when there is an event. */
static bool step(struct wire_decoder *d, struct span *input, struct wire_event *event)
{
    switch (d->step) {
    case STEP_PREFIX:
        return prefix_take(d, input) && frame_begin(d, event);
    case STEP_HEAD:
        return head_take(d, input, event);
    case STEP_CONTENT:
        return content_take(d, input, event);
    default:
        d->step = STEP_PREFIX;
        event->type = WIRE_EVENT_END;
        return true;
    }
}

void wire_decoder_feed(struct wire_decoder *d, struct span *input, struct wire_event *event)
{
    *event = (struct wire_event){.type = WIRE_EVENT_MORE};
    if (d->step != STEP_HEAD && d->gathered.data)
        buffer_release(&d->gathered);
    while (d->phase != WIRE_PHASE_FAILED) {
        uint8_t before = d->step;
        if (step(d, input, event))
            return;
        /* A frame that just began is judged even without another byte of it. */
        if (input->size == 0 && d->step == before && d->phase != WIRE_PHASE_FAILED)
            return;
    }
    event->type = WIRE_EVENT_ERROR;
    event->error = d->error;
    event->text = d->text;
}
