/* io/doorbell.h: a descriptor that is readable from ringing until it is silenced: for whoever
 * waits outside our loops. Any thread. */
#ifndef IO_DOORBELL_H
#define IO_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>

/* The descriptor, or ROUTED_ERROR_SYSTEM. */
int doorbell_open(void);
void doorbell_ring(int fd);
void doorbell_silence(int fd);
/* Waits for a ring, at most that many milliseconds; UINT64_MAX: without end. False: none came, or
 * a signal did. */
bool doorbell_wait(int fd, uint64_t milliseconds);
void doorbell_close(int fd);

#endif
