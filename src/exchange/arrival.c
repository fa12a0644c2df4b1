#include "exchange/arrival.h"

static void start(struct exchange_arrival *a, const struct exchange *x,
                  const struct exchange_arrivals *all, milliseconds now)
{
    *a = (struct exchange_arrival){true, now, x->request_bytes, all->received};
}

bool exchange_arrival_is_late(struct exchange_arrival *a, const struct exchange *x,
                              const struct exchange_arrivals *all, milliseconds now)
{
    if (!a->is_awaited) {
        start(a, x, all, now);
        return false;
    }
    milliseconds elapsed = now - a->since;
    if (elapsed < all->grace)
        return false;
    uint64_t least = elapsed * all->rate;
    bool is_late = (x->request_bytes - a->received) * 1000 < least &&
                   (all->received - a->received_by_all) * 1000 < least * all->awaited;
    start(a, x, all, now);
    return is_late;
}
