/* exchange/session.h: what every protocol machine looks like to a connection.
 *
 * A session turns bytes into exchanges and back, for one connection, without any I/O: http1,
 * http2 and http3 implement it. The connection reads, calls feed, then drain, writes, and looks at
 * `wait` for its deadline. All calls on one thread. The session embeds this struct as its first
 * member. */
#ifndef EXCHANGE_SESSION_H
#define EXCHANGE_SESSION_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/span.h"
#include "exchange/exchange.h"
#include <routed/limits.h>

struct session;

/* What the session is waiting for: the connection turns it into a deadline and a log text. */
enum session_wait {
    SESSION_IDLE,    /* between requests: keep-alive time */
    SESSION_HEAD,    /* the first byte of a head is here, the rest is not: header time, absolute */
    SESSION_BODY,    /* for request content that was granted: minimum rate and stall time */
    SESSION_ANSWER,  /* for the application; the time is the application's own business */
    SESSION_WINDOW,  /* for the client to let response content flow: look again, by fail with
                      * ROUTED_ERROR_TOO_SLOW, after the stall time; it cuts only who is slow */
    SESSION_TUNNEL,  /* raw bytes; no deadline but the transport's */
    SESSION_LINGER,  /* everything is written; draining input before the close */
    SESSION_FINISHED /* close at once when the output is written */
};

struct session_ops {
    /* Consumes bytes and returns how many; fewer than given means "not now": the connection
     * keeps the rest and feeds again after drain or after `ready`. The bytes are part of
     * `block`, so that content can be taken as slices of it; block may be NULL. */
    size_t (*feed)(struct session *s, struct block *block, struct span bytes);
    /* The peer will send nothing more. */
    void (*feed_end)(struct session *s);
    /* Fills `out` with up to `max` spans of queued output, in order, and returns how many. They
     * live until the next drained, feed or release. */
    size_t (*drain)(struct session *s, struct span *out, size_t max);
    /* `bytes` of the drained output are written. Frees them, raises response credit. */
    void (*drained)(struct session *s, size_t bytes);
    /* Ends a wait that took too long or answers overload: the session answers with the error's
     * status where an answer is still possible and goes to LINGER or FINISHED. */
    void (*fail)(struct session *s, int error);
    /* No new request after those in progress; idle: FINISHED at once. WebSockets stay: the
     * application closes them. */
    void (*shut)(struct session *s);
    /* The transport is dead: closes every exchange with `error`. Output is dropped. */
    void (*abort)(struct session *s, int error);
    /* Asks for a sign of life where the protocol has one (see docs/decisions/): queues bytes
     * that a client must tolerate and that a dead one answers with a reset. False: none now. */
    bool (*probe)(struct session *s);
    /* Gives back memory that is kept for the next request. For a connection that has been idle
     * for a while; harmless at any time when no drained spans are in use. */
    void (*rest)(struct session *s);
    /* After abort or when FINISHED: frees the session. No callback runs afterwards. */
    void (*free)(struct session *s);
};

/* What the connection gives to the session. */
struct session_host {
    /* A head is complete and valid, identity fields are removed: the connection fills in peer,
     * scheme is already set, and calls exchange_open (or exchange_fail). */
    void (*on_exchange)(void *host, struct exchange *x);
    /* The exchange is over and logged after this; on_close of the application already ran. */
    void (*on_exchange_end)(void *host, struct exchange *x, int error);
    /* Something was queued outside feed/drained: run the connection soon. */
    void (*on_ready)(void *host);
    /* A request was refused before it became an exchange (for counters and the access log).
     * `x` has what was parsed so far; status is what was answered. */
    void (*on_refused)(void *host, const struct exchange *x, int error, uint16_t status);
    /* A limit was hit without an error: its offset in routed_limits, for the counters. May be
     * NULL. */
    void (*on_limit)(void *host, size_t offset);
    /* Nanoseconds to the client and back; 0: not known. May be NULL. */
    uint64_t (*round_trip)(void *host);
    void *host;
};

struct session {
    const struct session_ops *ops;
    struct session_host host;
    enum session_wait wait;
    milliseconds due;  /* a point in time at which the session has something to do though nothing
                        * comes: drain then, or later; where there is no drain, run the
                        * connection. CLOCK_NEVER: none */
    bool reset;        /* FINISHED inside a response that only the close would end: reset the
                        * transport after writing, so that the client can tell */
    bool wants_input;  /* false: backpressure, do not read (feed would return 0) */
    uint64_t bytes_in; /* content and framing fed, for the minimum rate */
    uint64_t requests; /* heads seen */
    unsigned inside;   /* calls of the connection on the stack, for hosts and applications may call
                        * back: the outermost settles what they left, before and after */
};

/* ---- for sessions ---- */

void session_init(struct session *s, const struct session_ops *ops, const struct session_host *host,
                  enum session_wait wait);

/* A request is complete and valid: counts it and hands it over, with so much credit for the answer.
 */
void session_begin(struct session *s, struct exchange *x, size_t response_window);
/* It is over: on_close, then the host's note. */
void session_end(struct session *s, struct exchange *x, int error);
/* It never became an exchange. */
void session_refuse(struct session *s, const struct exchange *x, int error, uint16_t status);
/* The same for what ends the connection and is a fault of no request in particular. */
void session_fault(struct session *s, struct span scheme, enum http_protocol protocol, int error);

/* The application acted. Outside the connection's calls nobody settles: it has to come and look. */
void session_wake(struct session *s);

void session_hit(const struct session *s, size_t offset);
/* Nanoseconds; 0: not known. */
uint64_t session_round_trip(const struct session *s);

#endif
