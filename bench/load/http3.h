/* load/http3.h: requests on HTTP/3 streams, as their transport sees them. nghttp3 is the machine.
 */
#ifndef LOAD_HTTP3_H
#define LOAD_HTTP3_H

#include "load/client.h"
#include <nghttp3/nghttp3.h>

struct load_http3_slot;

struct load_http3 {
    nghttp3_conn *conn;
    struct load_http3_slot *slots;
    struct load_http3_slot *free;
};

/* Before the handshake: what the peer says comes together with its end. NULL: no memory. */
struct load_http3 *load_http3_new(struct load_client *c);

#endif
