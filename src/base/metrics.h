/* base/metrics.h: numbers that can be read at any time.
 *
 * A set belongs to one thread, which alone changes it with plain relaxed stores; any thread may
 * read. Sets of the same list are added up by the reader. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
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
    bool is_in_rows; /* the values belong to struct metric_rows */
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

/* The values of several sets of one list, side by side in zeroed memory that their owners share
 * with who reads them, and that may outlive the owners' process. */
struct metric_rows {
    const struct metric_name *names;
    unsigned count; /* of each row */
    unsigned rows;
    atomic_uint taken;
    _Atomic uint64_t values[];
};

static inline size_t metric_rows_size(unsigned count, unsigned rows)
{
    return sizeof(struct metric_rows) + (size_t)count * rows * sizeof(uint64_t);
}

/* The next row, with what its former owner counted; NULL when all are taken. Any thread. */
static inline _Atomic uint64_t *metric_rows_take(struct metric_rows *r)
{
    unsigned row = atomic_fetch_add(&r->taken, 1);
    return row < r->rows ? r->values + (size_t)row * r->count : NULL;
}

static inline uint64_t metric_rows_sum(const struct metric_rows *r, unsigned which)
{
    uint64_t sum = 0;
    for (unsigned row = 0; row < r->rows; row++)
        sum += atomic_load_explicit(&r->values[row * r->count + which], memory_order_relaxed);
    return sum;
}

/* The owners are gone: their rows are free and nothing is open any more. What they counted
 * stays. */
static inline void metric_rows_abandon(struct metric_rows *r)
{
    for (unsigned i = 0; i < r->count * r->rows; i++)
        if (r->names[i % r->count].kind == METRIC_GAUGE)
            atomic_store_explicit(&r->values[i], 0, memory_order_relaxed);
    atomic_store(&r->taken, 0);
}

#endif
