/* exchange/inlet.h: request content on its way to an application that takes it at its own pace.
 *
 * For carriers whose clients may send before the application has granted: what its credit does not
 * cover waits here. How much that can be is the carrier's matter, by the window it gives. */
#ifndef EXCHANGE_INLET_H
#define EXCHANGE_INLET_H

#include "base/buffer.h"
#include "exchange/exchange.h"

struct exchange_inlet {
    struct buffer held; /* came and is not delivered */
    bool has_ended;     /* nothing more comes */
    bool is_done;       /* the end is delivered, or the content was given up */
};

/* The zeroed struct is the beginning. Frees what is held. */
void exchange_inlet_release(struct exchange_inlet *in);

/* Could content that comes now be delivered? */
bool exchange_inlet_is_waiting(const struct exchange_inlet *in, const struct exchange *x);

/* Delivers what is held, as far as the credit goes; adds to *taken what left. ROUTED_OK, or why the
 * exchange must fail. */
int exchange_inlet_deliver(struct exchange_inlet *in, struct exchange *x, size_t *taken);
/* The same with more content behind it, up to `max` bytes in all, which bind no tunnel. The bytes
 * are copied unless they are many and part of `block`, which may be NULL. What is given up counts
 * as taken. */
int exchange_inlet_receive(struct exchange_inlet *in, struct exchange *x, int64_t max,
                           struct block *block, struct span bytes, size_t *taken);
/* Everything is delivered and nothing more comes: the end may be delivered. */
bool exchange_inlet_is_at_end(const struct exchange_inlet *in, const struct exchange *x);
/* Nobody wants the rest. Returns how many bytes were held. */
size_t exchange_inlet_give_up(struct exchange_inlet *in);

#endif
