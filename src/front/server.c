#include "front/server.h"

#include "base/limits.h"
#include "base/memory.h"
#include "front/connection.h"
#include "front/listen.h"
#include "io/system.h"

/* A thread and the messages that reach it; posted at most once each. */
struct member {
    struct front_worker worker;
    struct front_server *server;
    pthread_t thread;
    bool is_started;
    struct loop_message stop_message;
    struct loop_message cut_message;
    int open_error;
};

struct front_server {
    struct front_shared shared;
    char *unix_path;
    struct front_ports ports;
    unsigned count;
    atomic_uint running;
    void (*on_ended)(void *user);
    void *user;
    atomic_uint stops; /* calls of front_server_stop */
    atomic_uint_fast64_t drain_timeout;
    /* Workers report here that their face is open, or why not. */
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    unsigned opened_count;
    struct member members[];
};

#define DESCRIPTORS_KEPT 64 /* for listeners, logs, the bridge */

/* ---- threads ---- */

static void report_open(struct member *m, int error)
{
    struct front_server *s = m->server;
    pthread_mutex_lock(&s->mutex);
    m->open_error = error;
    s->opened_count++;
    pthread_cond_signal(&s->opened);
    pthread_mutex_unlock(&s->mutex);
}

static void *run(void *argument)
{
    struct member *m = argument;
    report_open(m, front_worker_open(&m->worker));
    front_worker_run(&m->worker);
    if (atomic_fetch_sub(&m->server->running, 1) == 1 && m->server->on_ended)
        m->server->on_ended(m->server->user);
    return NULL;
}

static void on_stop(struct loop_message *message)
{
    struct member *m = LIST_ITEM(message, struct member, stop_message);
    front_worker_drain(&m->worker, atomic_load(&m->server->drain_timeout));
}

static void on_cut(struct loop_message *message)
{
    front_worker_cut(&LIST_ITEM(message, struct member, cut_message)->worker);
}

static int start_threads(struct front_server *s, struct failure *why)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct member *m = &s->members[i];
        char name[16] = "routed-front-00";
        name[13] = (char)('0' + i / 10 % 10);
        name[14] = (char)('0' + i % 10);
        atomic_fetch_add(&s->running, 1);
        int error = system_thread_start(&m->thread, name, run, m);
        if (error)
            return failure_set(why, error, "start worker %u: %s", i, routed_error_text(error));
        m->is_started = true;
    }
    return ROUTED_OK;
}

