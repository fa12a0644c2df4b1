/* io/wheel.h: the timers of a loop: a hierarchical wheel of seven levels with 64 slots each, one
 * millisecond a tick at the lowest. A timer sits at the level of the highest group of six bits in
 * which its due time differs from now, so setting and clearing are O(1) and each timer moves at
 * most six times. The clock counts from the start of the machine and stays below 2^42 ms (139
 * years); a timer that is due later than that fires then. */
#ifndef IO_WHEEL_H
#define IO_WHEEL_H

#include "io/loop.h"

#define WHEEL_LEVELS 7
#define WHEEL_BITS   6
#define WHEEL_SLOTS  (1 << WHEEL_BITS)

struct wheel {
    milliseconds tick; /* everything due up to here has fired */
    uint64_t occupied[WHEEL_LEVELS];
    struct list_link slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, milliseconds now);
void wheel_add(struct wheel *w, struct loop_timer *t);
void wheel_remove(struct wheel *w, struct loop_timer *t);
/* Fires what is due up to `now`. Callbacks may set and clear any timer. */
void wheel_advance(struct wheel *w, milliseconds now);
/* When to wake at the latest; CLOCK_NEVER without timers. May be earlier than the first timer. */
milliseconds wheel_next(const struct wheel *w);

#endif
