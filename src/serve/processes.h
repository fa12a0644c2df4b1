/* serve/processes.h: supervised engine processes, one behind each socket of the endpoint, and a
 * process for HTTP/3 where that is wanted.
 *
 * routed_serve forks one supervisor before any thread of the server exists. The supervisor stays
 * single-threaded and forks the engines, so that an engine that died can be forked anew from a
 * clean copy, whatever the front's threads are doing (docs/decisions/0004-processes.md). A dead
 * engine comes back at once, then after 100 ms, 200 ms and so on up to 5 s, unless it lived for
 * ten seconds. The supervisor ends when the front's process does, and takes the engines along.
 *
 * The front cannot fork another supervisor, for its threads are running. Should the supervisor be
 * killed, the kernel kills the engines with it; a thread of the front that watches it clears the
 * flags of all engines for good, counts supervisor.losses and says so in the log. Answers over TLS
 * then ask clients to forget HTTP/3, where that was in its process. From then on requests wait for
 * an engine as long as limits.queue_timeout allows and are answered with 503; the host is expected
 * to end, to be started anew. */
#ifndef SERVE_PROCESSES_H
#define SERVE_PROCESSES_H

#include "base/failure.h"
#include "base/log.h"
#include "bridge/endpoint.h"
#include "engine/engine.h"
#include "front/server.h"
#include <routed/limits.h>
#include <stdatomic.h>

struct serve_processes;
struct serve_quic;

struct serve_processes_options {
    routed_engine *engine;
    const struct bridge_endpoint *endpoint;
    const routed_limits *limits;
    const struct log *log; /* its function is called in the children too */
    int (*engine_started)(void *user, uint32_t number);
    void (*engine_stopped)(void *user, uint32_t number);
    void *engine_user;
    /* HTTP/3 in a process of its own: what is shared with it, and the options of the front whose
     * part it is. NULL: none. */
    struct serve_quic *quic;
    const struct front_options *front;
};

/* Returns when every engine accepts, or why one does not. */
int serve_processes_start(struct serve_processes **out,
                          const struct serve_processes_options *options, struct failure *why);

/* One flag for each engine: does it accept now? Shared with the children; lives until stop. */
const atomic_uchar *serve_processes_alive(const struct serve_processes *p);

/* How often the supervisor ended by itself: 0 or 1. Any thread. */
unsigned serve_processes_losses(const struct serve_processes *p);

/* Starts the process of HTTP/3 on copies of these sockets and returns when it answers, or why it
 * does not. It comes back as engines do. */
int serve_processes_start_quic(struct serve_processes *p, const struct front_datagrams *sockets,
                               struct failure *why);

/* All of these are async-signal-safe, and harmless when the processes have ended. */
/* WebSockets get 1001; HTTP/3 ends gracefully within `timeout`. */
void serve_processes_shut(struct serve_processes *p, milliseconds timeout);
/* HTTP/3 ends at once. */
void serve_processes_cut(struct serve_processes *p);
/* HTTP/3 loads its certificates, or opens the access log, anew. */
void serve_processes_reload(struct serve_processes *p);
void serve_processes_reopen_log(struct serve_processes *p);

/* Ends HTTP/3, which has the time that serve_processes_shut gave it, and then the engines, by force
 * after three seconds. How HTTP/3 ended, as front_server_wait says it. */
int serve_processes_end(struct serve_processes *p);
/* Ends and frees. NULL is allowed. */
void serve_processes_free(struct serve_processes *p);

#endif
