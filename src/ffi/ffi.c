#include "base/limits.h"
#include "base/memory.h"
#include "bridge/client.h"
#include "ffi/queue.h"
#include "front/native_direct.h"
#include "front/server.h"
#include "io/system.h"
#include "serve/last_error.h"
#include "serve/numbers.h"
#include "serve/quic_secret.h"
#include "serve/secure.h"
#include <routed/ffi.h>
#include <routed/serve.h>
#include <stdio.h>

#define LOG_LINE_MAX 1100

#define TEXT_OF(x)   #x
#define TEXT(x)      TEXT_OF(x)

/* More than any version of the struct will have: what is over it was never set. */
#define OPTIONS_SIZE_MAX 4096

struct routed_ffi {
    struct front_server *front;
    struct ffi_queue queue;
    bool has_queue;
    struct socket_address peer; /* where the application listens */
    struct bridge_client_options bridge;
    int log_file; /* -1: none */
    struct log log;
    struct tls_context *tls; /* NULL: in the clear */
};

/* ---- versions ---- */

uint32_t routed_ffi_version(void)
{
    return ROUTED_FFI_VERSION;
}

const char *routed_ffi_version_text(void)
{
    return ROUTED_VERSION;
}

const char *routed_ffi_features(void)
{
    return "{\"version\":\"" ROUTED_VERSION "\",\"ffi\":" TEXT(
        ROUTED_FFI_VERSION) ",\"bridge\":1,"
                            "\"protocols\":[\"1.0\",\"1.1\",\"2\",\"3\"],\"modes\":["
                            "\"bridge\",\"queue\",\"native-direct\"],"
                            "\"tls\":[\"1.2\",\"1.3\"]}";
}

/* ---- start ---- */

static int refuse(struct failure *why, const char *text)
{
    return failure_set(why, ROUTED_ERROR_ARGUMENT, "%s", text);
}

/* Members that this version does not know must say nothing: ignoring them would not be what the
 * host asked for. */
static bool has_unknown_options(const routed_ffi_options *given)
{
    const uint8_t *bytes = (const uint8_t *)given;
    for (size_t i = sizeof(*given); i < given->size; i++)
        if (bytes[i])
            return true;
    return false;
}

/* Versions of the struct differ by whole members, in steps of its alignment. */
static int read_options(routed_ffi_options *out, const routed_ffi_options *given,
                        struct failure *why)
{
    memset(out, 0, sizeof(*out));
    if (!given)
        return ROUTED_OK;
    if (given->size == 0)
        return refuse(why, "options.size is not set");
    if (given->size % _Alignof(routed_ffi_options) || given->size > OPTIONS_SIZE_MAX)
        return refuse(why, "options.size is not that of routed_ffi_options");
    if (has_unknown_options(given))
        return failure_set(why, ROUTED_ERROR_UNSUPPORTED,
                           "options are set that this version does not know");
    memcpy(out, given, given->size < sizeof(*out) ? (size_t)given->size : sizeof(*out));
    return ROUTED_OK;
}

static int check_values(const routed_ffi_options *o, struct failure *why)
{
    if (o->port > UINT16_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "port: %u is more than 65535", o->port);
    if (o->bridge_port > UINT16_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "bridge_port: %u is more than 65535",
                           o->bridge_port);
    if (o->backlog > INT32_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "backlog: %u is too large", o->backlog);
    if (o->mode > ROUTED_FFI_NATIVE_DIRECT)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "mode %u is not known", o->mode);
    if (o->log_level > LOG_ERROR)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "log_level %u is not known", o->log_level);
    return ROUTED_OK;
}

static int check_http3(const routed_ffi_options *o, struct failure *why)
{
    if (o->http3 > ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "http3 %u is not known", o->http3);
    if (o->alt_svc > ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "alt_svc %u is not known", o->alt_svc);
    if (o->early_data > ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "early_data %u is not known", o->early_data);
    if (o->reserved)
        return failure_set(why, ROUTED_ERROR_UNSUPPORTED, "options.reserved is not 0");
    if (o->http3 == ROUTED_SWITCH_ON && !o->tls_certificate)
        return refuse(why, "HTTP/3 needs TLS: set tls_certificate");
    if (o->quic_secret && (o->http3 == ROUTED_SWITCH_OFF || !o->tls_certificate))
        return refuse(why, "quic_secret needs HTTP/3, with TLS");
    return ROUTED_OK;
}

static int check_options(const routed_ffi_options *o, struct failure *why)
{
    int error = check_values(o, why);
    if (error)
        return error;
    if (o->bridge_path && o->bridge_port)
        return refuse(why, "bridge_path and bridge_port exclude each other");
    if (o->mode == ROUTED_FFI_NATIVE_DIRECT && (o->bridge_path || o->bridge_port))
        return refuse(why, "native-direct answers by itself: it has no bridge");
    if (o->limits && o->limits->size == 0)
        return refuse(why, "limits.size is not set: call routed_limits_init");
    if (o->http2 > ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "http2 %u is not known", o->http2);
    return check_http3(o, why);
}

