#include "wire/decoder.h"

#include "wire/bytes.h"
#include <routed/error.h>

#define TYPE_COUNT  15
#define GATHER_STEP 2048

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
__attribute__((cold)) static bool fail(struct wire_decoder *d, const char *text)
{
    d->phase = WIRE_PHASE_FAILED;
    d->error = ROUTED_ERROR_BRIDGE_FRAME;
    d->text = text;
    return false;
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

static bool version_check(struct wire_decoder *d)
{
    return d->prefix[4] == WIRE_VERSION || fail(d, "unsupported version");
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
        return version_check(d);
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

/* What the loop below does with the bytes that every frame begins with, all at once. */
static bool prefix_take_start(struct wire_decoder *d, struct span *input)
{
    memcpy(d->prefix, input->data, WIRE_PREFIX_SIZE);
    d->prefix_size = WIRE_PREFIX_SIZE;
    *input = span_after(*input, WIRE_PREFIX_SIZE);
    return size_check(d) && version_check(d) && type_check(d) && shape_check(d);
}

/* True when a whole prefix was taken and it is good. */
static bool prefix_take(struct wire_decoder *d, struct span *input)
{
    if (d->prefix_size == 0 && input->size >= WIRE_PREFIX_SIZE && !prefix_take_start(d, input))
        return false;
    while (!prefix_is_whole(d)) {
        if (input->size == 0)
            return false;
        d->prefix[d->prefix_size++] = input->data[0];
        *input = span_after(*input, 1);
        if (!prefix_check(d))
            return false;
    }
    d->prefix_size = 0;
    return true;
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
        wire_walk_start(&d->walk, (enum wire_type)d->prefix[5], d->frame_size);
        d->step = STEP_HEAD;
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
    bool is_single = wire_type_is_single(d->walk.head.type);
    d->step = STEP_PREFIX;
    d->after_interim = false;
    if (is_response && d->walk.head.status == HTTP_SWITCHING_PROTOCOLS) {
        d->phase = is_single ? WIRE_PHASE_TUNNEL : WIRE_PHASE_UPGRADE;
    } else if (is_response && d->walk.head.status < 200) {
        d->after_interim = true;
    } else if (is_single) {
        d->content_left = d->walk.head.body_size;
        d->step = d->content_left ? STEP_CONTENT : STEP_END;
    } else {
        d->phase = WIRE_PHASE_BODY;
    }
}

static bool head_event(struct wire_decoder *d, struct span head, struct wire_event *event)
{
    uint32_t size = wire_type_is_single(d->walk.head.type) ? d->walk.walked - 4 : d->walk.walked;
    d->walk.head.bytes = span_of(head.data, size);
    event->type = WIRE_EVENT_HEAD;
    event->head = d->walk.head;
    head_conclude(d);
    return true;
}

static bool walk_on(struct wire_decoder *d, struct span head)
{
    if (wire_walk_on(&d->walk, &d->limits, head))
        return true;
    return d->walk.wrong ? fail(d, d->walk.wrong) : false;
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
        bool is_whole = walk_on(d, buffer_span(&d->gathered));
        *input = span_after(*input, is_whole ? d->walk.walked - before : size);
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
        if (walk_on(d, head)) {
            *input = span_after(*input, d->walk.walked);
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
