/* front/request.h: what the front does with every request: who asks, under which id, is there
 * room for it, and what is written down when it is over. The session's host callbacks. */
#ifndef FRONT_REQUEST_H
#define FRONT_REQUEST_H

#include "exchange/session.h"

/* `host` is the struct front_client. */
void front_request_begin(void *host, struct exchange *x);
void front_request_end(void *host, struct exchange *x, int error);
void front_request_refused(void *host, const struct exchange *x, int error, uint16_t status);
void front_request_limited(void *host, size_t limit);

#endif
