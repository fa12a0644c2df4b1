/* bridge/client.h: the front's side of the bridge, as a face: what the front hands an exchange
 * to, so that an engine behind private sockets answers it.
 *
 * Each worker has its own context with its own connections to every engine: threads share
 * nothing. What is written when, what is repeated and what is answered when an engine fails is
 * told in bridge/call.h; which connection is taken in bridge/pool.h. */
#ifndef BRIDGE_CLIENT_H
#define BRIDGE_CLIENT_H

#include "exchange/face.h"
#include "io/bell.h"
#include "io/socket.h"
#include <stdatomic.h>

struct bridge_client_options {
    const struct socket_address *engines;
    unsigned count;
    /* Unix sockets: an engine must run as this user, or as root. Over loopback TCP the address
     * decides: whoever made the endpoint holds its listening socket, so nobody else can. */
    uint32_t user;
    /* One flag for each engine, written by whoever supervises them: 0 means that it is down and
     * gets no request, though its socket still takes connections. NULL: all are up. */
    const atomic_uchar *is_alive;
    /* One for each engine, rung when it was given something to read; or NULL. */
    struct bell *bells;
    struct metric_rows *rows; /* where the contexts keep their numbers; NULL: each in itself */
};

/* The numbers of a context. */
enum bridge_metric {
    BRIDGE_CONNECTS,            /* bridge.connects: connections made */
    BRIDGE_REUSES,              /* bridge.reuses: requests on a kept connection */
    BRIDGE_CONNECT_FAILURES,    /* bridge.connect_failures */
    BRIDGE_RETRIES,             /* bridge.retries */
    BRIDGE_FRAMES_INVALID,      /* bridge.frames_invalid: connections closed for it */
    BRIDGE_ENGINE_CLOSED,       /* bridge.engine_closed: before the answer was complete */
    BRIDGE_RESPONSES_INVALID,   /* bridge.responses_invalid */
    BRIDGE_TIMEOUTS,            /* bridge.timeouts */
    BRIDGE_CANCELLED,           /* bridge.cancelled: the client left first */
    BRIDGE_QUEUED,              /* bridge.queued, gauge: requests waiting for an engine */
    BRIDGE_OPEN,                /* bridge.connections_open, gauge */
    BRIDGE_IDLE,                /* bridge.connections_idle, gauge */
    BRIDGE_LIMIT_CONNECT,       /* limit.engine_connect_timeout */
    BRIDGE_LIMIT_ANSWER,        /* limit.engine_answer_timeout */
    BRIDGE_LIMIT_STALL,         /* limit.engine_idle_timeout */
    BRIDGE_LIMIT_TOTAL,         /* limit.engine_total_timeout */
    BRIDGE_LIMIT_CONNECTIONS,   /* limit.engine_connections */
    BRIDGE_LIMIT_IDLE,          /* limit.engine_idle_connections */
    BRIDGE_LIMIT_EXPIRY,        /* limit.engine_idle_expiry */
    BRIDGE_LIMIT_QUEUE,         /* limit.queue_requests */
    BRIDGE_LIMIT_QUEUE_TIMEOUT, /* limit.queue_timeout */
    BRIDGE_METRIC_COUNT
};

extern const struct metric_name bridge_metric_names[BRIDGE_METRIC_COUNT];

/* Fills in the face. `options` and the addresses outlive it. */
void bridge_client_face(struct face *out, const struct bridge_client_options *options);

#endif
