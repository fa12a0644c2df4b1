#include "serve/processes.h"

#include "base/memory.h"
#include "io/system.h"
#include "serve/quic_process.h"
#include "serve/supervisor.h"

#define START_PATIENCE_MS 30000
#define STOP_PATIENCE_MS  10000

struct serve_processes {
    struct process supervisor;
    pthread_t watcher; /* waits for the supervisor's end */
    const struct log *log;
    struct serve_quic *quic; /* or NULL */
    bool has_supervisor;
    bool has_watcher;
    bool is_running;
    atomic_bool is_ending;
    atomic_uint losses; /* of the supervisor */
    atomic_uchar *alive;
    size_t count;
};

/* ---- start ---- */

static int await_engines(struct serve_processes *p, struct failure *why)
{
    switch (process_await(&p->supervisor, START_PATIENCE_MS)) {
    case SUPERVISOR_READY:
        return ROUTED_OK;
    case SUPERVISOR_REFUSED:
        return failure_set(why, ROUTED_ERROR_NO_ENGINE,
                           "engine_started failed in an engine process");
    case 0:
        return failure_set(why, ROUTED_ERROR_TIMEOUT, "the engine processes did not start in time");
    default:
        return failure_set(why, ROUTED_ERROR_NO_ENGINE,
                           "an engine process ended before it was ready");
    }
}

static void *watch(void *argument)
{
    struct serve_processes *p = argument;
    process_await_exit(&p->supervisor);
    if (atomic_load(&p->is_ending))
        return NULL;
    process_shared_detach(p->alive, p->count);
    if (p->quic)
        serve_quic_abandon(p->quic, FRONT_QUIC_LOST);
    atomic_store(&p->losses, 1);
    log_write(p->log, LOG_ERROR,
              "the supervisor of the engines (process %d) ended: no engine is left, requests get "
              "503%s; start this process anew",
              (int)p->supervisor.pid, p->quic ? ", HTTP/3 is gone" : "");
    return NULL;
}

static int start_watcher(struct serve_processes *p, struct failure *why)
{
    int error = system_thread_start(&p->watcher, "routed-watch", watch, p);
    p->has_watcher = error == ROUTED_OK;
    return error ? failure_set(why, error, "watch the supervisor of the engines: %s",
                               routed_error_text(error))
                 : ROUTED_OK;
}

static int start(struct serve_processes *p, const struct serve_processes_options *options,
                 struct failure *why)
{
    p->log = options->log;
    p->quic = options->quic;
    p->count = bridge_endpoint_count(options->endpoint);
    p->alive = process_shared_new(p->count);
    if (!p->alive)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    int result = process_fork(&p->supervisor);
    if (result == PROCESS_CHILD)
        serve_supervisor_run(options, &p->supervisor, p->alive);
    if (result < 0)
        return failure_set(why, result, "fork the supervisor of the engines: %s",
                           routed_error_text(result));
    p->has_supervisor = p->is_running = true;
    int error = await_engines(p, why);
    return error ? error : start_watcher(p, why);
}

int serve_processes_start(struct serve_processes **out,
                          const struct serve_processes_options *options, struct failure *why)
{
    struct serve_processes *p = memory_new_zeroed(sizeof(*p));
    *out = NULL;
    if (!p)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    int error = start(p, options, why);
    if (error)
        serve_processes_free(p);
    else
        *out = p;
    return error;
}

const atomic_uchar *serve_processes_alive(const struct serve_processes *p)
{
    return p->alive;
}

unsigned serve_processes_losses(const struct serve_processes *p)
{
    return atomic_load(&p->losses);
}

int serve_processes_start_quic(struct serve_processes *p, const struct front_datagrams *sockets,
                               struct failure *why)
{
    int error = ROUTED_OK;
    for (unsigned i = 0; i < sockets->count && !error; i++)
        error = process_give(&p->supervisor, SUPERVISOR_SOCKET, sockets->sockets[i].worker,
                             sockets->sockets[i].fd);
    process_tell(&p->supervisor, SUPERVISOR_QUIC);
    if (!error && process_await(&p->supervisor, START_PATIENCE_MS) == SUPERVISOR_READY)
        return ROUTED_OK;
    return failure_set(why, ROUTED_ERROR_SYSTEM, "the process of HTTP/3 did not start");
}

/* ---- stop ---- */

void serve_processes_shut(struct serve_processes *p, milliseconds timeout)
{
    if (p->quic)
        atomic_store(&p->quic->drain_timeout, timeout);
    process_tell(&p->supervisor, SUPERVISOR_SHUT);
}

void serve_processes_cut(struct serve_processes *p)
{
    process_tell(&p->supervisor, SUPERVISOR_CUT);
}

void serve_processes_reload(struct serve_processes *p)
{
    process_tell(&p->supervisor, SUPERVISOR_RELOAD);
}

void serve_processes_reopen_log(struct serve_processes *p)
{
    process_tell(&p->supervisor, SUPERVISOR_REOPEN);
}

/* How long the supervisor may take to end; negative: for ever. */
static int stop_patience(const struct serve_processes *p)
{
    milliseconds drain = p->quic ? atomic_load(&p->quic->drain_timeout) : 0;
    milliseconds all = clock_after(drain, STOP_PATIENCE_MS);
    return all > INT32_MAX ? -1 : (int)all;
}

int serve_processes_end(struct serve_processes *p)
{
    int code;
    if (!p->is_running)
        return ROUTED_OK;
    p->is_running = false;
    atomic_store(&p->is_ending, true);
    process_tell(&p->supervisor, SUPERVISOR_STOP);
    /* Its end of input is its end; the engines die with it at the latest. */
    while (process_await(&p->supervisor, stop_patience(p)) > 0)
        ;
    process_kill(&p->supervisor);
    process_await_exit(&p->supervisor);
    process_collect(&p->supervisor, &code);
    if (p->has_watcher)
        pthread_join(p->watcher, NULL);
    return p->quic ? atomic_load(&p->quic->outcome) : ROUTED_OK;
}

/* Until here a late routed_server_stop may write to the channel. */
void serve_processes_free(struct serve_processes *p)
{
    if (!p)
        return;
    serve_processes_end(p);
    if (p->has_supervisor)
        process_release(&p->supervisor);
    process_shared_free(p->alive, p->count);
    memory_free(p);
}
