/* tls/names.h: the names that a certificate speaks for (RFC 9525), and how hosts match them. */
#ifndef TLS_NAMES_H
#define TLS_NAMES_H

#include "base/span.h"

#define TLS_NAME_MAX 253 /* RFC 1035 section 2.3.4, as text */

enum tls_name_kind {
    TLS_NAME_EXACT,
    TLS_NAME_WILDCARD, /* bytes are what follows "*" */
    TLS_NAME_ADDRESS   /* bytes are 4 or 16 of an IP address */
};

struct tls_name {
    enum tls_name_kind kind;
    uint16_t size;
    uint8_t *bytes;
};

struct tls_names {
    struct tls_name *items;
    size_t count;
    size_t capacity;
};

#define TLS_NAMES_EMPTY ((struct tls_names){NULL, 0, 0})

enum tls_match {
    TLS_MATCH_NONE,
    TLS_MATCH_WILDCARD,
    TLS_MATCH_EXACT
};

void tls_names_release(struct tls_names *n);
/* Names that no host can have are left out. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int tls_names_append_dns(struct tls_names *n, struct span name);
int tls_names_append_address(struct tls_names *n, struct span bytes);
/* The same names in any order. */
bool tls_names_equal(const struct tls_names *a, const struct tls_names *b);

/* `host` is lower case, as tls_host_read gives it. A wildcard stands for one whole label. */
enum tls_match tls_names_match(const struct tls_names *n, struct span host);
/* `host` may be in any case, an IPv4 address, or an IPv6 address without brackets. */
bool tls_names_cover(const struct tls_names *n, struct span host);

/* Writes a host name in lower case, without a dot at its end: its size, or 0 when it is no name
 * that may stand in server_name (RFC 6066 section 3): empty, too long, an address, other bytes
 * than letters, digits, "-", "_" and ".". */
size_t tls_host_read(struct span host, char out[TLS_NAME_MAX + 1]);
/* An IPv4 or IPv6 address (RFC 4291 section 2.2) as bytes: 4, 16, or 0 when it is none. */
size_t tls_address_read(struct span text, uint8_t out[16]);
/* The host of host[:port]; IPv6 addresses lose their brackets. */
struct span tls_authority_host(struct span authority);

#endif
