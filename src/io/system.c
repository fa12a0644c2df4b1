#include "io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <routed/error.h>
#include <sched.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

int system_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number != 0)
        return ROUTED_ERROR_SYSTEM;
    pthread_setname_np(*thread, name);
    return ROUTED_OK;
}

uint64_t system_random(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        seed = (uint64_t)t.tv_nsec << 32 ^ (uint64_t)t.tv_sec ^ (uint64_t)getpid() << 16;
    }
    return seed;
}

uint32_t system_user(void)
{
    return (uint32_t)geteuid();
}

unsigned system_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

uint64_t system_descriptors_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    return limit.rlim_cur;
}

int system_log_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
    if (fd >= 0)
        return fd;
    if (errno == EACCES || errno == EPERM || errno == EROFS)
        return ROUTED_ERROR_PERMISSION;
    return errno == EMFILE || errno == ENFILE ? ROUTED_ERROR_SYSTEM : ROUTED_ERROR_FILE;
}

ssize_t system_log_write(int fd, struct span bytes)
{
    ssize_t written;
    do
        written = write(fd, bytes.data, bytes.size);
    while (written < 0 && errno == EINTR);
    return written;
}

void system_replace(int fd, int onto)
{
    dup3(fd, onto, O_CLOEXEC);
    close(fd);
}

void system_close(int fd)
{
    close(fd);
}
