#include "wire/fields.h"

#include "base/decimal.h"
#include "wire/bytes.h"
#include <routed/error.h>

#define NAME_IS_LITERAL 0xffff

/* ---- writing ---- */

size_t wire_fields_bound(const struct field_list *fields)
{
    size_t bound = WIRE_FIELDS_EXTRA;
    for (size_t i = 0; i < fields->count; i++)
        bound += WIRE_FIELDS_FRAMING + fields->items[i].text.size + fields->items[i].value.size;
    return bound;
}

void wire_fields_open(struct wire_fields_writer *w, uint8_t *room, enum wire_type type)
{
    *w = (struct wire_fields_writer){.start = room, .at = room + WIRE_PREFIX_SIZE, .type = type};
    room[4] = WIRE_VERSION;
    room[5] = (uint8_t)type;
}

void wire_fields_write_string(struct wire_fields_writer *w, struct span text)
{
    w->at = wire_bytes_write_u32(w->at, (uint32_t)text.size);
    if (text.size)
        memcpy(w->at, text.data, text.size);
    w->at += text.size;
}

void wire_fields_begin(struct wire_fields_writer *w)
{
    w->count_at = w->at;
    w->at += 4;
}

void wire_fields_write(struct wire_fields_writer *w, struct field f)
{
    bool is_literal = wire_type_is_literal(w->type);
    if (!is_literal && f.name < FIELD_BRIDGE_COUNT) {
        w->at = wire_bytes_write_u16(w->at, (uint16_t)f.name);
    } else {
        if (!is_literal)
            w->at = wire_bytes_write_u16(w->at, NAME_IS_LITERAL);
        wire_fields_write_string(w, f.text);
    }
    wire_fields_write_string(w, f.value);
    w->count++;
}

static void write_known(struct wire_fields_writer *w, enum field_name name, struct span value)
{
    wire_fields_write(w, (struct field){field_text(name), value, name});
}

void wire_fields_write_length(struct wire_fields_writer *w, uint64_t length)
{
    char digits[DECIMAL_MAX];
    write_known(w, FIELD_CONTENT_LENGTH, span_of(digits, decimal_write(digits, length)));
}

void wire_fields_write_upgrade(struct wire_fields_writer *w)
{
    write_known(w, FIELD_CONNECTION, SPAN("Upgrade"));
    write_known(w, FIELD_UPGRADE, SPAN("websocket"));
}

int wire_fields_close(struct wire_fields_writer *w, struct buffer *out, uint32_t body_size)
{
    size_t head = (size_t)(w->at - w->start) - WIRE_PREFIX_SIZE;
    if (head > WIRE_HEAD_MAX)
        return ROUTED_ERROR_FIELDS_TOO_LARGE;
    if (w->count > WIRE_FIELDS_MAX)
        return ROUTED_ERROR_FIELDS_TOO_MANY;
    wire_bytes_write_u32(w->count_at, w->count);
    size_t payload = 2 + head;
    if (wire_type_is_single(w->type)) {
        w->at = wire_bytes_write_u32(w->at, body_size);
        payload += 4 + (size_t)body_size;
    }
    if (payload > WIRE_PAYLOAD_MAX)
        return ROUTED_ERROR_ARGUMENT;
    wire_bytes_write_u32(w->start, (uint32_t)payload);
    buffer_commit(out, (size_t)(w->at - w->start));
    return ROUTED_OK;
}

/* ---- reading ---- */

int wire_fields_reader_init(struct wire_fields_reader *r, const struct wire_head *h,
                            struct arena *a)
{
    uint8_t *copy = arena_new(a, h->bytes.size);
    if (!copy)
        return ROUTED_ERROR_MEMORY;
    memcpy(copy, h->bytes.data, h->bytes.size);
    *r = (struct wire_fields_reader){.at = copy, .type = h->type};
    return ROUTED_OK;
}

struct span wire_fields_read_string(struct wire_fields_reader *r)
{
    struct span text = span_of(r->at + 4, wire_bytes_read_u32(r->at));
    r->at += 4 + text.size;
    return text;
}

static void read_literal_name(struct wire_fields_reader *r, struct field *f)
{
    uint8_t *bytes = r->at + 4;
    f->text = wire_fields_read_string(r);
    span_lower_copy(bytes, f->text);
    f->name = field_lookup(f->text);
}

static void read_name(struct wire_fields_reader *r, struct field *f)
{
    if (wire_type_is_literal(r->type)) {
        read_literal_name(r, f);
        return;
    }
    uint16_t token = wire_bytes_read_u16(r->at);
    r->at += 2;
    if (token == NAME_IS_LITERAL) {
        read_literal_name(r, f);
    } else {
        f->name = (enum field_name)token;
        f->text = field_text(f->name);
    }
}

int wire_fields_read(struct wire_fields_reader *r, struct arena *a, struct field_list *fields)
{
    uint32_t count = wire_bytes_read_u32(r->at);
    r->at += 4;
    *fields = FIELD_LIST_EMPTY;
    if (count == 0)
        return ROUTED_OK;
    fields->items = arena_new(a, count * sizeof(*fields->items));
    if (!fields->items)
        return ROUTED_ERROR_MEMORY;
    fields->count = fields->capacity = count;
    for (uint32_t i = 0; i < count; i++) {
        read_name(r, &fields->items[i]);
        fields->items[i].value = wire_fields_read_string(r);
    }
    return ROUTED_OK;
}
