/* http3/endpoint.h: all QUIC connections (RFC 9000) of one worker, without I/O: datagrams in,
 * datagrams out, time passed in. It tells whose each datagram is, answers those that belong to
 * nobody (Version Negotiation, Retry, stateless reset), makes connections, and runs those that have
 * something to do. The front brings the sockets, the timers and the way between workers.
 *
 * One thread. Nothing here reads a clock, a socket or the system's random source but through the
 * options, so that a test drives it with a mocked clock. */
#ifndef HTTP3_ENDPOINT_H
#define HTTP3_ENDPOINT_H

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "exchange/session.h"
#include "http3/session.h"
#include "http3/spent.h"
#include "tls/context.h"

#define HTTP3_ADDRESS_MAX  28 /* a struct sockaddr_in6 */
#define HTTP3_DATAGRAM_MAX 65535

struct http3_address {
    uint8_t storage[HTTP3_ADDRESS_MAX]; /* a struct sockaddr_in or sockaddr_in6 */
    uint8_t size;
};

struct http3_datagram {
    struct http3_address local;  /* where it arrived */
    struct http3_address remote; /* whom it came from */
    struct span bytes;           /* one datagram; the caller has split what GRO joined */
    uint8_t ecn;                 /* the two bits of RFC 3168 */
};

/* Datagrams to one peer, to be sent with one call where the system can (GSO). */
struct http3_batch {
    struct http3_address local;
    struct http3_address remote;
    struct span bytes;
    size_t segment; /* bytes of each datagram but the last, which may be shorter */
    uint8_t ecn;
};

struct http3_endpoint;
struct http3_connection;

/* What the front does for its endpoint. */
struct http3_endpoint_host {
    /* Sends at once. How many bytes of the batch are gone: a multiple of `segment`, or all (lost is
     * gone too); fewer means that the socket takes no more until http3_endpoint_writable. */
    size_t (*send)(void *host, const struct http3_batch *batch);
    /* A datagram of a connection that another worker owns. */
    void (*forward)(void *host, unsigned worker, const struct http3_datagram *datagram);
    /* A client that has proved its address by a token wants to begin a handshake: may it? Each true
     * is followed by one on_handshake_over, before on_connection where it comes to that. Both NULL:
     * an address may have as many as there is room for. */
    bool (*on_handshake)(void *host, const struct http3_address *peer);
    void (*on_handshake_over)(void *host, const struct http3_address *peer);
    /* A handshake failed, for the log; `why` lives for the call. NULL: nobody is told. */
    void (*on_handshake_failed)(void *host, const struct http3_address *peer, const char *why);
    /* A handshake is done: *out is what its session calls, and `out->host` the front's own state of
     * the connection, which is told once more, by on_closed. ROUTED_OK, or the connection is closed
     * (CONNECTION_REFUSED, no place for another). */
    int (*on_connection)(void *host, struct http3_connection *c, struct session_host *out);
    /* The connection has its session, or was run: its session may wait for something else now. Not
     * before on_connection nor after on_closed. */
    void (*on_turn)(void *host, void *connection);
    /* The front's state of a connection ends; its exchanges are closed already. */
    void (*on_closed)(void *host, void *connection);
    void *host;
};

#define HTTP3_RTT_BOUNDS 10

/* All of these count from zero, those of enum http3_session_count among them; names in metrics are
 * "quic." and the word. */
enum http3_endpoint_count {
    HTTP3_DATAGRAMS_IN = HTTP3_SESSION_COUNT, /* behind those of the sessions */
    HTTP3_DATAGRAMS_OUT,
    HTTP3_BYTES_IN,
    HTTP3_BYTES_OUT,
    HTTP3_BATCHES_OUT,         /* calls of send: datagrams_out / batches_out is what GSO joins */
    HTTP3_DATAGRAMS_DROPPED,   /* of nobody, or that no connection could read */
    HTTP3_DATAGRAMS_FORWARDED, /* to another worker */
    HTTP3_HANDSHAKES,          /* done */
    HTTP3_HANDSHAKES_FAILED,
    HTTP3_HANDSHAKES_DROPPED, /* Initials beyond handshakes_max */
    HTTP3_RETRIES,
    HTTP3_VERSION_NEGOTIATIONS,
    HTTP3_TOKENS_REFUSED, /* of a Retry: too old, or forged */
    HTTP3_TOKENS_SPENT,   /* of NEW_TOKEN: used before, so as good as none */
    HTTP3_STATELESS_RESETS,
    /* With ngtcp2 1.16 or later: packets declared lost, probes of the path MTU aside. Before that
     * only those that carried data of streams, once for each of the streams, when it closes; what
     * was lost of streams that are open when their connection ends is not counted. */
    HTTP3_PACKETS_LOST,
    HTTP3_MIGRATIONS, /* paths that were validated after the first */
    HTTP3_EARLY_DATA, /* connections with accepted 0-RTT */
    HTTP3_KEY_UPDATES,
    HTTP3_REFUSALS,    /* Initials answered by CONNECTION_CLOSE: no place, stopping, a bad token */
    HTTP3_OVER_BUDGET, /* connections closed for what QUIC itself cost: memory, connection ids */
    /* Of each connection that ends after its handshake: the smoothed round trip (RFC 9002 section
     * 5.3) that it had last, and the least. Sums are microseconds. */
    HTTP3_RTT_COUNT,
    HTTP3_RTT_SUM,
    HTTP3_RTT_MIN_SUM,
    /* The smoothed one was at most so long, cumulative as in a histogram: 1, 2, 5, 10... ms. */
    HTTP3_RTT_LE_1MS,
    HTTP3_RTT_LE_1S = HTTP3_RTT_LE_1MS + HTTP3_RTT_BOUNDS - 1,
    HTTP3_COUNT
};

