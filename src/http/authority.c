#include "http/message.h"

#define HOST_MAX 255 /* RFC 3986 section 3.2.2: longer names do not exist in the DNS */
#define PORT_MAX 65535

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || (span_lower(c) >= 'a' && span_lower(c) <= 'f');
}

/* unreserved or sub-delims of RFC 3986, but for the comma: a list of hosts is not a host. */
/* clang-format off */
static const bool host_byte[256] = {
    ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['!'] = 1, ['$'] = 1, ['&'] = 1, ['\''] = 1,
    ['('] = 1, [')'] = 1, ['*'] = 1, ['+'] = 1, [';'] = 1, ['='] = 1,
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1,
    ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1,
    ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1,
    ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1,
    ['Y'] = 1, ['Z'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1,
    ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1,
    ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
    ['y'] = 1, ['z'] = 1,
};
/* clang-format on */

static bool is_registered_name(struct span host)
{
    for (size_t i = 0; i < host.size; i++) {
        if (host_byte[host.data[i]])
            continue;
        if (host.data[i] != '%' || host.size - i < 3 || !is_hex(host.data[i + 1]) ||
            !is_hex(host.data[i + 2]))
            return false;
        i += 2;
    }
    return host.size > 0;
}

/* Four numbers of 0 to 255 without leading zeros. */
static bool is_ipv4(struct span s)
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (at >= s.size || s.data[at++] != '.'))
            return false;
        size_t start = at;
        unsigned value = 0;
        while (at < s.size && at - start < 3 && is_digit(s.data[at]))
            value = value * 10 + s.data[at++] - '0';
        if (at == start || value > 255 || (at - start > 1 && s.data[start] == '0'))
            return false;
    }
    return at == s.size;
}

static size_t group_size(struct span s, size_t at)
{
    size_t size = 0;
    while (at + size < s.size && size < 5 && is_hex(s.data[at + size]))
        size++;
    return size;
}

/* RFC 3986 IPv6address: eight groups of 16 bits, one run of which may be "::", the last two of
 * which may be an IPv4 address. */
static bool is_ipv6(struct span s)
{
    int groups = 0;
    bool elided = false;
    size_t at = 0;
    if (s.size >= 2 && s.data[0] == ':' && s.data[1] == ':') {
        elided = true;
        at = 2;
    }
    while (at < s.size) {
        size_t size = group_size(s, at);
        if (at + size < s.size && s.data[at + size] == '.') {
            groups += 2;
            return is_ipv4(span_after(s, at)) && (elided ? groups < 8 : groups == 8);
        }
        if (size == 0 || size > 4 || ++groups > 8)
            return false;
        at += size;
        if (at == s.size)
            break;
        if (s.data[at++] != ':' || at == s.size)
            return false;
        if (s.data[at] == ':') {
            if (elided)
                return false;
            elided = true;
            at++;
        }
    }
    return elided ? groups < 8 : groups == 8;
}

/* The port may be empty: RFC 3986 section 3.2.3. */
static bool is_port(struct span port)
{
    unsigned value = 0;
    if (port.size > 5)
        return false;
    for (size_t i = 0; i < port.size; i++) {
        if (!is_digit(port.data[i]))
            return false;
        value = value * 10 + port.data[i] - '0';
    }
    return value <= PORT_MAX;
}

bool http_authority_is_valid(struct span authority)
{
    size_t host_size;
    if (authority.size && authority.data[0] == '[') {
        const uint8_t *end = memchr(authority.data, ']', authority.size);
        if (!end || !is_ipv6(span_of(authority.data + 1, (size_t)(end - authority.data) - 1)))
            return false;
        host_size = (size_t)(end - authority.data) + 1;
    } else {
        const uint8_t *colon = memchr(authority.data, ':', authority.size);
        host_size = colon ? (size_t)(colon - authority.data) : authority.size;
        if (host_size > HOST_MAX || !is_registered_name(span_of(authority.data, host_size)))
            return false;
    }
    if (host_size == authority.size)
        return true;
    return authority.data[host_size] == ':' && is_port(span_after(authority, host_size + 1));
}
