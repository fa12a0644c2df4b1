/* front/forward.h: datagrams of QUIC on their way to the worker that owns their connection, through
 * its mailbox. What is under way to one worker is bounded by limits.http3_forwards and
 * http3_forward_bytes; what would be more is dropped, as the network may, and counted. */
#ifndef FRONT_FORWARD_H
#define FRONT_FORWARD_H

#include "front/worker.h"

/* Of the worker that they are on the way to; zeroed but for on_datagram. */
struct front_forwards {
    atomic_uint_fast64_t count;
    atomic_uint_fast64_t bytes;
    /* On that worker's thread. */
    void (*on_datagram)(struct front_forwards *f, const struct http3_datagram *datagram);
};

/* On the thread of `from`; the datagram is copied. `loop` is that of the other worker. */
void front_forward(struct front_worker *from, struct loop *loop, struct front_forwards *to,
                   const struct http3_datagram *datagram);

#endif
