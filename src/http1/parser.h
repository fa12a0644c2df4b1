/* http1/parser.h: the request head (RFC 9112 sections 2, 3 and 5, RFC 9110 sections 7 and 10.1).
 *
 * One grammar without leniency: what is not exactly right is refused, nothing is repaired. The
 * request is filled in while lines arrive, so that a refused head can still be logged. What is
 * bound to the connection becomes flags here and does not stay in the fields: connection, the
 * fields that it names, keep-alive, proxy-connection, te, trailer, transfer-encoding, upgrade,
 * expect, and every field that claims an identity (http/field.h). content-length is restated. */
#ifndef HTTP1_PARSER_H
#define HTTP1_PARSER_H

#include "base/arena.h"
#include "http/message.h"
#include "http/target.h"
#include "http1/fields.h"
#include "http1/limits.h"
#include "http1/line.h"

enum http1_parser_phase {
    HTTP1_PARSER_START,        /* one empty line may come first (RFC 9112 section 2.2) */
    HTTP1_PARSER_REQUEST_LINE, /* it came */
    HTTP1_PARSER_FIELDS,
    HTTP1_PARSER_DONE
};

/* How Transfer-Encoding was used; all but NONE and CHUNKED is refused at the end of the head. */
enum http1_transfer {
    HTTP1_TRANSFER_NONE,
    HTTP1_TRANSFER_CHUNKED,
    HTTP1_TRANSFER_UNKNOWN, /* one coding that is not "chunked": 501 */
    HTTP1_TRANSFER_BAD      /* anything else: 400 */
};

struct http1_parser {
    enum http1_parser_phase phase;
    enum http1_transfer transfer;
    struct http1_allowance allowance; /* what is left goes to the trailers */
    struct http_target target;
    struct span host;
    struct field_list connection_options; /* names but close, keep-alive and upgrade */
    uint16_t hosts;
    uint16_t lengths;
    uint16_t expectations;
    uint16_t options;
    bool expects_continue;
    bool wants_close;
    bool wants_keep_alive;
    bool wants_upgrade;
    bool offers_websocket;
    bool is_persistent; /* once DONE: RFC 9112 section 9.3 */
    bool is_foreign;    /* three words without a slash: a request line of no version of HTTP */
};

/* For a new head. */
void http1_parser_init(struct http1_parser *p, const struct http1_limits *limits);

/* Takes bytes off the front of `bytes` until they or the head end. ROUTED_OK, or the error that
 * refuses the request. `request` lives in `arena`; nothing points into the input afterwards. */
int http1_parser_feed(struct http1_parser *p, struct http1_line *line,
                      const struct http1_limits *limits, struct http_request *request,
                      struct arena *arena, struct span *bytes);

/* The content is chunked. */
static inline bool http1_parser_is_chunked(const struct http1_parser *p)
{
    return p->transfer == HTTP1_TRANSFER_CHUNKED;
}

#endif
