/* serve/engine_process.h: the life of one engine process. */
#ifndef SERVE_ENGINE_PROCESS_H
#define SERVE_ENGINE_PROCESS_H

#include "io/process.h"
#include "serve/processes.h"

/* Runs in a freshly forked child and never returns. `self` is its end of the channel to the
 * supervisor, `alive` its flag. */
_Noreturn void serve_engine_process_run(const struct serve_processes_options *options,
                                        unsigned number, struct process *self, atomic_uchar *alive);

#endif
