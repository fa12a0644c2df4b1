/* front/server.h: the front as a whole: listeners, workers, start and stop.
 *
 * A worker is one thread with one loop, its own listeners (SO_REUSEPORT) and its own context of
 * the application face. Workers share the connection count, the table of addresses and the
 * access log, nothing else. */
#ifndef FRONT_SERVER_H
#define FRONT_SERVER_H

#include "base/clock.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/metrics.h"
#include "exchange/face.h"
#include <stdatomic.h>

struct front_server;

/* What of the front is here, where HTTP/3 has a process of its own. */
enum front_part {
    FRONT_WHOLE = 0,
    FRONT_WITHOUT_QUIC, /* its sockets are bound, but left in `datagrams` */
    FRONT_ONLY_QUIC     /* on the sockets in `datagrams`; nothing else is listened on */
};

/* Whether the process of HTTP/3 serves; what answers over TLS tell of it goes by that. */
enum front_quic_state {
    FRONT_QUIC_DOWN = 0, /* for now: nothing is told */
    FRONT_QUIC_UP,
    FRONT_QUIC_LOST /* for good: clients are asked to forget it ("clear", RFC 7838 section 3) */
};

#define FRONT_WORKERS_MAX      64
#define FRONT_QUIC_SECRET_SIZE 32
#define FRONT_DATAGRAMS_MAX    512 /* FRONT_WORKERS_MAX on each address of a name */

/* Bound UDP sockets and the workers that they are for. */
struct front_datagrams {
    unsigned count;
    struct {
        int fd;
        uint8_t worker;
    } sockets[FRONT_DATAGRAMS_MAX];
};

/* The descriptor is taken; ROUTED_OK, or ROUTED_ERROR_LIMIT when there are too many. */
int front_datagrams_add(struct front_datagrams *d, int fd, unsigned worker);
void front_datagrams_close(struct front_datagrams *d);
void front_make_secret(uint8_t out[FRONT_QUIC_SECRET_SIZE]);

struct front_options {
    const char *host; /* NULL: 127.0.0.1; "" with a unix_path: no TCP at all */
    bool only_secure; /* nothing in the clear on `port` */
    uint16_t port;
    /* With a context there is a TLS listener too, on `secure_port`. A reference is taken. */
    struct tls_context *tls;
    uint16_t secure_port;
    bool has_http2; /* in the clear by prior knowledge; over TLS, ALPN decides */
    /* Needs `tls`: UDP on the same addresses and port as TCP with TLS. */
    bool has_http3;
    bool has_early_data;
    enum front_part part;
    /* Of FRONT_WITHOUT_QUIC: filled in, the caller's to close, after a failure too. Of
     * FRONT_ONLY_QUIC: taken. */
    struct front_datagrams *datagrams;
    const uint8_t *quic_secret; /* FRONT_QUIC_SECRET_SIZE bytes; NULL: random */
    struct metric_rows *rows;   /* where the workers keep their own numbers; NULL: in themselves */
    bool is_advertised;         /* Alt-Svc tells clients of it (RFC 7838) */
    /* Of FRONT_WITHOUT_QUIC: an enum front_quic_state that others change. NULL: always up. */
    const atomic_uchar *quic_state;
    const char *unix_path; /* or NULL */
    int backlog;
    bool v6_only;
    bool shared;
    unsigned workers;            /* 0: one per core */
    const routed_limits *limits; /* may be NULL: all defaults */
    const char *access_log;      /* or NULL */
    const char *qlog;            /* a folder, see front/qlog.h, or NULL */
    struct log log;
    struct face face;
    /* On the last worker's thread, after its last turn: nothing more will come. May be NULL. */
    void (*on_ended)(void *user);
    void *user;
};

/* Returns when every listener accepts. All strings are copied. On failure nothing is left
 * behind and `why` (may be NULL) says what and where. */
int front_server_start(const struct front_options *options, struct front_server **server,
                       struct failure *why);

uint16_t front_server_port(const struct front_server *s);
uint16_t front_server_secure_port(const struct front_server *s);

/* First call: graceful, cut after `timeout` milliseconds (ROUTED_NO_LIMIT: drain_timeout);
 * second: everything is cut now. Async-signal-safe, any thread. */
void front_server_stop(struct front_server *s, milliseconds timeout);
/* Joins the workers: ROUTED_OK, ROUTED_ERROR_TIMEOUT or ROUTED_ERROR_CLOSED (forced). */
int front_server_wait(struct front_server *s);
/* After front_server_wait. */
void front_server_free(struct front_server *s);

void front_server_reopen_log(struct front_server *s);
/* Loads the TLS files anew within a second. Async-signal-safe. */
void front_server_reload(struct front_server *s);

/* Calls `visit` once for each number: the front's own, then those of the face. Any thread,
 * before front_server_free. */
typedef void front_visit(void *user, const struct metric_name *name, uint64_t value);
void front_server_metrics(const struct front_server *s, front_visit *visit, void *user);

#endif
