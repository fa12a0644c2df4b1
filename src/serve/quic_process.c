#include "serve/quic_process.h"

#include "base/memory.h"
#include "bridge/client.h"
#include "front/metrics.h"
#include "io/loop.h"
#include "io/system.h"
#include "serve/supervisor.h"

#define EXIT_NOT_OPENED 3

/* ---- what is shared ---- */

/* For as many workers as there may be. */
static struct metric_rows *rows_new(const struct metric_name *names, unsigned count)
{
    struct metric_rows *r = process_shared_new(metric_rows_size(count, FRONT_WORKERS_MAX));
    if (!r)
        return NULL;
    r->names = names;
    r->count = count;
    r->rows = FRONT_WORKERS_MAX;
    return r;
}

static void rows_free(struct metric_rows *r)
{
    if (r)
        process_shared_free(r, metric_rows_size(r->count, r->rows));
}

struct serve_quic *serve_quic_new(void)
{
    struct serve_quic *q = process_shared_new(sizeof(*q));
    if (!q)
        return NULL;
    unsigned count;
    const struct metric_name *names = front_metrics_names(&count);
    q->front = rows_new(names, count);
    q->bridge = rows_new(bridge_metric_names, BRIDGE_METRIC_COUNT);
    if (!q->front || !q->bridge) {
        serve_quic_free(q);
        return NULL;
    }
    front_make_secret(q->secret);
    return q;
}

void serve_quic_free(struct serve_quic *q)
{
    if (!q)
        return;
    rows_free(q->front);
    rows_free(q->bridge);
    process_shared_free(q, sizeof(*q));
}

void serve_quic_abandon(struct serve_quic *q, enum front_quic_state state)
{
    atomic_store(&q->state, state);
    atomic_store(&q->memory, 0);
    metric_rows_abandon(q->front);
    metric_rows_abandon(q->bridge);
}

static uint64_t sum_of(const struct metric_rows *r, const char *name)
{
    for (unsigned i = 0; i < r->count; i++)
        if (strcmp(r->names[i].name, name) == 0)
            return metric_rows_sum(r, i);
    return 0;
}

uint64_t serve_quic_count(const struct serve_quic *q, const char *name)
{
    if (strcmp(name, "memory.held") == 0)
        return atomic_load(&q->memory);
    return sum_of(q->front, name) + sum_of(q->bridge, name);
}

/* ---- the process ---- */

struct quic_process {
    const struct serve_processes_options *options;
    struct process *self;
    struct bridge_client_options bridge;
    struct front_server *front;
    struct loop *loop;
    struct loop_handle from_supervisor;
};

static void on_supervisor(struct loop_handle *h, unsigned events)
{
    struct quic_process *p = LIST_ITEM(h, struct quic_process, from_supervisor);
    (void)events;
    switch (process_hear(p->self)) {
    case SUPERVISOR_SHUT:
        front_server_stop(p->front, atomic_load(&p->options->quic->drain_timeout));
        break;
    case SUPERVISOR_CUT:
        front_server_stop(p->front, 0);
        front_server_stop(p->front, 0);
        break;
    case -1: /* the supervisor was killed, and nobody waits for an outcome */
        process_end(0);
    case SUPERVISOR_RELOAD:
        front_server_reload(p->front);
        break;
    case SUPERVISOR_REOPEN:
        front_server_reopen_log(p->front);
        break;
    default:
        break;
    }
}

static void on_ended(void *user)
{
    loop_stop(((struct quic_process *)user)->loop);
}

/* The certificates are those that the host's process had when it forked the supervisor. */
static void load_certificates(const struct front_options *front)
{
    struct failure why;
    if (tls_context_files_changed(front->tls) && tls_context_reload(front->tls, &why) != ROUTED_OK)
        log_write(&front->log, LOG_ERROR, "the old certificates stay in use: %s", why.text);
}

static int open_process(struct quic_process *p, struct front_datagrams *sockets,
                        const atomic_uchar *alive, struct failure *why)
{
    const struct serve_processes_options *o = p->options;
    struct front_options front = *o->front;
    p->bridge = (struct bridge_client_options){.engines = bridge_endpoint_addresses(o->endpoint),
                                               .count = bridge_endpoint_count(o->endpoint),
                                               .user = system_user(),
                                               .is_alive = alive,
                                               .bells = bridge_endpoint_bells(o->endpoint),
                                               .rows = o->quic->bridge};
    bridge_client_face(&front.face, &p->bridge);
    front.part = FRONT_ONLY_QUIC;
    front.datagrams = sockets;
    front.unix_path = NULL;
    front.quic_secret = o->quic->secret;
    front.rows = o->quic->front;
    front.on_ended = on_ended;
    front.user = p;
    load_certificates(&front);
    int error = loop_open(&p->loop);
    if (!error)
        error = front_server_start(&front, &p->front, why);
    if (error)
        return error;
    p->from_supervisor = (struct loop_handle){.fd = p->self->channel, .on_ready = on_supervisor};
    return loop_watch_level(p->loop, &p->from_supervisor);
}

_Noreturn void serve_quic_process_run(const struct serve_processes_options *options,
                                      struct front_datagrams *sockets, struct process *self,
                                      const atomic_uchar *alive)
{
    memory_count_in(&options->quic->memory);
    struct quic_process p = {.options = options, .self = self};
    struct failure why = {.text = ""};
    int error = open_process(&p, sockets, alive, &why);
    if (error) {
        log_write(options->log, LOG_ERROR, "the process of HTTP/3 cannot start: %s",
                  why.text[0] ? why.text : routed_error_text(error));
        process_end(EXIT_NOT_OPENED);
    }
    process_tell(self, SUPERVISOR_READY);
    loop_run(p.loop);
    atomic_store(&options->quic->outcome, front_server_wait(p.front));
    front_server_free(p.front);
    process_end(0);
}
