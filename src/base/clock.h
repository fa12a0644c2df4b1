/* base/clock.h: times. Everything that waits uses milliseconds of the monotonic clock, read once
 * per loop turn and passed in; nothing but dates and log lines uses the wall clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef uint64_t milliseconds; /* a point in time or a duration, as the name says */
typedef uint64_t microseconds;
typedef uint64_t nanoseconds;

#define CLOCK_NEVER UINT64_MAX

/* A point in time plus a duration; CLOCK_NEVER where there is no such time. */
static inline milliseconds clock_after(milliseconds start, milliseconds duration)
{
    return duration > CLOCK_NEVER - start ? CLOCK_NEVER : start + duration;
}

#endif
