/* base/bucket.h: a token bucket, that is a budget that refills with time. */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include "base/clock.h"
#include <stdbool.h>
#include <stdint.h>

/* `burst` units at first and at most, `per_second` come back. */
struct bucket_rate {
    uint32_t burst;
    uint32_t per_second;
};

struct bucket {
    uint64_t level; /* thousandths of a unit that are left */
    milliseconds filled_at;
};

/* Full. */
struct bucket bucket_full(const struct bucket_rate *rate, milliseconds now);
/* Takes one unit; false when there is none. */
bool bucket_take(struct bucket *b, const struct bucket_rate *rate, milliseconds now);
/* Three quarters are used up, without what came back since the last take. */
bool bucket_is_low(const struct bucket *b, const struct bucket_rate *rate);

#endif
