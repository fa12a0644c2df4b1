#include "load/pacer.h"

void load_pacer_init(struct load_pacer *p, double rate, uint64_t most, microseconds now,
                     microseconds duration)
{
    *p = (struct load_pacer){.interval = rate > 0 ? 1e6 / rate : 0,
                             .start = now,
                             .end = clock_after(now, duration),
                             .most = most};
}

static microseconds due(const struct load_pacer *p, uint64_t number)
{
    return p->start + (microseconds)((double)number * p->interval);
}

bool load_pacer_is_over(const struct load_pacer *p, microseconds now)
{
    return p->issued >= p->most || now >= p->end;
}

bool load_pacer_take(struct load_pacer *p, microseconds now, microseconds *intended)
{
    if (load_pacer_is_over(p, now))
        return false;
    *intended = now;
    if (p->interval > 0) {
        *intended = due(p, p->issued);
        if (*intended > now)
            return false;
    }
    p->issued++;
    return true;
}

microseconds load_pacer_next(const struct load_pacer *p, microseconds now)
{
    if (load_pacer_is_over(p, now))
        return CLOCK_NEVER;
    return p->interval > 0 ? due(p, p->issued) : now;
}

uint64_t load_pacer_missed(const struct load_pacer *p, microseconds now)
{
    if (p->interval <= 0)
        return 0;
    microseconds until = now < p->end ? now : p->end;
    uint64_t number = (uint64_t)((double)(until - p->start) / p->interval) + 1;
    /* What is due at the very end is not issued any more. */
    if (until == p->end && due(p, number - 1) >= p->end)
        number--;
    if (number > p->most)
        number = p->most;
    return number > p->issued ? number - p->issued : 0;
}
