/* http1/chunked.h: the chunked transfer coding of request content (RFC 9112 section 7.1).
 *
 *   chunk-size [ extensions ] CRLF   1 to 16 hexadecimal digits, at most 2^63 - 1
 *   chunk-data CRLF
 *   "0" CRLF trailers CRLF
 *
 * Extensions are checked against the grammar and dropped; blanks are accepted in quoted strings
 * only. Trailers obey the rules of field lines; those that mean framing, routing or identity are
 * dropped. */
#ifndef HTTP1_CHUNKED_H
#define HTTP1_CHUNKED_H

#include "http1/fields.h"
#include "http1/line.h"

enum http1_chunked_state {
    HTTP1_CHUNKED_SIZE,
    HTTP1_CHUNKED_DATA,
    HTTP1_CHUNKED_DATA_CR, /* the CRLF after chunk data */
    HTTP1_CHUNKED_DATA_LF,
    HTTP1_CHUNKED_TRAILERS,
    HTTP1_CHUNKED_END
};

struct http1_chunked {
    enum http1_chunked_state state;
    uint64_t left;       /* of the current chunk's data */
    uint64_t content;    /* data of all chunk sizes seen */
    uint64_t overhead;   /* bytes that were not data */
    uint64_t extensions; /* bytes of all extensions */
    struct http1_allowance allowance;
    struct field_list trailers; /* in the arena of the request */
};

/* `allowance`: what the head left of the field limits. */
void http1_chunked_init(struct http1_chunked *c, struct http1_allowance allowance);

/* Takes framing off the front of `bytes` until data, the end, or the end of the input. ROUTED_OK,
 * or the error that makes the request bad; c->state tells what comes next. Bytes that follow the
 * end stay in `bytes`. */
int http1_chunked_feed(struct http1_chunked *c, struct http1_line *line,
                       const struct http1_limits *limits, struct arena *arena, struct span *bytes);

/* In state DATA: how much of `bytes` is data of this chunk. */
static inline size_t http1_chunked_available(const struct http1_chunked *c, struct span bytes)
{
    return bytes.size < c->left ? bytes.size : (size_t)c->left;
}

/* `size` bytes of data, at most what is available, were taken off the input. */
void http1_chunked_taken(struct http1_chunked *c, size_t size);

#endif
