/* serve/quic_process.h: the life of the process that serves HTTP/3 and nothing else, a front of its
 * own before the same engines (docs/decisions/0011-http3-process.md). */
#ifndef SERVE_QUIC_PROCESS_H
#define SERVE_QUIC_PROCESS_H

#include "base/clock.h"
#include "io/process.h"
#include "serve/processes.h"

/* What the front's process, the supervisor and the process of HTTP/3 share. The secret is the same
 * in each process that follows another: clients of a dead one get stateless resets, and their
 * address-validation tokens stay valid. */
struct serve_quic {
    uint8_t secret[FRONT_QUIC_SECRET_SIZE];
    atomic_uint_fast64_t drain_timeout; /* milliseconds, set before SUPERVISOR_SHUT is told */
    atomic_uint_fast64_t restarts;
    atomic_int outcome;         /* of front_server_wait */
    atomic_uchar state;         /* enum front_quic_state */
    atomic_size_t memory;       /* bytes that it holds */
    struct metric_rows *front;  /* the numbers of its workers, */
    struct metric_rows *bridge; /* and of their bridge clients */
};

/* Before the fork. NULL: no memory. */
struct serve_quic *serve_quic_new(void);
void serve_quic_free(struct serve_quic *q); /* NULL is allowed */
/* The process is gone, for now or for good: nothing of it is open any more. */
void serve_quic_abandon(struct serve_quic *q, enum front_quic_state state);
/* What it counted under that name; 0 for other names. Any thread. */
uint64_t serve_quic_count(const struct serve_quic *q, const char *name);

/* Runs in a freshly forked child and never returns. `self` is its end of the channel to the
 * supervisor; `sockets` are taken. */
_Noreturn void serve_quic_process_run(const struct serve_processes_options *options,
                                      struct front_datagrams *sockets, struct process *self,
                                      const atomic_uchar *alive);

#endif