/* Where connections write their events (qlog), in builds with ROUTED_QLOG. */
struct http3_qlog {
    /* For a new connection with this first connection id of its client: what the other two are
     * called with, or NULL for nothing. The member itself is NULL where nothing is written. */
    void *(*open)(void *user, struct span id);
    /* One whole record. */
    void (*write)(void *log, struct span record);
    void (*close)(void *log);
    void *user;
};

struct http3_endpoint_options {
    struct http3_session_options session;
    struct tls_context *tls; /* with "h3" in its ALPN; a reference is taken */
    struct http3_endpoint_host host;
    struct http3_qlog qlog;
    struct loop *loop;           /* handed to the exchanges */
    const nanoseconds *now;      /* the owner rewrites it before each call */
    nanoseconds token_time;      /* `now` and this are the time of day in tokens: all endpoints with
                                  * the same secret, also of other hosts, have it in common */
    unsigned worker;             /* of this endpoint; part of each connection id it gives out */
    unsigned workers;            /* of the server: datagrams for a higher one are nobody's */
    uint8_t secret[32];          /* of the server: all its workers, and the process after it, share
                                  * it: connection ids, tokens, stateless resets */
    struct http3_spent *spent;   /* tokens, of all endpoints with the secret that share memory */
    size_t connections_max;      /* of this endpoint: more are refused */
    unsigned handshakes_max;     /* under way: datagrams of more are dropped */
    unsigned retry_from;         /* handshakes under way from which on a Retry is asked for; 0:
                                  * always */
    milliseconds handshake_time; /* from the first datagram */
    milliseconds idle_time;      /* max_idle_timeout */
    bool has_early_data;         /* 0-RTT, for safe methods */
};

/* ROUTED_OK or ROUTED_ERROR_MEMORY. `options` is copied. */
int http3_endpoint_new(struct http3_endpoint **out, const struct http3_endpoint_options *options);
/* Forgets every connection: exchanges are closed with `error`, one CONNECTION_CLOSE each is sent.
 */
void http3_endpoint_free(struct http3_endpoint *e, int error);

/* Takes one datagram. Answers of connections wait for http3_endpoint_run; those that belong to no
 * connection are sent at once, or not at all while the socket takes no more. */
void http3_endpoint_receive(struct http3_endpoint *e, const struct http3_datagram *datagram);
/* The same for one that another worker has received, counted and forwarded. */
void http3_endpoint_take(struct http3_endpoint *e, const struct http3_datagram *datagram);
/* Runs the connections that have something to send or whose time has come. True: it stopped after
 * a bounded share of work and has more; run again after the other work of the turn. */
bool http3_endpoint_run(struct http3_endpoint *e);
/* When to run again without a datagram: a point in time, CLOCK_NEVER when there is no reason. */
nanoseconds http3_endpoint_deadline(const struct http3_endpoint *e);
/* The socket takes datagrams again. */
void http3_endpoint_writable(struct http3_endpoint *e);
/* New connections are refused, those there are get GOAWAY and close after their last answer. */
void http3_endpoint_shut(struct http3_endpoint *e);
size_t http3_endpoint_connections(const struct http3_endpoint *e);
uint64_t http3_endpoint_count(const struct http3_endpoint *e, unsigned which);

/* ---- a connection, for the front ---- */

/* Its session: for wait, fail, shut and abort. Something was queued from outside: _wake. */
struct session *http3_connection_session(struct http3_connection *c);
void http3_connection_wake(struct http3_connection *c);
/* Closes it at once: CONNECTION_CLOSE, exchanges end with `error`; on_closed follows in
 * http3_endpoint_run. */
void http3_connection_close(struct http3_connection *c, int error);
/* The last validated address of the peer. */
const struct http3_address *http3_connection_peer(const struct http3_connection *c);
/* What TLS agreed on; parts live as long as the connection. */
const struct http_tls *http3_connection_tls(const struct http3_connection *c);
/* May it answer for host[:port]? See tls_session_covers. */
bool http3_connection_covers(const struct http3_connection *c, struct span authority);
/* The smoothed round trip (RFC 9002 section 5.3); 0 before there is one, and after the end. */
nanoseconds http3_connection_round_trip(const struct http3_connection *c);

#endif