static int await_faces(struct front_server *s, struct failure *why)
{
    pthread_mutex_lock(&s->mutex);
    while (s->opened_count < s->count)
        pthread_cond_wait(&s->opened, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    for (unsigned i = 0; i < s->count; i++) {
        int error = s->members[i].open_error;
        if (error)
            return failure_set(why, error, "open the application: %s", routed_error_text(error));
    }
    return ROUTED_OK;
}

/* ---- start ---- */

static void resolve_limits(struct front_server *s, const struct front_options *options)
{
    routed_limits *limits = &s->shared.limits;
    limits_resolve(limits, options->limits);
    uint64_t descriptors = system_descriptors_max();
    uint64_t usable =
        descriptors > 2 * DESCRIPTORS_KEPT ? descriptors - DESCRIPTORS_KEPT : descriptors / 2;
    if (limits->connections > usable)
        limits->connections = usable;
}

void front_make_secret(uint8_t out[FRONT_QUIC_SECRET_SIZE])
{
    for (size_t i = 0; i < FRONT_QUIC_SECRET_SIZE; i += sizeof(uint64_t)) {
        uint64_t bits = system_random();
        memcpy(out + i, &bits, sizeof(bits));
    }
}

/* An address for each handshake, but never more than connections. */
static bool init_quic(struct front_server *s)
{
    const routed_limits *limits = &s->shared.limits;
    uint64_t most = limits->connections / s->count;
    uint64_t each = limits->http3_handshakes < most ? limits->http3_handshakes : most;
    s->shared.shaking = address_table_new(each * s->count);
    s->shared.spent = memory_new_zeroed(sizeof(*s->shared.spent));
    return s->shared.shaking && s->shared.spent;
}

static int init_shared(struct front_server *s, const struct front_options *options,
                       struct failure *why)
{
    s->on_ended = options->on_ended;
    s->user = options->user;
    s->shared.log = options->log;
    s->shared.face = options->face;
    s->shared.has_http2 = options->has_http2;
    s->shared.has_http3 = options->has_http3 && options->part != FRONT_WITHOUT_QUIC;
    s->shared.quic_state = options->quic_state;
    s->shared.has_early_data = options->has_early_data;
    s->shared.worker_count = s->count;
    s->shared.rows = options->rows;
    if (options->quic_secret)
        memcpy(s->shared.quic_secret, options->quic_secret, sizeof(s->shared.quic_secret));
    else
        front_make_secret(s->shared.quic_secret);
    s->shared.tls = options->tls;
    if (options->tls)
        tls_context_retain(options->tls);
    s->shared.address_seed = system_random();
    resolve_limits(s, options);
    s->shared.addresses = address_table_new(s->shared.limits.connections);
    if (!s->shared.addresses)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    if (s->shared.has_http3 && !init_quic(s))
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    if (options->unix_path) {
        s->unix_path = memory_copy_text(options->unix_path);
        if (!s->unix_path)
            return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    }
    int error = s->shared.has_http3
                    ? front_qlog_open(&s->shared.qlog, options->qlog, &options->log, why)
                    : ROUTED_OK;
    if (error || !options->access_log)
        return error;
    error = access_log_open(&s->shared.access_log, options->access_log);
    if (error)
        return failure_set(why, error, "access log %s: %s", options->access_log,
                           routed_error_text(error));
    return ROUTED_OK;
}

static int init_workers(struct front_server *s, struct failure *why)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct member *m = &s->members[i];
        m->server = s;
        m->stop_message.on_delivery = on_stop;
        m->cut_message.on_delivery = on_cut;
        int error = front_worker_init(&m->worker, &s->shared, i);
        if (error)
            return failure_set(why, error, "worker %u: %s", i, routed_error_text(error));
    }
    if (s->shared.tls)
        front_worker_keep_certificates(&s->members[0].worker);
    return ROUTED_OK;
}

static struct front_server *server_new(unsigned count)
{
    struct front_server *s =
        memory_new_zeroed(sizeof(struct front_server) + count * sizeof(struct member));
    if (!s)
        return NULL;
    s->count = count;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->opened, NULL);
    return s;
}

static int listen_all(struct front_server *s, const struct front_options *options,
                      struct failure *why)
{
    struct front_worker *workers[FRONT_WORKERS_MAX];
    for (unsigned i = 0; i < s->count; i++)
        workers[i] = &s->members[i].worker;
    int error = front_listen(workers, s->count, options, &s->ports, why);
    /* A path that somebody else listens on is not ours to remove. */
    if (error) {
        memory_free(s->unix_path);
        s->unix_path = NULL;
    }
    return error;
}

int front_server_start(const struct front_options *options, struct front_server **server,
                       struct failure *why)
{
    *server = NULL;
    unsigned cores = system_cores();
    unsigned standard = cores < FRONT_WORKERS_MAX ? cores : FRONT_WORKERS_MAX;
    unsigned count = options->workers ? options->workers : standard;
    if (count > FRONT_WORKERS_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "workers: %u is more than %u", count,
                           FRONT_WORKERS_MAX);
    struct front_server *s = server_new(count);
    if (!s)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    int error = init_shared(s, options, why);
    if (!error)
        error = init_workers(s, why);
    if (!error)
        error = listen_all(s, options, why);
    if (!error)
        error = start_threads(s, why);
    if (!error)
        error = await_faces(s, why);
    if (error) {
        front_server_stop(s, 0);
        front_server_stop(s, 0);
        front_server_wait(s);
        front_server_free(s);
        return error;
    }
    *server = s;
    return ROUTED_OK;
}

/* ---- life ---- */

uint16_t front_server_port(const struct front_server *s)
{
    return s->ports.clear;
}

uint16_t front_server_secure_port(const struct front_server *s)
{
    return s->ports.secure;
}

