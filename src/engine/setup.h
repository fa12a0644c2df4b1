/* engine/setup.h: the engine as it is set up: groups with their middleware, routes, hooks; and
 * its desks, one for each thread that it works on. */
#ifndef ENGINE_SETUP_H
#define ENGINE_SETUP_H

#include "base/list.h"
#include "engine/route.h"
#include "engine/tree.h"
#include <pthread.h>
#include <routed/engine.h>
#include <routed/websocket.h>
#include <stdatomic.h>

struct loop;

struct layer {
    routed_middleware *before; /* NULL: next */
    routed_callback *after;    /* may be NULL */
    void *user;
};

struct layer_list {
    struct layer *items;
    size_t count;
    size_t capacity;
};

struct routed_group {
    routed_engine *engine;
    routed_group *parent; /* NULL: the engine's root */
    routed_group *next;   /* of the engine */
    char *prefix;         /* whole; "" for the root */
    struct layer_list own;
    struct layer_list chain; /* of all parents, then its own; made by the freeze */
};

struct done_hook {
    routed_close_callback *callback;
    void *user;
};

#define SETUP_DONE_HOOKS_MAX 8

struct websocket_route {
    routed_websocket_callbacks callbacks;
    routed_websocket_options options; /* .subprotocols is a copy */
};

struct desk;

struct routed_engine {
    struct routed_group root;
    struct routed_group *groups;
    struct route *routes;
    struct tree_node tree;
    struct span methods[ROUTE_METHODS_MAX]; /* each in the memory of its first route */
    size_t method_count;
    uint64_t all_methods;
    struct done_hook done_hooks[SETUP_DONE_HOOKS_MAX];
    size_t done_hook_count;
    atomic_bool is_frozen;
    pthread_mutex_t desk_lock;    /* taken to add one */
    _Atomic(struct desk *) desks; /* grows only */
};

/* Adds a route below a group; either a handler or a WebSocket. Takes `websocket`, on failure
 * too. */
int engine_setup_route(routed_group *group, const char *method, const char *pattern,
                       struct route route);

#endif
