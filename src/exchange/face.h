/* exchange/face.h: how an application is plugged into the front: the bridge client, the engine
 * in process, a host's event queue, the static answer for measuring. The front knows only this.
 *
 * Each worker thread opens the face once; what open gives is the context of on_request for the
 * exchanges of that thread. */
#ifndef EXCHANGE_FACE_H
#define EXCHANGE_FACE_H

#include "base/log.h"
#include "base/metrics.h"
#include "exchange/exchange.h"
#include <routed/limits.h>

struct face {
    const struct exchange_application *application;
    /* On the worker's thread, before its first exchange. `limits` and `log` outlive the face.
     * ROUTED_OK with *context, or why the server cannot start. NULL: context is `state`. */
    int (*open)(void *state, struct loop *loop, const routed_limits *limits, const struct log *log,
                void **context);
    /* The worker stops gracefully: close what would never end by itself (WebSockets, 1001).
     * Exchanges in flight go on. May be NULL. */
    void (*shut)(void *context, struct loop *loop);
    /* After the worker's last exchange and turn, from whichever thread frees the server. Frees
     * the context; the loop still exists and does not turn. May be NULL. */
    void (*close)(void *context);
    /* The numbers of this context, or NULL; they live as long as the context. May be NULL. */
    const struct metric_set *(*metrics)(void *context);
    void *state;
};

#endif
