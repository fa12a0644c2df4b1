/* load/quic.h: the client's side of QUIC connections (RFC 9000): for each a socket, ngtcp2, and
 * GnuTLS. Datagrams are joined and split by the kernel where it can, so that this side does not
 * hold the server back. HTTP/3 on top of it is http3.c, which has quic_streams.h.
 *
 * No certificate is checked: what is measured is on this machine and was started for it. */
#ifndef LOAD_QUIC_H
#define LOAD_QUIC_H

#include "load/tally.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_client;
struct load_quic;         /* one connection */
struct load_quic_context; /* what all of them share; outlives them */

/* NULL: no memory, or no library. */
struct load_quic_context *load_quic_context_new(const char *server_name, bool resume);
void load_quic_context_free(struct load_quic_context *x); /* NULL is allowed */
/* With `resume`: is there a session to go on with? */
bool load_quic_context_has_ticket(const struct load_quic_context *x);

/* Begins the handshake. */
enum load_error load_quic_open(struct load_client *c);
/* Says CONNECTION_CLOSE and forgets the connection. */
void load_quic_close(struct load_client *c);
/* Later in this turn the client settles. */
void load_quic_wake(struct load_quic *q);
/* Keeps the first session that the peer offered, for the connections to come. */
void load_quic_keep_ticket(struct load_quic *q);

#endif
