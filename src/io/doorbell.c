#include "io/doorbell.h"

#include <limits.h>
#include <poll.h>
#include <routed/error.h>
#include <sys/eventfd.h>
#include <unistd.h>

int doorbell_open(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd >= 0 ? fd : ROUTED_ERROR_SYSTEM;
}

void doorbell_ring(int fd)
{
    uint64_t one = 1;
    /* Fails only when the counter is full, and then it has been rung. */
    ssize_t ignored = write(fd, &one, sizeof(one));
    (void)ignored;
}

void doorbell_silence(int fd)
{
    uint64_t rings;
    ssize_t ignored = read(fd, &rings, sizeof(rings));
    (void)ignored;
}

bool doorbell_wait(int fd, uint64_t milliseconds)
{
    struct pollfd rung = {.fd = fd, .events = POLLIN};
    int timeout = milliseconds > INT_MAX ? -1 : (int)milliseconds;
    return poll(&rung, 1, timeout) > 0;
}

void doorbell_close(int fd)
{
    close(fd);
}
