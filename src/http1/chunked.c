#include "http1/chunked.h"

#include <routed/error.h>

void http1_chunked_init(struct http1_chunked *c, struct http1_allowance allowance)
{
    *c = (struct http1_chunked){.allowance = allowance};
}

/* ---- chunk-size [ extensions ] ---- */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = span_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_size(struct span *rest, uint64_t *size)
{
    size_t digits = 0;
    *size = 0;
    while (digits < rest->size && hex_value(rest->data[digits]) >= 0) {
        if (digits == HTTP1_CHUNK_DIGITS_MAX)
            return false;
        *size = *size << 4 | (uint64_t)hex_value(rest->data[digits++]);
    }
    *rest = span_after(*rest, digits);
    return digits > 0 && *size <= INT64_MAX;
}

static bool take_byte(struct span *rest, uint8_t wanted)
{
    if (rest->size == 0 || rest->data[0] != wanted)
        return false;
    *rest = span_after(*rest, 1);
    return true;
}

static bool take_token(struct span *rest)
{
    size_t size = 0;
    while (size < rest->size && field_is_tchar(rest->data[size]))
        size++;
    *rest = span_after(*rest, size);
    return size > 0;
}

/* After the opening quote. Control bytes never get here. */
static bool take_quoted(struct span *rest)
{
    for (size_t i = 0; i < rest->size; i++) {
        if (rest->data[i] == '\\') {
            i++;
        } else if (rest->data[i] == '"') {
            *rest = span_after(*rest, i + 1);
            return true;
        }
    }
    return false;
}

/* *( ";" token [ "=" ( token / quoted-string ) ] ) */
static bool are_extensions(struct span rest)
{
    while (rest.size) {
        if (!take_byte(&rest, ';') || !take_token(&rest))
            return false;
        if (take_byte(&rest, '=') &&
            !(take_byte(&rest, '"') ? take_quoted(&rest) : take_token(&rest)))
            return false;
    }
    return true;
}

static int on_size_line(struct http1_chunked *c, struct span line,
                        const struct http1_limits *limits)
{
    uint64_t size;
    if (!take_size(&line, &size) || !are_extensions(line))
        return ROUTED_ERROR_CHUNK;
    if (line.size > limits->chunk_extension_max)
        return ROUTED_ERROR_CHUNK_EXTENSION;
    c->extensions += line.size;
    if (c->extensions > limits->chunk_extensions_max)
        return ROUTED_ERROR_CHUNK_EXTENSIONS;
    if (size > (uint64_t)limits->content_max - c->content)
        return ROUTED_ERROR_CONTENT_TOO_LARGE;
    c->content += size;
    c->left = size;
    c->state = size ? HTTP1_CHUNKED_DATA : HTTP1_CHUNKED_TRAILERS;
    return ROUTED_OK;
}

/* ---- trailers ---- */

static int on_trailer_line(struct http1_chunked *c, struct span line, struct arena *arena)
{
    if (line.size == 0) {
        c->state = HTTP1_CHUNKED_END;
        return ROUTED_OK;
    }
    struct field f;
    int error = http1_fields_parse(line, arena, &c->allowance, &f);
    if (error)
        return error == ROUTED_ERROR_FIELD_SYNTAX ? ROUTED_ERROR_TRAILER : error;
    if (field_is_forbidden_trailer(f.name, f.text))
        return ROUTED_OK;
    return field_list_append(&c->trailers, arena, f);
}

/* ---- the machine ---- */

static int line_error(enum http1_line_result result, bool in_trailers)
{
    switch (result) {
    case HTTP1_LINE_BAD:
        return in_trailers ? ROUTED_ERROR_TRAILER : ROUTED_ERROR_CHUNK;
    case HTTP1_LINE_TOO_LONG:
        return in_trailers ? ROUTED_ERROR_FIELD_TOO_LARGE : ROUTED_ERROR_CHUNK;
    case HTTP1_LINE_MEMORY:
        return ROUTED_ERROR_MEMORY;
    default:
        return ROUTED_OK;
    }
}

static int feed_line(struct http1_chunked *c, struct http1_line *line,
                     const struct http1_limits *limits, struct arena *arena, struct span *bytes)
{
    bool in_trailers = c->state == HTTP1_CHUNKED_TRAILERS;
    size_t limit =
        in_trailers ? limits->field_line_max : HTTP1_CHUNK_DIGITS_MAX + limits->chunk_extension_max;
    struct span text;
    enum http1_line_result result = http1_line_feed(line, bytes, limit, &text);
    if (result != HTTP1_LINE_READY)
        return line_error(result, in_trailers);
    return in_trailers ? on_trailer_line(c, text, arena) : on_size_line(c, text, limits);
}

static int feed_byte(struct http1_chunked *c, struct span *bytes, uint8_t wanted)
{
    if (!take_byte(bytes, wanted))
        return ROUTED_ERROR_CHUNK;
    c->state = c->state == HTTP1_CHUNKED_DATA_CR ? HTTP1_CHUNKED_DATA_LF : HTTP1_CHUNKED_SIZE;
    return ROUTED_OK;
}

/* Content that is announced but not here yet does not count. Asked between lines only, so that
 * the answer does not depend on how the input was split. */
static bool is_overhead_too_much(const struct http1_chunked *c, const struct http1_limits *limits)
{
    return c->overhead > limits->chunk_overhead_max + (c->content - c->left);
}

int http1_chunked_feed(struct http1_chunked *c, struct http1_line *line,
                       const struct http1_limits *limits, struct arena *arena, struct span *bytes)
{
    int error = ROUTED_OK;
    while (!error && bytes->size && c->state != HTTP1_CHUNKED_DATA &&
           c->state != HTTP1_CHUNKED_END) {
        size_t before = bytes->size;
        if (c->state == HTTP1_CHUNKED_DATA_CR)
            error = feed_byte(c, bytes, '\r');
        else if (c->state == HTTP1_CHUNKED_DATA_LF)
            error = feed_byte(c, bytes, '\n');
        else
            error = feed_line(c, line, limits, arena, bytes);
        c->overhead += before - bytes->size;
        if (!error && !http1_line_has_partial(line) && is_overhead_too_much(c, limits))
            error = ROUTED_ERROR_BUDGET;
    }
    return error;
}

void http1_chunked_taken(struct http1_chunked *c, size_t size)
{
    c->left -= size;
    if (c->left == 0)
        c->state = HTTP1_CHUNKED_DATA_CR;
}
