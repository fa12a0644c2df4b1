#include "base/limits.h"
#include "base/memory.h"
#include "bridge/client.h"
#include "bridge/endpoint.h"
#include "engine/engine.h"
#include "front/native_direct.h"
#include "front/server.h"
#include "io/system.h"
#include "serve/last_error.h"
#include "serve/numbers.h"
#include "serve/options.h"
#include "serve/processes.h"
#include "serve/quic_process.h"
#include "serve/quic_secret.h"
#include "serve/secure.h"
#include "serve/threads.h"
#include "tls/development.h"
#include <routed/serve.h>

#define DESCRIPTORS_KEPT 64 /* for listeners, logs, loops */

struct routed_server {
    struct front_server *front;
    struct tls_context *tls;           /* NULL: everything in the clear */
    struct bridge_endpoint *endpoint;  /* of the bridge modes */
    struct serve_threads *threads;     /* ROUTED_MODE_BRIDGE */
    struct serve_processes *processes; /* ROUTED_MODE_PROCESSES */
    struct serve_quic *quic;           /* of HTTP/3 in a process of its own */
    struct bridge_client_options bridge;
    struct log log;
    routed_limits limits;
    atomic_uint stops;
    int outcome; /* of the first wait */
    bool is_over;
};

/* ---- the engine in process ---- */

static void shut_engine(void *context, struct loop *loop)
{
    engine_shut(context, loop);
}

static void engine_face(struct face *out, routed_engine *engine)
{
    *out = (struct face){.application = engine_application(), .shut = shut_engine, .state = engine};
}

/* ---- the engine behind the bridge ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A connection of the bridge has an end in the front and one in the engine. When the descriptors
 * do not suffice for all that the limits allow, clients get half of them, or seven eighths if so
 * many were asked for: an engine that cannot accept would leave requests waiting that the front
 * believes to be on their way. */
static void share_descriptors(struct routed_server *s, const routed_serve_options *o)
{
    uint64_t all = system_descriptors_max();
    uint64_t room = all > 2 * DESCRIPTORS_KEPT ? all - DESCRIPTORS_KEPT : all / 2;
    uint64_t fronts = s->quic ? 2 : 1; /* an engine serves them all */
    uint64_t ways = s->bridge.count * fronts * (o->workers ? o->workers : system_cores());
    uint64_t ends = o->mode == ROUTED_MODE_BRIDGE ? 2 : 1;
    uint64_t clients = least(s->limits.connections, room);
    if (s->limits.engine_connections <= (room - clients) / (ways * ends))
        return;
    uint64_t asked = o->limits ? o->limits->connections : 0;
    bool is_asked = asked && asked != ROUTED_NO_LIMIT;
    s->limits.connections = least(clients, room - (is_asked ? room / 8 : room / 2));
    uint64_t lines = (room - s->limits.connections) / (ways * ends);
    s->limits.engine_connections = least(s->limits.engine_connections, lines ? lines : 1);
}

static int open_bridge(struct routed_server *s, const routed_serve_options *o, struct failure *why)
{
    unsigned cores = system_cores();
    unsigned standard = cores < SERVE_ENGINES_MAX ? cores : SERVE_ENGINES_MAX;
    struct bridge_endpoint_options options = {.count = o->engines ? o->engines : standard,
                                              .is_tcp = o->bridge == ROUTED_BRIDGE_TCP,
                                              .log = &s->log};
    int error = bridge_endpoint_open(&s->endpoint, &options);
    if (error)
        return failure_set(why, error, "open the bridge: %s", routed_error_text(error));
    s->bridge.engines = bridge_endpoint_addresses(s->endpoint);
    s->bridge.bells = bridge_endpoint_bells(s->endpoint);
    s->bridge.count = bridge_endpoint_count(s->endpoint);
    s->bridge.user = system_user();
    share_descriptors(s, o);
    return ROUTED_OK;
}

static int start_processes(struct routed_server *s, routed_engine *engine,
                           const routed_serve_options *o, const struct front_options *front,
                           struct failure *why)
{
    struct serve_processes_options options = {.engine = engine,
                                              .endpoint = s->endpoint,
                                              .limits = &s->limits,
                                              .log = &s->log,
                                              .engine_started = o->engine_started,
                                              .engine_stopped = o->engine_stopped,
                                              .engine_user = o->engine_user,
                                              .quic = s->quic,
                                              .front = front};
    int error = serve_processes_start(&s->processes, &options, why);
    if (!error)
        s->bridge.is_alive = serve_processes_alive(s->processes);
    return error;
}

