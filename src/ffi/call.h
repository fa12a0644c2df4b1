/* ffi/call.h: one exchange as the host knows it: an id, what is to be told about it, what the
 * host sent.
 *
 * The mutex of the queue guards every call; members marked "worker" belong to the exchange's
 * thread. Each function here is called with the mutex held, unless it says otherwise. */
#ifndef FFI_CALL_H
#define FFI_CALL_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/metrics.h"
#include "base/slice.h"
#include "io/loop.h"
#include "wire/decoder.h"

struct exchange;
struct ffi_queue;

/* ---- payloads of the host ---- */

struct ffi_payload {
    struct ffi_payload *next;
    struct slice bytes; /* a whole frame, its size included */
};

struct ffi_payload_list {
    struct ffi_payload *first;
    struct ffi_payload **last;
};

/* A copy, or NULL without memory. Without the mutex. */
struct ffi_payload *ffi_payload_new(struct span payload);
void ffi_payload_free(struct ffi_payload *p);
/* What it counts for in the window: many small payloads take more memory than their bytes. */
size_t ffi_payload_weight(const struct ffi_payload *p);

void ffi_payload_list_append(struct ffi_payload_list *l, struct ffi_payload *p);
/* The first one taken out, or NULL. */
struct ffi_payload *ffi_payload_list_take(struct ffi_payload_list *l);
/* Moves all of `from` behind `l`. */
void ffi_payload_list_join(struct ffi_payload_list *l, struct ffi_payload_list *from);
void ffi_payload_list_release(struct ffi_payload_list *l);

/* ---- calls ---- */

struct ffi_call {
    uint64_t id;
    struct ffi_context *context;
    struct list_link ready;    /* in the queue: there is something to tell */
    struct list_link answered; /* in the context: the host said something */
    struct buffer head;        /* the request's payload, until it is told */
    struct buffer body;        /* content not told yet */
    struct ffi_payload_list sent;
    size_t sent_weight; /* of payloads that the exchange did not take yet */
    uint64_t granted;   /* by the host, not given to the exchange yet */
    bool has_end;       /* to tell, each: */
    bool has_writable;
    bool has_closed;
    bool wants_writable; /* a send was refused */
    bool wants_abort;
    bool is_over;                  /* the exchange is closed: nothing more goes to it */
    int code;                      /* why it closed */
    struct exchange *exchange;     /* worker */
    struct wire_decoder decoder;   /* worker */
    struct ffi_payload_list taken; /* worker: decoded next */
    struct loop_timer patience;    /* worker: from the end of the request to the head */
};

/* A place for a call: a third of its id. */
struct ffi_slot {
    struct ffi_call *call; /* NULL: free */
    uint64_t generation;   /* of the id that it gives out next */
    uint32_t next_free;
};

/* A worker's part. */
struct ffi_context {
    struct ffi_queue *queue;
    struct loop *loop;
    unsigned number;
    size_t window;
    uint64_t answer_timeout; /* milliseconds */
    _Atomic uint64_t late;   /* limit.engine_answer_timeout */
    struct metric_set metrics;
    struct ffi_slot *slots;
    uint32_t slot_count;
    uint32_t first_free; /* slot_count: none */
    struct list_link answered;
    struct loop_message message;
    bool is_posted;
};

/* A call with an id of its own, or NULL without memory. */
struct ffi_call *ffi_call_new(struct ffi_context *c);
/* Frees the call; its id is never given out again. */
void ffi_call_free(struct ffi_call *call);

#define FFI_WORKERS_MAX 64
/* The number of the context that an id of any origin would belong to. */
unsigned ffi_call_worker(uint64_t id);
/* The call with that id, or NULL. */
struct ffi_call *ffi_call_find(const struct ffi_context *c, uint64_t id);

/* Frees what is left. */
void ffi_context_free(struct ffi_context *c);

#endif
