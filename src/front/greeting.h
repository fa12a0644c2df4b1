/* front/greeting.h: what comes before the first request of a connection: the TLS handshake, and the
 * choice of the protocol: by ALPN (RFC 7301) over TLS, by the first bytes in the clear (HTTP/2 with
 * prior knowledge, RFC 9113 section 3.3). A connection begins with an HTTP/1 session, which is
 * replaced where the choice is HTTP/2. */
#ifndef FRONT_GREETING_H
#define FRONT_GREETING_H

#include "front/connection.h"

void front_greeting_begin(struct front_connection *c);
/* One step of the handshake; true once it is done and the protocol is chosen. */
bool front_greeting_shake_hands(struct front_connection *c);
/* The first bytes in the clear. True: the protocol is chosen, feed them to the session. False:
 * they are held, to be fed once it is. */
bool front_greeting_first_bytes(struct front_connection *c, struct span bytes);
/* The connection closes. */
void front_greeting_end(struct front_connection *c);

#endif
