/* io/process.h: child processes that are copies of this one, each joined to its parent by a
 * channel of single bytes whose end of input means that the other side is gone. */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process {
    int32_t pid;
    int exited;  /* descriptor, readable once the process has ended; in the child: its parent */
    int channel; /* non-blocking; both sides have one */
};

enum {
    PROCESS_PARENT = 0,
    PROCESS_CHILD = 1
};

/* PROCESS_PARENT, PROCESS_CHILD, or ROUTED_ERROR_SYSTEM. The child ignores the signals with which
 * people and supervisors stop, reload or rotate (INT, TERM, QUIT, HUP, USR1, USR2) and PIPE: they
 * are the parent's, which tells the child through the channel; all others are as they are by
 * default. */
int process_fork(struct process *p);
/* In the child: it dies with its parent, or is dead already. The parent must be single-threaded. */
void process_die_with_parent(int32_t parent);
int32_t process_self(void);

/* Sends one byte. Async-signal-safe. */
void process_tell(const struct process *p, char byte);
/* A byte, 0 when there is none now, -1 at the end of input. */
int process_hear(const struct process *p);
/* The same, waiting at most that many milliseconds. */
int process_await(const struct process *p, int milliseconds);

/* A descriptor that comes along with a byte. */
struct process_gift {
    int fd; /* -1: none came */
    uint8_t number;
};

/* Sends a byte with a number and a copy of a descriptor; waits for room. ROUTED_OK or
 * ROUTED_ERROR_SYSTEM: the other side is gone. */
int process_give(const struct process *p, char byte, uint8_t number, int fd);
/* As process_hear; what came along is the caller's to close. */
int process_hear_gift(const struct process *p, struct process_gift *gift);

/* Collects a process that has ended: true, with its exit code, or the negative signal number; the
 * code is 0 when somebody else collected it. Never takes another process for this one. */
bool process_collect(struct process *p, int *code);
/* Blocks until the process has ended. */
void process_await_exit(const struct process *p);
/* Harmless when it has ended. */
void process_kill(const struct process *p);
/* Closes the descriptors. */
void process_release(struct process *p);
/* Ends this process at once: no exit handlers, which are the host's. */
_Noreturn void process_end(int code);

/* Zeroed memory that children share with this process; NULL when there is none. */
void *process_shared_new(size_t size);
/* Zeroes what this process sees; from now on it shares nothing, whatever children write. Other
 * threads may be reading. */
void process_shared_detach(void *memory, size_t size);
void process_shared_free(void *memory, size_t size);

#endif
