/* serve/supervisor.h: the life of the process between the front and the engine processes. */
#ifndef SERVE_SUPERVISOR_H
#define SERVE_SUPERVISOR_H

#include "io/process.h"
#include "serve/processes.h"

/* What the processes tell each other, one byte each. */
enum {
    SUPERVISOR_READY = 'R',  /* up: accepts */
    SUPERVISOR_FAILED = 'F', /* to the front: an engine did not start the first time */
    SUPERVISOR_SHUT = 'D',   /* down: close WebSockets */
    SUPERVISOR_STOP = 'S'    /* down: end */
};

/* Runs in the freshly forked supervisor and never returns. `front` is the channel to the front;
 * `alive` has a flag for each engine. */
_Noreturn void serve_supervisor_run(const struct serve_processes_options *options,
                                    struct process *front, atomic_uchar *alive);

#endif
