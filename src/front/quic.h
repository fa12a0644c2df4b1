/* front/quic.h: HTTP/3 in a worker: UDP sockets, the endpoint of http3/endpoint.h behind them, and
 * what the worker knows of its connections.
 *
 * A QUIC connection lives in the worker whose number is in its connection ids. The kernel spreads
 * datagrams by addresses, so one that moved may arrive elsewhere: it is then handed to the owner
 * through the owner's mailbox (front/forward.h). */
#ifndef FRONT_QUIC_H
#define FRONT_QUIC_H

#include "front/worker.h"
#include "io/datagram.h"

/* Before the thread runs; shared->tls is set. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int front_quic_open(struct front_quic **out, struct front_worker *w);
/* Before the thread runs. The socket is taken, on failure too. */
int front_quic_add_socket(struct front_quic *q, struct datagram_socket *s);
void front_quic_drop_sockets(struct front_quic *q);

/* For front/quic_connection.h: the time, before a connection is called; a turn of the endpoint,
 * soon. */
void front_quic_tell_time(struct front_quic *q);
void front_quic_want_turn(struct front_quic *q);

/* On the worker's thread: new connections are refused, the others end after their last answer. */
void front_quic_shut(struct front_quic *q);
/* Ends what is left, with ROUTED_ERROR_STOPPING, and closes the sockets. Twice is harmless. */
void front_quic_close(struct front_quic *q);
/* After front_quic_close and once the loop is freed: nobody forwards any more. NULL is allowed. */
void front_quic_free(struct front_quic *q);

#endif
