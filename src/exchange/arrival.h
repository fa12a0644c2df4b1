/* exchange/arrival.h: does the content come that applications wait for?
 *
 * For carriers whose requests share a connection: bytes of others, or frames without content, keep
 * the connection busy, and a request that nothing comes for would keep its application waiting for
 * ever. From one look to the next, at least `grace` apart, each is to get what `rate` bytes a
 * second make in that time; less is enough where all of the connection got as much for each that
 * waits: it may have been their turn. */
#ifndef EXCHANGE_ARRIVAL_H
#define EXCHANGE_ARRIVAL_H

#include "base/clock.h"
#include "exchange/exchange.h"

/* Of one request. The zeroed struct is the beginning. */
struct exchange_arrival {
    bool is_awaited;
    bool is_suspected; /* too little had come at the last look */
    milliseconds since;
    uint64_t received; /* content then, */
    uint64_t received_by_all;
};

/* Of the connection. */
struct exchange_arrivals {
    uint32_t rate; /* 0: none is late */
    milliseconds grace;
    uint64_t received; /* content of all requests, ever */
    size_t awaited;    /* requests that wait for content now, as of a look */
    milliseconds look_at;
};

/* Is it time for a look at the requests that wait? Then the next one is due in a second. */
bool exchange_arrivals_are_due(struct exchange_arrivals *all, milliseconds now);

/* A look at a request that waits for content: has too little come? Only the second look in turn
 * that finds so says it, for a process that was stopped has not read yet what came meanwhile. */
bool exchange_arrival_is_late(struct exchange_arrival *a, const struct exchange *x,
                              const struct exchange_arrivals *all, milliseconds now);
/* It waits no longer: what it does not get from now on is not the client's fault. */
static inline void exchange_arrival_stop(struct exchange_arrival *a)
{
    a->is_awaited = false;
}

#endif
