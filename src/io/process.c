#include "io/process.h"

#include <errno.h>
#include <poll.h>
#include <routed/error.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void take_default_signals(void)
{
    static const int left_to_parent[] = {SIGINT,  SIGTERM, SIGQUIT, SIGHUP,
                                         SIGUSR1, SIGUSR2, SIGPIPE};
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    for (size_t i = 0; i < sizeof(left_to_parent) / sizeof(left_to_parent[0]); i++)
        signal(left_to_parent[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Signals wait while the child still has the host's handlers. */
static int fork_quietly(void)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    int pid = fork();
    if (pid == 0)
        take_default_signals();
    else
        sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static int watch_process(int pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int process_fork(struct process *p)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return ROUTED_ERROR_SYSTEM;
    int pid = fork_quietly();
    if (pid == 0) {
        close(ends[0]);
        *p = (struct process){
            .pid = getpid(), .exited = watch_process(getppid()), .channel = ends[1]};
        return PROCESS_CHILD;
    }
    close(ends[1]);
    int exited = pid > 0 ? watch_process(pid) : -1;
    if (exited < 0) {
        close(ends[0]);
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        return ROUTED_ERROR_SYSTEM;
    }
    *p = (struct process){.pid = pid, .exited = exited, .channel = ends[0]};
    return PROCESS_PARENT;
}

void process_die_with_parent(int32_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        process_end(0);
}

int32_t process_self(void)
{
    return getpid();
}

void process_tell(const struct process *p, char byte)
{
    int saved = errno;
    send(p->channel, &byte, 1, MSG_NOSIGNAL);
    errno = saved;
}

int process_hear(const struct process *p)
{
    unsigned char byte;
    ssize_t count;
    do
        count = recv(p->channel, &byte, 1, 0);
    while (count < 0 && errno == EINTR);
    if (count > 0)
        return byte;
    return count < 0 && errno == EAGAIN ? 0 : -1;
}

/* Room for one descriptor, aligned as the kernel wants it. */
union gift_control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static bool await_room(const struct process *p)
{
    struct pollfd room = {.fd = p->channel, .events = POLLOUT};
    return errno == EINTR || (errno == EAGAIN && (poll(&room, 1, -1) >= 0 || errno == EINTR));
}

int process_give(const struct process *p, char byte, uint8_t number, int fd)
{
    char bytes[2] = {byte, (char)number};
    struct iovec vector = {bytes, sizeof(bytes)};
    union gift_control control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    control.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(fd))};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    while (sendmsg(p->channel, &message, MSG_NOSIGNAL) < 0)
        if (!await_room(p))
            return ROUTED_ERROR_SYSTEM;
    return ROUTED_OK;
}

int process_hear_gift(const struct process *p, struct process_gift *gift)
{
    unsigned char bytes[2] = {0, 0};
    struct iovec vector = {bytes, sizeof(bytes)};
    union gift_control control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t count;
    do
        count = recvmsg(p->channel, &message, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    *gift = (struct process_gift){.fd = -1, .number = bytes[1]};
    if (count > 0 && CMSG_FIRSTHDR(&message) && control.header.cmsg_type == SCM_RIGHTS)
        memcpy(&gift->fd, CMSG_DATA(&control.header), sizeof(gift->fd));
    if (count > 0)
        return bytes[0];
    return count < 0 && errno == EAGAIN ? 0 : -1;
}

int process_await(const struct process *p, int milliseconds)
{
    struct pollfd ready = {.fd = p->channel, .events = POLLIN};
    int count;
    do
        count = poll(&ready, 1, milliseconds);
    while (count < 0 && errno == EINTR);
    return process_hear(p);
}

bool process_collect(struct process *p, int *code)
{
    siginfo_t end = {0};
    int result = waitid(P_PIDFD, (id_t)p->exited, &end, WEXITED | WNOHANG);
    if (result == 0 && end.si_pid == 0)
        return false;
    *code = 0;
    if (result == 0)
        *code = end.si_code == CLD_EXITED ? end.si_status : -end.si_status;
    return true;
}

void process_await_exit(const struct process *p)
{
    struct pollfd ended = {.fd = p->exited, .events = POLLIN};
    while (poll(&ended, 1, -1) < 0 && errno == EINTR)
        ;
}

void process_kill(const struct process *p)
{
    syscall(SYS_pidfd_send_signal, p->exited, SIGKILL, NULL, 0);
}

void process_release(struct process *p)
{
    if (p->exited >= 0)
        close(p->exited);
    close(p->channel);
    *p = (struct process){.pid = 0, .exited = -1, .channel = -1};
}

_Noreturn void process_end(int code)
{
    _exit(code);
}

void *process_shared_new(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void process_shared_detach(void *memory, size_t size)
{
    /* Threads may read it meanwhile: they see the old page or the new one. ThreadSanitizer takes
     * a call of mmap for a write to it, so the system is called directly. */
    syscall(SYS_mmap, memory, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
            -1, 0);
}

void process_shared_free(void *memory, size_t size)
{
    if (memory)
        munmap(memory, size);
}
