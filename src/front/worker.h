/* front/worker.h: one thread of the front with all that it owns. */
#ifndef FRONT_WORKER_H
#define FRONT_WORKER_H

#include "base/buffer.h"
#include "base/random.h"
#include "base/spare.h"
#include "exchange/face.h"
#include "front/access_log.h"
#include "front/address_table.h"
#include "front/metrics.h"
#include "front/plea.h"
#include "front/qlog.h"
#include "front/server.h"
#include "http1/session.h"
#include "http1/spare.h"
#include "http2/session.h"
#include "http3/endpoint.h"
#include "io/loop.h"
#include "io/socket.h"
#include "tls/context.h"
#include <pthread.h>

struct front_client;
struct front_quic;
struct front_worker;

/* What all workers share; lives longer than they do. */
struct front_shared {
    routed_limits limits; /* resolved */
    struct log log;
    struct face face;
    struct tls_context *tls; /* NULL without TLS; a reference */
    atomic_bool wants_reload;
    bool has_http2;
    bool has_http3; /* these workers serve it; needs tls */
    bool has_early_data;
    const atomic_uchar *quic_state; /* or NULL: enum front_quic_state */
    uint8_t quic_secret[FRONT_QUIC_SECRET_SIZE];
    struct front_worker
        *workers[FRONT_WORKERS_MAX]; /* who pass datagrams and pleas to each other */
    unsigned worker_count;
    struct metric_rows *rows;     /* or NULL */
    struct access_log access_log; /* .path is NULL without one */
    struct front_qlog qlog;
    struct address_table *addresses;
    /* With HTTP/3, else NULL: addresses that were proved, in handshakes of QUIC; tokens. */
    struct address_table *shaking;
    struct http3_spent *spent;
    uint64_t address_seed;
    atomic_uint_fast64_t connections;
};

struct front_listener {
    struct loop_handle handle;
    struct front_worker *worker;
    bool is_paused;
    bool is_secure; /* its connections begin with a TLS handshake */
};

#define FRONT_LISTENERS_MAX 17

enum front_worker_phase {
    FRONT_WORKER_STARTING,
    FRONT_WORKER_RUNNING,
    FRONT_WORKER_DRAINING,
    FRONT_WORKER_ENDED
};

struct front_worker {
    struct front_shared *shared;
    struct front_plea plea;
    unsigned number; /* its place in shared->workers */
    struct loop *loop;
    void *context; /* of the face, for this thread */
    atomic_bool is_face_open;
    enum front_worker_phase phase;
    struct front_listener listeners[FRONT_LISTENERS_MAX];
    unsigned listener_count;
    struct list_link clients; /* every one */
    struct list_link idle;    /* the idle ones, longest idle first, */
    struct list_link resting; /* and before them those whose memory was given back */
    struct loop_timer rest_timer;
    struct block *read_block;   /* where input lands; replaced when content slices hold it */
    struct block *sealed_block; /* where sealed input lands; NULL without TLS */
    unsigned handshakes;        /* under way */
    struct http1_spare http1_spare;
    struct spare blocks; /* of libraries */
    struct http1_session_options http1;
    struct http1_session_options https1;
    struct http2_session_options http2;
    struct http2_session_options https2;
    struct http3_session_options http3;
    char alt_svc[32]; /* where HTTP/3 is; empty: nobody is told */
    enum front_quic_state quic_told;
    struct front_quic *quic; /* NULL without HTTP/3 */
    milliseconds now;        /* of this turn */
    char date[HTTP_DATE_SIZE];
    int64_t date_seconds; /* the second that `date` says */
    struct random random;
    struct metric_set metrics;
    struct buffer log_lines;
    struct loop_task log_task;
    struct loop_timer accept_timer; /* ends a pause of the listeners */
    struct loop_timer drain_timer;
    struct loop_timer tls_timer; /* of the worker that looks after the certificates */
    bool was_cut;                /* the drain ended by its deadline or by force */
};

/* Everything that does not need the thread; `shared` knows the worker from now on. ROUTED_OK,
 * ROUTED_ERROR_MEMORY or _SYSTEM. */
int front_worker_init(struct front_worker *w, struct front_shared *shared, unsigned number);
void front_worker_release(struct front_worker *w);

/* Before the thread runs: this worker looks after certificates and ticket keys, for all. */
void front_worker_keep_certificates(struct front_worker *w);

/* Before the thread runs. The descriptor listens already; it is taken, on failure too. */
int front_worker_add_listener(struct front_worker *w, int fd, bool is_secure);

/* All but the first `keep`. */
void front_worker_close_listeners(struct front_worker *w, unsigned keep);

/* On the worker's thread: opens the face; front_worker_run then serves until the drain is over. */
int front_worker_open(struct front_worker *w);
void front_worker_run(struct front_worker *w);

/* On the worker's thread: stops gracefully, cutting after `timeout`; or at once. */
void front_worker_drain(struct front_worker *w, milliseconds timeout);
void front_worker_cut(struct front_worker *w);

/* Is there room for one more client, if need be by closing an idle one? */
bool front_worker_has_room(struct front_worker *w);
/* Counts a client of the address, and makes room for it. False: that address has its share. */
bool front_worker_admit(struct front_worker *w, uint64_t address_key);
/* Undoes front_worker_admit. */
void front_worker_client_gone(struct front_worker *w, uint64_t address_key);
/* A handshake ended, well or not. */
void front_worker_handshake_over(struct front_worker *w);
/* Where the next read goes, FRONT_READ_SIZE bytes, or NULL without memory. Slices of it may be
 * taken; the next call then gives another one. */
#define FRONT_READ_SIZE 65536
struct block *front_worker_read_block(struct front_worker *w);
/* Keeps w->date that of the current second and w->now that of the turn; before a session is
 * called. */
void front_worker_tell_time(struct front_worker *w);
/* Queues an access log line. */
void front_worker_log_request(struct front_worker *w, const struct access_record *r);
/* The client is idle from now on. */
void front_worker_client_idle(struct front_worker *w, struct front_client *c);
/* Closes the connection that has been idle longest; false when none is idle. */
bool front_worker_evict(struct front_worker *w);
/* Do all workers together hold as many connections as they may? */
bool front_worker_is_full(const struct front_worker *w);
/* Ends a pause of the listeners. */
void front_worker_listen_again(struct front_worker *w);

#endif
