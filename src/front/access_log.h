/* front/access_log.h: one JSON line for each request.
 *
 * A file is shared by all workers and written with O_APPEND; each worker gathers its lines and
 * writes them once a loop turn. Nothing here waits: what the file does not take is dropped and
 * counted. */
#ifndef FRONT_ACCESS_LOG_H
#define FRONT_ACCESS_LOG_H

#include "base/buffer.h"
#include "base/metrics.h"
#include "exchange/exchange.h"
#include <stdatomic.h>

#define ACCESS_LOG_LINE_MAX 8192 /* longer targets are cut, and the line says so */

struct access_log {
    char *path;
    atomic_int fd;
    atomic_bool wants_reopen;
    atomic_bool is_torn; /* the file ends inside a line */
};

/* `path` is copied. ROUTED_OK, ROUTED_ERROR_MEMORY, or why the file cannot be opened. */
int access_log_open(struct access_log *log, const char *path);
void access_log_close(struct access_log *log);
/* Opens the path anew before the next line. Async-signal-safe. */
void access_log_reopen(struct access_log *log);

struct access_record {
    const struct exchange *exchange; /* what was parsed of it */
    uint16_t status;                 /* 0: nothing was answered */
    int error;                       /* enum routed_error: how it ended */
    int64_t wall_seconds;
    uint64_t started;   /* microseconds of loop_clock */
    uint64_t responded; /* when the head was queued; 0: never */
    uint64_t ended;
    uint64_t round_trip; /* smoothed, microseconds; 0: not known, and no field */
};

/* Appends the line of a record. A line for which there is no memory is not written: false. */
bool access_log_append(struct buffer *lines, const struct access_record *r);

/* Writes and clears the gathered lines. */
void access_log_flush(struct access_log *log, struct buffer *lines, struct metric_set *metrics);

#endif
