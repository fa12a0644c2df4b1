#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: showcase [OPTION]...\n"
    "\n"
    "Listening\n"
    "  --host HOST          an address, a name, localhost (both loopbacks) or any [127.0.0.1]\n"
    "  --port PORT          0 lets the system choose; the real one is printed [8080]\n"
    "  --unix PATH          listen on this Unix socket too\n"
    "  --https PORT         listen with TLS on this port too, and for HTTP/3 on that of UDP\n"
    "  --no-http2, --no-http3   without this version\n"
    "  --no-alt-svc         do not tell of HTTP/3\n"
    "  --early-data         take safe requests in 0-RTT\n"
    "  --quic-secret FILE   random bytes behind tokens and connection ids, to outlive a restart\n"
    "  --http3-process      HTTP/3 in a process of its own, with --mode processes\n"
    "\n"
    "TLS\n"
    "  --certificate FILE --key FILE [--key-password WORD] [--ocsp FILE]\n"
    "                       PEM; without them one is made for localhost in the folder of\n"
    "  --certificates FOLDER  certificates for development [./certificates]\n"
    "  --certificate-for FILE:KEY   a further one, chosen by its names; may be repeated\n"
    "  --client-certificates off|request|require, --client-authorities FILE,\n"
    "  --client-revocations FILE   SIGHUP loads all these files anew\n"
    "\n"
    "Work\n"
    "  --mode MODE          bridge: engine threads behind the private bridge; processes: engine\n"
    "                       processes behind it; in-process: no bridge [bridge]\n"
    "  --native-direct      no application: the server gives one fixed answer\n"
    "  --workers N          threads of the front [one per core]\n"
    "  --engines N          threads or processes of the engine [one per core]\n"
    "  --bridge unix|tcp    what the private bridge is made of [unix]\n"
    "  --limit NAME=VALUE   a limit of routed/limits.h, milliseconds or bytes; none lifts it\n"
    "  --drain MS           how long a graceful stop may take [30000]\n"
    "\n"
    "Telling\n"
    "  --access-log json:FILE   one JSON line for each request; SIGUSR1 opens the file anew\n"
    "  --metrics FILE           write the numbers of the server there at each SIGUSR2\n"
    "  --qlog FOLDER            a file for each QUIC connection's events; debug builds only\n"
    "  --ledger FILE            one JSON line for each exchange that ended\n"
    "  --log-level LEVEL        debug, info, warning or error, on stderr [info]\n"
    "\n"
    "  --allow-crash        let GET /crash end the engine process\n"
    "  --version, --help\n"
    "\n"
    "SIGTERM, SIGINT and SIGQUIT stop gracefully; a second one forces.\n"
    "Exit status: 0 stopped, 1 cannot start, 2 usage, 4 not done by the end of --drain, 5 "
    "forced.\n";

/* ---- words that stand for numbers ---- */

struct word {
    const char *name;
    int value;
};

static const struct word modes[] = {{"bridge", ROUTED_MODE_BRIDGE},
                                    {"processes", ROUTED_MODE_PROCESSES},
                                    {"in-process", ROUTED_MODE_IN_PROCESS},
                                    {"native-direct", ROUTED_MODE_NATIVE_DIRECT},
                                    {NULL, 0}};
static const struct word bridges[] = {
    {"unix", ROUTED_BRIDGE_UNIX}, {"tcp", ROUTED_BRIDGE_TCP}, {NULL, 0}};
static const struct word client_rules[] = {{"off", ROUTED_TLS_CLIENT_OFF},
                                           {"request", ROUTED_TLS_CLIENT_REQUEST},
                                           {"require", ROUTED_TLS_CLIENT_REQUIRE},
                                           {NULL, 0}};
static const struct word levels[] = {{"debug", ROUTED_LOG_DEBUG},
                                     {"info", ROUTED_LOG_INFO},
                                     {"warning", ROUTED_LOG_WARNING},
                                     {"error", ROUTED_LOG_ERROR},
                                     {NULL, 0}};

const char *options_mode_name(int mode)
{
    for (const struct word *w = modes; w->name; w++)
        if (w->value == mode)
            return w->name;
    return "unknown";
}

static bool read_word(const struct word *words, const char *text, int *value)
{
    for (const struct word *w = words; w->name; w++)
        if (strcmp(w->name, text) == 0) {
            *value = w->value;
            return true;
        }
    return false;
}