void front_server_stop(struct front_server *s, milliseconds timeout)
{
    unsigned call = atomic_fetch_add(&s->stops, 1);
    if (call > 1)
        return;
    if (call == 0)
        atomic_store(&s->drain_timeout,
                     timeout == ROUTED_NO_LIMIT ? s->shared.limits.drain_timeout : timeout);
    for (unsigned i = 0; i < s->count; i++) {
        struct member *m = &s->members[i];
        if (m->worker.loop)
            loop_post(m->worker.loop, call == 0 ? &m->stop_message : &m->cut_message);
    }
}

int front_server_wait(struct front_server *s)
{
    bool was_cut = false;
    for (unsigned i = 0; i < s->count; i++) {
        struct member *m = &s->members[i];
        if (m->is_started)
            pthread_join(m->thread, NULL);
        m->is_started = false;
        was_cut |= m->worker.was_cut;
    }
    if (s->unix_path)
        front_unlisten(s->unix_path);
    if (atomic_load(&s->stops) > 1)
        return ROUTED_ERROR_CLOSED;
    return was_cut ? ROUTED_ERROR_TIMEOUT : ROUTED_OK;
}

void front_server_free(struct front_server *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->count; i++)
        front_worker_release(&s->members[i].worker);
    access_log_close(&s->shared.access_log);
    front_qlog_close(&s->shared.qlog);
    tls_context_release(s->shared.tls);
    address_table_free(s->shared.addresses);
    address_table_free(s->shared.shaking);
    memory_free(s->shared.spent);
    memory_free(s->unix_path);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->opened);
    memory_free(s);
}

void front_server_reopen_log(struct front_server *s)
{
    if (s->shared.access_log.path)
        access_log_reopen(&s->shared.access_log);
}

void front_server_reload(struct front_server *s)
{
    atomic_store(&s->shared.wants_reload, true);
}

/* ---- numbers ---- */

typedef const struct metric_set *set_of_worker(const struct front_server *s, unsigned worker);

static const struct metric_set *own_set(const struct front_server *s, unsigned worker)
{
    return &s->members[worker].worker.metrics;
}

static const struct metric_set *face_set(const struct front_server *s, unsigned worker)
{
    const struct front_worker *w = &s->members[worker].worker;
    const struct face *face = &s->shared.face;
    return w->is_face_open && face->metrics ? face->metrics(w->context) : NULL;
}

static uint64_t sum_up(const struct front_server *s, set_of_worker *set_of, unsigned number)
{
    uint64_t sum = 0;
    for (unsigned worker = 0; worker < s->count; worker++) {
        const struct metric_set *set = set_of(s, worker);
        if (set)
            sum += metric_read(set, number);
    }
    return sum;
}

/* Where the set has that name; its count: nowhere. */
static unsigned find(const struct metric_set *set, const char *name)
{
    unsigned i = 0;
    while (i < set->count && strcmp(set->names[i].name, name) != 0)
        i++;
    return i;
}

/* Limits have one counter each, whether the front keeps them or the face does. */
static void visit_own(const struct front_server *s, front_visit *visit, void *user)
{
    const struct metric_set *own = own_set(s, 0), *other = face_set(s, 0);
    for (unsigned i = 0; i < own->count; i++) {
        uint64_t sum = sum_up(s, own_set, i);
        unsigned same = other ? find(other, own->names[i].name) : 0;
        if (other && same < other->count)
            sum += sum_up(s, face_set, same);
        visit(user, &own->names[i], sum);
    }
}

static void visit_face(const struct front_server *s, front_visit *visit, void *user)
{
    const struct metric_set *own = own_set(s, 0), *set = face_set(s, 0);
    for (unsigned i = 0; set && i < set->count; i++)
        if (find(own, set->names[i].name) == own->count)
            visit(user, &set->names[i], sum_up(s, face_set, i));
}

void front_server_metrics(const struct front_server *s, front_visit *visit, void *user)
{
    static const struct metric_name memory = {"memory.held", METRIC_GAUGE};
    visit_own(s, visit, user);
    visit_face(s, visit, user);
    visit(user, &memory, memory_held());
}
