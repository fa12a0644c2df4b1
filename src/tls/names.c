#include "tls/names.h"

#include "base/memory.h"
#include <routed/error.h>

void tls_names_release(struct tls_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        memory_free(n->items[i].bytes);
    memory_free(n->items);
    *n = TLS_NAMES_EMPTY;
}

static int append(struct tls_names *n, enum tls_name_kind kind, struct span bytes)
{
    if (n->count == n->capacity) {
        size_t capacity = n->capacity ? n->capacity * 2 : 4;
        struct tls_name *grown = memory_resize(n->items, capacity * sizeof(*grown));
        if (!grown)
            return ROUTED_ERROR_MEMORY;
        n->items = grown;
        n->capacity = capacity;
    }
    uint8_t *copy = memory_new(bytes.size);
    if (!copy)
        return ROUTED_ERROR_MEMORY;
    memcpy(copy, bytes.data, bytes.size);
    n->items[n->count++] =
        (struct tls_name){.kind = kind, .size = (uint16_t)bytes.size, .bytes = copy};
    return ROUTED_OK;
}

int tls_names_append_dns(struct tls_names *n, struct span name)
{
    char host[TLS_NAME_MAX + 2];
    bool is_wildcard = span_starts_with(name, SPAN("*."));
    size_t size = tls_host_read(is_wildcard ? span_after(name, 2) : name, host + 1);
    if (size == 0)
        return ROUTED_OK;
    if (!is_wildcard)
        return append(n, TLS_NAME_EXACT, span_of(host + 1, size));
    host[0] = '.';
    return append(n, TLS_NAME_WILDCARD, span_of(host, size + 1));
}

int tls_names_append_address(struct tls_names *n, struct span bytes)
{
    if (bytes.size != 4 && bytes.size != 16)
        return ROUTED_OK;
    return append(n, TLS_NAME_ADDRESS, bytes);
}

static bool has_name(const struct tls_names *n, const struct tls_name *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->items[i].kind == name->kind &&
            span_equals(span_of(n->items[i].bytes, n->items[i].size),
                        span_of(name->bytes, name->size)))
            return true;
    return false;
}

static bool has_all(const struct tls_names *n, const struct tls_names *of)
{
    for (size_t i = 0; i < of->count; i++)
        if (!has_name(n, &of->items[i]))
            return false;
    return true;
}

bool tls_names_equal(const struct tls_names *a, const struct tls_names *b)
{
    return has_all(a, b) && has_all(b, a);
}

static bool wildcard_matches(struct span tail, struct span host)
{
    const uint8_t *dot = host.size ? memchr(host.data, '.', host.size) : NULL;
    return dot && dot != host.data &&
           span_equals(tail, span_after(host, (size_t)(dot - host.data)));
}

enum tls_match tls_names_match(const struct tls_names *n, struct span host)
{
    enum tls_match best = TLS_MATCH_NONE;
    for (size_t i = 0; i < n->count; i++) {
        struct span bytes = span_of(n->items[i].bytes, n->items[i].size);
        if (n->items[i].kind == TLS_NAME_EXACT && span_equals(bytes, host))
            return TLS_MATCH_EXACT;
        if (n->items[i].kind == TLS_NAME_WILDCARD && wildcard_matches(bytes, host))
            best = TLS_MATCH_WILDCARD;
    }
    return best;
}

static bool covers_address(const struct tls_names *n, struct span address)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->items[i].kind == TLS_NAME_ADDRESS &&
            span_equals(span_of(n->items[i].bytes, n->items[i].size), address))
            return true;
    return false;
}

bool tls_names_cover(const struct tls_names *n, struct span host)
{
    uint8_t address[16];
    size_t size = tls_address_read(host, address);
    if (size)
        return covers_address(n, span_of(address, size));
    char name[TLS_NAME_MAX + 1];
    size = tls_host_read(host, name);
    return size && tls_names_match(n, span_of(name, size)) != TLS_MATCH_NONE;
}

/* ---- text ---- */

static bool is_host_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

size_t tls_host_read(struct span host, char out[TLS_NAME_MAX + 1])
{
    uint8_t address[16];
    if (host.size && host.data[host.size - 1] == '.')
        host.size--;
    if (host.size == 0 || host.size > TLS_NAME_MAX || host.data[0] == '.' ||
        tls_address_read(host, address))
        return 0;
    for (size_t i = 0; i < host.size; i++) {
        uint8_t c = span_lower(host.data[i]);
        if (!is_host_byte(c) || (c == '.' && host.data[i + 1 < host.size ? i + 1 : i] == '.'))
            return 0;
        out[i] = (char)c;
    }
    out[host.size] = '\0';
    return host.size;
}

static size_t read_ipv4(struct span text, uint8_t out[4])
{
    size_t at = 0;
    for (size_t part = 0; part < 4; part++) {
        unsigned value = 0;
        size_t digits = 0;
        if (part && (at == text.size || text.data[at++] != '.'))
            return 0;
        for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9'; at++, digits++)
            if ((value = value * 10 + text.data[at] - '0') > 255 || (digits && value < 10))
                return 0;
        if (digits == 0)
            return 0;
        out[part] = (uint8_t)value;
    }
    return at == text.size ? 4 : 0;
}

static int hexadecimal(uint8_t c)
{
    c = span_lower(c);
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A group of one to four digits: how many bytes it took. */
static size_t read_group(struct span text, uint8_t out[2])
{
    unsigned value = 0;
    size_t at = 0;
    while (at < text.size && at < 4 && hexadecimal(text.data[at]) >= 0)
        value = value << 4 | (unsigned)hexadecimal(text.data[at++]);
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return at;
}

/* Groups joined by ":", the last of them maybe an IPv4 address, until the end or before "::". */
static bool read_groups(struct span *text, uint8_t out[16], size_t *filled)
{
    while (text->size && !span_starts_with(*text, SPAN("::"))) {
        if (*filled && (text->data[0] != ':' || text->size == 1))
            return false;
        struct span group = *filled ? span_after(*text, 1) : *text;
        if (*filled <= 12 && read_ipv4(group, out + *filled)) {
            *filled += 4;
            text->size = 0;
            return true;
        }
        if (*filled == 16)
            return false;
        size_t digits = read_group(group, out + *filled);
        if (digits == 0)
            return false;
        *filled += 2;
        *text = span_after(group, digits);
    }
    return true;
}

static size_t read_ipv6(struct span text, uint8_t out[16])
{
    uint8_t tail[16];
    size_t head_size = 0, tail_size = 0;
    memset(out, 0, 16);
    if (!read_groups(&text, out, &head_size))
        return 0;
    if (text.size == 0)
        return head_size == 16 ? 16 : 0;
    text = span_after(text, 2);
    if (!read_groups(&text, tail, &tail_size) || text.size || head_size + tail_size > 14)
        return 0;
    memcpy(out + 16 - tail_size, tail, tail_size);
    return 16;
}

size_t tls_address_read(struct span text, uint8_t out[16])
{
    if (text.size < 2 || text.size > 45)
        return 0;
    if (memchr(text.data, ':', text.size))
        return read_ipv6(text, out);
    return read_ipv4(text, out);
}

struct span tls_authority_host(struct span authority)
{
    if (authority.size && authority.data[0] == '[') {
        const uint8_t *end = memchr(authority.data, ']', authority.size);
        return end ? span_part(authority, 1, (size_t)(end - authority.data) - 1) : SPAN_EMPTY;
    }
    const uint8_t *colon = authority.size ? memchr(authority.data, ':', authority.size) : NULL;
    return colon ? span_part(authority, 0, (size_t)(colon - authority.data)) : authority;
}
