/* http2/head.h: from decoded field lines to a request (RFC 9113 section 8.3, RFC 9110).
 *
 * While a field block is decoded its lines are only held: as references into what HPACK decoded,
 * without copies. When it is complete they are read in one pass by the rules that HTTP/1 follows
 * here: one grammar, nothing repaired. nghttp2 has refused most malformed fields before; they are
 * checked all the same, for what must not reach an application is decided in this house.
 *
 * What is left of the fields: host, stated once and first, whether it came as :authority or as
 * host; cookie crumbs as one field; content-length; no te, trailer, expect, and no field that
 * claims an identity (http/field.h). */
#ifndef HTTP2_HEAD_H
#define HTTP2_HEAD_H

#include "http/message.h"
#include "http2/cookies.h"
#include "http2/limits.h"

struct http2_head_line {
    nghttp2_rcbuf *name;
    nghttp2_rcbuf *value;
};

struct http2_head {
    struct http2_head_line *lines; /* of the head, then of the trailers */
    size_t count;
    size_t capacity;
    size_t trailers_from;        /* index of their first line, once the head is read */
    size_t seen;                 /* lines that came, held or not; pseudo-fields are not counted */
    size_t bytes;                /* as limits.fields_bytes_max counts them */
    size_t memory;               /* bytes of the list of fields */
    struct http2_cookie *cookie; /* joined crumbs, or NULL */
    int error;                   /* of the first line that was refused; none is held after it */
    bool has_priority;           /* RFC 9218: the client sent the field */
};

/* Gives the lines back; the zeroed struct is an empty head. */
void http2_head_release(struct http2_head *h);
/* The same, and keeps a little memory for the next request. */
void http2_head_reset(struct http2_head *h);

/* Holds one more line. ROUTED_ERROR_HTTP2_FIELDS beyond limits.fields_count_hard; whatever else is
 * wrong is noted in h->error. */
int http2_head_add(struct http2_head *h, const struct http2_limits *limits, nghttp2_rcbuf *name,
                   nghttp2_rcbuf *value);

/* Fills in the request once the field block is complete; its spans live as long as the lines and
 * the arena. `ends` says that no content follows. Request.scheme is set already. An error with
 * status 400 means that the request is malformed. */
int http2_head_read(struct http2_head *h, const struct http2_limits *limits,
                    struct http2_cookies *cookies, struct http_request *request,
                    struct arena *arena, bool ends);

/* The lines that came after the head; what must not be a trailer is left out. */
int http2_head_read_trailers(struct http2_head *h, struct arena *arena, struct field_list *out);

/* Bytes of memory that the lines and what was made of them take, beyond those that every request
 * has anyway: a few lines, and the first chunk of its arena. */
size_t http2_head_memory(const struct http2_head *h);

#endif
