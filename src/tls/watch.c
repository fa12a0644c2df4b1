#include "tls/watch.h"

#include "base/memory.h"
#include <routed/error.h>

static int append(void *user, const char *path)
{
    struct tls_watch *w = user;
    if (!path)
        return ROUTED_OK;
    if (w->count == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 8;
        struct tls_watch_item *grown = memory_resize(w->items, capacity * sizeof(*grown));
        if (!grown)
            return ROUTED_ERROR_MEMORY;
        w->items = grown;
        w->capacity = capacity;
    }
    char *copy = memory_copy_text(path);
    if (!copy)
        return ROUTED_ERROR_MEMORY;
    w->items[w->count++] = (struct tls_watch_item){.path = copy, .stamp = file_stamp(path)};
    return ROUTED_OK;
}

static int append_with_content(struct tls_watch *w, const char *path)
{
    int result = append(w, path);
    if (result != ROUTED_OK || !path || !file_is_folder(path))
        return result;
    result = file_each(path, append, w);
    return result == ROUTED_ERROR_MEMORY ? result : ROUTED_OK;
}

static int append_all(struct tls_watch *w, const struct tls_context_options *options)
{
    int result = ROUTED_OK;
    for (size_t i = 0; i < options->certificate_count && result == ROUTED_OK; i++) {
        const struct tls_certificate_files *files = &options->certificates[i];
        result = append(w, files->certificate);
        if (result == ROUTED_OK)
            result = append(w, files->key);
        if (result == ROUTED_OK)
            result = append(w, files->ocsp);
    }
    if (result == ROUTED_OK)
        result = append_with_content(w, options->client_authorities);
    if (result == ROUTED_OK)
        result = append(w, options->client_revocations);
    return result;
}

int tls_watch_init(struct tls_watch *w, const struct tls_context_options *options)
{
    *w = (struct tls_watch){0};
    int result = append_all(w, options);
    if (result != ROUTED_OK)
        tls_watch_release(w);
    return result;
}

void tls_watch_release(struct tls_watch *w)
{
    for (size_t i = 0; i < w->count; i++)
        memory_free(w->items[i].path);
    memory_free(w->items);
    *w = (struct tls_watch){0};
}

bool tls_watch_has_changed(const struct tls_watch *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct file_stamp now = file_stamp(w->items[i].path);
        if (!file_stamp_equals(&now, &w->items[i].stamp))
            return true;
    }
    return false;
}
