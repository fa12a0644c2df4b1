#include "load/tally.h"

#include <string.h>

const char *load_error_name(enum load_error e)
{
    static const char *const names[LOAD_ERROR_COUNT] = {
        "none", "connect", "handshake", "closed", "protocol", "status", "timeout"};
    return names[e];
}

void load_tally_init(struct load_tally *t, microseconds now)
{
    memset(t, 0, sizeof(*t));
    load_histogram_init(&t->latency);
    t->last = now;
}

void load_tally_answer(struct load_tally *t, microseconds intended, microseconds now)
{
    load_histogram_add(&t->latency, now > intended ? now - intended : 0);
    t->answers++;
    t->last = now;
}

uint64_t load_tally_errors(const struct load_tally *t)
{
    uint64_t sum = 0;
    for (int i = LOAD_ERROR_NONE + 1; i < LOAD_ERROR_COUNT; i++)
        sum += t->errors[i];
    return sum;
}
