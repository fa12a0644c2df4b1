/* load/response.h: bytes of an HTTP/1.1 connection -> responses, for a client that measures.
 *
 * Knows Content-Length, chunked and content that ends with the connection. It is a reader of its
 * own, not the server's rooms turned around: a mistake there is not to be mirrored here. It reads
 * what it needs and judges no more: it is no validator. One owner, one thread. */
#ifndef LOAD_RESPONSE_H
#define LOAD_RESPONSE_H

#include "base/buffer.h"

#define LOAD_RESPONSE_HEAD_MAX 65536

enum load_response_state {
    LOAD_RESPONSE_HEAD,
    LOAD_RESPONSE_COUNTED,
    LOAD_RESPONSE_CHUNK_SIZE,
    LOAD_RESPONSE_CHUNK_DATA,
    LOAD_RESPONSE_CHUNK_END,
    LOAD_RESPONSE_TRAILERS,
    LOAD_RESPONSE_UNTIL_CLOSE
};

struct load_response {
    enum load_response_state state;
    struct buffer partial; /* a head or a line that is not whole yet */
    uint64_t left;         /* of the content or the chunk */
    uint64_t content;      /* bytes of content so far, over all responses */
    uint16_t status;
    bool closes; /* the connection ends after this response */
};

enum load_response_event {
    LOAD_RESPONSE_MORE, /* all input is used up */
    LOAD_RESPONSE_DONE, /* a final response is complete */
    LOAD_RESPONSE_WRONG /* this is not HTTP, or there is no memory */
};

/* The zeroed struct is ready. */
void load_response_release(struct load_response *r);
/* Consumes from the front of `input` up to the end of a response; call again until MORE. 1xx
 * responses are skipped but for 101, after whose head the rest of the input is not HTTP. */
enum load_response_event load_response_feed(struct load_response *r, struct span *input);
/* The connection ended: was that the end of a response? */
bool load_response_end(struct load_response *r);

#endif
