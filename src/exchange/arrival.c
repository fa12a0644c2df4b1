#include "exchange/arrival.h"

#define LOOK_MS 1000

bool exchange_arrivals_are_due(struct exchange_arrivals *all, milliseconds now)
{
    if (now < all->look_at)
        return false;
    all->look_at = now + LOOK_MS;
    return true;
}

static void start(struct exchange_arrival *a, const struct exchange *x,
                  const struct exchange_arrivals *all, milliseconds now)
{
    *a = (struct exchange_arrival){.is_awaited = true,
                                   .since = now,
                                   .received = x->request_bytes,
                                   .received_by_all = all->received};
}

bool exchange_arrival_is_late(struct exchange_arrival *a, const struct exchange *x,
                              const struct exchange_arrivals *all, milliseconds now)
{
    if (!a->is_awaited) {
        start(a, x, all, now);
        return false;
    }
    if (now - a->since < all->grace)
        return false;
    /* However long it was: while this process sleeps a client cannot send more than the window. */
    uint64_t least = all->grace * all->rate;
    bool is_late = (x->request_bytes - a->received) * 1000 < least &&
                   (all->received - a->received_by_all) * 1000 < least * all->awaited;
    bool was_suspected = a->is_suspected;
    a->is_suspected = is_late;
    if (!is_late)
        start(a, x, all, now);
    return is_late && was_suspected;
}
