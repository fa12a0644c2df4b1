/* http2/window.h: the flow-control window of an upload, which grows where it would set the pace.
 *
 * A window that is used up faster than twice in four round trips may be what the client waits for:
 * it is doubled, as long as the application takes what comes at once. What the windows of a
 * connection have grown by is bounded together, so that applications that stop taking leave no more
 * than that waiting on top of the windows that all streams begin with. */
#ifndef HTTP2_WINDOW_H
#define HTTP2_WINDOW_H

#include "exchange/session.h"

/* The zeroed struct is the beginning. */
struct http2_window {
    size_t growth;      /* bytes more than it began with */
    size_t taken;       /* bytes since the time was taken */
    milliseconds since; /* 0: it was not yet */
};

/* The application took so many bytes of the stream at once, whose window began with `first`.
 * Returns how many bytes more it is to have, which are gone from *left. */
size_t http2_window_take(struct http2_window *w, size_t first, size_t bytes,
                         const struct session *s, milliseconds now, size_t *left);
/* The application is behind: it is not the window that sets the pace. */
void http2_window_wait(struct http2_window *w);
/* The stream is over. */
void http2_window_give_back(struct http2_window *w, size_t *left);

#endif
