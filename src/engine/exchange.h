/* engine/exchange.h: what the public handle routed_exchange stands for: one exchange as the
 * engine sees it, and the doors between the files of this room.
 *
 * The object outlives the exchange as long as another thread holds a reference. Its fields belong
 * to the exchange's thread, but for the atomic ones, which are how other threads see it. */
#ifndef ENGINE_EXCHANGE_H
#define ENGINE_EXCHANGE_H

#include "base/buffer.h"
#include "engine/desk.h"
#include "engine/route.h"
#include "exchange/exchange.h"
#include "io/loop.h"
#include <routed/engine.h>

#define BODY_WINDOW       262144 /* request bytes on their way or held */
#define OUTBOX_WINDOW     262144 /* response bytes of other threads that may wait */
#define COLLECT_FIRST_MAX 65536  /* reserved before the first byte, whatever is announced */

/* How far the response is, as callers see it: the first call that answers decides, also when it
 * only arrives at the exchange's thread later. */
enum answer_phase {
    ANSWER_OPEN,
    ANSWER_STREAMING,
    ANSWER_ENDED
};

struct close_hook {
    struct close_hook *next;
    routed_close_callback *callback;
    void *user;
};

struct exchange_timer {
    struct loop_timer timer;
    struct exchange_timer *next_free;
    struct list_link link; /* while armed */
    routed_exchange *x;
    routed_callback *callback;
    void *user;
};

struct body_reader {
    routed_body_callback *on_body; /* NULL: nobody reads */
    void *user;
    int64_t limit;
    uint64_t received;
    struct buffer held;   /* came while paused; at most the window */
    struct slice current; /* being told: a write of part of it need not copy */
    bool is_paused;       /* by routed_request_pause */
    bool is_refused;      /* the callback returned AGAIN */
    bool is_telling;
    bool is_dropped; /* the exchange was refused or failed: the rest is of no interest */
    bool has_ended;
    bool end_is_told;
    struct field_list trailers;
    /* routed_request_collect: */
    routed_collect_callback *on_complete;
    void *complete_user;
    struct buffer collected;
    size_t collect_limit;
};

/* A slice that waits for the window. */
struct parcel {
    struct parcel *next;
    struct slice body;
};

struct outbox {
    struct parcel *first;
    struct parcel *last;
    bool end_is_due;
};

/* Where other threads wait for the window. */
struct waiting_room {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_int waiting;
};

enum request_text {
    REQUEST_METHOD,
    REQUEST_SCHEME,
    REQUEST_AUTHORITY,
    REQUEST_TARGET,
    REQUEST_PATH,
    REQUEST_QUERY,
    REQUEST_PEER_ADDRESS,
    REQUEST_ID,
    REQUEST_TLS, /* the first of its parts */
    REQUEST_TEXT_COUNT = REQUEST_TLS + HTTP_TLS_PART_COUNT
};

/* NUL-terminated copies, made when first asked for. */
struct request_texts {
    const char *texts[REQUEST_TEXT_COUNT];
    routed_field *fields;
    routed_field *trailers;
    const char *param_names[PATTERN_PARAMS_MAX];
    const char *params[PATTERN_PARAMS_MAX];
    const char *params_raw[PATTERN_PARAMS_MAX];
};

struct routed_exchange {
    atomic_size_t references;
    atomic_bool is_closed;  /* over, or failed and about to be over */
    atomic_int phase;       /* enum answer_phase */
    atomic_size_t queued;   /* bytes taken and not yet sent */
    atomic_bool is_blocked; /* a write was refused since the window last opened */

    routed_engine *engine;
    struct desk *desk;
    struct loop *loop;         /* holds a reference */
    struct exchange *exchange; /* NULL once it is over */
    size_t layers_entered;
    bool may_run; /* the chain: at the start, and where a middleware stopped it */
    bool is_running;
    bool is_next;   /* routed_exchange_next from inside the middleware */
    bool hooks_ran; /* the "after" ones */

