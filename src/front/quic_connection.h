/* front/quic_connection.h: a QUIC connection as one of its worker's clients (front/client.h): who
 * it is, what is waited for and until when, how it is closed to make room. For front/quic.c, which
 * has the endpoint. */
#ifndef FRONT_QUIC_CONNECTION_H
#define FRONT_QUIC_CONNECTION_H

#include "front/quic.h"

/* As in struct http3_endpoint_host: on_connection, on_turn, on_closed. */
int front_quic_connection_open(struct front_quic *q, struct front_worker *w,
                               struct http3_connection *connection, struct session_host *out);
void front_quic_connection_note(void *host, void *connection);
void front_quic_connection_close(void *host, void *connection);

#endif