static int start_engine(struct routed_server *s, routed_engine *engine,
                        const routed_serve_options *o, struct front_options *front,
                        struct failure *why)
{
    if (o->mode == ROUTED_MODE_NATIVE_DIRECT) {
        front_native_direct_face(&front->face);
        return ROUTED_OK;
    }
    int error = engine_freeze(engine);
    if (error)
        return failure_set(why, error, "prepare the engine: %s", routed_error_text(error));
    if (o->mode == ROUTED_MODE_IN_PROCESS) {
        engine_face(&front->face, engine);
        return ROUTED_OK;
    }
    error = open_bridge(s, o, why);
    if (!error && o->mode == ROUTED_MODE_BRIDGE)
        error = serve_threads_start(&s->threads, engine, s->endpoint, &s->limits, &s->log, why);
    else if (!error)
        error = start_processes(s, engine, o, front, why);
    bridge_client_face(&front->face, &s->bridge);
    return error;
}

/* ---- HTTP/3 in a process of its own ---- */

static int prepare_quic(struct routed_server *s, struct front_options *front, struct failure *why)
{
    front->part = FRONT_WITHOUT_QUIC;
    front->datagrams = memory_new_zeroed(sizeof(*front->datagrams));
    s->quic = serve_quic_new();
    if (s->quic && front->quic_secret)
        memcpy(s->quic->secret, front->quic_secret, sizeof(s->quic->secret));
    front->quic_state = s->quic ? &s->quic->state : NULL;
    return s->quic && front->datagrams ? ROUTED_OK
                                       : failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
}

/* The process has copies of the sockets, or there is none. */
static void drop_sockets(struct front_datagrams *d)
{
    if (d)
        front_datagrams_close(d);
    memory_free(d);
}

/* ---- start ---- */

static int start_front(struct routed_server *s, routed_engine *engine,
                       const routed_serve_options *o, struct front_options *front,
                       struct failure *why)
{
    int error = o->http3_process == ROUTED_SWITCH_ON ? prepare_quic(s, front, why) : ROUTED_OK;
    if (!error)
        error = start_engine(s, engine, o, front, why);
    if (!error)
        error = front_server_start(front, &s->front, why);
    if (!error && front->datagrams && front->datagrams->count)
        error = serve_processes_start_quic(s->processes, front->datagrams, why);
    drop_sockets(front->datagrams);
    return error;
}

static int start(struct routed_server *s, routed_engine *engine, const routed_serve_options *o,
                 enum serve_doors doors, struct failure *why)
{
    uint8_t secret[FRONT_QUIC_SECRET_SIZE];
    int error = serve_secure_open(&s->tls, o, &s->log, why);
    if (!error && o->quic_secret)
        error = serve_quic_secret_read(secret, o->quic_secret, why);
    if (error)
        return error;
    struct front_options front = {
        .host = o->host,
        .only_secure = doors == SERVE_DOOR_SECURE,
        .port = o->port,
        .tls = s->tls,
        .secure_port = (uint16_t)(doors == SERVE_DOOR_SECURE ? o->port : o->secure_port),
        .has_http2 = o->http2 != ROUTED_SWITCH_OFF,
        .has_http3 = s->tls && o->http3 != ROUTED_SWITCH_OFF,
        .has_early_data = o->early_data == ROUTED_SWITCH_ON,
        .is_advertised = o->alt_svc != ROUTED_SWITCH_OFF,
        .unix_path = o->unix_path,
        .backlog = (int)o->backlog,
        .v6_only = o->v6_only != 0,
        .shared = o->shared != 0,
        .workers = o->workers,
        .limits = &s->limits,
        .access_log = o->access_log,
        .qlog = o->qlog,
        .quic_secret = o->quic_secret ? secret : NULL,
        .log = s->log};
    error = start_front(s, engine, o, &front, why);
    explicit_bzero(secret, sizeof(secret));
    return error;
}

