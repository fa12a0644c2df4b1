/* serve/engine_host.h: one loop that serves an engine behind the bridge: the main loop of an
 * engine thread and of an engine process. */
#ifndef SERVE_ENGINE_HOST_H
#define SERVE_ENGINE_HOST_H

#include "base/log.h"
#include "bridge/endpoint.h"
#include "bridge/runtime.h"
#include "engine/engine.h"

struct serve_engine_host {
    routed_engine *engine;
    struct loop *loop;
    struct bridge_runtime *runtime;
};

/* On any thread, before the loop runs: behind socket `number` of the endpoint, which stays the
 * caller's. */
int serve_engine_host_open(struct serve_engine_host *h, routed_engine *engine,
                           const struct bridge_endpoint *endpoint, unsigned number,
                           const routed_limits *limits, const struct log *log);
/* On the loop's thread: WebSockets get 1001, the rest goes on. */
void serve_engine_host_shut(struct serve_engine_host *h);
/* After the loop's last turn: cuts what is in flight. The loop still takes messages. */
void serve_engine_host_cut(struct serve_engine_host *h);
/* Cuts and frees the loop. */
void serve_engine_host_close(struct serve_engine_host *h);

#endif
