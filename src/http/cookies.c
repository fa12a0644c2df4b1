#include "http/cookies.h"

#include "base/memory.h"

void http_cookies_give(struct http_cookie *cookie)
{
    if (!cookie || --cookie->users)
        return;
    cookie->owner->held -= sizeof(*cookie) + cookie->size;
    memory_free(cookie);
}

void http_cookies_release(struct http_cookies *c)
{
    for (size_t i = 0; i < c->count; i++)
        c->keeper->release(c->crumbs[i]);
    c->count = 0;
    http_cookies_give(c->latest);
    c->latest = NULL;
}

/* A crumb that came out of the dynamic table is the same object each time; while it is kept here,
 * its address belongs to no other. */
static bool is_kept(const struct http_cookies *c, void *const *crumbs, size_t count)
{
    return count == c->count && memcmp(c->crumbs, crumbs, count * sizeof(crumbs[0])) == 0;
}

static struct http_cookie *join(struct http_cookies *c, void *const *crumbs, size_t count)
{
    size_t size = 2 * (count - 1);
    for (size_t i = 0; i < count; i++)
        size += c->keeper->text(crumbs[i]).size;
    struct http_cookie *cookie = memory_new(sizeof(*cookie) + size);
    if (!cookie)
        return NULL;
    *cookie = (struct http_cookie){.owner = c, .users = 1, .size = size};
    c->held += sizeof(*cookie) + size;
    uint8_t *out = cookie->text;
    for (size_t i = 0; i < count; i++) {
        struct span crumb = c->keeper->text(crumbs[i]);
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

static void keep(struct http_cookies *c, void *const *crumbs, size_t count,
                 struct http_cookie *cookie)
{
    http_cookies_release(c);
    if (count > HTTP_COOKIES_KEPT_MAX)
        return;
    for (size_t i = 0; i < count; i++) {
        c->keeper->retain(crumbs[i]);
        c->crumbs[i] = crumbs[i];
    }
    c->count = count;
    c->latest = cookie;
    cookie->users++;
}

struct http_cookie *http_cookies_join(struct http_cookies *c, void *const *crumbs, size_t count)
{
    if (is_kept(c, crumbs, count)) {
        c->latest->users++;
        return c->latest;
    }
    struct http_cookie *cookie = join(c, crumbs, count);
    if (cookie)
        keep(c, crumbs, count, cookie);
    return cookie;
}
