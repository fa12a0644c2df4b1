/* front/protocols.h: the limits of routed/limits.h in the words of each protocol. */
#ifndef FRONT_PROTOCOLS_H
#define FRONT_PROTOCOLS_H

#include "front/worker.h"

/* Sets what the sessions of the worker share: w->http1, https1, http2, https2, http3. */
void front_protocols_init(struct front_worker *w);
/* Before the thread runs: answers over TLS say that HTTP/3 is at `port` (RFC 7838). */
void front_protocols_advertise(struct front_worker *w, uint16_t port);
/* Before answers: they say it only while that is so, where another process serves HTTP/3. */
void front_protocols_follow(struct front_worker *w);

#endif
