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
    HTTP3_TOKENS_REFUSED,
    HTTP3_STATELESS_RESETS,
    HTTP3_PACKETS_LOST,
    HTTP3_MIGRATIONS, /* paths that were validated after the first */
    HTTP3_EARLY_DATA, /* connections with accepted 0-RTT */
    HTTP3_KEY_UPDATES,
    HTTP3_REFUSALS, /* Initials answered by CONNECTION_CLOSE: no place, stopping, a bad token */
    HTTP3_COUNT
};

struct http3_endpoint_options {
    struct http3_session_options session;
    struct tls_context *tls; /* with "h3" in its ALPN; a reference is taken */
    struct http3_endpoint_host host;
    struct loop *loop;           /* handed to the exchanges */
    const nanoseconds *now;      /* the owner rewrites it before each call */
    unsigned worker;             /* of this endpoint; part of each connection id it gives out */
    unsigned workers;            /* of the server: datagrams for a higher one are nobody's */
    uint8_t secret[32];          /* of the server: all its workers, and the process after it, share
                                  * it: connection ids, tokens, stateless resets */
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
/* True while what arrives may be a replay (RFC 8446 section 8): 0-RTT, before the handshake is
 * done. Only with has_early_data, and only of clients whose address is validated. */
bool http3_connection_is_early(const struct http3_connection *c);
/* May it answer for host[:port]? See tls_session_covers. */
bool http3_connection_covers(const struct http3_connection *c, struct span authority);
/* Bytes written and acknowledged, for the minimum rate of slow readers; smoothed round trip. */
uint64_t http3_connection_acknowledged(const struct http3_connection *c);
nanoseconds http3_connection_round_trip(const struct http3_connection *c);

#endif