static int serve(routed_engine *engine, const routed_serve_options *given, enum serve_doors doors,
                 routed_server **server)
{
    struct failure *why = serve_last_error_begin();
    routed_serve_options options;
    if (!server)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "server is NULL");
    *server = NULL;
    int error = serve_options_read(&options, given, why);
    if (!error)
        error = serve_options_check(&options, engine, doors, why);
    if (error)
        return error;
    struct routed_server *s = memory_new_zeroed(sizeof(*s));
    if (!s)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    s->log = (struct log){.function = options.log,
                          .user = options.log_user,
                          .least = (enum log_level)options.log_level};
    limits_resolve(&s->limits, options.limits);
    error = start(s, engine, &options, doors, why);
    if (error) {
        routed_server_free(s);
        return error;
    }
    *server = s;
    return ROUTED_OK;
}

int routed_serve(routed_engine *engine, const routed_serve_options *options, routed_server **server)
{
    return serve(engine, options, SERVE_DOOR_CLEAR, server);
}

int routed_serve_secure(routed_engine *engine, const routed_serve_options *options,
                        routed_server **server)
{
    return serve(engine, options, SERVE_DOOR_SECURE, server);
}

int routed_development_certificate(const char *folder)
{
    struct failure *why = serve_last_error_begin();
    bool was_made;
    return tls_development_make(folder, &was_made, why);
}

/* ---- life ---- */

uint16_t routed_server_secure_port(const routed_server *server)
{
    return server ? front_server_secure_port(server->front) : 0;
}

void routed_server_reload(routed_server *server)
{
    if (server)
        front_server_reload(server->front);
    if (server && server->processes)
        serve_processes_reload(server->processes);
}

uint16_t routed_server_port(const routed_server *server)
{
    if (!server)
        return 0;
    uint16_t clear = front_server_port(server->front);
    return clear ? clear : front_server_secure_port(server->front);
}

void routed_server_stop(routed_server *server, uint64_t timeout)
{
    if (!server || !server->front)
        return;
    /* The front is told last: once it has ended, routed_server_wait ends the engines. */
    unsigned call = atomic_fetch_add(&server->stops, 1);
    if (call == 0 && server->threads)
        serve_threads_shut(server->threads);
    if (call == 0 && server->processes)
        serve_processes_shut(server->processes,
                             timeout == ROUTED_NO_LIMIT ? server->limits.drain_timeout : timeout);
    if (call > 0 && server->processes)
        serve_processes_cut(server->processes);
    front_server_stop(server->front, timeout);
}

/* The engines end after the front: until then they answer what is in flight. They are freed by
 * routed_server_free only, for another thread may still be inside its call of stop. */
int routed_server_wait(routed_server *server)
{
    if (!server)
        return ROUTED_ERROR_ARGUMENT;
    if (server->is_over)
        return server->outcome;
    server->outcome = front_server_wait(server->front);
    if (server->threads)
        serve_threads_end(server->threads);
    int quic = server->processes ? serve_processes_end(server->processes) : ROUTED_OK;
    if (server->outcome == ROUTED_OK)
        server->outcome = quic;
    server->is_over = true;
    return server->outcome;
}

void routed_server_free(routed_server *server)
{
    if (!server)
        return;
    if (server->front) {
        routed_server_stop(server, 0);
        routed_server_stop(server, 0);
        routed_server_wait(server);
        front_server_free(server->front);
    }
    serve_threads_free(server->threads);
    serve_processes_free(server->processes);
    serve_quic_free(server->quic);
    bridge_endpoint_close(server->endpoint);
    tls_context_release(server->tls);
    memory_free(server);
}

void routed_server_reopen_log(routed_server *server)
{
    if (server)
        front_server_reopen_log(server->front);
    if (server && server->processes)
        serve_processes_reopen_log(server->processes);
}

static struct serve_sources sources_of(const routed_server *s)
{
    return (struct serve_sources){s->front, s->quic, s->processes};
}

size_t routed_server_metrics(const routed_server *server, routed_metric *out, size_t max)
{
    if (!server)
        return 0;
    struct serve_sources sources = sources_of(server);
    return serve_numbers_list(&sources, out, max);
}

size_t routed_server_metrics_json(const routed_server *server, char *out, size_t size)
{
    if (server) {
        struct serve_sources sources = sources_of(server);
        return serve_numbers_json(&sources, out, size);
    }
    if (size)
        *out = '\0';
    return 0;
}
