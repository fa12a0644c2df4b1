/* ffi/queue.h: exchanges on their way to a host that asks, and the host's answers on their way
 * back.
 *
 * A call is one exchange as the host knows it: an id, what is to be told about it, what the host
 * sent. Calls with something to tell stand in one list; routed_ffi_poll takes from its head, so
 * what waits is bounded by the exchanges and their windows, however slowly the host polls. What
 * the host sends goes to the worker that owns the exchange, woken only when it had nothing.
 *
 * One mutex guards calls and lists. Members marked "worker" belong to the exchange's thread. */
#ifndef FFI_QUEUE_H
#define FFI_QUEUE_H

#include "exchange/face.h"
#include "io/loop.h"
#include "wire/decoder.h"
#include <pthread.h>
#include <routed/ffi.h>

#define FFI_WORKERS_MAX 64

struct ffi_context;

/* A payload of the host. */
struct ffi_payload {
    struct ffi_payload *next;
    struct slice bytes; /* a whole frame, its size included */
};

struct ffi_payload_list {
    struct ffi_payload *first;
    struct ffi_payload **last;
};

struct ffi_call {
    uint64_t id;
    struct ffi_context *context;
    struct list_link ready;    /* in the queue: there is something to tell */
    struct list_link answered; /* in the context: the host said something */
    struct buffer head;        /* the request's payload, until it is told */
    struct buffer body;        /* content not told yet */
    struct ffi_payload_list sent;
    size_t sent_size; /* bytes that the exchange did not take yet */
    uint64_t granted; /* by the host, not given to the exchange yet */
    bool has_end;     /* to tell, each: */
    bool has_writable;
    bool has_closed;
    bool wants_writable; /* a send was refused */
    bool wants_abort;
    bool is_over;                  /* the exchange is closed: nothing more goes to it */
    int code;                      /* why it closed */
    struct exchange *exchange;     /* worker */
    struct wire_decoder decoder;   /* worker */
    struct ffi_payload_list taken; /* worker: decoded next */
};

/* A worker's part. */
struct ffi_context {
    struct ffi_queue *queue;
    struct loop *loop;
    unsigned number;
    size_t window;
    struct ffi_call **calls; /* by the slot in their id; NULL: free */
    uint32_t *generations;
    uint32_t slots;
    uint32_t free_hint;
    struct list_link answered;
    struct loop_message message;
    bool is_posted;
};

struct ffi_queue {
    pthread_mutex_t mutex;
    struct list_link ready;
    int doorbell;
    bool is_rung;
    bool has_stopped; /* the server has; told once */
    bool told_stopped;
    struct ffi_context *contexts[FFI_WORKERS_MAX];
    unsigned context_count;
    struct ffi_call **told; /* closed calls and buffers of the last poll live until the next */
    struct buffer *told_buffers;
    size_t told_count;
    size_t told_capacity;
};

int ffi_queue_init(struct ffi_queue *q);
/* After the front is freed. */
void ffi_queue_release(struct ffi_queue *q);
/* The server has ended: tells the host once everything else is told. */
void ffi_queue_stop(struct ffi_queue *q);

int64_t ffi_queue_poll(struct ffi_queue *q, routed_ffi_event *events, uint64_t max,
                       uint64_t timeout);
int ffi_queue_send(struct ffi_queue *q, uint64_t id, struct span payload);
int ffi_queue_grant(struct ffi_queue *q, uint64_t id, uint64_t bytes);
int ffi_queue_abort(struct ffi_queue *q, uint64_t id);

/* ---- for ffi/face.c, on the worker's thread ---- */

void ffi_queue_face(struct face *out, struct ffi_queue *q);

/* Puts the call where poll finds it. With the mutex held. */
void ffi_queue_tell(struct ffi_queue *q, struct ffi_call *call);
/* A call with an id of its own, or NULL without memory. With the mutex held. */
struct ffi_call *ffi_queue_new_call(struct ffi_context *context);
/* Frees the call and its id. With the mutex held. */
void ffi_queue_free_call(struct ffi_call *call);
void ffi_payload_list_init(struct ffi_payload_list *l);
void ffi_payload_list_release(struct ffi_payload_list *l);

#endif
