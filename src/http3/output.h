/* http3/output.h: the buffer of an endpoint in which connections write datagrams, one connection
 * after the other, and which leaves in batches of one peer, size and ECN mark (RFC 9000 section
 * 13.4). When the socket takes no more, what is left stays here and nobody writes until it is
 * gone. */
#ifndef HTTP3_OUTPUT_H
#define HTTP3_OUTPUT_H

#include "http3/endpoint.h"
#include <ngtcp2/ngtcp2.h>

/* What one call of the system may carry as one UDP message that is cut (GSO). */
#define HTTP3_BATCH_SIZE      65000
#define HTTP3_BATCH_DATAGRAMS 64

struct http3_output {
    uint8_t *bytes;
    size_t filled;
    size_t datagrams;
    struct http3_batch batch; /* whom `bytes` are for; its span is set when it is sent */
    bool is_blocked;
};

/* ROUTED_OK or ROUTED_ERROR_MEMORY. */
int http3_output_init(struct http3_output *o);
void http3_output_release(struct http3_output *o);

/* Where the next datagram of at most `size` bytes is to be written; NULL: the socket is full. */
uint8_t *http3_output_room(struct http3_endpoint *e, size_t size);
/* It was: so many bytes, for that path. */
void http3_output_add(struct http3_endpoint *e, size_t size, const ngtcp2_path *path, uint8_t ecn);
/* Sends what was added. */
void http3_output_flush(struct http3_endpoint *e);
/* The socket takes datagrams again. */
void http3_output_resume(struct http3_endpoint *e);
/* One datagram at once, or never. Not between room and flush. */
void http3_output_send(struct http3_endpoint *e, const struct http3_address *local,
                       const struct http3_address *remote, struct span datagram);

#endif
