/* exchange/window.h: the flow-control window of an upload, which grows where it would set the pace.
 *
 * A window that is used up faster than twice in four round trips may be what the client waits for:
 * it is doubled, as long as the application takes what comes at once. What the windows of a
 * connection have grown by is bounded together, so that applications that stop taking leave no more
 * than that waiting on top of the windows that all streams begin with. */
#ifndef EXCHANGE_WINDOW_H
#define EXCHANGE_WINDOW_H

#include "exchange/inlet.h"
#include "exchange/session.h"

/* What the windows of one connection share. */
struct exchange_windows {
    const struct session *session; /* knows the round trip, and counts where the limit was hit */
    const milliseconds *now;
    size_t first; /* bytes that each begins with */
    size_t left;  /* bytes that all of them may still grow by */
};

/* The zeroed struct is the beginning. */
struct exchange_window {
    size_t growth;      /* bytes more than it began with */
    size_t taken;       /* bytes since the time was taken */
    milliseconds since; /* 0: it was not yet */
};

/* The application took so many bytes of the content. Returns how many bytes more the window is to
 * have: none while the application is behind, for then it is not the window that sets the pace, and
 * none once nothing more comes. */
size_t exchange_window_take(struct exchange_window *w, struct exchange_windows *all,
                            const struct exchange_inlet *content, size_t bytes);
/* The stream is over. */
void exchange_window_give_back(struct exchange_window *w, struct exchange_windows *all);

#endif
