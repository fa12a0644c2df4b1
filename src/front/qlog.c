#include "front/qlog.h"

#include "base/memory.h"
#include "front/worker.h"
#include "io/file.h"
#include "io/system.h"
#include <stdio.h>

#define ID_MAX 20 /* RFC 9000 section 17.2 */

struct qlog_file {
    struct front_worker *worker;
    int fd;
    uint64_t size;
    bool is_full;
};

/* ---- the folder ---- */

int front_qlog_open(struct front_qlog *q, const char *folder, const struct log *log,
                    struct failure *why)
{
    if (!folder)
        return ROUTED_OK;
    int error = file_make_folder(folder);
    if (error)
        return failure_set(why, error, "qlog %s: %s", folder, routed_error_text(error));
    q->folder = memory_copy_text(folder);
    if (!q->folder)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    log_write(
        log, LOG_WARNING,
        "qlog: the events of every QUIC connection are written to %s, which makes HTTP/3 slow",
        folder);
    return ROUTED_OK;
}

void front_qlog_close(struct front_qlog *q)
{
    memory_free(q->folder);
    q->folder = NULL;
}

/* Once, not for every connection of a day. */
static void complain(struct front_worker *w, const char *what)
{
    struct front_qlog *q = &w->shared->qlog;
    if (!atomic_exchange(&q->has_complained, true))
        log_write(&w->shared->log, LOG_WARNING, "qlog %s: %s; this is said once", q->folder, what);
}

/* ---- a file ---- */

static int create(const char *folder, struct span id)
{
    static const char digits[] = "0123456789abcdef";
    char name[2 * ID_MAX + 1], path[4096];
    size_t at = 0;
    for (size_t i = 0; i < id.size && at + 2 < sizeof(name); i++) {
        name[at++] = digits[id.data[i] >> 4];
        name[at++] = digits[id.data[i] & 15];
    }
    name[at] = '\0';
    int size = snprintf(path, sizeof(path), "%s/%s.sqlog", folder, name);
    return size < (int)sizeof(path) ? file_create(path) : ROUTED_ERROR_FILE;
}

static bool take_place(struct front_worker *w)
{
    struct front_qlog *q = &w->shared->qlog;
    if (atomic_fetch_add(&q->files, 1) < w->shared->limits.qlog_files)
        return true;
    atomic_fetch_sub(&q->files, 1);
    front_metrics_hit(&w->metrics, offsetof(routed_limits, qlog_files));
    complain(w, "no more files: limits.qlog_files is reached");
    return false;
}

static void *open_file(void *user, struct span id)
{
    struct front_worker *w = user;
    struct qlog_file *f = take_place(w) ? memory_new_zeroed(sizeof(*f)) : NULL;
    if (!f)
        return NULL;
    f->worker = w;
    f->fd = create(w->shared->qlog.folder, id);
    if (f->fd >= 0)
        return f;
    complain(w, "a file cannot be created");
    memory_free(f);
    return NULL;
}

static void write_record(void *log, struct span record)
{
    struct qlog_file *f = log;
    struct front_worker *w = f->worker;
    if (f->is_full)
        return;
    f->is_full = record.size > w->shared->limits.qlog_bytes - f->size;
    if (f->is_full) {
        front_metrics_hit(&w->metrics, offsetof(routed_limits, qlog_bytes));
    } else if (file_append(f->fd, record) != ROUTED_OK) {
        f->is_full = true;
        complain(w, "a file cannot be written");
    } else {
        f->size += record.size;
    }
}

static void close_file(void *log)
{
    struct qlog_file *f = log;
    system_close(f->fd);
    memory_free(f);
}

struct http3_qlog front_qlog_of(struct front_worker *w)
{
    return (struct http3_qlog){.open = w->shared->qlog.folder ? open_file : NULL,
                               .write = write_record,
                               .close = close_file,
                               .user = w};
}
