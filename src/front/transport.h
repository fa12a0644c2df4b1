/* front/transport.h: the bytes of one connection, in the clear or sealed: the connection above
 * cannot tell which, once the handshake is done. */
#ifndef FRONT_TRANSPORT_H
#define FRONT_TRANSPORT_H

#include "base/slice.h"
#include "io/socket.h"
#include "tls/session.h"

struct front_transport {
    int fd;
    struct tls_session *tls; /* NULL: in the clear */
    bool is_gone;            /* the peer: nothing more is written */
    bool has_greeted;        /* the first bytes were looked at */
    bool has_verdict;        /* the end of input, or its failure, is known and to be told next */
};

/* Owns the descriptor from now on. `context` NULL: in the clear. ROUTED_OK or
 * ROUTED_ERROR_MEMORY; the descriptor is closed then. */
int front_transport_open(struct front_transport *t, int fd, struct tls_context *context);
/* With close_notify, as far as the socket takes it, unless the peer is gone. */
void front_transport_close(struct front_transport *t);
/* So that the client can tell that something is missing: without close_notify, with a reset. */
void front_transport_reset(struct front_transport *t);

/* One step of the handshake: reads once into `sealed`. ROUTED_OK once done, ROUTED_ERROR_AGAIN,
 * ROUTED_ERROR_CLIENT_GONE, what the handshake failed with (its alert is written), or
 * ROUTED_ERROR_PLAIN_HTTP for a client that speaks HTTP to a TLS port. */
int front_transport_handshake(struct front_transport *t, struct block *sealed, bool *is_drained);

/* Plain bytes: how many; 0 at the end of input; SOCKET_AGAIN; SOCKET_DEAD, also for an end
 * without close_notify. Reads the socket at most once. `sealed` is scratch memory for sealed
 * bytes. *is_drained: the socket has nothing more for now. */
ssize_t front_transport_read(struct front_transport *t, uint8_t *into, size_t size,
                             struct block *sealed, bool *is_drained);
/* A read has something to tell, bytes or the end, that needs no further input. */
bool front_transport_has_input(const struct front_transport *t);

/* The next bytes begin an answer. */
void front_transport_start_flight(struct front_transport *t);
/* How many plain bytes were taken, SOCKET_AGAIN or SOCKET_DEAD. Sealed bytes that the socket did
 * not take are kept: front_transport_flush. */
ssize_t front_transport_write(struct front_transport *t, const struct span *spans, size_t count);
/* After a write that took `taken` of `offered` bytes: does the socket take no more for now? A TLS
 * session takes part of what it is offered although all that it sealed went out. */
bool front_transport_is_full(const struct front_transport *t, ssize_t taken, size_t offered);
/* Writes what is kept: 1 when nothing is left, SOCKET_AGAIN or SOCKET_DEAD. */
int front_transport_flush(struct front_transport *t);
/* Ends our direction: close_notify, FIN. */
void front_transport_end(struct front_transport *t);
/* Gives back memory while the connection is idle. */
void front_transport_rest(struct front_transport *t);

#endif
