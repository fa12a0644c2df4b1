/* servers/microhttpd.h: the engine without our front: libmicrohttpd carries its exchanges. This is
 * the plain transport that a C programmer has today, and what the ratio gate compares with. */
#ifndef SERVERS_MICROHTTPD_H
#define SERVERS_MICROHTTPD_H

#include <routed/engine.h>
#include <stdint.h>

struct servers_microhttpd;

/* Listens on a free port of `host`, a numeric address, and on another with TLS where a certificate
 * is given (PEM files; both or neither NULL), with one thread for each. NULL: told on standard
 * error. */
struct servers_microhttpd *servers_microhttpd_start(routed_engine *engine, const char *host,
                                                    const char *certificate, const char *key);
uint16_t servers_microhttpd_port(const struct servers_microhttpd *m);
uint16_t servers_microhttpd_secure_port(const struct servers_microhttpd *m); /* 0: none */
void servers_microhttpd_stop(struct servers_microhttpd *m);                  /* NULL is allowed */

#endif
