#include "http2/cookies.h"

static struct span span_of_crumb(nghttp2_rcbuf *crumb)
{
    nghttp2_vec bytes = nghttp2_rcbuf_get_buf(crumb);
    return span_of(bytes.base, bytes.len);
}

void http2_cookies_release(struct http2_cookies *c)
{
    for (size_t i = 0; i < c->count; i++)
        nghttp2_rcbuf_decref(c->crumbs[i]);
    c->count = 0;
    slice_release(&c->joined);
}

/* A crumb that came out of the HPACK table is the same object each time; while it is kept here,
 * its address belongs to no other. */
static bool is_kept(const struct http2_cookies *c, nghttp2_rcbuf *const *crumbs, size_t count)
{
    return count == c->count && memcmp(c->crumbs, crumbs, count * sizeof(crumbs[0])) == 0;
}

static struct slice join(nghttp2_rcbuf *const *crumbs, size_t count)
{
    size_t size = 2 * (count - 1);
    for (size_t i = 0; i < count; i++)
        size += span_of_crumb(crumbs[i]).size;
    struct block *block = block_new(size);
    if (!block)
        return SLICE_EMPTY;
    uint8_t *out = block_data(block);
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
    return (struct slice){block, block_data(block), size};
}

static void keep(struct http2_cookies *c, nghttp2_rcbuf *const *crumbs, size_t count,
                 struct slice joined)
{
    http2_cookies_release(c);
    if (count > HTTP2_COOKIES_KEPT_MAX)
        return;
    for (size_t i = 0; i < count; i++) {
        nghttp2_rcbuf_incref(crumbs[i]);
        c->crumbs[i] = crumbs[i];
    }
    c->count = count;
    c->joined = slice_retain(joined);
}

struct slice http2_cookies_join(struct http2_cookies *c, nghttp2_rcbuf *const *crumbs, size_t count,
                                bool *is_shared)
{
    *is_shared = is_kept(c, crumbs, count);
    if (*is_shared)
        return slice_retain(c->joined);
    struct slice joined = join(crumbs, count);
    if (joined.data)
        keep(c, crumbs, count, joined);
    return joined;
}
