/* http3/spent.h: which tokens of NEW_TOKEN were used lately, by a client of any worker. RFC 9000
 * section 8.1.4 wants each to count once, so that who caught one cannot have a stranger flooded
 * with it again and again; and early data, which needs a token, is then served once.
 *
 * A table of fixed size: a token that is used pushes out what was in its place, and is then
 * forgotten itself after some thousands of others. That is enough, since a token costs a handshake.
 * Any thread. */
#ifndef HTTP3_SPENT_H
#define HTTP3_SPENT_H

#include "base/span.h"
#include <stdatomic.h>
#include <stdbool.h>

#define HTTP3_SPENT_TOKENS 16384

struct http3_spent {
    atomic_uint_fast64_t marks[HTTP3_SPENT_TOKENS]; /* all zero at first */
};

/* True the first time. The token is known to be one of ours. */
bool http3_spent_take(struct http3_spent *s, struct span token);

#endif
