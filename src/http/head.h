/* http/head.h: from decoded field lines to a request, as HTTP/2 and HTTP/3 have them (RFC 9113
 * section 8.3, RFC 9114 section 4.3, RFC 9110).
 *
 * While a field block is decoded its lines are only held: as references to what the decoder gave,
 * without copies. When it is complete they are read in one pass by the rules that HTTP/1 follows
 * here: one grammar, nothing repaired. The decoder may have refused malformed fields before; they
 * are checked all the same, for what must not reach an application is decided in this house.
 *
 * What is left of the fields: host, stated once and first, whether it came as :authority or as
 * host; cookie crumbs as one field; content-length; no te, trailer, expect, and no field that
 * claims an identity (http/field.h). */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/cookies.h"
#include "http/keeper.h"
#include "http/message.h"

#define HTTP_METHOD_MAX     32 /* bytes; longer methods are malformed */
#define HTTP_FIELD_OVERHEAD 32 /* what a field costs beyond its name and value (RFC 9113 6.5.2) */

/* Of one request; trailers and each crumb of a split cookie count too. What is exactly on a limit
 * is accepted. */
struct http_head_limits {
    size_t target_max;        /* bytes of :path: 414 */
    size_t field_max;         /* bytes of name and value of one field: 431 */
    size_t fields_count_max;  /* without pseudo-fields: 431 */
    size_t fields_count_hard; /* beyond it http_head_add says so: the end of the connection */
    size_t fields_bytes_max;  /* name + value + HTTP_FIELD_OVERHEAD, pseudo-fields too: 431 */
    int64_t content_max;      /* bytes: 413, when declared or when it is passed */
};

#define HTTP_HEAD_LIMITS_DEFAULT                                                                   \
    ((struct http_head_limits){.target_max = 8192,                                                 \
                               .field_max = 8192,                                                  \
                               .fields_count_max = 100,                                            \
                               .fields_count_hard = 1000,                                          \
                               .fields_bytes_max = 32768,                                          \
                               .content_max = INT64_MAX})

/* What the heads of one connection share. */
struct http_heads {
    const struct http_head_limits *limits;
    struct http_cookies cookies; /* whose keeper is that of all lines */
    size_t memory; /* bytes that the lines of all heads and what was made of them take, beyond those
                    * that every request has anyway: a few lines, the first chunk of its arena */
};

/* Bytes of memory that requests make the connection hold. */
static inline size_t http_heads_memory(const struct http_heads *all)
{
    return all->memory + all->cookies.held;
}

struct http_head_line {
    void *name;
    void *value;
};

struct http_head {
    struct http_heads *all;       /* set before the first line is added */
    struct http_head_line *lines; /* of the head, then of the trailers */
    size_t count;
    size_t capacity;
    size_t trailers_from;       /* index of their first line, once the head is read */
    size_t seen;                /* lines that came, held or not; pseudo-fields are not counted */
    size_t bytes;               /* as limits.fields_bytes_max counts them */
    size_t memory;              /* bytes of the list of fields */
    struct http_cookie *cookie; /* joined crumbs, or NULL */
    int error;                  /* of the first line that was refused; none is held after it */
    bool has_priority;          /* RFC 9218: the client sent the field */
};

/* Gives the lines back; but for `all` the zeroed struct is an empty head. */
void http_head_release(struct http_head *h);
/* The same, and keeps a little memory for the next request. */
void http_head_reset(struct http_head *h);

/* Holds one more line. ROUTED_ERROR_HTTP2_FIELDS beyond limits.fields_count_hard; whatever else is
 * wrong is noted in h->error. */
int http_head_add(struct http_head *h, void *name, void *value);

/* Fills in the request once the field block is complete; its spans live as long as the lines and
 * the arena. `ends` says that no content follows. The scheme and protocol of `request` are set
 * already. An error with status 400 means that the request is malformed. */
int http_head_read(struct http_head *h, struct http_request *request, struct arena *arena,
                   bool ends);

/* The lines that came after the head; what must not be a trailer is left out. */
int http_head_read_trailers(struct http_head *h, struct arena *arena, struct field_list *out);

#endif
