/* front/plea.h: a worker that may accept nobody, because all workers together hold as many
 * connections as they may and it has no idle one to close, asks the others to close one of theirs.
 *
 * The plea is one message that goes round: to each worker in turn until one has made room, and then
 * back. Meanwhile the listeners of who asks are paused. */
#ifndef FRONT_PLEA_H
#define FRONT_PLEA_H

#include "io/loop.h"

struct front_worker;

struct front_plea {
    struct loop_message message;
    struct front_worker *from;
    struct front_worker *at; /* whose turn it is */
    bool is_under_way;       /* of `from`'s thread, as long as it serves */
};

/* `w` is who will ask. */
void front_plea_init(struct front_plea *p, struct front_worker *w);
/* On the thread of who asks. Harmless when it is under way. */
void front_plea_send(struct front_plea *p);

#endif
