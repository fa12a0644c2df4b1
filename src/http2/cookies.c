#include "http2/cookies.h"

#include "base/memory.h"

static struct span span_of_crumb(nghttp2_rcbuf *crumb)
{
    nghttp2_vec bytes = nghttp2_rcbuf_get_buf(crumb);
    return span_of(bytes.base, bytes.len);
}

void http2_cookies_give(struct http2_cookie *cookie)
{
    if (!cookie || --cookie->users)
        return;
    cookie->owner->held -= sizeof(*cookie) + cookie->size;
    memory_free(cookie);
}

void http2_cookies_release(struct http2_cookies *c)
{
    for (size_t i = 0; i < c->count; i++)
        nghttp2_rcbuf_decref(c->crumbs[i]);
    c->count = 0;
    http2_cookies_give(c->latest);
    c->latest = NULL;
}

/* A crumb that came out of the HPACK table is the same object each time; while it is kept here,
 * its address belongs to no other. */
static bool is_kept(const struct http2_cookies *c, nghttp2_rcbuf *const *crumbs, size_t count)
{
    return count == c->count && memcmp(c->crumbs, crumbs, count * sizeof(crumbs[0])) == 0;
}

static struct http2_cookie *join(struct http2_cookies *c, nghttp2_rcbuf *const *crumbs,
                                 size_t count)
{
    size_t size = 2 * (count - 1);
    for (size_t i = 0; i < count; i++)
        size += span_of_crumb(crumbs[i]).size;
    struct http2_cookie *cookie = memory_new(sizeof(*cookie) + size);
    if (!cookie)
        return NULL;
    *cookie = (struct http2_cookie){.owner = c, .users = 1, .size = size};
    c->held += sizeof(*cookie) + size;
    uint8_t *out = cookie->text;
    for (size_t i = 0; i < count; i++) {
        struct span crumb = span_of_crumb(crumbs[i]);
        if (i > 0) {
            *out++ = ';';
            *out++ = ' ';
        }
        if (crumb.size)
            memcpy(out, crumb.data, crumb.size);
        out += crumb.size;
    }
    return cookie;
}

static void keep(struct http2_cookies *c, nghttp2_rcbuf *const *crumbs, size_t count,
                 struct http2_cookie *cookie)
{
    http2_cookies_release(c);
    if (count > HTTP2_COOKIES_KEPT_MAX)
        return;
    for (size_t i = 0; i < count; i++) {
        nghttp2_rcbuf_incref(crumbs[i]);
        c->crumbs[i] = crumbs[i];
    }
    c->count = count;
    c->latest = cookie;
    cookie->users++;
}

struct http2_cookie *http2_cookies_join(struct http2_cookies *c, nghttp2_rcbuf *const *crumbs,
                                        size_t count)
{
    if (is_kept(c, crumbs, count)) {
        c->latest->users++;
        return c->latest;
    }
    struct http2_cookie *cookie = join(c, crumbs, count);
    if (cookie)
        keep(c, crumbs, count, cookie);
    return cookie;
}
