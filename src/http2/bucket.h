/* http2/bucket.h: a budget that refills with time, as struct http2_rate says. */
#ifndef HTTP2_BUCKET_H
#define HTTP2_BUCKET_H

#include "base/clock.h"
#include "http2/limits.h"
#include <stdbool.h>

struct http2_bucket {
    uint64_t level; /* thousandths of a unit that are left */
    milliseconds filled_at;
};

/* Full. */
struct http2_bucket http2_bucket_full(const struct http2_rate *rate, milliseconds now);
/* Takes one unit; false when there is none. */
bool http2_bucket_take(struct http2_bucket *b, const struct http2_rate *rate, milliseconds now);
/* Three quarters are used up, without what came back since the last take. */
bool http2_bucket_is_low(const struct http2_bucket *b, const struct http2_rate *rate);

#endif
