/* io/loop.h: one thread, one epoll instance, its timers, its mailbox.
 *
 * Everything but loop_post and loop_stop is for the loop's own thread. Descriptors are watched
 * edge-triggered and once: a handle is added with all its interests and removed by closing, so
 * a request costs no epoll_ctl. The owner of a handle reads or writes until the kernel says
 * "again" and remembers what is left. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/clock.h"
#include "base/list.h"
#include "io/bell.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* ---- descriptors ---- */

enum {
    LOOP_READABLE = 1,
    LOOP_WRITABLE = 2,
    LOOP_HALF_CLOSED = 4, /* the peer ended its direction; there may still be bytes to read */
    LOOP_HUNG_UP = 8      /* both directions are dead */
};

struct loop_handle {
    int fd; /* -1: not watched */
    bool is_quiet;
    void (*on_ready)(struct loop_handle *h, unsigned events);
};

/* Watches h->fd for everything, edge-triggered. ROUTED_OK, ROUTED_ERROR_MEMORY or
 * ROUTED_ERROR_SYSTEM. */
int loop_watch(struct loop *l, struct loop_handle *h);
/* The same but deaf to LOOP_WRITABLE until told otherwise. For Unix sockets, where every read of
 * the peer would be such an event. In a loop with a bell its events wake nobody, unless room for
 * output is waited for. */
int loop_watch_input(struct loop *l, struct loop_handle *h);
/* Such a handle is to hear of room for output, or no longer; room that is there now is told in
 * the next turn. */
void loop_hear_output(struct loop *l, struct loop_handle *h, bool wanted);
/* Watches for input only, level-triggered: for listeners, which may leave clients waiting. */
int loop_watch_level(struct loop *l, struct loop_handle *h);
/* The same for a listener that other loops watch too: a client wakes one of those that sleep, not
 * all. It is not paused but forgotten, and watched again. */
int loop_watch_shared(struct loop *l, struct loop_handle *h);
/* Level-triggered handles: stop and start hearing of input without forgetting the handle. */
void loop_pause(struct loop *l, struct loop_handle *h);
void loop_resume(struct loop *l, struct loop_handle *h);
/* Forgets the handle: no on_ready after this, not even for events already fetched this turn.
 * Does not close the descriptor; call before closing it. */
void loop_forget(struct loop *l, struct loop_handle *h);

/* ---- timers: a hierarchical wheel, one millisecond a tick, O(1) to set and clear ---- */

struct loop_timer {
    struct list_link link;
    milliseconds due;
    void (*on_due)(struct loop_timer *t);
};

void loop_timer_init(struct loop_timer *t, void (*on_due)(struct loop_timer *t));
/* (Re)arms; fires once, not before `due`, a point in time of loop_now. */
void loop_timer_set(struct loop *l, struct loop_timer *t, milliseconds due);
void loop_timer_clear(struct loop *l, struct loop_timer *t);
static inline bool loop_timer_is_set(const struct loop_timer *t)
{
    return list_is_linked(&t->link);
}

/* ---- alarms: to the nanosecond, as far as the kernel knows it (epoll_pwait2; else the next
 * millisecond). Each turn looks at every one that is set: for a few per loop ---- */

struct loop_alarm {
    struct list_link link;
    nanoseconds due;
    void (*on_due)(struct loop_alarm *a);
};

void loop_alarm_init(struct loop_alarm *a, void (*on_due)(struct loop_alarm *a));
/* (Re)arms; fires once, not before `due`, a point in time of loop_now_precise. CLOCK_NEVER
 * clears. */
void loop_alarm_set(struct loop *l, struct loop_alarm *a, nanoseconds due);
void loop_alarm_clear(struct loop_alarm *a);

/* ---- later in this turn: how "a send only queues" is kept ---- */

struct loop_task {
    struct list_link link;
    void (*run)(struct loop_task *t);
};

void loop_task_init(struct loop_task *t, void (*run)(struct loop_task *t));
/* Runs once before the loop sleeps again. Already waiting: nothing changes. */
void loop_task_defer(struct loop *l, struct loop_task *t);
/* Runs once when the others of this turn have run. */
void loop_task_defer_last(struct loop *l, struct loop_task *t);
void loop_task_cancel(struct loop_task *t);

/* ---- from other threads ---- */

struct loop_message {
    struct loop_message *next;
    void (*on_delivery)(struct loop_message *m); /* on the loop's thread; now owns the message */
};

/* Any thread. Wakes the loop only when its mailbox was empty. Order of one sender is kept.
 * False once the loop was freed: the message is still the caller's. */
bool loop_post(struct loop *l, struct loop_message *m);

/* A loop that was freed refuses messages, but its memory stays until the last reference: who
 * posts from another thread holds one. Any thread. */
void loop_retain(struct loop *l);
void loop_release(struct loop *l);

/* ---- life ---- */

/* ROUTED_OK, ROUTED_ERROR_MEMORY or ROUTED_ERROR_SYSTEM (no descriptor). */
int loop_open(struct loop **out);
struct loop *loop_new(void); /* the same; NULL: without a reason */
/* Delivers the last messages, refuses further ones and gives the creator's reference back. NULL
 * is allowed. */
void loop_free(struct loop *l);
/* Before the first handle is watched: from now on handles of loop_watch_input are quiet. Whoever
 * gives them something to hear, on the other side of their sockets, rings the bell afterwards, or
 * it may not be heard; a ring wakes one loop. Only for sockets whose events are there when the
 * peer's system call returns: Unix sockets. The bell outlives the loop. ROUTED_OK,
 * ROUTED_ERROR_MEMORY or ROUTED_ERROR_SYSTEM. */
int loop_attend(struct loop *l, struct bell *b);
/* Runs turns until loop_stop. */
void loop_run(struct loop *l);
/* One turn, sleeping at most `wait` milliseconds; for tests and for embedding. */
void loop_turn(struct loop *l, int wait);
/* Any thread: loop_run returns after its current turn. */
void loop_stop(struct loop *l);
/* Becomes readable when loop_turn has something to do (the epoll descriptor). */
int loop_descriptor(const struct loop *l);

/* The monotonic clock, read once a turn. */
milliseconds loop_now(const struct loop *l);
nanoseconds loop_now_precise(const struct loop *l);
/* Wall clock seconds since 1970, read at most once a second. */
int64_t loop_wall_seconds(const struct loop *l);
/* Is the caller on the thread that runs (last ran) this loop? */
bool loop_is_here(const struct loop *l);

/* Reads the monotonic clock now, in microseconds: for durations in logs. */
microseconds loop_clock(void);

#endif