static void write_log(void *user, int level, const char *line)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    const routed_ffi *server = user;
    char text[LOG_LINE_MAX];
    const char *name = names[level >= 0 && level <= LOG_ERROR ? level : LOG_ERROR];
    int size = snprintf(text, sizeof(text), "%s: %s\n", name, line);
    if (size > 0)
        system_log_write(server->log_file, span_of(text, (size_t)size));
}

static int open_log(routed_ffi *server, const routed_ffi_options *o, struct failure *why)
{
    server->log_file = -1;
    if (!o->log)
        return ROUTED_OK;
    int fd = system_log_open(o->log);
    if (fd < 0)
        return failure_set(why, fd, "log %s: %s", o->log, routed_error_text(fd));
    server->log_file = fd;
    server->log = (struct log){write_log, server, (enum log_level)o->log_level};
    return ROUTED_OK;
}

static int find_peer(routed_ffi *server, const routed_ffi_options *o, struct failure *why)
{
    int error;
    if (o->bridge_path)
        error = socket_address_unix(o->bridge_path, &server->peer);
    else
        error = socket_resolve("127.0.0.1", (uint16_t)o->bridge_port, &server->peer, 1);
    if (error < 0)
        return failure_set(why, error, "bridge %s: %s", o->bridge_path ? o->bridge_path : "port",
                           routed_error_text(error));
    server->bridge =
        (struct bridge_client_options){.engines = &server->peer, .count = 1, .user = system_user()};
    return ROUTED_OK;
}

static int choose_face(routed_ffi *server, const routed_ffi_options *o, struct face *face,
                       struct failure *why)
{
    if (o->mode == ROUTED_FFI_NATIVE_DIRECT) {
        front_native_direct_face(face);
        return ROUTED_OK;
    }
    if (o->bridge_path || o->bridge_port) {
        bridge_client_face(face, &server->bridge);
        return find_peer(server, o, why);
    }
    int error = ffi_queue_init(&server->queue);
    if (error)
        return failure_set(why, error, "open the event queue: %s", routed_error_text(error));
    server->has_queue = true;
    ffi_queue_face(face, &server->queue);
    return ROUTED_OK;
}

static void on_ended(void *user)
{
    routed_ffi *server = user;
    if (server->has_queue)
        ffi_queue_stop(&server->queue);
}

static int open_tls(routed_ffi *server, const routed_ffi_options *o, struct failure *why)
{
    routed_serve_options options;
    routed_serve_options_init(&options);
    options.tls_certificate = o->tls_certificate;
    options.tls_key = o->tls_key;
    options.tls_key_password = o->tls_key_password;
    options.tls_ocsp = o->tls_ocsp;
    options.tls_client = (int)o->tls_client;
    options.tls_client_authorities = o->tls_client_authorities;
    options.tls_client_revocations = o->tls_client_revocations;
    options.http2 = (int)o->http2;
    return serve_secure_open(&server->tls, &options, &server->log, why);
}

static int start(routed_ffi *server, const routed_ffi_options *o, struct failure *why)
{
    uint8_t secret[FRONT_QUIC_SECRET_SIZE];
    struct front_options front = {.host = o->host,
                                  .has_http2 = o->http2 != ROUTED_SWITCH_OFF,
                                  .port = (uint16_t)o->port,
                                  .unix_path = o->unix_path,
                                  .backlog = (int)o->backlog,
                                  .v6_only = o->v6_only != 0,
                                  .shared = o->shared != 0,
                                  .workers = o->workers,
                                  .limits = o->limits,
                                  .access_log = o->access_log,
                                  .quic_secret = o->quic_secret ? secret : NULL,
                                  .on_ended = on_ended,
                                  .user = server};
    int error = open_log(server, o, why);
    front.log = server->log;
    if (!error)
        error = open_tls(server, o, why);
    if (!error && o->quic_secret)
        error = serve_quic_secret_read(secret, o->quic_secret, why);
    if (server->tls) {
        front.tls = server->tls;
        front.secure_port = front.port;
        front.only_secure = true;
        front.has_http3 = o->http3 != ROUTED_SWITCH_OFF;
        front.has_early_data = o->early_data == ROUTED_SWITCH_ON;
        front.is_advertised = o->alt_svc != ROUTED_SWITCH_OFF;
    }
    if (!error)
        error = choose_face(server, o, &front.face, why);
    if (!error)
        error = front_server_start(&front, &server->front, why);
    explicit_bzero(secret, sizeof(secret));
    return error;
}