static bool read_number(const char *text, uint64_t most, uint64_t *value)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    uintmax_t number = strtoumax(text, &end, 10);
    if (errno || *end || number > most)
        return false;
    *value = number;
    return true;
}

static bool read_count(const char *text, uint32_t *value)
{
    uint64_t number;
    if (!read_number(text, 1024, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

static bool read_port(const char *text, uint16_t *value)
{
    uint64_t number;
    if (!read_number(text, UINT16_MAX, &number))
        return false;
    *value = (uint16_t)number;
    return true;
}

/* ---- limits by name ---- */

#define LIMIT(name)                                                                                \
    {                                                                                              \
#name, offsetof(routed_limits, name)                                                       \
    }

static const struct {
    const char *name;
    size_t offset;
} limits[] = {
    LIMIT(connections),
    LIMIT(connections_per_address),
    LIMIT(memory),
    LIMIT(requests_per_connection),
    LIMIT(connection_lifetime),
    LIMIT(request_line),
    LIMIT(field_line),
    LIMIT(fields_bytes),
    LIMIT(fields_count),
    LIMIT(content),
    LIMIT(chunk_extension),
    LIMIT(chunk_extensions),
    LIMIT(chunk_overhead),
    LIMIT(unread_content),
    LIMIT(pipelined),
    LIMIT(header_timeout),
    LIMIT(idle_timeout),
    LIMIT(stall_timeout),
    LIMIT(rate),
    LIMIT(rate_grace),
    LIMIT(linger_timeout),
    LIMIT(window),
    LIMIT(engine_connect_timeout),
    LIMIT(engine_answer_timeout),
    LIMIT(engine_idle_timeout),
    LIMIT(engine_total_timeout),
    LIMIT(engine_connections),
    LIMIT(engine_idle_connections),
    LIMIT(engine_idle_expiry),
    LIMIT(queue_requests),
    LIMIT(queue_timeout),
    LIMIT(drain_timeout),
    LIMIT(handshake_timeout),
    LIMIT(handshakes),
    LIMIT(http2_streams),
    LIMIT(http2_idle_timeout),
    LIMIT(http2_fields_count),
    LIMIT(http2_resets),
    LIMIT(http2_glitches),
    LIMIT(http2_continuations),
    LIMIT(http2_small_frames),
    LIMIT(http2_overhead),
    LIMIT(http3_streams),
    LIMIT(http3_stream_window),
    LIMIT(http3_connection_window),
    LIMIT(http3_idle_timeout),
    LIMIT(http3_handshakes),
    LIMIT(http3_retry_from),
    LIMIT(http3_fields_count),
    LIMIT(http3_resets),
    LIMIT(http3_glitches),
    LIMIT(http3_small_frames),
    LIMIT(http3_forwards),
    LIMIT(http3_forward_bytes),
    LIMIT(http3_table),
    LIMIT(http3_blocked_streams),
    LIMIT(http3_answer_table),
    LIMIT(qlog_files),
    LIMIT(qlog_bytes),
};

/* NAME=VALUE */
static bool read_limit(const char *text, routed_limits *out)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return false;
    uint64_t value = ROUTED_NO_LIMIT;
    if (strcmp(equals + 1, "none") != 0 && !read_number(equals + 1, UINT64_MAX, &value))
        return false;
    size_t size = (size_t)(equals - text);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (strlen(limits[i].name) == size && memcmp(limits[i].name, text, size) == 0) {
            memcpy((char *)out + limits[i].offset, &value, sizeof(value));
            return true;
        }
    return false;
}

/* ---- the command line ---- */

enum flag {
    FLAG_HOST = 256,
    FLAG_PORT,
    FLAG_UNIX,
    FLAG_HTTPS,
    FLAG_NO_HTTP2,
    FLAG_NO_HTTP3,
    FLAG_NO_ALT_SVC,
    FLAG_EARLY_DATA,
    FLAG_HTTP3_PROCESS,
    FLAG_QUIC_SECRET,
    FLAG_CERTIFICATE,
    FLAG_KEY,
    FLAG_KEY_PASSWORD,
    FLAG_OCSP,
    FLAG_CERTIFICATES,
    FLAG_CERTIFICATE_FOR,
    FLAG_CLIENT_CERTIFICATES,
    FLAG_CLIENT_AUTHORITIES,
    FLAG_CLIENT_REVOCATIONS,
    FLAG_MODE,
    FLAG_NATIVE_DIRECT,
    FLAG_WORKERS,
    FLAG_ENGINES,
    FLAG_BRIDGE,
    FLAG_LIMIT,
    FLAG_DRAIN,
    FLAG_ACCESS_LOG,
    FLAG_METRICS,
    FLAG_QLOG,
    FLAG_LEDGER,
    FLAG_LOG_LEVEL,
    FLAG_ALLOW_CRASH,
    FLAG_VERSION,
    FLAG_HELP
};

static const struct option flags[] = {
    {"host", required_argument, NULL, FLAG_HOST},
    {"port", required_argument, NULL, FLAG_PORT},
    {"unix", required_argument, NULL, FLAG_UNIX},
    {"https", required_argument, NULL, FLAG_HTTPS},
    {"no-http2", no_argument, NULL, FLAG_NO_HTTP2},
    {"no-http3", no_argument, NULL, FLAG_NO_HTTP3},
    {"no-alt-svc", no_argument, NULL, FLAG_NO_ALT_SVC},
    {"early-data", no_argument, NULL, FLAG_EARLY_DATA},
    {"http3-process", no_argument, NULL, FLAG_HTTP3_PROCESS},
    {"quic-secret", required_argument, NULL, FLAG_QUIC_SECRET},
    {"certificate", required_argument, NULL, FLAG_CERTIFICATE},
    {"key", required_argument, NULL, FLAG_KEY},
    {"key-password", required_argument, NULL, FLAG_KEY_PASSWORD},
    {"ocsp", required_argument, NULL, FLAG_OCSP},
    {"certificates", required_argument, NULL, FLAG_CERTIFICATES},
    {"certificate-for", required_argument, NULL, FLAG_CERTIFICATE_FOR},
    {"client-certificates", required_argument, NULL, FLAG_CLIENT_CERTIFICATES},
    {"client-authorities", required_argument, NULL, FLAG_CLIENT_AUTHORITIES},
    {"client-revocations", required_argument, NULL, FLAG_CLIENT_REVOCATIONS},
    {"mode", required_argument, NULL, FLAG_MODE},
    {"native-direct", no_argument, NULL, FLAG_NATIVE_DIRECT},
    {"workers", required_argument, NULL, FLAG_WORKERS},
    {"engines", required_argument, NULL, FLAG_ENGINES},
    {"bridge", required_argument, NULL, FLAG_BRIDGE},
    {"limit", required_argument, NULL, FLAG_LIMIT},
    {"drain", required_argument, NULL, FLAG_DRAIN},
    {"access-log", required_argument, NULL, FLAG_ACCESS_LOG},
    {"metrics", required_argument, NULL, FLAG_METRICS},
    {"qlog", required_argument, NULL, FLAG_QLOG},
    {"ledger", required_argument, NULL, FLAG_LEDGER},
    {"log-level", required_argument, NULL, FLAG_LOG_LEVEL},
    {"allow-crash", no_argument, NULL, FLAG_ALLOW_CRASH},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

static bool read_access_log(const char *text, const char **path)
{
    static const char format[] = "json:";
    if (strncmp(text, format, sizeof(format) - 1) != 0 || !text[sizeof(format) - 1])
        return false;
    *path = text + sizeof(format) - 1;
    return true;
}

/* FILE:KEY; the text is cut in two where it stands. */
static bool read_certificate(struct options *o, char *text)
{
    char *colon = strchr(text, ':');
    if (!colon || o->serve.tls_certificate_count == OPTIONS_CERTIFICATES_MAX)
        return false;
    *colon = '\0';
    o->certificates[o->serve.tls_certificate_count++] =
        (routed_tls_certificate){.certificate = text, .key = colon + 1};
    o->serve.tls_certificates = o->certificates;
    return true;
}

/* The flags of TLS; false when the value makes no sense or the flag is another. */
static bool apply_tls(struct options *o, int flag, char *value)
{
    routed_serve_options *serve = &o->serve;
    uint16_t port;
    switch (flag) {
    case FLAG_HTTPS:
        if (!read_port(value, &port))
            return false;
        serve->secure_port = port;
        return true;
    case FLAG_NO_ALT_SVC:
        serve->alt_svc = ROUTED_SWITCH_OFF;
        return true;
    case FLAG_EARLY_DATA:
        serve->early_data = ROUTED_SWITCH_ON;
        return true;
    case FLAG_HTTP3_PROCESS:
        serve->http3_process = ROUTED_SWITCH_ON;
        return true;
    case FLAG_CERTIFICATE:
        serve->tls_certificate = value;
        return true;
    case FLAG_QUIC_SECRET:
        serve->quic_secret = value;
        return true;
    case FLAG_QLOG:
        serve->qlog = value;
        return true;
    case FLAG_KEY:
        serve->tls_key = value;
        return true;
    case FLAG_KEY_PASSWORD:
        serve->tls_key_password = value;
        return true;
    case FLAG_OCSP:
        serve->tls_ocsp = value;
        return true;
    case FLAG_CERTIFICATES:
        o->certificate_folder = value;
        return true;
    case FLAG_CERTIFICATE_FOR:
        return read_certificate(o, value);
    case FLAG_CLIENT_CERTIFICATES:
        return read_word(client_rules, value, &serve->tls_client);
    case FLAG_CLIENT_AUTHORITIES:
        serve->tls_client_authorities = value;
        return true;
    case FLAG_CLIENT_REVOCATIONS:
        serve->tls_client_revocations = value;
        return true;
    default:
        return false;
    }
}

/* One flag with its value; false when the value makes no sense. */
static bool apply(struct options *o, int flag, char *value)
{
    routed_serve_options *serve = &o->serve;
    switch (flag) {
    case FLAG_HOST:
        serve->host = value;
        return true;
    case FLAG_PORT:
        return read_port(value, &serve->port);
    case FLAG_UNIX:
        serve->unix_path = value;
        return true;
    case FLAG_MODE:
        return read_word(modes, value, &serve->mode);
    case FLAG_NO_HTTP2:
        serve->http2 = ROUTED_SWITCH_OFF;
        return true;
    case FLAG_NO_HTTP3:
        serve->http3 = ROUTED_SWITCH_OFF;
        return true;
    case FLAG_NATIVE_DIRECT:
        serve->mode = ROUTED_MODE_NATIVE_DIRECT;
        return true;
    case FLAG_WORKERS:
        return read_count(value, &serve->workers);
    case FLAG_ENGINES:
        return read_count(value, &serve->engines);
    case FLAG_BRIDGE:
        return read_word(bridges, value, &serve->bridge);
    case FLAG_LIMIT:
        return read_limit(value, &o->limits);
    case FLAG_DRAIN:
        return read_number(value, UINT32_MAX, &o->limits.drain_timeout);
    case FLAG_ACCESS_LOG:
        return read_access_log(value, &serve->access_log);
    case FLAG_METRICS:
        o->metrics = value;
        return true;
    case FLAG_LEDGER:
        o->ledger = value;
        return true;
    case FLAG_LOG_LEVEL:
        return read_word(levels, value, &serve->log_level);
    case FLAG_ALLOW_CRASH:
        o->allow_crash = true;
        return true;
    default:
        return apply_tls(o, flag, value);
    }
}

static uint32_t count_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (uint32_t)cores : 1;
}

static void set_defaults(struct options *o)
{
    *o = (struct options){.ledger = NULL};
    routed_serve_options_init(&o->serve);
    o->serve.host = "127.0.0.1";
    o->serve.port = 8080;
    o->serve.log_level = ROUTED_LOG_INFO;
    routed_limits_init(&o->limits);
    o->serve.limits = &o->limits;
    o->certificate_folder = "certificates";
}

enum options_outcome options_read(struct options *o, int argc, char **argv)
{
    int flag, index = 0;
    set_defaults(o);
    while ((flag = getopt_long(argc, argv, "", flags, &index)) != -1) {
        if (flag == '?')
            return OPTIONS_WRONG;
        if (flag == FLAG_HELP || flag == FLAG_VERSION) {
            fputs(flag == FLAG_HELP ? help : "showcase of routed_ffi " SHOWCASE_VERSION "\n",
                  stdout);
            return OPTIONS_DONE;
        }
        if (!apply(o, flag, optarg)) {
            fprintf(stderr, "%s: --%s: %s makes no sense here\n", argv[0], flags[index].name,
                    optarg);
            return OPTIONS_WRONG;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: %s: not an option\n", argv[0], argv[optind]);
        return OPTIONS_WRONG;
    }
    if (!o->serve.workers)
        o->serve.workers = count_cores();
    if (!o->serve.engines)
        o->serve.engines = count_cores();
    return OPTIONS_SERVE;
}
