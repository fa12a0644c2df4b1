/* load/client.h: one connection of the load: socket, TLS, and the protocol on top of it.
 *
 * The protocols implement struct load_machine; they see plain bytes, or those of QUIC streams, and
 * know of no socket. None of
 * them ends the connection: they return an error, or say that it is spent, and the client acts
 * once they have returned. One thread. */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include "base/list.h"
#include "io/stream.h"
#include "load/quic.h"
#include "load/response.h"
#include "load/seal.h"
#include "load/tally.h"

struct load_client;
struct load_fleet;

struct load_machine {
    /* The transport is ready. */
    enum load_error (*open)(struct load_client *c);
    /* May another request be sent now? */
    bool (*has_room)(const struct load_client *c);
    enum load_error (*send)(struct load_client *c, microseconds intended);
    enum load_error (*feed)(struct load_client *c, struct span plain);
    /* Queues what waits, as long as load_client_room is above zero. */
    enum load_error (*drain)(struct load_client *c);
    /* The peer ended the connection. */
    enum load_error (*end)(struct load_client *c);
    void (*close)(struct load_client *c);
};

extern const struct load_machine load_http1_machine;
extern const struct load_machine load_http2_machine;
extern const struct load_machine load_http3_machine;
extern const struct load_machine load_websocket_machine;

enum load_client_phase {
    LOAD_CLIENT_CLOSED,
    LOAD_CLIENT_CONNECTING,
    LOAD_CLIENT_HANDSHAKE, /* TLS */
    LOAD_CLIENT_OPENING,   /* of the machine's own */
    LOAD_CLIENT_READY
};

/* HTTP/1.1, and WebSocket after its handshake: answers come in the order of the requests. */
struct load_http1 {
    struct load_response response;
    microseconds *intended; /* a ring of `depth` */
    uint32_t first;
    struct span pending;    /* content of the request that was sent last */
    bool is_answered;       /* before all of it was sent */
    uint8_t frame_head[10]; /* WebSocket: a head that is not whole */
    uint8_t frame_head_size;
    uint64_t frame_left;
};

struct load_http2;
struct load_http3;

struct load_client {
    struct stream stream;
    struct list_link idle; /* in the fleet's list of those that have room, or are to connect */
    struct load_fleet *fleet;
    struct load_seal *seal;
    const struct load_machine *machine;
    struct load_http1 http1;
    struct load_http2 *http2;
    struct load_quic *quic; /* in place of the stream and its seal */
    struct load_http3 *http3;
    enum load_client_phase phase;
    uint32_t under_way;   /* requests that were sent and not answered */
    bool is_spent;        /* takes no further request */
    bool has_waiting;     /* --reconnect: a request waits for the connection, */
    microseconds waiting; /* which was meant to begin then */
};

void load_client_init(struct load_client *c, struct load_fleet *fleet,
                      const struct load_machine *machine);
void load_client_release(struct load_client *c);

/* Starts to connect. */
void load_client_open(struct load_client *c);
/* Ends the connection without telling anybody. */
void load_client_close(struct load_client *c);
bool load_client_has_room(const struct load_client *c);
/* Sends a request, later when there is no connection yet. Bytes leave with load_client_settle or
 * by the end of the turn. */
void load_client_send(struct load_client *c, microseconds intended);

/* ---- for the machines and transports ---- */

/* Acts upon what came: gives the connection requests, sends, ends it after an error or once it is
 * spent. The connection may be closed then. */
void load_client_settle(struct load_client *c, enum load_error error);

/* Bytes that may still be queued before memory is no longer bounded. */
size_t load_client_room(const struct load_client *c);
/* `is_static`: the bytes outlive the connection. */
enum load_error load_client_write(struct load_client *c, struct span plain, bool is_static);
/* The machine takes requests from now on. */
void load_client_ready(struct load_client *c);
/* A request was answered. */
void load_client_done(struct load_client *c, microseconds intended, uint16_t status);

#endif
