/* routed/serve.h: boots the front and joins it to an engine.
 *
 *     routed_serve_options options;
 *     routed_serve_options_init(&options);
 *     options.port = 8080;
 *     routed_server *server;
 *     int error = routed_serve(engine, &options, &server);
 *
 * The library installs no signal handler, prints nothing and never ends the process; it blocks
 * no signal of the caller, its threads take none and its writes raise no SIGPIPE. Whatever can fail
 * at the start fails in routed_serve. */
#ifndef ROUTED_SERVE_H
#define ROUTED_SERVE_H

#include <routed/engine.h>
#include <routed/limits.h>
#include <routed/metrics.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct routed_server routed_server;

/* Where the engine runs. */
enum routed_mode {
    ROUTED_MODE_BRIDGE = 0,       /* engine threads in this process, behind the private bridge */
    ROUTED_MODE_PROCESSES = 1,    /* supervised engine processes behind the bridge. They are forked
                                     from the caller inside routed_serve, with all that is open
                                     in it: call it before other threads hold locks that handlers
                                     need, and before other servers of this process serve, whose
                                     connections could not end while the engines have them */
    ROUTED_MODE_IN_PROCESS = 2,   /* handlers on the front's own threads, no bridge */
    ROUTED_MODE_NATIVE_DIRECT = 3 /* no engine: every request gets
                                     {"ok":true,"label":"routed_ffi_native_direct"} */
};

enum routed_bridge_kind {
    ROUTED_BRIDGE_UNIX = 0, /* a socket in a private directory; loopback TCP where that fails */
    ROUTED_BRIDGE_TCP = 1   /* loopback TCP: other local users can connect, and are refused as the
                               kernel tells whose the connection is */
};

enum routed_log_level {
    ROUTED_LOG_DEBUG = 0,
    ROUTED_LOG_INFO = 1,
    ROUTED_LOG_WARNING = 2,
    ROUTED_LOG_ERROR = 3
};

enum routed_switch {
    ROUTED_SWITCH_DEFAULT = 0,
    ROUTED_SWITCH_ON = 1,
    ROUTED_SWITCH_OFF = 2
};

/* Client certificates, RFC 8446 section 4.3.2. */
enum routed_tls_client {
    ROUTED_TLS_CLIENT_OFF = 0,
    ROUTED_TLS_CLIENT_REQUEST = 1, /* handlers see whether there was one and whether it is good */
    ROUTED_TLS_CLIENT_REQUIRE = 2  /* without a good one there is no connection */
};

typedef struct routed_tls_certificate {
    const char *certificate;
    const char *key;
    const char *key_password;
    const char *ocsp;
} routed_tls_certificate;

/* One line without a newline. Called from any thread of the server, and from its engine processes
 * and their supervisor, where `user` is a copy. */
typedef void routed_log_callback(void *user, int level, const char *line);

typedef struct routed_serve_options {
    size_t size; /* of this struct, set by routed_serve_options_init. Longer than the library knows
                    it: the rest must be zero, else ROUTED_ERROR_UNSUPPORTED */

    /* Listening. Strings are copied during the call. */
    const char *host;      /* an address, a name, "localhost" for both loopbacks, "any"; NULL:
                              127.0.0.1 */
    uint16_t port;         /* 0: the system chooses, routed_server_port tells */
    const char *unix_path; /* listens on this Unix socket too, or NULL */
    uint32_t backlog;      /* 0: 1,024 */
    int v6_only;           /* IPv6 sockets refuse IPv4 */
    int shared;            /* SO_REUSEPORT: other processes of the same user may listen too */

    /* Work. */
    uint32_t workers;            /* front threads, at most 64; 0: one per core */
    uint32_t engines;            /* engine threads or processes, at most 64; 0: one per core */
    int mode;                    /* enum routed_mode */
    int bridge;                  /* enum routed_bridge_kind */
    const routed_limits *limits; /* copied; NULL: the defaults */

    /* Telling. */
    const char *access_log; /* a file for one JSON line per request, or NULL. Times in it are
                               microseconds; "rtt_us", the smoothed round trip at the end of the
                               request, is there over HTTP/3 only */
    routed_log_callback *log;
    void *log_user;
    int log_level; /* enum routed_log_level: lines below are dropped */

    /* TLS. The certificate's file holds the chain, the certificate first; the key is PKCS#8,
     * PKCS#1 or SEC1, in the same file where tls_key is NULL. One in the clear that every user may
     * read is told in the log. */
    const char *tls_certificate;
    const char *tls_key;
    const char *tls_key_password; /* of an encrypted key */
    const char *tls_ocsp;         /* a response to be stapled, or NULL */
    /* Further certificates, chosen by the name that the client asks for; the one above is the
     * default. */
    const routed_tls_certificate *tls_certificates;
    size_t tls_certificate_count;
    int tls_client;                     /* enum routed_tls_client */
    const char *tls_client_authorities; /* a PEM file or a folder of them; needed unless off */
    const char *tls_client_revocations; /* a PEM file of revocation lists, or NULL */
    /* routed_serve: listens with TLS on this port too; 0: the system chooses; -1: no TLS. */
    int32_t secure_port;

    int http2; /* enum routed_switch: default on */
    int http3; /* enum routed_switch: default on where there is TLS, on the same port by UDP; on
                  without TLS: ROUTED_ERROR_ARGUMENT */

    /* ROUTED_MODE_PROCESSES: run in each engine process before it serves and after its last
     * exchange, or NULL. A return other than ROUTED_OK fails the start; later it ends the process,
     * which is tried again after a while. engine_stopped has three seconds before the process is
     * killed. */
    int (*engine_started)(void *user, uint32_t number);
    void (*engine_stopped)(void *user, uint32_t number);
    void *engine_user;

    /* HTTP/3. */
    int alt_svc;    /* enum routed_switch: answers over TLS tell of HTTP/3, by an Alt-Svc field that
                       a handler may set itself; default on */
    int early_data; /* enum routed_switch: requests in 0-RTT (RFC 8470), which may be replays: with
                       a safe method they come with "early-data: 1", others get 425; default off */
    int http3_process; /* enum routed_switch: HTTP/3 has a process of its own, which the supervisor
                          starts anew when it dies; it has each limit for itself. Needs
                          ROUTED_MODE_PROCESSES, else ROUTED_ERROR_ARGUMENT; default off */
    /* To look for a fault: a folder for a file of each QUIC connection's events (qlog, JSON text
     * sequences), named after its first connection id, for this user alone; made where there is
     * none; bounded by limits.qlog_files and qlog_bytes. The disk is written to while clients wait.
     * Only in libraries built with ROUTED_QLOG, as debug builds are: else ROUTED_ERROR_UNSUPPORTED.
     * NULL: nothing is written. */
    const char *qlog;
    /* A file of 32 to 4,096 random bytes, closed to other users, as "openssl rand" makes them.
     * Connection ids, stateless resets and address-validation tokens come of it: they hold after
     * a restart, and on each host behind a balancer that has the same file and the right time.
     * The balancer keeps the datagrams of a connection on one host, for another would end it
     * with a stateless reset. Read at the start. NULL: random bytes for this server alone. */
    const char *quic_secret;
} routed_serve_options;

