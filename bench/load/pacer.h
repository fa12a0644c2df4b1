/* load/pacer.h: when the next request may begin.
 *
 * Closed loop: whenever somebody is free to send it. Open loop: at fixed points in time, whether
 * anybody is free or not; who comes late begins with the time that was meant, so that a server
 * that stalls pays for every request that had to wait for it. Pure; one thread. */
#ifndef LOAD_PACER_H
#define LOAD_PACER_H

#include "base/clock.h"
#include <stdbool.h>

struct load_pacer {
    double interval; /* microseconds between two requests; 0: closed loop */
    microseconds start;
    microseconds end; /* nothing is issued from here on; CLOCK_NEVER: no such time */
    uint64_t most;    /* requests in all; UINT64_MAX: no such number */
    uint64_t issued;
};

/* `rate` is in requests a second, 0 for a closed loop; `duration` CLOCK_NEVER for none. */
void load_pacer_init(struct load_pacer *p, double rate, uint64_t most, microseconds now,
                     microseconds duration);
/* May a request begin now? Then it counts as issued, and *intended is when it was to begin. */
bool load_pacer_take(struct load_pacer *p, microseconds now, microseconds *intended);
bool load_pacer_is_over(const struct load_pacer *p, microseconds now);
/* When the next request is due: now in a closed loop, CLOCK_NEVER once it is over. */
microseconds load_pacer_next(const struct load_pacer *p, microseconds now);
/* Open loop: requests that were due by the end and never issued, for nobody was free. */
uint64_t load_pacer_missed(const struct load_pacer *p, microseconds now);

#endif
