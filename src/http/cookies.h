/* http/cookies.h: the crumbs of a cookie joined again (RFC 9113 section 8.2.3, RFC 9114 section
 * 4.2.1).
 *
 * A browser sends the same crumbs with every request, each a byte or two by HPACK or QPACK. The
 * latest join is kept, so that requests with the same crumbs share one copy of the whole: they cost
 * no copying and no memory that grows with their number. */
#ifndef HTTP_COOKIES_H
#define HTTP_COOKIES_H

#include "http/keeper.h"

#define HTTP_COOKIES_KEPT_MAX 16 /* crumbs; more are joined but not kept */

struct http_cookie {
    struct http_cookies *owner;
    size_t users;
    size_t size;
    uint8_t text[];
};

struct http_cookies {
    const struct http_keeper *keeper; /* of the crumbs; set before the first join */
    void *crumbs[HTTP_COOKIES_KEPT_MAX];
    size_t count;
    struct http_cookie *latest; /* what they were joined to */
    size_t held;                /* bytes of all cookies that have users */
};

/* Lets go of what is kept; users keep theirs. But for its keeper the zeroed struct keeps nothing.
 */
void http_cookies_release(struct http_cookies *c);

/* The crumbs with "; " between them; the caller is one more user. NULL when there is no memory.
 * `count` is at least 2. */
struct http_cookie *http_cookies_join(struct http_cookies *c, void *const *crumbs, size_t count);
/* One user less; NULL is allowed. */
void http_cookies_give(struct http_cookie *cookie);

#endif