int32_t routed_ffi_start(const routed_ffi_options *given, routed_ffi **out)
{
    struct failure *why = serve_last_error_begin();
    routed_ffi_options options;
    if (!out)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "server is NULL");
    *out = NULL;
    int error = read_options(&options, given, why);
    if (!error)
        error = check_options(&options, why);
    if (error)
        return error;
    routed_ffi *server = memory_new_zeroed(sizeof(*server));
    if (!server)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    error = start(server, &options, why);
    if (error)
        routed_ffi_free(server);
    else
        *out = server;
    return error;
}

/* Of a character of UTF-8, which must not be cut. */
static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

uint64_t routed_ffi_last_error(char *text, uint64_t size)
{
    const char *last = routed_last_error();
    size_t whole = strlen(last);
    if (text && size) {
        size_t count = whole < size ? whole : (size_t)size - 1;
        while (count && is_continuation(last[count]))
            count--;
        memcpy(text, last, count);
        text[count] = '\0';
    }
    return whole;
}

/* ---- life ---- */

uint32_t routed_ffi_port(const routed_ffi *server)
{
    if (!server)
        return 0;
    uint16_t clear = front_server_port(server->front);
    return clear ? clear : front_server_secure_port(server->front);
}

void routed_ffi_stop(routed_ffi *server, uint64_t timeout)
{
    if (server)
        front_server_stop(server->front, timeout);
}

int32_t routed_ffi_wait(routed_ffi *server)
{
    return server ? front_server_wait(server->front) : ROUTED_ERROR_ARGUMENT;
}

void routed_ffi_free(routed_ffi *server)
{
    if (!server)
        return;
    if (server->front) {
        front_server_stop(server->front, 0);
        front_server_stop(server->front, 0);
        front_server_wait(server->front);
        front_server_free(server->front);
    }
    if (server->has_queue)
        ffi_queue_release(&server->queue);
    tls_context_release(server->tls);
    if (server->log_file >= 0)
        system_close(server->log_file);
    memory_free(server);
}

/* ---- the event queue ---- */

static int32_t check_queue(const routed_ffi *server)
{
    if (!server)
        return ROUTED_ERROR_ARGUMENT;
    return server->has_queue ? ROUTED_OK : ROUTED_ERROR_STATE;
}

int32_t routed_ffi_descriptor(const routed_ffi *server)
{
    return server && server->has_queue ? server->queue.doorbell : -1;
}

int64_t routed_ffi_poll(routed_ffi *server, routed_ffi_event *events, uint64_t max,
                        uint64_t timeout)
{
    int32_t error = check_queue(server);
    if (error)
        return error;
    if (max && !events)
        return ROUTED_ERROR_ARGUMENT;
    return ffi_queue_poll(&server->queue, events, max, timeout);
}

int32_t routed_ffi_send(routed_ffi *server, uint64_t exchange, const uint8_t *payload,
                        uint64_t size)
{
    int32_t error = check_queue(server);
    if (error)
        return error;
    if (size && !payload)
        return ROUTED_ERROR_ARGUMENT;
    if (size > WIRE_PAYLOAD_MAX)
        return ROUTED_ERROR_BRIDGE_FRAME;
    return ffi_queue_send(&server->queue, exchange, span_of(payload, (size_t)size));
}

uint64_t routed_ffi_send_batch(routed_ffi *server, const uint64_t *exchanges,
                               const uint8_t *payloads, const uint64_t *sizes, uint64_t count,
                               int32_t *error)
{
    bool is_given = exchanges && payloads && sizes;
    int32_t result = count && !is_given ? ROUTED_ERROR_ARGUMENT : ROUTED_OK;
    uint64_t sent = 0;
    while (!result && sent < count) {
        result = routed_ffi_send(server, exchanges[sent], payloads, sizes[sent]);
        if (result)
            break;
        payloads += sizes[sent++];
    }
    if (error)
        *error = result;
    return sent;
}

int32_t routed_ffi_grant(routed_ffi *server, uint64_t exchange, uint64_t bytes)
{
    int32_t error = check_queue(server);
    return error ? error : ffi_queue_grant(&server->queue, exchange, bytes);
}

int32_t routed_ffi_abort(routed_ffi *server, uint64_t exchange)
{
    int32_t error = check_queue(server);
    return error ? error : ffi_queue_abort(&server->queue, exchange);
}

/* ---- numbers ---- */

uint64_t routed_ffi_metrics(const routed_ffi *server, routed_metric *out, uint64_t max)
{
    if (!server)
        return 0;
    struct serve_sources sources = {.front = server->front};
    return serve_numbers_list(&sources, out, (size_t)max);
}

uint64_t routed_ffi_metrics_json(const routed_ffi *server, char *out, uint64_t size)
{
    if (!server) {
        if (size)
            *out = '\0';
        return 0;
    }
    struct serve_sources sources = {.front = server->front};
    return serve_numbers_json(&sources, out, (size_t)size);
}

void routed_ffi_reload(routed_ffi *server)
{
    if (server)
        front_server_reload(server->front);
}

void routed_ffi_reopen_log(routed_ffi *server)
{
    if (server)
        front_server_reopen_log(server->front);
}
