/* engine/socket.h: WebSockets: an exchange that became a tunnel, and messages in it. Own thread,
 * but for the public functions. */
#ifndef ENGINE_SOCKET_H
#define ENGINE_SOCKET_H

#include "engine/exchange.h"

/* Stands in for the handler: does the handshake, or refuses it. */
int engine_socket_open(routed_exchange *x);
/* Takes the bytes. */
void engine_socket_receive(routed_websocket *ws, struct slice bytes);
void engine_socket_receive_end(routed_websocket *ws);
void engine_socket_writable(routed_websocket *ws);
/* The close frame, once the right to send it was claimed. */
int engine_socket_send_close(routed_websocket *ws, uint16_t code, struct span reason);
/* The server stops: 1001, unless it is closing already. */
void engine_socket_shut(routed_websocket *ws);
void engine_socket_close(routed_websocket *ws); /* the exchange is over */
void engine_socket_free(routed_websocket *ws);  /* the last reference is gone */

#endif