    uint16_t status;
    struct field_list fields;
    struct field_list trailers;
    struct outbox outbox;
    routed_callback *on_writable;
    void *writable_user;

    struct body_reader body;
    struct request_texts *texts; /* NULL before the first; in the arena */
    struct close_hook *close_hooks;
    struct list_link timers;
    struct exchange_timer *free_timers;
    struct routed_websocket *websocket;
    void *user;
    struct routed_exchange *next_spare;

    /* The rest is not cleared between two exchanges. */
    struct route_match match;
    struct waiting_room room;
};

/* ---- exchange.c ---- */

void engine_exchange_free(routed_exchange *x);
static inline bool engine_exchange_is_over(const routed_exchange *x)
{
    return atomic_load_explicit(&x->is_closed, memory_order_acquire);
}
static inline bool engine_exchange_is_here(const routed_exchange *x)
{
    return loop_is_here(x->loop);
}

/* ---- chain.c: middleware, then the handler ---- */

/* Starts or continues. */
void engine_chain_run(routed_exchange *x);
void engine_chain_run_after_hooks(routed_exchange *x);
/* A handler or callback returned `code`: answers, or cuts. */
__attribute__((cold)) void engine_chain_fail(routed_exchange *x, int code);
void engine_chain_refuse_body(routed_exchange *x); /* 413 */
/* Answers with the status and its phrase. */
int engine_chain_answer_error(routed_exchange *x, int status);
/* Ends the exchange without an answer, or in the midst of it. */
__attribute__((cold)) void engine_chain_cut(routed_exchange *x, int code);

/* ---- head.c: the response head; own thread ---- */

int engine_head_set_field(routed_exchange *x, struct span name, struct span value);
int engine_head_add_field(routed_exchange *x, struct span name, struct span value);
void engine_head_remove_field(routed_exchange *x, struct span name);
int engine_head_inform(routed_exchange *x, int status, const routed_field *fields, size_t count);
/* Runs the hooks and sends the head. `length` as of routed_response_begin; `*has_content`: what
 * the final status allows. */
int engine_head_send(routed_exchange *x, int64_t length, bool *has_content);
/* Head, content and end. Takes the body. */
int engine_head_send_whole(routed_exchange *x, struct slice body);
/* The status with its phrase. */
int engine_head_send_error(routed_exchange *x, int status);

/* ---- outbox.c: content in order, within the window; own thread unless said otherwise ---- */

/* Any thread: may `size` more bytes be taken? Counts them if so. */
bool engine_outbox_admit(routed_exchange *x, size_t size, size_t window);
/* Gives back what was admitted and is not sent. Any thread. */
void engine_outbox_dismiss(routed_exchange *x, size_t size);
/* Takes admitted bytes: sends them now, or when the credit allows. */
int engine_outbox_write(routed_exchange *x, struct slice body);
/* The same with bytes that nobody admitted: all that the response has. */
int engine_outbox_write_whole(routed_exchange *x, struct slice body);
int engine_outbox_end(routed_exchange *x);
bool engine_outbox_can_write(const routed_exchange *x);
void engine_outbox_drain(routed_exchange *x);
/* Tells whoever waits that the window is open, if it is. */
void engine_outbox_notify(routed_exchange *x);
/* The exchange is over, or about to be: nobody waits any longer. */
void engine_outbox_close(routed_exchange *x);
void engine_outbox_release(routed_exchange *x);
/* Blocks a foreign thread until fewer than `window` bytes are queued. */
int engine_outbox_wait(routed_exchange *x, uint32_t patience, size_t window);

/* ---- body.c ---- */

void engine_body_receive(routed_exchange *x, struct slice body);
void engine_body_receive_end(routed_exchange *x, const struct field_list *trailers);
/* Tells what is held, unless paused. */
void engine_body_continue(routed_exchange *x);
void engine_body_release(routed_exchange *x);

#endif
