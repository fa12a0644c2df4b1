/* base/clock.h: times. Everything that waits uses milliseconds of the monotonic clock, read once
 * per loop turn and passed in; nothing but dates and log lines uses the wall clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef uint64_t milliseconds; /* a point in time or a duration, as the name says */
typedef uint64_t microseconds;

#define CLOCK_NEVER UINT64_MAX

#endif
