#include "serve/processes.h"

#include "base/memory.h"
#include "serve/supervisor.h"

#define START_PATIENCE_MS 30000
#define STOP_PATIENCE_MS  10000

struct serve_processes {
    struct process supervisor;
    bool is_running;
    atomic_uchar *alive;
    size_t count;
};

static int await_engines(struct serve_processes *p, struct failure *why)
{
    int byte = process_await(&p->supervisor, START_PATIENCE_MS);
    if (byte == SUPERVISOR_READY)
        return ROUTED_OK;
    return failure_set(why, byte == 0 ? ROUTED_ERROR_TIMEOUT : ROUTED_ERROR_NO_ENGINE,
                       byte == 0 ? "the engine processes did not start in time"
                                 : "an engine process ended before it was ready");
}

int serve_processes_start(struct serve_processes **out,
                          const struct serve_processes_options *options, struct failure *why)
{
    struct serve_processes *p = memory_new_zeroed(sizeof(*p));
    *out = NULL;
    if (!p)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    p->count = bridge_endpoint_count(options->endpoint);
    p->alive = process_shared_new(p->count);
    int result = p->alive ? process_fork(&p->supervisor) : ROUTED_ERROR_MEMORY;
    if (result == PROCESS_CHILD)
        serve_supervisor_run(options, &p->supervisor, p->alive);
    p->is_running = result == PROCESS_PARENT;
    int error = result < 0 ? failure_set(why, result, "fork the supervisor of the engines: %s",
                                         routed_error_text(result))
                           : await_engines(p, why);
    if (error)
        serve_processes_stop(p);
    else
        *out = p;
    return error;
}

const atomic_uchar *serve_processes_alive(const struct serve_processes *p)
{
    return p->alive;
}

void serve_processes_shut(struct serve_processes *p)
{
    process_tell(&p->supervisor, SUPERVISOR_SHUT);
}

static void end_supervisor(struct serve_processes *p)
{
    int code;
    process_tell(&p->supervisor, SUPERVISOR_STOP);
    /* Its end of input is its end; the engines die with it at the latest. */
    while (process_await(&p->supervisor, STOP_PATIENCE_MS) > 0)
        ;
    process_kill(&p->supervisor);
    while (!process_collect(&p->supervisor, &code))
        process_await_exit(&p->supervisor);
    process_release(&p->supervisor);
}

void serve_processes_stop(struct serve_processes *p)
{
    if (!p)
        return;
    if (p->is_running)
        end_supervisor(p);
    process_shared_free(p->alive, p->count);
    memory_free(p);
}
