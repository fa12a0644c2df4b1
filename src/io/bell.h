/* io/bell.h: wakes a loop that awaits it, and costs a look at shared memory otherwise.
 *
 * A loop that sleeps until a descriptor is ready is woken by the first of many that are about to
 * be, often on the core of the thread that is about to make the others ready. With a bell that
 * thread finishes first, and then wakes the loop once (loop_attend in io/loop.h). */
#ifndef IO_BELL_H
#define IO_BELL_H

#include <stdatomic.h>

/* In memory that all who use it share: threads, or processes forked after bell_open. */
struct bell {
    atomic_uint rings; /* so far, whether they woke anybody or not */
    atomic_uint is_awaited;
    int fd;
};

/* ROUTED_OK or ROUTED_ERROR_SYSTEM. */
int bell_open(struct bell *b);
void bell_close(struct bell *b);

/* Any thread, any process. What the caller did before is visible to whoever wakes up, or did not
 * go to sleep because of it. */
void bell_ring(struct bell *b);

/* ---- for the loop ---- */

/* From now on whoever rings wakes; if bell_rings tells of others since the last look, look once
 * more before sleeping. */
void bell_await(struct bell *b);
void bell_disregard(struct bell *b);
unsigned bell_rings(const struct bell *b);

#endif