ROUTED_API void routed_serve_options_init(routed_serve_options *options);

/* Starts everything and returns when the listeners accept. `engine` is frozen from now on and
 * must outlive the server; NULL only with ROUTED_MODE_NATIVE_DIRECT. On failure *server is NULL
 * and routed_last_error tells more than the code. */
ROUTED_API int routed_serve(routed_engine *engine, const routed_serve_options *options,
                            routed_server **server);

/* The same with TLS on options->port and nothing in the clear. */
ROUTED_API int routed_serve_secure(routed_engine *engine, const routed_serve_options *options,
                                   routed_server **server);

/* For development: makes in `folder`, where they are not there yet or end within a week,
 * localhost.pem and localhost-key.pem (localhost, 127.0.0.1, ::1; 90 days), issued by
 * authority.pem, which tools and browsers can be told to trust. The key of the authority stays in
 * the folder too: keep it to this machine. The folder is made where its parent is there.
 * ROUTED_ERROR_ARGUMENT (the path is too long), ROUTED_ERROR_FILE, ROUTED_ERROR_PERMISSION,
 * ROUTED_ERROR_MEMORY or ROUTED_ERROR_SYSTEM; routed_last_error tells more. */
ROUTED_API int routed_development_certificate(const char *folder);

/* The text of the last failure of a call that starts something (routed_serve, routed_serve_secure,
 * routed_development_certificate, routed_ffi_start) on this thread, for example "listen on
 * 127.0.0.1:8080: the address is in use"; "" without one. Lives until the next such call on this
 * thread. */
ROUTED_API const char *routed_last_error(void);

/* The real port; 0 for servers on a Unix socket only. */
ROUTED_API uint16_t routed_server_port(const routed_server *server);

/* The real port of the TLS listener; 0 without one. */
ROUTED_API uint16_t routed_server_secure_port(const routed_server *server);

/* Loads certificates, keys and client authorities anew within a second, as happens by itself when
 * a file changes. A file that cannot be used leaves the old ones in use, with a line in the log.
 * Any thread; also from a signal handler. */
ROUTED_API void routed_server_reload(routed_server *server);

/* Begins to stop: listeners close, idle connections close, requests in flight finish until
 * `timeout` milliseconds have passed (ROUTED_NO_LIMIT: limits.drain_timeout), WebSockets get
 * 1001. A second call forces: everything is cut. Returns at once. Any thread; also from a signal
 * handler. */
ROUTED_API void routed_server_stop(routed_server *server, uint64_t timeout);

/* Blocks until the server has stopped: ROUTED_OK, ROUTED_ERROR_TIMEOUT when the drain ended by
 * its deadline, ROUTED_ERROR_CLOSED when it was forced. Does not stop it. One thread at a time;
 * not from the server's own threads. */
ROUTED_API int routed_server_wait(routed_server *server);

/* Forces what still runs, waits, and frees. NULL is allowed. */
ROUTED_API void routed_server_free(routed_server *server);

/* Opens the access log anew, after it was renamed. Any thread; also from a signal handler. */
ROUTED_API void routed_server_reopen_log(routed_server *server);

/* Counters and gauges now: fills up to `max` and returns how many there are. Any thread. */
ROUTED_API size_t routed_server_metrics(const routed_server *server, routed_metric *out,
                                        size_t max);
/* The same as one JSON object of name: number. Writes at most `size` bytes with a NUL and
 * returns what was needed without it, as snprintf does. Any thread. */
ROUTED_API size_t routed_server_metrics_json(const routed_server *server, char *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif
