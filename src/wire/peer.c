#include "wire/head.h"

#include "base/decimal.h"

/* The longest of "[", 45 bytes of IPv6, a zone, "]:65535" stays below WIRE_PEER_TEXT_MAX. */
#define ADDRESS_MAX (WIRE_PEER_TEXT_MAX - 8)

size_t wire_peer_write(char out[WIRE_PEER_TEXT_MAX], struct span address, uint16_t port)
{
    if (address.size == 0 || address.size > ADDRESS_MAX)
        return 0;
    if (span_equals(address, SPAN("unix"))) {
        memcpy(out, "unix", 4);
        return 4;
    }
    bool is_ipv6 = memchr(address.data, ':', address.size) != NULL;
    size_t size = 0;
    if (is_ipv6)
        out[size++] = '[';
    memcpy(out + size, address.data, address.size);
    size += address.size;
    if (is_ipv6)
        out[size++] = ']';
    out[size++] = ':';
    return size + decimal_write(out + size, port);
}

bool wire_peer_read(struct span text, struct span *address, uint16_t *port)
{
    *port = 0;
    *address = text;
    if (span_equals(text, SPAN("unix")))
        return true;
    const uint8_t *colon = text.size ? memrchr(text.data, ':', text.size) : NULL;
    uint64_t number;
    if (!colon)
        return false;
    struct span host = span_of(text.data, (size_t)(colon - text.data));
    if (!decimal_read(span_after(text, host.size + 1), UINT16_MAX, &number))
        return false;
    bool is_bracketed = host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
    if (is_bracketed)
        host = span_part(host, 1, host.size - 2);
    if (host.size == 0 || host.size > ADDRESS_MAX ||
        (memchr(host.data, ':', host.size) != NULL) != is_bracketed ||
        memchr(host.data, '[', host.size) || memchr(host.data, ']', host.size))
        return false;
    *address = host;
    *port = (uint16_t)number;
    return true;
}
