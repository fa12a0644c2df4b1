#include "wire/walk.h"

#include "wire/bytes.h"

#define REQUEST_STRINGS 6
#define NAME_IS_LITERAL 0xffff

enum stage {
    STAGE_STATUS,
    STAGE_STRINGS,
    STAGE_COUNT,
    STAGE_NAME,
    STAGE_VALUE,
    STAGE_BODY_SIZE,
    STAGE_DONE
};

/* The bytes that are walked on. */
struct ground {
    const struct wire_limits *limits;
    const uint8_t *data;
    size_t size;
    size_t safe; /* how many of them are in the frame and below the limit of a head */
};

static void ground_lay(struct ground *g, const struct wire_walk *w,
                       const struct wire_limits *limits, struct span head)
{
    *g = (struct ground){limits, head.data, head.size, head.size};
    if (g->safe > w->frame_size)
        g->safe = w->frame_size;
    if (g->safe > limits->head_max)
        g->safe = limits->head_max;
}

/* Always false, so that a check can end with it. */
__attribute__((cold)) static bool fail(struct wire_walk *w, const char *text)
{
    w->wrong = text;
    return false;
}

/* True when `size` more bytes are here; they must fit into the frame and the head limit, which
 * is judged first. */
static bool has_bytes(struct wire_walk *w, const struct ground *g, uint32_t from, uint32_t size)
{
    if ((uint64_t)from + size <= g->safe)
        return true;
    if (size > w->frame_size || from > w->frame_size - size)
        return fail(w, "truncated frame");
    if (w->stage != STAGE_BODY_SIZE && (uint64_t)from + size > g->limits->head_max)
        return fail(w, "head too large");
    return g->size >= (size_t)from + size;
}

static uint32_t doubtful_string_size(struct wire_walk *w, const struct ground *g, uint32_t from)
{
    if (!has_bytes(w, g, from, 4))
        return 0;
    uint32_t size = wire_bytes_read_u32(g->data + from);
    return has_bytes(w, g, from + 4, size) ? 4 + size : 0;
}

/* The size of the string at `from` with its own size in front; 0 when it is not all here. */
static inline uint32_t string_size(struct wire_walk *w, const struct ground *g, uint32_t from)
{
    size_t start = (size_t)from + 4;
    if (start <= g->safe) {
        uint32_t size = wire_bytes_read_u32(g->data + from);
        if (size <= g->safe - start)
            return 4 + size;
    }
    return doubtful_string_size(w, g, from);
}

static uint32_t name_size(struct wire_walk *w, const struct ground *g, uint32_t from)
{
    if (wire_type_is_literal(w->head.type))
        return string_size(w, g, from);
    if (!has_bytes(w, g, from, 2))
        return 0;
    uint16_t token = wire_bytes_read_u16(g->data + from);
    if (token < FIELD_BRIDGE_COUNT)
        return 2;
    if (token != NAME_IS_LITERAL) {
        fail(w, "unknown field name token");
        return 0;
    }
    uint32_t size = string_size(w, g, from + 2);
    return size ? 2 + size : 0;
}

static bool status_read(struct wire_walk *w, uint32_t status)
{
    if (status < 100 || status > 999)
        return fail(w, "status out of range");
    if (http_status_is_interim(status) && wire_type_is_single(w->head.type))
        return fail(w, "interim response in a single frame");
    w->head.status = (uint16_t)status;
    w->stage = STAGE_COUNT;
    return true;
}

static bool count_read(struct wire_walk *w, uint32_t count, uint32_t most)
{
    if (count > most)
        return fail(w, "too many fields");
    w->head.field_count = w->parts_left = count;
    w->stage = STAGE_NAME;
    return true;
}

static bool body_size_read(struct wire_walk *w, uint32_t body_size)
{
    uint32_t rest = w->frame_size - w->walked - 4;
    if (body_size != rest)
        return fail(w, body_size < rest ? "trailing bytes in frame" : "truncated frame");
    if (body_size && w->head.status == HTTP_SWITCHING_PROTOCOLS)
        return fail(w, "content in an upgrade response");
    w->head.body_size = body_size;
    w->stage = STAGE_DONE;
    return true;
}

/* ---- the stages: each true when it is passed, false when more is needed or something is wrong */

static bool walk_status(struct wire_walk *w, const struct ground *g)
{
    if (!has_bytes(w, g, w->walked, 2) || !status_read(w, wire_bytes_read_u16(g->data + w->walked)))
        return false;
    w->walked += 2;
    return true;
}

static bool walk_strings(struct wire_walk *w, const struct ground *g)
{
    for (; w->parts_left; w->parts_left--) {
        uint32_t size = string_size(w, g, w->walked);
        if (size == 0)
            return false;
        w->walked += size;
    }
    w->stage = STAGE_COUNT;
    return true;
}

static bool walk_count(struct wire_walk *w, const struct ground *g)
{
    if (!has_bytes(w, g, w->walked, 4) ||
        !count_read(w, wire_bytes_read_u32(g->data + w->walked), g->limits->fields_max))
        return false;
    w->walked += 4;
    return true;
}

/* Names and values in turn. */
static bool walk_fields(struct wire_walk *w, const struct ground *g)
{
    while (w->parts_left) {
        bool is_name = w->stage == STAGE_NAME;
        uint32_t size = is_name ? name_size(w, g, w->walked) : string_size(w, g, w->walked);
        if (size == 0)
            return false;
        w->walked += size;
        w->stage = is_name ? STAGE_VALUE : STAGE_NAME;
        w->parts_left -= !is_name;
    }
    w->stage = wire_type_is_single(w->head.type) ? STAGE_BODY_SIZE : STAGE_DONE;
    return true;
}

static bool walk_body_size(struct wire_walk *w, const struct ground *g)
{
    if (!has_bytes(w, g, w->walked, 4) ||
        !body_size_read(w, wire_bytes_read_u32(g->data + w->walked)))
        return false;
    w->walked += 4;
    return true;
}

static bool walk_stage(struct wire_walk *w, const struct ground *g)
{
    switch (w->stage) {
    case STAGE_STATUS:
        return walk_status(w, g);
    case STAGE_STRINGS:
        return walk_strings(w, g);
    case STAGE_COUNT:
        return walk_count(w, g);
    case STAGE_NAME:
    case STAGE_VALUE:
        return walk_fields(w, g);
    default:
        return walk_body_size(w, g);
    }
}

void wire_walk_start(struct wire_walk *w, enum wire_type type, uint32_t frame_size)
{
    bool is_request = wire_type_is_request(type);
    *w = (struct wire_walk){.head = {.type = type},
                            .frame_size = frame_size,
                            .parts_left = is_request ? REQUEST_STRINGS : 0,
                            .stage = is_request ? STAGE_STRINGS : STAGE_STATUS};
}

bool wire_walk_on(struct wire_walk *w, const struct wire_limits *limits, struct span head)
{
    struct ground g;
    ground_lay(&g, w, limits, head);
    while (w->stage != STAGE_DONE)
        if (!walk_stage(w, &g))
            return false;
    if (!wire_type_is_single(w->head.type) && w->walked != w->frame_size)
        return fail(w, "trailing bytes in frame");
    return true;
}
