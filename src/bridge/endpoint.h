/* bridge/endpoint.h: where the front and its engines meet: listening sockets, one for each
 * engine, and the addresses that lead to them.
 *
 * A Unix socket is bound in a private directory (0700, socket 0600) that is gone again before
 * this returns: the sockets are reached through descriptors, so that nothing is left behind
 * however the process ends (docs/decisions/0006-bridge-endpoint.md). The addresses are good in
 * this process and in those it forks, as long as the endpoint is open there. */
#ifndef BRIDGE_ENDPOINT_H
#define BRIDGE_ENDPOINT_H

#include "base/log.h"
#include "io/bell.h"
#include "io/socket.h"

struct bridge_endpoint;

struct bridge_endpoint_options {
    unsigned count;        /* engines, at least 1 */
    bool is_tcp;           /* loopback TCP instead of Unix sockets */
    const struct log *log; /* may be NULL */
};

/* ROUTED_OK or why there is no endpoint. Where Unix sockets fail, loopback TCP is taken, with a
 * line in the log. */
int bridge_endpoint_open(struct bridge_endpoint **out,
                         const struct bridge_endpoint_options *options);
/* Closes every descriptor and removes what was left to remove. NULL is allowed. */
void bridge_endpoint_close(struct bridge_endpoint *e);

unsigned bridge_endpoint_count(const struct bridge_endpoint *e);
/* The listening descriptor of an engine; stays the endpoint's. */
int bridge_endpoint_listener(const struct bridge_endpoint *e, unsigned engine);
/* The bell that an engine's loop attends to (io/bell.h), in this process or in those that are
 * forked from it; stays the endpoint's. NULL: over TCP there is none. */
struct bell *bridge_endpoint_bell(const struct bridge_endpoint *e, unsigned engine);
/* All of them, for struct bridge_client_options; ringing one that is not there does nothing. */
struct bell *bridge_endpoint_bells(const struct bridge_endpoint *e);
/* Rings all: whoever else was to do it has ended. */
void bridge_endpoint_ring(const struct bridge_endpoint *e);
/* `count` addresses in the order of the listeners, for struct bridge_client_options. */
const struct socket_address *bridge_endpoint_addresses(const struct bridge_endpoint *e);

#endif
