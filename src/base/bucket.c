#include "base/bucket.h"

#define UNIT 1000 /* thousandths */

struct bucket bucket_full(const struct bucket_rate *rate, milliseconds now)
{
    return (struct bucket){(uint64_t)rate->burst * UNIT, now};
}

static void fill(struct bucket *b, const struct bucket_rate *rate, milliseconds now)
{
    uint64_t full = (uint64_t)rate->burst * UNIT;
    milliseconds elapsed = now > b->filled_at ? now - b->filled_at : 0;
    b->filled_at = now;
    if (rate->per_second && elapsed > (full - b->level) / rate->per_second)
        b->level = full;
    else
        b->level += elapsed * rate->per_second;
}

bool bucket_take(struct bucket *b, const struct bucket_rate *rate, milliseconds now)
{
    fill(b, rate, now);
    if (b->level < UNIT)
        return false;
    b->level -= UNIT;
    return true;
}

bool bucket_is_low(const struct bucket *b, const struct bucket_rate *rate)
{
    return b->level < (uint64_t)rate->burst * UNIT / 4;
}
