#include "load/histogram.h"

#include <math.h>
#include <string.h>

void load_histogram_init(struct load_histogram *h)
{
    memset(h, 0, sizeof(*h));
    h->least = UINT64_MAX;
}

size_t load_histogram_slot(uint64_t value)
{
    if (value > LOAD_HISTOGRAM_MAX)
        value = LOAD_HISTOGRAM_MAX;
    if (value < LOAD_HISTOGRAM_PARTS)
        return (size_t)value;
    unsigned power = 63U - (unsigned)__builtin_clzll(value);
    unsigned shift = power - LOAD_HISTOGRAM_BITS;
    return (size_t)(shift + 1) * LOAD_HISTOGRAM_PARTS +
           (size_t)((value >> shift) - LOAD_HISTOGRAM_PARTS);
}

uint64_t load_histogram_slot_end(size_t slot)
{
    size_t row = slot / LOAD_HISTOGRAM_PARTS;
    if (row == 0)
        return slot;
    uint64_t first = LOAD_HISTOGRAM_PARTS + slot % LOAD_HISTOGRAM_PARTS;
    return ((first + 1) << (row - 1)) - 1;
}

void load_histogram_add(struct load_histogram *h, uint64_t value)
{
    h->counts[load_histogram_slot(value)]++;
    h->total++;
    h->sum += value;
    if (value < h->least)
        h->least = value;
    if (value > h->most)
        h->most = value;
}

uint64_t load_histogram_quantile(const struct load_histogram *h, double share)
{
    if (h->total == 0)
        return 0;
    uint64_t wanted = (uint64_t)ceil(share * (double)h->total);
    uint64_t seen = 0;
    for (size_t slot = 0; slot < LOAD_HISTOGRAM_SLOTS; slot++) {
        seen += h->counts[slot];
        if (seen == 0 || seen < wanted)
            continue;
        uint64_t end = load_histogram_slot_end(slot);
        return end < h->most ? end : h->most;
    }
    return h->most;
}

double load_histogram_mean(const struct load_histogram *h)
{
    return h->total ? (double)h->sum / (double)h->total : 0;
}
