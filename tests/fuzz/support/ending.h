/* How a fuzzed session of HTTP/2 or HTTP/3 ends: bits of the input choose. The protocol's peer.h
 * comes first. */
#ifndef FUZZ_SUPPORT_ENDING_H
#define FUZZ_SUPPORT_ENDING_H

#include "support/streams.h"
#include "support/unit.h"

enum ending {
    ENDING_OWN = 1, /* something that only the one protocol has */
    ENDING_FAIL = 2,
    ENDING_SHUT = 4,
    ENDING_SECOND = 8, /* passes */
};

static inline void ending_come(struct peer *p, uint8_t ends)
{
    if (ends & ENDING_FAIL)
        peer_fail(p, ROUTED_ERROR_REQUEST_TIMEOUT);
    if (ends & ENDING_SHUT)
        peer_shut(p);
    peer_turn(p);
    if (ends & ENDING_SECOND) {
        p->now += 1000;
        peer_turn(p);
    }
}

/* Nothing of the application's outlives the connection. */
static inline void ending_abort(struct peer *p)
{
    peer_abort(p);
    require(p->origin.opened == p->origin.closed && p->origin.opened == p->origin.ended);
}

#endif
