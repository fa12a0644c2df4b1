/* main.c: starts the server, turns signals into calls, ends with an exit code.
 *
 * The library installs no signal handlers. Here the signals are blocked before any thread starts,
 * and one thread waits for them, where it may do anything that a thread may do. */
#include "options.h"
#include "showcase.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATUS_STOPPED = 0,
    STATUS_CANNOT_START = 1,
    STATUS_USAGE = 2,
    STATUS_DEADLINE = 4,
    STATUS_FORCED = 5
};

static void print_log(void *user, int level, const char *line)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    (void)user;
    fprintf(stderr, "%s: %s\n", names[level], line);
}

/* ---- signals ---- */

struct signals {
    pthread_t thread;
    sigset_t set;
    routed_server *server;
    const char *metrics; /* a file, or NULL */
    atomic_bool is_over;
};

/* Written aside and renamed, so that readers see all of it or nothing. */
static void write_metrics(const struct signals *s)
{
    char aside[4096];
    if (!s->metrics || snprintf(aside, sizeof(aside), "%s.new", s->metrics) >= (int)sizeof(aside))
        return;
    size_t size = routed_server_metrics_json(s->server, NULL, 0) + 256;
    char *json = malloc(size);
    FILE *file = json ? fopen(aside, "w") : NULL;
    if (file) {
        routed_server_metrics_json(s->server, json, size);
        fprintf(file, "%s\n", json);
        if (fclose(file) != 0 || rename(aside, s->metrics) != 0)
            perror(s->metrics);
    }
    free(json);
}

static void *take_signals(void *user)
{
    struct signals *s = user;
    for (;;) {
        int number;
        if (sigwait(&s->set, &number) != 0)
            continue;
        if (atomic_load(&s->is_over))
            return NULL;
        switch (number) {
        case SIGTERM:
        case SIGINT:
        case SIGQUIT:
            routed_server_stop(s->server, ROUTED_NO_LIMIT); /* the second time it forces */
            break;
        case SIGUSR1:
            routed_server_reopen_log(s->server);
            break;
        case SIGUSR2:
            write_metrics(s);
            break;
        case SIGHUP:
            routed_server_reload(s->server);
            break;
        default:
            break;
        }
    }
}

static void signals_block(struct signals *s)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    sigemptyset(&s->set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&s->set, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &s->set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void signals_end(struct signals *s)
{
    atomic_store(&s->is_over, true);
    pthread_kill(s->thread, SIGHUP);
    pthread_join(s->thread, NULL);
}

/* ---- serving ---- */

static char certificate[4096], key[4096]; /* for development */

/* "Listening on http://127.0.0.1:8080 (mode bridge, workers 2, engines 2)" */
static void announce(const struct options *o, const routed_server *server)
{
    const char *host = o->serve.host, *folder = o->certificate_folder;
    if (o->serve.tls_certificate == certificate)
        printf("Trust %s/authority.pem to open https:// without a warning, for example\n"
               "  curl --cacert %s/authority.pem https://localhost:%u/\n",
               folder, folder, routed_server_secure_port(server));
    const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
    printf("Listening on http://%s%s%s:%u", open, host, close, routed_server_port(server));
    if (o->serve.secure_port >= 0)
        printf(" and https://%s%s%s:%u%s", open, host, close, routed_server_secure_port(server),
               o->serve.http3 == ROUTED_SWITCH_OFF ? "" : " with HTTP/3");
    if (o->serve.unix_path)
        printf(" and unix:%s", o->serve.unix_path);
    printf(" (mode %s, workers %u", options_mode_name(o->serve.mode), o->serve.workers);
    if (o->serve.mode == ROUTED_MODE_BRIDGE || o->serve.mode == ROUTED_MODE_PROCESSES)
        printf(", engines %u", o->serve.engines);
    puts(")");
    fflush(stdout);
}

/* Without a certificate of one's own, one for localhost is made at the first start. */
static int use_development_certificate(struct options *o)
{
    const char *folder = o->certificate_folder;
    if (o->serve.secure_port < 0 || o->serve.tls_certificate)
        return ROUTED_OK;
    int error = routed_development_certificate(folder);
    if (error != ROUTED_OK)
        return error;
    snprintf(certificate, sizeof(certificate), "%s/localhost.pem", folder);
    snprintf(key, sizeof(key), "%s/localhost-key.pem", folder);
    o->serve.tls_certificate = certificate;
    o->serve.tls_key = key;
    return ROUTED_OK;
}

static int serve(routed_engine *engine, struct options *o)
{
    static struct signals signals;
    signals_block(&signals);
    int error = use_development_certificate(o);
    if (error == ROUTED_OK)
        error = routed_serve(engine, &o->serve, &signals.server);
    if (error != ROUTED_OK) {
        fprintf(stderr, "showcase: %s\n", routed_last_error());
        return STATUS_CANNOT_START;
    }
    signals.metrics = o->metrics;
    error = pthread_create(&signals.thread, NULL, take_signals, &signals);
    if (error != 0) {
        fprintf(stderr, "showcase: no thread for signals: error %d\n", error);
        routed_server_free(signals.server);
        return STATUS_CANNOT_START;
    }
    announce(o, signals.server);

    error = routed_server_wait(signals.server);
    signals_end(&signals);
    routed_server_free(signals.server);
    if (error == ROUTED_OK)
        return STATUS_STOPPED;
    return error == ROUTED_ERROR_TIMEOUT ? STATUS_DEADLINE : STATUS_FORCED;
}

static routed_engine *build(const struct options *o)
{
    routed_engine *engine = routed_engine_new();
    if (!engine)
        return NULL;
    int error = add_ends(engine, o->allow_crash);
    if (error == ROUTED_OK)
        error = add_pages(engine);
    if (error == ROUTED_OK)
        error = add_streams(engine);
    if (error == ROUTED_OK)
        error = add_inspection(engine);
    if (error == ROUTED_OK)
        error = add_sockets(engine);
    if (error == ROUTED_OK)
        return engine;
    fprintf(stderr, "showcase: a route cannot be added: %s\n", routed_error_text(error));
    routed_engine_free(engine);
    return NULL;
}

int main(int argc, char **argv)
{
    struct options options;
    enum options_outcome outcome = options_read(&options, argc, argv);
    if (outcome != OPTIONS_SERVE)
        return outcome == OPTIONS_DONE ? STATUS_STOPPED : STATUS_USAGE;
    options.serve.log = print_log;

    if (ends_open(options.ledger) != 0) {
        fprintf(stderr, "showcase: %s: %m\n", options.ledger ? options.ledger : "shared memory");
        ends_close();
        return STATUS_CANNOT_START;
    }
    int status = STATUS_CANNOT_START;
    routed_engine *engine = build(&options);
    if (engine)
        status = serve(options.serve.mode == ROUTED_MODE_NATIVE_DIRECT ? NULL : engine, &options);
    routed_engine_free(engine);
    ends_close();
    return status;
}
