/* engine/handshake.h: the answer to a WebSocket handshake. Own thread. */
#ifndef ENGINE_HANDSHAKE_H
#define ENGINE_HANDSHAKE_H

#include "engine/exchange.h"

/* 400 for ROUTED_ERROR_UPGRADE, else 426. */
int engine_handshake_refuse(routed_exchange *x, int error);
/* The first of the route's that the client offers; "" for none, NULL without memory. Lives as
 * long as the exchange. */
const char *engine_handshake_subprotocol(const routed_exchange *x,
                                         const struct websocket_route *route);
/* Sends 101: the exchange is a tunnel now. Anything but ROUTED_OK: it is not. */
int engine_handshake_answer(routed_exchange *x, const char *subprotocol);

#endif
