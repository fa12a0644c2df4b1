#include "http1/response.h"

#include "base/decimal.h"

/* Everything but the reason and the fields: status line, date, framing, connection, CRLF. */
#define FIXED_BOUND 192

static uint8_t *put(uint8_t *out, struct span s)
{
    if (s.size)
        memcpy(out, s.data, s.size);
    return out + s.size;
}

static uint8_t *put_field(uint8_t *out, struct span name, struct span value)
{
    out = put(out, name);
    *out++ = ':';
    *out++ = ' ';
    out = put(out, value);
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

static size_t fields_bound(const struct field_list *fields)
{
    size_t bound = 0;
    for (size_t i = 0; i < fields->count; i++)
        bound += fields->items[i].text.size + fields->items[i].value.size + 4;
    return bound;
}

size_t http1_response_bound(const struct http1_response_head *head)
{
    return FIXED_BOUND + head->alt_svc.size + http_reason(head->status).size +
           fields_bound(head->fields);
}

/* RFC 9112 section 4: the space before an empty reason stays. */
static uint8_t *put_status_line(uint8_t *out, uint16_t status)
{
    out = put(out, SPAN("HTTP/1.1 "));
    *out++ = (uint8_t)('0' + status / 100);
    *out++ = (uint8_t)('0' + status / 10 % 10);
    *out++ = (uint8_t)('0' + status % 10);
    *out++ = ' ';
    out = put(out, http_reason(status));
    return put(out, SPAN("\r\n"));
}

static uint8_t *put_framing(uint8_t *out, enum http1_framing framing, int64_t length)
{
    if (framing == HTTP1_FRAMING_CHUNKED)
        return put(out, SPAN("transfer-encoding: chunked\r\n"));
    if (framing == HTTP1_FRAMING_LENGTH) {
        out = put(out, SPAN("content-length: "));
        out += decimal_write((char *)out, (uint64_t)length);
        out = put(out, SPAN("\r\n"));
    }
    return out;
}

static uint8_t *put_connection(uint8_t *out, enum http1_connection connection)
{
    switch (connection) {
    case HTTP1_CONNECTION_SILENT:
        break;
    case HTTP1_CONNECTION_CLOSE:
        return put(out, SPAN("connection: close\r\n"));
    case HTTP1_CONNECTION_KEEP_ALIVE:
        return put(out, SPAN("connection: keep-alive\r\n"));
    case HTTP1_CONNECTION_UPGRADE:
        return put(out, SPAN("connection: Upgrade\r\nupgrade: websocket\r\n"));
    }
    return out;
}

size_t http1_response_write(uint8_t *out, const struct http1_response_head *head)
{
    uint8_t *start = out;
    out = put_status_line(out, head->status);
    if (head->date)
        out = put_field(out, SPAN("date"), span_of(head->date, HTTP_DATE_SIZE));
    if (head->alt_svc.size)
        out = put_field(out, SPAN("alt-svc"), head->alt_svc);
    for (size_t i = 0; i < head->fields->count; i++)
        out = put_field(out, head->fields->items[i].text, head->fields->items[i].value);
    out = put_framing(out, head->framing, head->length);
    out = put_connection(out, head->connection);
    out = put(out, SPAN("\r\n"));
    return (size_t)(out - start);
}

size_t http1_response_write_chunk_size(uint8_t out[HTTP1_CHUNK_SIZE_MAX], uint64_t size)
{
    size_t digits = 1;
    while (digits < 16 && size >> (4 * digits))
        digits++;
    for (size_t i = 0; i < digits; i++)
        out[i] = (uint8_t) "0123456789abcdef"[size >> (4 * (digits - 1 - i)) & 15];
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return digits + 2;
}

size_t http1_response_trailers_bound(const struct field_list *fields)
{
    return fields_bound(fields);
}

size_t http1_response_write_trailers(uint8_t *out, const struct field_list *fields)
{
    uint8_t *start = out;
    for (size_t i = 0; i < fields->count; i++)
        out = put_field(out, fields->items[i].text, fields->items[i].value);
    return (size_t)(out - start);
}
