/* base/metrics.h: numbers that can be read at any time.
 *
 * A set belongs to one thread, which alone changes it with plain relaxed stores; any thread may
 * read. Sets of the same list are added up by the reader. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

enum metric_kind {
    METRIC_COUNTER, /* only grows */
    METRIC_GAUGE
};

struct metric_name {
    const char *name; /* "connections.open" */
    enum metric_kind kind;
};

struct metric_set {
    const struct metric_name *names;
    unsigned count;
    _Atomic uint64_t *values;
};

static inline void metric_add(struct metric_set *s, unsigned which, uint64_t amount)
{
    uint64_t before = atomic_load_explicit(&s->values[which], memory_order_relaxed);
    atomic_store_explicit(&s->values[which], before + amount, memory_order_relaxed);
}

static inline void metric_subtract(struct metric_set *s, unsigned which, uint64_t amount)
{
    metric_add(s, which, (uint64_t)0 - amount);
}

static inline uint64_t metric_read(const struct metric_set *s, unsigned which)
{
    return atomic_load_explicit(&s->values[which], memory_order_relaxed);
}

#endif
