#include "front/pace.h"

void pace_start(struct pace *p, milliseconds now, uint64_t bytes)
{
    if (p->is_running)
        return;
    *p = (struct pace){.is_running = true,
                       .window_start = now,
                       .window_bytes = bytes,
                       .moved_at = now,
                       .moved_bytes = bytes};
}

void pace_stop(struct pace *p)
{
    p->is_running = false;
}

void pace_note(struct pace *p, milliseconds now, uint64_t bytes)
{
    if (bytes == p->moved_bytes)
        return;
    p->moved_bytes = bytes;
    p->moved_at = now;
}

static bool has_rate(const routed_limits *limits)
{
    return limits->rate != ROUTED_NO_LIMIT && limits->rate_grace != ROUTED_NO_LIMIT;
}

static uint64_t least_of_window(const routed_limits *limits)
{
    uint64_t product;
    if (__builtin_mul_overflow(limits->rate, limits->rate_grace, &product))
        product = UINT64_MAX;
    return product / 1000;
}

milliseconds pace_deadline(const struct pace *p, const routed_limits *limits)
{
    if (!p->is_running)
        return CLOCK_NEVER;
    milliseconds stall = clock_after(p->moved_at, limits->stall_timeout);
    milliseconds window =
        has_rate(limits) ? clock_after(p->window_start, limits->rate_grace) : CLOCK_NEVER;
    return stall < window ? stall : window;
}

enum pace_verdict pace_check(struct pace *p, milliseconds now, uint64_t bytes,
                             const routed_limits *limits)
{
    if (!p->is_running)
        return PACE_GOOD;
    pace_note(p, now, bytes);
    if (now >= clock_after(p->moved_at, limits->stall_timeout))
        return PACE_STALLED;
    if (!has_rate(limits) || now < clock_after(p->window_start, limits->rate_grace))
        return PACE_GOOD;
    uint64_t moved = bytes - p->window_bytes;
    if (moved < least_of_window(limits))
        return PACE_SLOW;
    p->window_start = now;
    p->window_bytes = bytes;
    return PACE_GOOD;
}
