#include "base/decimal.h"
#include "wire/bytes.h"
#include "wire/fields.h"
#include <routed/error.h>

static bool is_response_head(enum wire_type type)
{
    return type == WIRE_RESPONSE_SINGLE || type == WIRE_RESPONSE_START ||
           type == WIRE_RESPONSE_SINGLE_LITERAL || type == WIRE_RESPONSE_START_LITERAL;
}

static bool names_upgrade(enum field_name name)
{
    return name == FIELD_CONNECTION || name == FIELD_UPGRADE;
}

static void write_fields(struct wire_fields_writer *w, const struct http_response *r,
                         int64_t content_length)
{
    bool is_upgrade = r->status == HTTP_SWITCHING_PROTOCOLS;
    bool has_length = false;
    if (is_upgrade)
        wire_fields_write_upgrade(w);
    for (size_t i = 0; i < r->fields.count; i++) {
        const struct field *f = &r->fields.items[i];
        if (is_upgrade && names_upgrade(f->name))
            continue;
        has_length |= f->name == FIELD_CONTENT_LENGTH;
        wire_fields_write(w, *f);
    }
    if (!has_length && content_length != HTTP_LENGTH_UNKNOWN)
        wire_fields_write_length(w, (uint64_t)content_length);
}

int wire_response_write(struct buffer *out, enum wire_type type, const struct http_response *r,
                        int64_t content_length, uint32_t body_size)
{
    if (!is_response_head(type) || (body_size && !wire_type_is_single(type)))
        return ROUTED_ERROR_ARGUMENT;
    uint8_t *room = buffer_reserve(out, wire_fields_bound(&r->fields));
    if (!room)
        return ROUTED_ERROR_MEMORY;
    struct wire_fields_writer w;
    wire_fields_open(&w, room, type);
    w.at = wire_bytes_write_u16(w.at, r->status);
    wire_fields_begin(&w);
    write_fields(&w, r, content_length);
    return wire_fields_close(&w, out, body_size);
}

int wire_response_read(const struct wire_head *h, struct arena *a, struct http_response *r)
{
    struct wire_fields_reader reader;
    *r = (struct http_response){.status = h->status};
    if (wire_fields_reader_init(&reader, h, a))
        return ROUTED_ERROR_MEMORY;
    reader.at += 2;
    if (wire_fields_read(&reader, a, &r->fields))
        return ROUTED_ERROR_MEMORY;
    if (r->status != HTTP_SWITCHING_PROTOCOLS)
        return ROUTED_OK;
    size_t kept = 0;
    for (size_t i = 0; i < r->fields.count; i++)
        if (!names_upgrade(r->fields.items[i].name))
            r->fields.items[kept++] = r->fields.items[i];
    r->fields.count = kept;
    return ROUTED_OK;
}

int wire_response_state_length(const struct wire_head *h, struct span method, struct arena *a,
                               struct http_response *r)
{
    uint64_t declared;
    if (!wire_type_is_single(h->type) || !http_status_has_content(h->status) ||
        span_equals(method, SPAN("HEAD")))
        return ROUTED_OK;
    const struct field *given = field_list_find(&r->fields, FIELD_CONTENT_LENGTH);
    if (given)
        return decimal_read(span_trim(given->value), INT64_MAX, &declared) &&
                       declared == h->body_size
                   ? ROUTED_OK
                   : ROUTED_ERROR_RESPONSE;
    char *digits = arena_new(a, DECIMAL_MAX);
    if (!digits)
        return ROUTED_ERROR_MEMORY;
    struct field length = {field_text(FIELD_CONTENT_LENGTH),
                           span_of(digits, decimal_write(digits, h->body_size)),
                           FIELD_CONTENT_LENGTH};
    return field_list_append(&r->fields, a, length);
}
