/* http3/inside.h: the inside of an endpoint and of its connections, for the files of this room.
 *
 * endpoint.c sorts datagrams and runs connections; handshake.c makes connections; connection.c runs
 * and ends them; transport.c stands between ngtcp2 and the session; recovery.c counts losses and
 * round trips; path.c knows addresses and the size of datagrams; output.c sends; stateless.c
 * answers what belongs to no connection. */
#ifndef HTTP3_INSIDE_H
#define HTTP3_INSIDE_H

#include "base/bucket.h"
#include "base/error.h"
#include "base/heap.h"
#include "base/list.h"
#include "http3/deadlines.h"
#include "http3/endpoint.h"
#include "http3/identifier.h"
#include "http3/output.h"
#include "http3/table.h"
#include "tls/quic.h"

/* Connections that one call of http3_endpoint_run runs. */
#define HTTP3_TURN 64
/* Connections that are over and only answer for three probe timeouts (RFC 9000 section 10.2): more
 * are forgotten at once, and their late datagrams get a stateless reset. */
#define HTTP3_CLOSED_MAX 4096
/* What a connection costs before the client has sent anything of its own;
 * docs/decisions/0010-quic.md tells what of it is used. */
#define HTTP3_CONNECTION_COST ((size_t)64 << 10)
/* Changes of the client's address and connection ids that it makes us give out. */
#define HTTP3_MOVES       ((struct bucket_rate){120, 10})
#define HTTP3_IDENTIFIERS ((struct bucket_rate){100, 10})
/* Connection ids of the client that we keep, RFC 9000 section 5.1.1. */
#define HTTP3_PEER_IDENTIFIERS 4
#define HTTP3_PROVED_MAX       2

enum http3_phase {
    HTTP3_SHAKING, /* hands */
    HTTP3_OPEN,
    HTTP3_CLOSING, /* we said CONNECTION_CLOSE, and say it again to who goes on */
    HTTP3_DRAINING /* the client said it, or there is nothing to say */
};

enum http3_ending {
    HTTP3_STAYS,
    HTTP3_CLOSES, /* by CONNECTION_CLOSE with `why` */
    HTTP3_DRAINS, /* the client closed */
    HTTP3_VANISHES
};

struct http3_connection {
    struct http3_endpoint *endpoint;
    enum http3_phase phase;
    enum http3_ending ending;
    int error;        /* of its exchanges when it ends */
    int result;       /* of ngtcp2, where it ended by that; else 0 */
    ngtcp2_ccerr why; /* of CONNECTION_CLOSE */
    ngtcp2_conn *conn;
    struct tls_session *tls;
    struct http3_session *session; /* once the handshake is done, or early data was accepted */
    bool has_place;                /* among the handshakes of its address */
    bool is_told;                  /* its host knows it */
    void *front;                   /* its host's state */
    struct heap heap;              /* of ngtcp2 */
    ngtcp2_mem memory;             /* which hands it out */
    struct list_link all;
    struct list_link ready; /* has something to do */
    struct list_link routes;
    struct http3_deadline deadline;
    struct http3_address peer;
    struct http3_address proved[HTTP3_PROVED_MAX]; /* addresses by path validation, latest ones */
    unsigned next_proved;
    struct bucket moves;
    struct bucket identifiers;
    bool is_early;      /* its session began with early data */
    bool is_kept_alive; /* by PING while an answer takes its time */
    uint32_t key_updates;
    uint64_t streams_told; /* by MAX_STREAMS */
    nanoseconds heard_at;  /* the last datagram */
    uint64_t bytes_in;
    uint64_t most_in_flight; /* bytes: ngtcp2 keeps the memory for others when they arrived */
    uint64_t losses_told;    /* of packets, to the endpoint's counts */
    nanoseconds progress_at; /* the client acknowledged, or there was nothing to acknowledge */
    nanoseconds small_until; /* large datagrams get lost */
    struct http_tls agreed;
    void *qlog;    /* its host's, or NULL */
    uint8_t *last; /* CLOSING: the datagram with CONNECTION_CLOSE */
    size_t last_size;
    uint32_t late; /* datagrams after the end */
};

struct http3_endpoint {
    struct http3_endpoint_options options;
    struct http3_identifier_key key;
    struct random random;
    struct http3_table table;
    struct http3_deadlines deadlines;
    struct http3_output output;
    struct list_link connections;
    struct list_link ready;
    size_t count;  /* connections that are not over */
    size_t closed; /* CLOSING and DRAINING */
    unsigned handshakes;
    bool is_shut;
    struct bucket versions;
    struct bucket resets;
    struct bucket refusals;
    ngtcp2_callbacks callbacks;
    ngtcp2_update_key update_key;
    uint64_t counts[HTTP3_COUNT];
};

static inline nanoseconds http3_now(const struct http3_endpoint *e)
{
    return *e->options.now;
}

/* What tokens are stamped with. */
static inline nanoseconds http3_token_time(const struct http3_endpoint *e)
{
    return http3_now(e) + e->options.token_time;
}

static inline milliseconds http3_now_milliseconds(const struct http3_endpoint *e)
{
    return http3_now(e) / NGTCP2_MILLISECONDS;
}

