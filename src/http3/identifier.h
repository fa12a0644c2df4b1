/* http3/identifier.h: the connection ids that a server gives out (RFC 9000 section 5.1).
 *
 * An id is one AES block: sixteen bytes that look random to everybody without the server's secret
 * and tell those who have it that the id is one of the server's and which worker owns it. */
#ifndef HTTP3_IDENTIFIER_H
#define HTTP3_IDENTIFIER_H

#include "base/span.h"
#include <nettle/aes.h>
#include <ngtcp2/ngtcp2.h>

#define HTTP3_IDENTIFIER_SIZE 16
#define HTTP3_WORKERS_MAX     65536

struct http3_identifier_key {
    struct aes128_ctx seal;
    struct aes128_ctx open;
};

void http3_identifier_key_init(struct http3_identifier_key *key, const uint8_t secret[32]);
/* False: no random numbers. */
bool http3_identifier_make(const struct http3_identifier_key *key, unsigned worker,
                           ngtcp2_cid *out);
/* Is it an id of this server? Then *worker is its owner. */
bool http3_identifier_read(const struct http3_identifier_key *key, struct span id,
                           unsigned *worker);

#endif
