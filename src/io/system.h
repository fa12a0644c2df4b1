/* io/system.h: what the process asks the system for besides sockets: threads, randomness,
 * descriptors, append-only files. */
#ifndef IO_SYSTEM_H
#define IO_SYSTEM_H

#include "base/span.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Starts a joinable thread that takes no signals: those are the host's. `name` has at most 15
 * characters. ROUTED_OK or ROUTED_ERROR_SYSTEM. */
int system_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);

/* A seed from the kernel; never blocks for long. */
uint64_t system_random(void);

/* The user that this process acts as. */
uint32_t system_user(void);

/* Cores that this process may use, at least 1. */
unsigned system_cores(void);

/* How many descriptors this process may have open. */
uint64_t system_descriptors_max(void);

/* A file for log lines: appends, never blocks on pipes, is created with mode 0640. The
 * descriptor, or ROUTED_ERROR_PERMISSION, _FILE or _SYSTEM. */
int system_log_open(const char *path);
/* Bytes written, or -1: not now or not at all. */
ssize_t system_log_write(int fd, struct span bytes);
/* Makes `onto` mean what `fd` means, at once for every thread, and closes `fd`. */
void system_replace(int fd, int onto);
void system_close(int fd);

#endif
