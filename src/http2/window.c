#include "http2/window.h"

#define NANOSECONDS 1000000 /* of a millisecond */

/* Half a window in less than two round trips. A clock of milliseconds may be late by one, which is
 * held against growing: within a machine there is no need. */
static bool is_used_fast(const struct http2_window *w, const struct session *s, milliseconds now)
{
    uint64_t round_trip = s->host.round_trip ? s->host.round_trip(s->host.host) : 0;
    return (now - w->since + 1) * NANOSECONDS < 2 * round_trip;
}

static size_t grow(struct http2_window *w, size_t wish, const struct session *s, size_t *left)
{
    if (wish > *left) {
        wish = *left;
        session_hit(s, offsetof(routed_limits, upload_growth));
    }
    *left -= wish;
    w->growth += wish;
    return wish;
}

size_t http2_window_take(struct http2_window *w, size_t first, size_t bytes,
                         const struct session *s, milliseconds now, size_t *left)
{
    size_t size = first + w->growth;
    if (w->since == 0) {
        w->since = now;
        w->taken = 0;
    }
    w->taken += bytes;
    if (w->taken < size / 2)
        return 0;
    size_t more = is_used_fast(w, s, now) ? grow(w, size, s, left) : 0;
    w->since = now;
    w->taken = 0;
    return more;
}

void http2_window_wait(struct http2_window *w)
{
    w->since = 0;
}

void http2_window_give_back(struct http2_window *w, size_t *left)
{
    *left += w->growth;
    w->growth = 0;
}
