/* http2/cookies.h: the crumbs of a cookie joined again (RFC 9113 section 8.2.3).
 *
 * A browser sends the same crumbs with every request, each a byte or two by HPACK. The latest
 * join is kept, so that requests with the same crumbs share one copy of the whole: they cost no
 * copying and no memory that grows with their number. */
#ifndef HTTP2_COOKIES_H
#define HTTP2_COOKIES_H

#include "base/slice.h"
#include <nghttp2/nghttp2.h>

#define HTTP2_COOKIES_KEPT_MAX 16 /* crumbs; more are joined but not kept */

struct http2_cookies {
    nghttp2_rcbuf *crumbs[HTTP2_COOKIES_KEPT_MAX];
    size_t count;
    struct slice joined;
};

/* The zeroed struct keeps nothing. */
void http2_cookies_release(struct http2_cookies *c);

/* The crumbs with "; " between them, as a slice that the caller holds; .data is NULL when there
 * was no memory. *is_shared says whether it cost nothing. `count` is at least 2. */
struct slice http2_cookies_join(struct http2_cookies *c, nghttp2_rcbuf *const *crumbs, size_t count,
                                bool *is_shared);

#endif
