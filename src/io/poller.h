/* io/poller.h: the descriptors of one loop: what is watched, how, and what became ready. Part of
 * io/loop.c, where the terms are explained (io/loop.h).
 *
 * With a bell there are two epoll instances: one of quiet handles, one of all others, which the
 * first contains. Sleep is deep, on the second, or light, on the first: light while what quiet
 * handles have to tell comes one by one, deep once it comes in bunches. */
#ifndef IO_POLLER_H
#define IO_POLLER_H

#include "io/loop.h"
#include <sys/epoll.h>

#define POLLER_EVENTS_MAX  256
#define POLLER_LIGHT_AFTER 16 /* turns in a row with one event of quiet handles */

enum poller_interest {
    POLLER_ALL,    /* edges of everything */
    POLLER_INPUT,  /* edges of input; quiet where there is a bell */
    POLLER_LEVEL,  /* input, as long as it is there */
    POLLER_SHARED, /* the same, for one of those who watch it */
    POLLER_NOTHING
};

struct poller {
    int epoll;
    int quiet; /* the epoll instance of quiet handles; -1: no bell */
    struct bell *bell;
    struct loop_handle rung;
    unsigned rings;      /* of the bell, when the quiet handles were last looked at */
    bool has_quiet_news; /* there may be more to see than the bell told */
    bool is_light;
    unsigned singles; /* deep sleep: turns with one event of quiet handles, since one with more */
    unsigned unannounced; /* light sleep: events that no ring has followed yet */
    bool is_coarse;       /* the system waits in milliseconds only */
    int event_count;      /* fetched this turn and not yet dispatched: from event_next on */
    int event_next;
    struct epoll_event events[POLLER_EVENTS_MAX];
};

/* ROUTED_OK or ROUTED_ERROR_SYSTEM; harmless to close in either case. */
int poller_open(struct poller *p);
void poller_close(struct poller *p);
/* loop_attend. */
int poller_attend(struct poller *p, struct bell *b);

/* ROUTED_OK, ROUTED_ERROR_MEMORY or ROUTED_ERROR_SYSTEM. */
int poller_watch(struct poller *p, struct loop_handle *h, enum poller_interest interest);
/* Of a level-triggered handle. */
void poller_set_interest(struct poller *p, struct loop_handle *h, enum poller_interest interest);
/* Of a handle of POLLER_INPUT. Whoever waits for room for output is not quiet, since who reads
 * from the other side does not ring. */
void poller_hear_output(struct poller *p, struct loop_handle *h, bool wanted);
void poller_forget(struct poller *p, struct loop_handle *h);

/* Sleeps until something is ready, at most so long; CLOCK_NEVER: without end. */
void poller_wait(struct poller *p, nanoseconds sleep);
/* Tells what is ready. */
void poller_dispatch(struct poller *p);

#endif