/* ---- connection.c ---- */

/* Ends it in its next run; the first reason counts. */
void http3_connection_end(struct http3_connection *c, enum http3_ending ending, int error);
/* For a negative result of ngtcp2. */
void http3_connection_fail(struct http3_connection *c, int result);
/* With H3_EXCESSIVE_LOAD, and counted. */
void http3_connection_close_over_budget(struct http3_connection *c);
/* The result of ngtcp2, which has had its effect. */
int http3_connection_receive(struct http3_connection *c, const struct http3_datagram *datagram);
/* False: it is forgotten. */
bool http3_connection_run(struct http3_connection *c);
void http3_connection_forget(struct http3_connection *c);
/* Ends it now, for http3_endpoint_free. */
void http3_connection_finish(struct http3_connection *c);

/* ---- handshake.c ---- */

void http3_handshake_callbacks(struct http3_endpoint *e);
/* It ended before it was done: counts and tells, unless a Retry was the reason. */
void http3_handshake_failed(struct http3_connection *c);
/* Its place among the handshakes of its address is free, if it had one. */
void http3_handshake_leave(struct http3_connection *c);
/* The first datagram of a connection that nobody knows: answers, makes a connection, or drops. */
void http3_handshake_begin(struct http3_endpoint *e, const struct http3_datagram *datagram);

/* ---- transport.c ---- */

void http3_transport_callbacks(ngtcp2_callbacks *callbacks);
/* Makes the session, whose host is asked first. 0 or a result for ngtcp2. */
int http3_transport_start(struct http3_connection *c);
/* Tells the client of streams that it may open. */
void http3_transport_allow(struct http3_connection *c);
/* As ngtcp2_conn_writev_stream: bytes of a datagram, 0 for none now; negative: failed. */
ngtcp2_ssize http3_transport_write(struct http3_connection *c, ngtcp2_path *path,
                                   ngtcp2_pkt_info *pi, uint8_t *out, size_t size);

/* ---- recovery.c ---- */

/* Before an acknowledgement may be read. */
void http3_recovery_note(struct http3_connection *c);
void http3_recovery_stream_closed(struct http3_connection *c, int64_t stream);
/* As ngtcp2 tells it: a copy. */
ngtcp2_conn_info http3_recovery_state(const struct http3_connection *c);
/* Smoothed; 0 before the first sample. */
nanoseconds http3_recovery_round_trip(const struct http3_connection *c);
/* Bytes that may leave before the next look at the pace: what takes a millisecond, and ten
 * datagrams of the given size anyway. */
size_t http3_recovery_burst(const struct http3_connection *c, const ngtcp2_conn_info *state,
                            size_t datagram);
/* Before its machine is freed. */
void http3_recovery_end(struct http3_connection *c);

/* ---- qlog.c ---- */

#ifdef ROUTED_QLOG
/* Before its machine is made; `id` is the first one that the client chose. */
void http3_qlog_begin(struct http3_connection *c, ngtcp2_settings *settings, const ngtcp2_cid *id);
/* After its machine is freed, and harmless a second time. */
void http3_qlog_end(struct http3_connection *c);
#else
static inline void http3_qlog_begin(struct http3_connection *c, ngtcp2_settings *settings,
                                    const ngtcp2_cid *id)
{
    (void)c;
    (void)settings;
    (void)id;
}

static inline void http3_qlog_end(struct http3_connection *c)
{
    (void)c;
}
#endif

/* ---- path.c ---- */

/* Of a family that QUIC runs over here. */
bool http3_path_is_usable(const struct http3_datagram *datagram);
void http3_path_read(ngtcp2_path_storage *out, const struct http3_address *local,
                     const struct http3_address *remote);
void http3_path_write(struct http3_address *out, const ngtcp2_addr *from);
bool http3_path_equals(const struct http3_address *a, const struct http3_address *b);
/* Another address than the present one costs a move: may it be read? */
bool http3_path_admits(struct http3_connection *c, const struct http3_datagram *datagram);
/* The client answers at that address. */
void http3_path_prove(struct http3_connection *c, const ngtcp2_path *path);
/* Takes the present address as the client's once it is proved. */
void http3_path_settle(struct http3_connection *c);
/* Looks whether what was sent arrives. Before each write. */
void http3_path_watch(struct http3_connection *c, const ngtcp2_conn_info *state);
/* How large the next datagram may be. */
size_t http3_path_room(const struct http3_connection *c);

/* ---- stateless.c ---- */

/* Fills its budgets. */
void http3_stateless_init(struct http3_endpoint *e);
void http3_stateless_versions(struct http3_endpoint *e, const struct http3_datagram *datagram,
                              const ngtcp2_version_cid *ids);
void http3_stateless_retry(struct http3_endpoint *e, const struct http3_datagram *datagram,
                           const ngtcp2_pkt_hd *initial);
void http3_stateless_refuse(struct http3_endpoint *e, const struct http3_datagram *datagram,
                            const ngtcp2_pkt_hd *initial, uint64_t error);
/* For an id that this endpoint would own. */
void http3_stateless_reset(struct http3_endpoint *e, const struct http3_datagram *datagram,
                           struct span id);

#endif
