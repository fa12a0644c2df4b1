/* main.c: bench-server ADDRESS CASE [CERTIFICATE KEY]: serves the application of the benchmark in
 * one of our ways, with one thread or process for each part of it.
 *
 * Says where on standard output, as JSON; on standard input "count" asks for numbers, again as
 * JSON, and the end of the input ends it. */
#include "servers/application.h"
#include "servers/heap.h"
#ifdef SERVERS_MICROHTTPD
#include "servers/microhttpd.h"
#endif

#include <inttypes.h>
#include <routed/serve.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* As many as the rivals may have; a number that is asked for goes before lines of the bridge where
 * descriptors are few. */
#define CONNECTIONS_MAX 16000

enum {
    STATUS_STOPPED = 0,
    STATUS_CANNOT_START = 1,
    STATUS_USAGE = 64
};

static const struct {
    const char *name;
    int mode;
} cases[] = {{"routed_ffi", ROUTED_MODE_BRIDGE},
             {"routed_ffi_processes", ROUTED_MODE_PROCESSES},
             {"routed_ffi_in_process", ROUTED_MODE_IN_PROCESS},
             {"routed_ffi_native_direct", ROUTED_MODE_NATIVE_DIRECT}};

/* ---- numbers ---- */

static uint64_t memory_held(const routed_server *server)
{
    routed_metric metrics[512];
    size_t count = server ? routed_server_metrics(server, metrics, 512) : 0;
    for (size_t i = 0; i < count && i < 512; i++)
        if (strcmp(metrics[i].name, "memory.held") == 0)
            return metrics[i].value;
    return 0;
}

static void answer_questions(const routed_server *server)
{
    char line[64];
    while (fgets(line, sizeof(line), stdin))
        if (strcmp(line, "count\n") == 0) {
            printf("{\"allocations\":%" PRIu64 ",\"memory_held\":%" PRIu64 "}\n",
                   servers_heap_calls(), memory_held(server));
            fflush(stdout);
        }
}

static void tell_ports(unsigned port, unsigned secure_port)
{
    printf("{\"port\":%u,\"secure_port\":%u}\n", port, secure_port);
    fflush(stdout);
}

/* ---- serving ---- */

static void print_log(void *user, int level, const char *line)
{
    (void)user;
    if (level >= ROUTED_LOG_WARNING)
        fprintf(stderr, "bench-server: %s\n", line);
}

/* What is there against strangers would only end the measurement. */
static void lift_limits(routed_limits *limits)
{
    routed_limits_init(limits);
    limits->connections = CONNECTIONS_MAX;
    limits->connections_per_address = ROUTED_NO_LIMIT;
    limits->requests_per_connection = ROUTED_NO_LIMIT;
    limits->connection_lifetime = ROUTED_NO_LIMIT;
    limits->idle_timeout = ROUTED_NO_LIMIT;
    limits->http2_idle_timeout = ROUTED_NO_LIMIT;
    limits->http3_idle_timeout = ROUTED_NO_LIMIT;
    limits->queue_requests = ROUTED_NO_LIMIT;
    limits->engine_idle_connections = 1024;
}

static int serve(routed_engine *engine, int mode, const char *host, const char *certificate,
                 const char *key)
{
    routed_limits limits;
    routed_serve_options options;
    routed_server *server;
    lift_limits(&limits);
    routed_serve_options_init(&options);
    options.host = host;
    options.port = 0;
    options.mode = mode;
    options.workers = options.engines = 1;
    options.limits = &limits;
    options.log = print_log;
    if (certificate) {
        options.secure_port = 0;
        options.tls_certificate = certificate;
        options.tls_key = key;
    }
    if (routed_serve(mode == ROUTED_MODE_NATIVE_DIRECT ? NULL : engine, &options, &server) !=
        ROUTED_OK) {
        fprintf(stderr, "bench-server: %s\n", routed_last_error());
        return STATUS_CANNOT_START;
    }
    tell_ports(routed_server_port(server), routed_server_secure_port(server));
    answer_questions(server);
    routed_server_free(server);
    return STATUS_STOPPED;
}

static int serve_plain(routed_engine *engine, const char *host, const char *certificate,
                       const char *key)
{
#ifdef SERVERS_MICROHTTPD
    struct servers_microhttpd *m = servers_microhttpd_start(engine, host, certificate, key);
    if (!m)
        return STATUS_CANNOT_START;
    tell_ports(servers_microhttpd_port(m), servers_microhttpd_secure_port(m));
    answer_questions(NULL);
    servers_microhttpd_stop(m);
    return STATUS_STOPPED;
#else
    (void)engine;
    (void)host;
    (void)certificate;
    (void)key;
    fputs("bench-server: built without libmicrohttpd\n", stderr);
    return STATUS_CANNOT_START;
#endif
}

static int serve_case(const char *host, const char *name, const char *certificate, const char *key)
{
    routed_engine *engine = servers_application_new(name);
    int status = STATUS_USAGE;
    if (!engine)
        return STATUS_CANNOT_START;
    if (strcmp(name, "routed_io") == 0)
        status = serve_plain(engine, host, certificate, key);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (strcmp(name, cases[i].name) == 0)
            status = serve(engine, cases[i].mode, host, certificate, key);
    routed_engine_free(engine);
    return status;
}

int main(int argc, char **argv)
{
    bool counts = argc > 1 && strcmp(argv[1], "--count-allocations") == 0;
    if (counts) {
        argc--;
        argv++;
    }
    int status = STATUS_USAGE;
    signal(SIGPIPE, SIG_IGN);
    if (counts && !servers_heap_count()) {
        fputs("bench-server: this build cannot count allocations\n", stderr);
        return STATUS_CANNOT_START;
    }
    if (argc == 3 || argc == 5)
        status =
            serve_case(argv[1], argv[2], argc == 5 ? argv[3] : NULL, argc == 5 ? argv[4] : NULL);
    if (status == STATUS_USAGE)
        fputs("usage: bench-server [--count-allocations] ADDRESS CASE [CERTIFICATE KEY]\n", stderr);
    return status;
}
