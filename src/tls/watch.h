/* tls/watch.h: the files behind a context, and whether they are still the same. */
#ifndef TLS_WATCH_H
#define TLS_WATCH_H

#include "io/file.h"
#include "tls/context.h"

struct tls_watch_item {
    char *path;
    struct file_stamp stamp;
};

struct tls_watch {
    struct tls_watch_item *items;
    size_t count;
    size_t capacity;
};

/* Notes every file that the options name, folders with what is in them. ROUTED_OK or
 * ROUTED_ERROR_MEMORY; missing files are noted as missing. */
int tls_watch_init(struct tls_watch *w, const struct tls_context_options *options);
void tls_watch_release(struct tls_watch *w);
bool tls_watch_has_changed(const struct tls_watch *w);

#endif
