/* serve/supervisor.h: the life of the process between the front and the processes of the engines
 * and of HTTP/3. */
#ifndef SERVE_SUPERVISOR_H
#define SERVE_SUPERVISOR_H

#include "io/process.h"
#include "serve/processes.h"

/* What the processes tell each other, one byte each. */
enum {
    SUPERVISOR_READY = 'R',   /* up: accepts */
    SUPERVISOR_FAILED = 'F',  /* to the front: an engine ended before it was ready, */
    SUPERVISOR_REFUSED = 'N', /* because engine_started said so */
    SUPERVISOR_SHUT = 'D',    /* down: close WebSockets; end gracefully, where HTTP/3 is */
    SUPERVISOR_STOP = 'S',    /* down: end */
    SUPERVISOR_SOCKET = 'U',  /* from the front, with a socket of HTTP/3 and its worker */
    SUPERVISOR_QUIC = 'Q',    /* from the front: start HTTP/3; answered by R or F */
    SUPERVISOR_CUT = 'C',     /* down, for HTTP/3: end now */
    SUPERVISOR_RELOAD = 'T',  /* the same: load the certificates anew */
    SUPERVISOR_REOPEN = 'L'   /* the same: open the access log anew */
};

/* How an engine process ends whose engine_started failed. */
#define SUPERVISOR_EXIT_REFUSED 4

/* Runs in the freshly forked supervisor and never returns. `front` is the channel to the front;
 * `alive` has a flag for each engine. */
_Noreturn void serve_supervisor_run(const struct serve_processes_options *options,
                                    struct process *front, atomic_uchar *alive);

#endif
