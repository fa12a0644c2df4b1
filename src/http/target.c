#include "http/target.h"

#include "base/decimal.h"
#include "http/message.h"
#include <routed/error.h>

static bool has_target_bytes_only(struct span target)
{
    bool bad = false; /* one sum for all bytes: the compiler makes it a vector loop */
    for (size_t i = 0; i < target.size; i++) {
        uint8_t c = target.data[i];
        bad |= c <= ' ' || c >= 0x7f || c == '#';
    }
    return !bad;
}

static void split_query(struct span text, struct http_target *parts)
{
    const uint8_t *mark = text.size ? memchr(text.data, '?', text.size) : NULL;
    parts->path = text;
    if (!mark)
        return;
    parts->path.size = (size_t)(mark - text.data);
    parts->query = span_after(text, parts->path.size + 1);
}

static bool starts_with_ignoring_case(struct span s, struct span prefix)
{
    return s.size >= prefix.size && span_equals_ignoring_case(span_part(s, 0, prefix.size), prefix);
}

static int parse_absolute(bool is_options, struct span after_scheme, struct http_target *parts)
{
    size_t size = 0;
    while (size < after_scheme.size && after_scheme.data[size] != '/' &&
           after_scheme.data[size] != '?')
        size++;
    parts->is_absolute = true;
    parts->authority = span_of(after_scheme.data, size);
    if (!http_authority_is_valid(parts->authority))
        return ROUTED_ERROR_TARGET;
    bool is_bare = size == after_scheme.size;
    split_query(span_after(after_scheme, size), parts);
    if (parts->path.size == 0) /* RFC 9112 section 3.2.4 for OPTIONS */
        parts->path = is_options && is_bare ? SPAN("*") : SPAN("/");
    return ROUTED_OK;
}

int http_target_parse(struct span method, struct span target, struct http_target *parts)
{
    *parts = (struct http_target){0};
    if (target.size == 0 || !has_target_bytes_only(target))
        return ROUTED_ERROR_TARGET;
    if (target.data[0] == '/') {
        split_query(target, parts);
        return ROUTED_OK;
    }
    bool is_options = span_equals(method, SPAN("OPTIONS"));
    if (span_equals(target, SPAN("*"))) {
        parts->path = target;
        return is_options ? ROUTED_OK : ROUTED_ERROR_TARGET;
    }
    if (starts_with_ignoring_case(target, SPAN("http://"))) {
        parts->default_port = 80;
        return parse_absolute(is_options, span_after(target, 7), parts);
    }
    if (starts_with_ignoring_case(target, SPAN("https://"))) {
        parts->default_port = 443;
        return parse_absolute(is_options, span_after(target, 8), parts);
    }
    return ROUTED_ERROR_TARGET;
}

/* Cuts the port off a valid authority. */
static uint64_t take_port(struct span *authority, uint16_t default_port)
{
    size_t at = authority->size;
    while (at > 0 && authority->data[at - 1] >= '0' && authority->data[at - 1] <= '9')
        at--;
    uint64_t port = default_port;
    if (at == 0 || authority->data[at - 1] != ':')
        return port;
    if (at < authority->size)
        decimal_read(span_after(*authority, at), UINT16_MAX, &port);
    authority->size = at - 1;
    return port;
}

/* "[::1]" ends with a bracket, so a colon before trailing digits always begins a port. */
bool http_target_same_authority(struct span a, struct span b, uint16_t default_port)
{
    return take_port(&a, default_port) == take_port(&b, default_port) &&
           span_equals_ignoring_case(a, b);
}
