#include "exchange/window.h"

#define NANOSECONDS 1000000 /* of a millisecond */

/* Half a window in less than two round trips. A clock of milliseconds may be late by one, which is
 * held against growing: within a machine there is no need. */
static bool is_used_fast(const struct exchange_window *w, const struct exchange_windows *all)
{
    return (*all->now - w->since + 1) * NANOSECONDS < 2 * session_round_trip(all->session);
}

static size_t grow(struct exchange_window *w, struct exchange_windows *all, size_t wish)
{
    if (wish > all->left) {
        wish = all->left;
        session_hit(all->session, offsetof(routed_limits, upload_growth));
    }
    all->left -= wish;
    w->growth += wish;
    return wish;
}

static size_t take(struct exchange_window *w, struct exchange_windows *all, size_t bytes)
{
    size_t size = all->first + w->growth;
    if (w->since == 0) {
        w->since = *all->now;
        w->taken = 0;
    }
    w->taken += bytes;
    if (w->taken < size / 2)
        return 0;
    size_t more = is_used_fast(w, all) ? grow(w, all, size) : 0;
    w->since = *all->now;
    w->taken = 0;
    return more;
}

size_t exchange_window_take(struct exchange_window *w, struct exchange_windows *all,
                            const struct exchange_inlet *content, size_t bytes)
{
    if (buffer_size(&content->held)) {
        w->since = 0;
        return 0;
    }
    return bytes && !content->has_ended && !content->is_done ? take(w, all, bytes) : 0;
}

void exchange_window_give_back(struct exchange_window *w, struct exchange_windows *all)
{
    all->left += w->growth;
    w->growth = 0;
}
