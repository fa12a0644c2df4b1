/* websocket/handshake.h: the opening handshake, RFC 6455 section 4.2. The fields of the
 * connection are already judged by the protocol machine, which sets request.upgrade, and which
 * presents the CONNECT of RFC 8441 as the same GET; here the rest. Pure; any thread. */
#ifndef WEBSOCKET_HANDSHAKE_H
#define WEBSOCKET_HANDSHAKE_H

#include "http/message.h"

/* ROUTED_OK; ROUTED_ERROR_UNSUPPORTED for another version: answer 426 with
 * "sec-websocket-version: 13"; ROUTED_ERROR_UPGRADE for anything else that breaks section 4.2.1:
 * answer 400. Origin is the application's business. */
int websocket_handshake_check(const struct http_request *r);

/* The value of sec-websocket-accept, no NUL. `key` is the trimmed value of sec-websocket-key. */
#define WEBSOCKET_ACCEPT_SIZE 28
void websocket_handshake_accept(char out[WEBSOCKET_ACCEPT_SIZE], struct span key);

/* Did the client offer this subprotocol? Over all sec-websocket-protocol fields; case matters. */
bool websocket_handshake_offers(const struct http_request *r, struct span protocol);

#endif
