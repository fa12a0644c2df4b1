/* ffi/queue.h: exchanges on their way to a host that asks, and the host's answers on their way
 * back.
 *
 * Calls with something to tell stand in one list; routed_ffi_poll takes from its head. What the
 * host sends goes to the worker that owns the exchange, woken only when it had nothing. A call
 * that ends before the host heard of it is never told, so what waits for a host that does not
 * poll is bounded by the exchanges in flight, those it was told of, and their windows. */
#ifndef FFI_QUEUE_H
#define FFI_QUEUE_H

#include "exchange/face.h"
#include "ffi/call.h"
#include <pthread.h>
#include <routed/ffi.h>

struct ffi_queue {
    pthread_mutex_t mutex; /* guards all but the members of the poll */
    struct list_link ready;
    int doorbell; /* rung exactly while there is something to tell */
    bool is_rung;
    bool has_stopped;  /* the server has; */
    bool told_stopped; /* and the host knows */
    struct ffi_context *contexts[FFI_WORKERS_MAX];
    unsigned context_count;
    struct buffer *lent; /* what the events of the last poll point to */
    size_t lent_count;
    size_t lent_capacity;
};

int ffi_queue_init(struct ffi_queue *q);
/* After the front is freed. */
void ffi_queue_release(struct ffi_queue *q);
/* The server has ended: tells the host once everything else is told. */
void ffi_queue_stop(struct ffi_queue *q);

/* As the functions of routed/ffi.h. */
int64_t ffi_queue_poll(struct ffi_queue *q, routed_ffi_event *events, uint64_t max,
                       uint64_t timeout);
int ffi_queue_send(struct ffi_queue *q, uint64_t id, struct span payload);
int ffi_queue_grant(struct ffi_queue *q, uint64_t id, uint64_t bytes);
int ffi_queue_abort(struct ffi_queue *q, uint64_t id);

/* ---- for ffi/face.c, on the worker's thread ---- */

void ffi_queue_face(struct face *out, struct ffi_queue *q);

/* Puts the call where poll finds it. With the mutex held. */
void ffi_queue_tell(struct ffi_queue *q, struct ffi_call *call);
/* Frees a call that the host never heard of. With the mutex held. */
void ffi_queue_drop(struct ffi_queue *q, struct ffi_call *call);

#endif
