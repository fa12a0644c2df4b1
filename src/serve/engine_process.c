#include "serve/engine_process.h"

#include "serve/engine_host.h"
#include "serve/supervisor.h"

#define EXIT_NOT_OPENED 3

struct engine_process {
    struct serve_engine_host host;
    struct process *self;
    struct loop_handle from_supervisor;
};

static void on_supervisor(struct loop_handle *h, unsigned events)
{
    struct engine_process *p = LIST_ITEM(h, struct engine_process, from_supervisor);
    (void)events;
    int byte = process_hear(p->self);
    if (byte == SUPERVISOR_SHUT)
        serve_engine_host_shut(&p->host);
    else if (byte == SUPERVISOR_STOP || byte < 0)
        loop_stop(p->host.loop);
}

static int open_process(struct engine_process *p, const struct serve_processes_options *options,
                        unsigned number)
{
    int error = serve_engine_host_open(&p->host, options->engine, options->endpoint, number,
                                       options->limits, options->log);
    if (error)
        return error;
    p->from_supervisor = (struct loop_handle){.fd = p->self->channel, .on_ready = on_supervisor};
    return loop_watch_level(p->host.loop, &p->from_supervisor);
}

static _Noreturn void give_up(const struct serve_processes_options *options, unsigned number,
                              const char *what, int error, int code)
{
    log_write(options->log, LOG_ERROR, "engine %u: %s: %s", number, what, routed_error_text(error));
    process_end(code);
}

_Noreturn void serve_engine_process_run(const struct serve_processes_options *options,
                                        unsigned number, struct process *self, atomic_uchar *alive)
{
    struct engine_process p = {.self = self};
    int error = open_process(&p, options, number);
    if (error)
        give_up(options, number, "cannot start", error, EXIT_NOT_OPENED);
    if (options->engine_started)
        error = options->engine_started(options->engine_user, number);
    if (error)
        give_up(options, number, "engine_started failed", error, SUPERVISOR_EXIT_REFUSED);
    atomic_store(alive, 1);
    process_tell(self, SUPERVISOR_READY);
    loop_run(p.host.loop);
    atomic_store(alive, 0);
    if (options->engine_stopped)
        options->engine_stopped(options->engine_user, number);
    serve_engine_host_close(&p.host);
    process_end(0);
}
