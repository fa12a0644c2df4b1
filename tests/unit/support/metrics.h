#ifndef UNIT_SUPPORT_METRICS_H
#define UNIT_SUPPORT_METRICS_H

#include "base/metrics.h"
#include "support/unit.h"

/* What a number with that name has counted. */
static inline uint64_t metric_named(const struct metric_set *s, const char *name)
{
    for (unsigned i = 0; i < s->count; i++)
        if (strcmp(s->names[i].name, name) == 0)
            return metric_read(s, i);
    fail_msg("no metric %s", name);
    return 0;
}

#endif
