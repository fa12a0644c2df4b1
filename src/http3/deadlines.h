/* http3/deadlines.h: which connection has to be run next: a binary heap by time. Setting and
 * taking one costs the logarithm of their number. One thread. */
#ifndef HTTP3_DEADLINES_H
#define HTTP3_DEADLINES_H

#include "base/clock.h"
#include <stddef.h>

/* Part of what waits. Zeros: it does not. */
struct http3_deadline {
    nanoseconds at;
    size_t place; /* in the heap, counted from 1 */
};

struct http3_deadlines {
    struct http3_deadline **items;
    size_t count;
    size_t capacity;
};

/* Room for that many. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int http3_deadlines_reserve(struct http3_deadlines *d, size_t count);
void http3_deadlines_release(struct http3_deadlines *d);

/* Sets or moves; CLOCK_NEVER takes it out. There is room. */
void http3_deadlines_set(struct http3_deadlines *d, struct http3_deadline *item, nanoseconds at);
/* The earliest, or NULL. */
struct http3_deadline *http3_deadlines_first(const struct http3_deadlines *d);

#endif
