/* front/client.h: one client, whatever carries its bytes: who it is, what its session waits for,
 * and what the worker may do with it. The first part of a struct front_connection (TCP, Unix
 * sockets) and of a struct front_quic_connection. */
#ifndef FRONT_CLIENT_H
#define FRONT_CLIENT_H

#include "exchange/session.h"
#include "front/pace.h"
#include "front/worker.h"

struct front_client;

/* What differs between the carriers. */
struct front_client_kind {
    /* May the connection answer for host[:port]? NULL: for every one. */
    bool (*covers)(const struct front_client *c, struct span authority);
    /* What comes before the first request: its limit, as an offset in routed_limits, and since
     * when that counts; 0: nothing does. NULL: never. */
    size_t (*greeting)(const struct front_client *c, milliseconds *since);
    /* No input is waiting unread: an idle one may be closed for lack of room. */
    bool (*is_quiet)(const struct front_client *c);
    /* The smoothed round trip; 0: not known. NULL: never. */
    nanoseconds (*round_trip)(const struct front_client *c);
    /* Gives back memory while it is idle. */
    void (*rest)(struct front_client *c);
    /* No request after those in progress. */
    void (*shut)(struct front_client *c);
    /* Its session was told to end a wait: it wants a turn. */
    void (*wake)(struct front_client *c);
    /* Ends it now or soon: exchanges are closed with `error`. */
    void (*close)(struct front_client *c, int error);
};

struct front_client {
    const struct front_client_kind *kind;
    struct front_worker *worker;
    struct session *session;
    const struct http_tls *tls; /* what the handshake agreed on; NULL in the clear and before */
    struct list_link link;      /* worker->clients */
    struct list_link idle_link; /* worker->idle or ->resting, while idle */
    struct loop_timer timer;    /* fires at the deadline or before it */
    size_t idle_limit;          /* for how long it may be idle: an offset in routed_limits */
    struct pace input;          /* of request content */
    struct pace output;
    uint64_t written;       /* bytes that the client, or the kernel, took */
    enum session_wait wait; /* of the session when it was last looked at, */
    uint64_t wait_requests; /* its request count then, */
    milliseconds wait_since;
    milliseconds opened_at;
    uint64_t address_key;
    bool may_move; /* to another address: front_client_move */
    uint16_t peer_port;
    uint8_t peer_text_size;
    char peer_text[SOCKET_TEXT_MAX];
};

/* The client is one of the worker's from now on, idle. kind, session, idle_limit and worker are
 * set. */
void front_client_enter(struct front_client *c, const struct socket_address *peer,
                        uint64_t address_key, void (*on_timer)(struct loop_timer *t));
/* It is no longer: what front_worker_admit counted is given back. */
void front_client_leave(struct front_client *c);
/* It has another address from now on (RFC 9000 section 9). */
void front_client_move(struct front_client *c, const struct socket_address *peer);

#endif
