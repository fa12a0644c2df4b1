/* base/log.h: lines for the operator.
 *
 * The library prints nothing itself: a server has one log, which hands each line to the host's
 * function, or drops it where there is none. The function may be called from any thread of the
 * server, one line a call, without a newline. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_DEBUG = 0,
    LOG_INFO = 1,
    LOG_WARNING = 2,
    LOG_ERROR = 3
};

typedef void log_function(void *user, int level, const char *line);

struct log {
    log_function *function; /* NULL: silence */
    void *user;
    enum log_level least; /* lines below are not even formatted */
};

/* Control bytes become "?" and lines are cut at 1 KiB. A NULL log is silent. */
void log_write(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((cold, format(printf, 3, 4)));

#endif
