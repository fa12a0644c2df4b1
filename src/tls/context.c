#include "tls/context.h"

#include "base/arena.h"
#include "base/memory.h"
#include "tls/snapshot.h"
#include "tls/watch.h"
#include <routed/error.h>

struct tls_context {
    atomic_uint references;
    struct arena arena; /* of the options */
    struct tls_context_options options;
    const struct log *log;
    pthread_mutex_t lock; /* of snapshot and rotate_at */
    struct tls_snapshot *snapshot;
    milliseconds rotate_at; /* 0: not known yet */
    pthread_mutex_t watch_lock;
    struct tls_watch watch;
};

/* ---- options ---- */

static bool copy_text(struct arena *a, const char *text, const char **copy)
{
    *copy = text ? arena_text(a, span_from(text)) : NULL;
    return !text || *copy;
}

static bool copy_certificates(struct tls_context *c, const struct tls_context_options *o)
{
    struct tls_certificate_files *copy = arena_new(&c->arena, o->certificate_count * sizeof(*copy));
    if (!copy)
        return false;
    for (size_t i = 0; i < o->certificate_count; i++)
        if (!copy_text(&c->arena, o->certificates[i].certificate, &copy[i].certificate) ||
            !copy_text(&c->arena, o->certificates[i].key, &copy[i].key) ||
            !copy_text(&c->arena, o->certificates[i].password, &copy[i].password) ||
            !copy_text(&c->arena, o->certificates[i].ocsp, &copy[i].ocsp))
            return false;
    c->options.certificates = copy;
    return true;
}

static bool copy_alpn(struct tls_context *c, const struct tls_context_options *o)
{
    const char **copy = arena_new(&c->arena, TLS_ALPN_MAX * sizeof(*copy));
    if (!copy)
        return false;
    for (size_t i = 0; i < o->alpn_count; i++)
        if (!copy_text(&c->arena, o->alpn[i], &copy[i]))
            return false;
    c->options.alpn = copy;
    return true;
}

static bool copy_options(struct tls_context *c, const struct tls_context_options *o)
{
    c->options = *o;
    return copy_certificates(c, o) && copy_alpn(c, o) &&
           copy_text(&c->arena, o->client_authorities, &c->options.client_authorities) &&
           copy_text(&c->arena, o->client_revocations, &c->options.client_revocations) &&
           copy_text(&c->arena, o->priorities, &c->options.priorities);
}

static int check_alpn(const struct tls_context_options *o, struct failure *why)
{
    if (o->alpn_count > TLS_ALPN_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "more than %d ALPN protocols", TLS_ALPN_MAX);
    for (size_t i = 0; i < o->alpn_count; i++)
        if (!o->alpn[i] || !o->alpn[i][0] || strlen(o->alpn[i]) > 255)
            return failure_set(why, ROUTED_ERROR_ARGUMENT, "an ALPN protocol has 1 to 255 bytes");
    return ROUTED_OK;
}

static int check_options(const struct tls_context_options *o, struct failure *why)
{
    if (o->certificate_count == 0)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "TLS needs a certificate");
    if (o->certificate_count > TLS_CERTIFICATES_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "more than %d certificates",
                           TLS_CERTIFICATES_MAX);
    for (size_t i = 0; i < o->certificate_count; i++)
        if (!o->certificates[i].certificate)
            return failure_set(why, ROUTED_ERROR_ARGUMENT, "a certificate without a file");
    if (o->client_certificate < TLS_CLIENT_CERTIFICATE_OFF ||
        o->client_certificate > TLS_CLIENT_CERTIFICATE_REQUIRE)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "client certificates: no such mode");
    if (o->client_certificate != TLS_CLIENT_CERTIFICATE_OFF && !o->client_authorities)
        return failure_set(why, ROUTED_ERROR_ARGUMENT,
                           "client certificates need a file or folder of authorities");
    return check_alpn(o, why);
}

/* ---- loading ---- */

/* The files are noted before they are read: what changes meanwhile is seen later. */
static int watch_files(struct tls_context *c, struct failure *why)
{
    struct tls_watch watch;
    if (tls_watch_init(&watch, &c->options) != ROUTED_OK)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    pthread_mutex_lock(&c->watch_lock);
    struct tls_watch before = c->watch;
    c->watch = watch;
    pthread_mutex_unlock(&c->watch_lock);
    tls_watch_release(&before);
    return ROUTED_OK;
}

int tls_context_reload(struct tls_context *c, struct failure *why)
{
    struct tls_snapshot *loaded;
    int result = watch_files(c, why);
    if (result == ROUTED_OK)
        result = tls_snapshot_new(&loaded, &c->options, c->log, why);
    if (result != ROUTED_OK)
        return result;
    pthread_mutex_lock(&c->lock);
    struct tls_snapshot *before = c->snapshot;
    c->snapshot = loaded;
    c->rotate_at = 0;
    pthread_mutex_unlock(&c->lock);
    tls_snapshot_release(before);
    return ROUTED_OK;
}

bool tls_context_files_changed(struct tls_context *c)
{
    pthread_mutex_lock(&c->watch_lock);
    bool has_changed = tls_watch_has_changed(&c->watch);
    pthread_mutex_unlock(&c->watch_lock);
    return has_changed;
}

struct tls_snapshot *tls_context_snapshot(struct tls_context *c)
{
    pthread_mutex_lock(&c->lock);
    struct tls_snapshot *s = c->snapshot;
    tls_snapshot_retain(s);
    pthread_mutex_unlock(&c->lock);
    return s;
}

const struct tls_context_options *tls_context_rules(const struct tls_context *c)
{
    return &c->options;
}

/* ---- ticket keys ---- */

int tls_context_rotate_tickets(struct tls_context *c)
{
    struct tls_snapshot *s = tls_context_snapshot(c);
    int result = tls_snapshot_rotate_tickets(s);
    tls_snapshot_release(s);
    return result;
}

void tls_context_tick(struct tls_context *c, milliseconds now)
{
    pthread_mutex_lock(&c->lock);
    bool is_due = c->rotate_at && now >= c->rotate_at;
    if (is_due || c->rotate_at == 0)
        c->rotate_at = clock_after(now, TLS_TICKET_KEY_LIFETIME);
    pthread_mutex_unlock(&c->lock);
    if (is_due && tls_context_rotate_tickets(c) != ROUTED_OK)
        log_write(c->log, LOG_ERROR, "tls: ticket keys could not be replaced");
}

/* ---- life ---- */

static int start(struct tls_context *c, const struct tls_context_options *options,
                 struct failure *why)
{
    if (!copy_options(c, options))
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    return tls_context_reload(c, why);
}

int tls_context_new(struct tls_context **out, const struct tls_context_options *options,
                    const struct log *log, struct failure *why)
{
    *out = NULL;
    int result = check_options(options, why);
    if (result != ROUTED_OK)
        return result;
    struct tls_context *c = memory_new_zeroed(sizeof(*c));
    if (!c)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    atomic_init(&c->references, 1);
    c->log = log;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->watch_lock, NULL);
    result = start(c, options, why);
    if (result == ROUTED_OK)
        *out = c;
    else
        tls_context_release(c);
    return result;
}

void tls_context_retain(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
}

void tls_context_release(struct tls_context *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) != 1)
        return;
    tls_snapshot_release(c->snapshot);
    tls_watch_release(&c->watch);
    arena_release(&c->arena);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->watch_lock);
    memory_free(c);
}
