/* bridge/runtime.h: the engine's side of the bridge: accepts the front's connections on a
 * listening socket, turns their frames into exchanges for an application, and the application's
 * answers into frames.
 *
 * One runtime belongs to one loop and one thread. Several may share one listening descriptor, when
 * they have no bell. */
#ifndef BRIDGE_RUNTIME_H
#define BRIDGE_RUNTIME_H

#include "base/log.h"
#include "exchange/exchange.h"
#include "io/loop.h"
#include <routed/limits.h>

struct bridge_runtime;

struct bridge_runtime_options {
    int listener;      /* stays the caller's; must be non-blocking */
    struct bell *bell; /* of the loop: fronts ring it. NULL: they do not; outlives the loop */
    const struct exchange_application *application;
    void *context;               /* of on_request */
    const routed_limits *limits; /* resolved; outlives the runtime */
    const struct log *log;       /* outlives the runtime; may be NULL */
    uint32_t user;               /* the front runs as this user, or as root; also over TCP */
};

/* Starts to accept. NULL: no memory, or the descriptor cannot be watched. The application
 * outlives the runtime. */
struct bridge_runtime *bridge_runtime_open(struct loop *loop,
                                           const struct bridge_runtime_options *options);

/* Graceful stop: accepts no more, closes connections without a request, lets the others finish
 * theirs. `on_empty` is called once from the loop when none is left; close the runtime then. */
void bridge_runtime_shut(struct bridge_runtime *r, void (*on_empty)(void *user), void *user);

/* Cuts what is in flight (on_close with ROUTED_ERROR_STOPPING) and frees the runtime. Not from
 * inside a callback of one of its exchanges; NULL is allowed. */
void bridge_runtime_close(struct bridge_runtime *r);

/* Connections open now. */
unsigned bridge_runtime_connections(const struct bridge_runtime *r);

#endif
