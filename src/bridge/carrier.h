/* bridge/carrier.h: one connection of the front, seen from the engine, as the carrier of its
 * exchanges, one at a time.
 *
 * An answer that is complete before the turn ends leaves as one single frame, another as start,
 * chunks and end. The front cancels by closing: that ends the exchange at once, read or not. A
 * request that cannot be understood is answered with the refusal of bridge/refusal.h; the
 * connection goes on if its frames are still in step. */
#ifndef BRIDGE_CARRIER_H
#define BRIDGE_CARRIER_H

#include "bridge/channel.h"
#include "bridge/runtime.h"

#define BRIDGE_CARRIER_HELD_MAX       8 /* pieces of an answer that may become a single frame */
#define BRIDGE_CARRIER_HELD_BYTES_MAX 65536

struct bridge_carrier;

/* The connections of one runtime. */
struct bridge_carrier_host {
    struct bridge_channel_host channels;
    struct bridge_runtime_options options;
    struct list_link carriers;
    unsigned count;
    bool is_shut;
    void (*on_gone)(struct bridge_carrier_host *host); /* a connection was freed */
};

struct bridge_carrier {
    struct bridge_channel channel;
    struct bridge_carrier_host *host;
    struct list_link link;
    struct exchange exchange;
    int failure;          /* what the exchange failed with */
    bool has_exchange;    /* open */
    bool has_request_end; /* the request's last frame came */
    bool is_discarding;   /* the rest of the request is read and dropped */
    bool is_broken;       /* to be closed at the end of the turn */
    bool is_finishing;    /* to be closed when the output is written */
    uint32_t head_size;   /* of a response head at the end of the output whose frame is not yet
                             known to be single or start; or 0 */
    uint32_t held_count;
    uint32_t held_bytes;
    struct slice held[BRIDGE_CARRIER_HELD_MAX];
};

/* Takes an accepted descriptor. ROUTED_OK or why it was closed. */
int bridge_carrier_open(struct bridge_carrier_host *host, int fd, bool is_unix);
/* Closes the connection; its exchange ends with `error`. */
void bridge_carrier_close(struct bridge_carrier *c, int error);
/* Closes it if it has nothing to do. */
void bridge_carrier_close_idle(struct bridge_carrier *c);

#endif
