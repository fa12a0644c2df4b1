/* exchange/outlet.h: the answer of one of many exchanges that share a connection, on its way to the
 * machine that sends it: HTTP/2's or HTTP/3's.
 *
 * It is the exchange's carrier. What a head consists of, what a failure is answered with, when a
 * client is told to continue, what may still be queued is decided here, alike for both. How heads
 * are encoded, how much content goes when, and how a stream is cut is the machine's matter: it
 * reads `body`, then `is_done` and `trailers`, whenever it can send.
 *
 * A call of the application only queues; what it may have to be told meanwhile waits for the
 * session's next turn, which `wake` asks for. */
#ifndef EXCHANGE_OUTLET_H
#define EXCHANGE_OUTLET_H

#include "exchange/exchange.h"
#include "exchange/queue.h"

struct exchange_outlet_head {
    struct field_list added; /* ":status" first, and what the front has to say */
    const struct field_list *fields;
    bool is_final;
};

/* What a session does for its answers; one for all of them. */
struct exchange_outlet_host {
    /* Encodes a head and queues it, the final one with x->suppress_content as the whole answer.
     * ROUTED_OK, also where nobody takes it any more, or ROUTED_ERROR_MEMORY. */
    int (*submit)(void *session, struct exchange *x, const struct exchange_outlet_head *head);
    /* There is more to send: content, the first in an empty queue or not, or the end. */
    void (*resume)(void *session, struct exchange *x, bool is_first);
    /* The client must see that the answer is not complete. Sets is_done, and does give_up. */
    void (*cut)(void *session, struct exchange *x, int error);
    /* The exchange has failed: nobody wants the rest of its request. */
    void (*give_up)(void *session, struct exchange *x, int error);
    void (*wake)(void *session, struct exchange *x);
    void *session;
    const char *date; /* HTTP_DATE_SIZE bytes that the owner rewrites each second, or NULL */
    /* Of answers that have no such field of their own; empty, or NULL: none. */
    const struct span *alt_svc;
};

/* But for its host the zeroed struct is the beginning. */
struct exchange_outlet {
    const struct exchange_outlet_host *host;
    struct exchange_queue body; /* content that the machine has not done with */
    struct field_list trailers;
    size_t uncredited; /* content that the machine has done with, and nobody was told */
    bool continued;    /* the client was told to send its content, or did so anyway */
    bool has_begun;    /* the final head is queued */
    bool is_done;      /* the application ended it, or it was cut */
};

/* Drops what is queued. reset is for the next exchange and keeps a little memory. */
void exchange_outlet_release(struct exchange_outlet *o);
void exchange_outlet_reset(struct exchange_outlet *o);

/* For exchange_init; the carrier's state is the outlet. */
extern const struct exchange_carrier exchange_outlet_carrier;

/* Ends the exchange with `error`: an answer where there is none yet, else a cut. */
void exchange_outlet_fail(struct exchange *x, int error);
/* Tells the application what it may send again. */
void exchange_outlet_give_credit(struct exchange_outlet *o, struct exchange *x);

/* RFC 8441 section 5, RFC 9220: the key's answer has no meaning outside HTTP/1. */
static inline bool exchange_outlet_leaves_out(const struct exchange *x, const struct field *f)
{
    return x->is_tunnel && f->name == FIELD_SEC_WEBSOCKET_ACCEPT;
}

#endif
