/* serve/processes.h: supervised engine processes, one behind each socket of the endpoint.
 *
 * routed_serve forks one supervisor before any thread of the server exists. The supervisor stays
 * single-threaded and forks the engines, so that an engine that died can be forked anew from a
 * clean copy, whatever the front's threads are doing (docs/decisions/0004-processes.md). A dead
 * engine comes back at once, then after 100 ms, 200 ms and so on up to 5 s, unless it lived for
 * ten seconds. The supervisor ends when the front's process does, and takes the engines along.
 *
 * The front cannot fork another supervisor, for its threads are running. Should the supervisor be
 * killed, the kernel kills the engines with it; a thread of the front that watches it clears the
 * flags of all engines for good and says so in the log. From then on requests wait for an engine
 * as long as limits.queue_timeout allows and are answered with 503; the host is expected to end,
 * to be started anew. */
#ifndef SERVE_PROCESSES_H
#define SERVE_PROCESSES_H

#include "base/failure.h"
#include "base/log.h"
#include "bridge/endpoint.h"
#include "engine/engine.h"
#include <routed/limits.h>
#include <stdatomic.h>

struct serve_processes;

struct serve_processes_options {
    routed_engine *engine;
    const struct bridge_endpoint *endpoint;
    const routed_limits *limits;
    const struct log *log; /* its function is called in the children too */
    int (*engine_started)(void *user, uint32_t number);
    void (*engine_stopped)(void *user, uint32_t number);
    void *engine_user;
};

/* Returns when every engine accepts, or why one does not. */
int serve_processes_start(struct serve_processes **out,
                          const struct serve_processes_options *options, struct failure *why);

/* One flag for each engine: does it accept now? Shared with the children; lives until stop. */
const atomic_uchar *serve_processes_alive(const struct serve_processes *p);

/* WebSockets get 1001. Async-signal-safe; harmless when the engines have ended. */
void serve_processes_shut(struct serve_processes *p);
/* Ends the engines, by force after three seconds. */
void serve_processes_end(struct serve_processes *p);
/* Ends and frees. NULL is allowed. */
void serve_processes_free(struct serve_processes *p);

#endif
