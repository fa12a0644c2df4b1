/* http2/cookies.h: the crumbs of a cookie joined again (RFC 9113 section 8.2.3).
 *
 * A browser sends the same crumbs with every request, each a byte or two by HPACK. The latest
 * join is kept, so that requests with the same crumbs share one copy of the whole: they cost no
 * copying and no memory that grows with their number. */
#ifndef HTTP2_COOKIES_H
#define HTTP2_COOKIES_H

#include "base/span.h"
#include <nghttp2/nghttp2.h>

#define HTTP2_COOKIES_KEPT_MAX 16 /* crumbs; more are joined but not kept */

struct http2_cookie {
    struct http2_cookies *owner;
    size_t users;
    size_t size;
    uint8_t text[];
};

struct http2_cookies {
    nghttp2_rcbuf *crumbs[HTTP2_COOKIES_KEPT_MAX];
    size_t count;
    struct http2_cookie *latest; /* what they were joined to */
    size_t held;                 /* bytes of all cookies that have users */
};

/* The zeroed struct keeps nothing. Lets go of what is kept; users keep theirs. */
void http2_cookies_release(struct http2_cookies *c);

/* The crumbs with "; " between them; the caller is one more user. NULL when there is no memory.
 * `count` is at least 2. */
struct http2_cookie *http2_cookies_join(struct http2_cookies *c, nghttp2_rcbuf *const *crumbs,
                                        size_t count);
/* One user less; NULL is allowed. */
void http2_cookies_give(struct http2_cookie *cookie);

#endif
