/* serve/threads.h: engine threads in this process, one behind each socket of the endpoint. */
#ifndef SERVE_THREADS_H
#define SERVE_THREADS_H

#include "base/failure.h"
#include "base/log.h"
#include "bridge/endpoint.h"
#include "engine/engine.h"
#include <routed/limits.h>

struct serve_threads;

/* `limits` and `log` outlive the threads. */
int serve_threads_start(struct serve_threads **out, routed_engine *engine,
                        const struct bridge_endpoint *endpoint, const routed_limits *limits,
                        const struct log *log, struct failure *why);
/* Begins the graceful stop: WebSockets get 1001. Async-signal-safe, once; harmless when the
 * threads have ended. */
void serve_threads_shut(struct serve_threads *t);
/* Ends the threads, cutting what is still in flight. */
void serve_threads_end(struct serve_threads *t);
/* Ends and frees. NULL is allowed. */
void serve_threads_free(struct serve_threads *t);

#endif
