/* engine/route.h: which route answers a request, or which answer stands in for one. Reads the
 * frozen engine only: many threads. */
#ifndef ENGINE_ROUTE_H
#define ENGINE_ROUTE_H

#include "base/arena.h"
#include "engine/tree.h"
#include "http/message.h"
#include <routed/engine.h>

struct websocket_route;

#define ROUTE_METHODS_MAX 64

struct route {
    struct route *next_at_node;
    struct route *next; /* of the engine */
    char *pattern;      /* whole, with the prefixes; the tree's texts point into it */
    struct span method; /* empty: any */
    uint64_t method_bit;
    struct span names[PATTERN_PARAMS_MAX]; /* of the parameters */
    size_t param_count;
    const struct routed_group *group;
    routed_handler *handler; /* or: */
    struct websocket_route *websocket;
    void *user;
    int64_t body_limit;
};

enum route_answer {
    ROUTE_HANDLER,
    ROUTE_NOT_FOUND,
    ROUTE_NOT_ALLOWED, /* 405 with Allow */
    ROUTE_OPTIONS,     /* 204 with Allow */
    ROUTE_BAD_TARGET   /* 400: a parameter that cannot be decoded */
};

struct route_match {
    enum route_answer answer;
    const struct route *route; /* of ROUTE_HANDLER, else NULL */
    const struct routed_group *group;
    uint64_t allowed; /* bits of the methods for Allow */
    struct span params[PATTERN_PARAMS_MAX];
    size_t steps; /* what the search cost */
};

void engine_route_match(struct route_match *m, const routed_engine *engine,
                        const struct http_request *r);

/* The value of Allow: sorted, with HEAD where GET is, and OPTIONS. Empty without memory. */
struct span engine_route_allow(struct arena *a, const routed_engine *engine, uint64_t allowed);

#endif
