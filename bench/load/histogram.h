/* load/histogram.h: latencies in bounded memory, exact to 1/128.
 *
 * Below 128 each value has a counter of its own; above, each power of two is divided into 128
 * equal parts. So the memory is fixed, and a percentile is at most 0.8 % too high. One thread. */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define LOAD_HISTOGRAM_BITS  7
#define LOAD_HISTOGRAM_PARTS (1U << LOAD_HISTOGRAM_BITS)
#define LOAD_HISTOGRAM_MAX                                                                         \
    ((UINT64_C(1) << 36) - 1) /* in microseconds 19 hours; more counts as this */
#define LOAD_HISTOGRAM_SLOTS ((36 - LOAD_HISTOGRAM_BITS + 1) * LOAD_HISTOGRAM_PARTS)

struct load_histogram {
    uint64_t counts[LOAD_HISTOGRAM_SLOTS];
    uint64_t total;
    uint64_t sum;
    uint64_t least; /* UINT64_MAX without values */
    uint64_t most;
};

void load_histogram_init(struct load_histogram *h);
void load_histogram_add(struct load_histogram *h, uint64_t value);
/* The smallest value that at least `share` (0 to 1) of all values do not exceed, rounded up to the
 * end of its slot but never above the largest value; 0 without values. */
uint64_t load_histogram_quantile(const struct load_histogram *h, double share);
double load_histogram_mean(const struct load_histogram *h);

/* The slot of a value and the largest value of a slot. */
size_t load_histogram_slot(uint64_t value);
uint64_t load_histogram_slot_end(size_t slot);

#endif
