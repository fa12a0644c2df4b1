/* exchange/exchange.h: the noun. One request with its response, and the five verbs that cross
 * every wall: head, body, end, abort, credit.
 *
 * An exchange joins two sides on one thread. The carrier brought the request and takes the
 * response: an HTTP session of the front, or the bridge runtime of an engine. The application
 * takes the request and makes the response: the bridge client, the engine, a host's event queue.
 * Neither knows the other; both know this file.
 *
 *   carrier -> application          application -> carrier
 *   ----------------------          ----------------------
 *   exchange_open       head        exchange_inform     1xx head
 *   exchange_deliver    body        exchange_respond    head
 *   exchange_deliver_end end        exchange_send       body
 *   exchange_writable   credit      exchange_end        end
 *   exchange_close      abort/over  exchange_fail       abort
 *                                   exchange_grant      credit
 *
 * Rules that hold for every carrier and application:
 * - All calls are made on the exchange's thread. The application may call from inside its own
 *   callbacks. A call of the application only queues: the carrier writes, and calls back, later
 *   (on_close is never entered from inside an exchange_* call of the application).
 * - on_close comes exactly once and last, however the exchange ends; afterwards the application
 *   must not touch the exchange. Until then request and arena stay valid.
 * - An end is always proved: body bytes equal the declared length, or the end is an abort.
 * - Credit is counted in body bytes. The carrier delivers at most what the application granted.
 *   exchange_send is accepted while the credit is above zero, so it may overshoot by one slice.
 * - After a response with status 101 the exchange is a tunnel: bodies are raw bytes of the new
 *   protocol in both directions, and an end is one direction's end of input. */
#ifndef EXCHANGE_EXCHANGE_H
#define EXCHANGE_EXCHANGE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "http/message.h"

struct exchange;
struct loop; /* io/loop.h; never used here, only handed to who needs a timer or a mailbox */

/* What the carrier implements. Calls arrive already checked by exchange.c: heads are valid and
 * filtered, states are right, lengths add up. Each only queues. */
struct exchange_carrier {
    int (*inform)(struct exchange *x, const struct http_response *head);
    /* `length` is the declared content-length, or HTTP_LENGTH_UNKNOWN; `head` has no such field.
     * With x->suppress_content no body follows whatever the length says (HEAD, 304). The bytes
     * of `head` are copied or encoded before this returns. */
    int (*respond)(struct exchange *x, const struct http_response *head, int64_t length);
    /* Takes the slice, on failure too. Never called for content that must not be sent (HEAD). */
    int (*send)(struct exchange *x, struct slice body);
    /* `trailers` may be NULL; copied before this returns. */
    int (*end)(struct exchange *x, const struct field_list *trailers);
    /* Before the response head: the carrier answers with the status of `error`. After: it cuts
     * in a way that the client can see. on_close follows. */
    void (*fail)(struct exchange *x, int error);
    /* The application wants `bytes` more of the request body. */
    void (*grant)(struct exchange *x, size_t bytes);
};

/* What the application implements. */
struct exchange_application {
    /* The head is here. Must set x->application_state if it needs one. Body follows only after
     * exchange_grant. */
    void (*on_request)(struct exchange *x, void *context);
    /* Takes the slice. */
    void (*on_body)(struct exchange *x, struct slice body);
    /* The request is complete. `trailers` may be NULL, and live until this returns. */
    void (*on_end)(struct exchange *x, const struct field_list *trailers);
    /* The response credit rose above zero again. */
    void (*on_writable)(struct exchange *x);
    /* Over: ROUTED_OK when request and response were both complete, else why not. */
    void (*on_close)(struct exchange *x, int error);
};

struct exchange_peer {
    struct span address; /* "127.0.0.1", "::1", or "unix" */
    uint16_t port;       /* 0 for Unix sockets */
};

enum exchange_phase {
    EXCHANGE_HEAD, /* nothing yet */
    EXCHANGE_BODY, /* head passed */
    EXCHANGE_ENDED
};

struct exchange {
    struct http_request request;
    struct exchange_peer peer;
    const struct http_tls *tls; /* NULL on a connection in the clear */
    struct span request_id;
    struct arena arena; /* holds the request; free for the application's use too */
    struct loop *loop;  /* of this thread */

    const struct exchange_carrier *carrier;
    void *carrier_state;
    const struct exchange_application *application; /* NULL before open */
    void *application_state;

    /* Set by the front where durations are wanted: a clock in microseconds, and what it said. */
    uint64_t (*clock)(void);
    uint64_t opened_at;
    uint64_t responded_at;

    enum exchange_phase request_phase;
    enum exchange_phase response_phase;
    bool is_tunnel;           /* 101 was sent */
    bool is_closed;           /* on_close was called */
    bool is_failed;           /* by either side: only on_close follows */
    bool suppress_content;    /* HEAD, 204, 304: nothing of the body is carried */
    bool close_after;         /* the application asked for "connection: close" */
    bool is_unread;           /* the carrier gave up on content that nobody wanted: too much */
    bool reached_application; /* for the access log: did an engine see it */
    uint16_t status;          /* of the final response head; 0 before */
    uint16_t informs;         /* 1xx heads so far */
    int64_t response_length;  /* declared, or HTTP_LENGTH_UNKNOWN */
    int64_t request_credit;   /* granted and not yet delivered */
    int64_t response_credit;  /* what the application may still send */
    uint64_t request_bytes;   /* content received */
    uint64_t response_bytes;  /* content sent */
};

#define EXCHANGE_INFORMS_MAX         16    /* 1xx heads an application may send for one request */
#define EXCHANGE_RESPONSE_FIELDS_MAX 1000  /* of a head, and of trailers; so are */
#define EXCHANGE_RESPONSE_HEAD_MAX   65536 /* bytes of all response fields */

/* ---- for the carrier ---- */

/* Makes the struct fit for a new request on the carrier; keeps nothing but the first chunk of
 * the arena. `x` must be zeroed memory or an exchange that was closed. */
void exchange_init(struct exchange *x, const struct exchange_carrier *carrier, void *carrier_state,
                   struct loop *loop);
/* Frees the arena. */
void exchange_release(struct exchange *x);

void exchange_open(struct exchange *x, const struct exchange_application *application,
                   void *context);
/* Takes the slice. ROUTED_ERROR_FRAMING when more comes than was declared. Does nothing once the
 * exchange has failed or closed. */
int exchange_deliver(struct exchange *x, struct slice body);
/* ROUTED_ERROR_TRUNCATED when less came than was declared. */
int exchange_deliver_end(struct exchange *x, const struct field_list *trailers);
/* Raises the response credit; on_writable when it was used up. */
void exchange_writable(struct exchange *x, size_t bytes);
void exchange_close(struct exchange *x, int error);

/* Request and response both ended properly. */
bool exchange_is_complete(const struct exchange *x);

/* In HTTP/2 and HTTP/3 a client that asked for a tunnel takes any 2xx for one (RFC 8441 section 5):
 * is this response one that the application did not mean so? */
static inline bool exchange_is_false_tunnel(const struct exchange *x, uint16_t status)
{
    return x->request.upgrade != HTTP_UPGRADE_NONE && !x->is_tunnel && status / 100 == 2;
}

/* ---- for the application ---- */

/* ROUTED_OK; ROUTED_ERROR_STATE after the head or with a status that is not 1xx (101 is a final
 * head here); ROUTED_ERROR_RESPONSE for an illegal field. Not passed on to HTTP/1.0. */
int exchange_inform(struct exchange *x, const struct http_response *head);

/* Checks status and fields, removes hop-by-hop fields and those that belong to the front, takes
 * the length from content-length. ROUTED_ERROR_RESPONSE (nothing was sent, the exchange is as
 * before) for a status outside 200..999 or 101 unasked for, a malformed field, contradictory
 * lengths. The fields of `head` may be any memory that lives until this returns. */
int exchange_respond(struct exchange *x, const struct http_response *head);

/* Takes the slice, always. ROUTED_ERROR_AGAIN when the credit is used up, ROUTED_ERROR_RESPONSE
 * when more is sent than was declared; the exchange then has failed. Empty slices are ignored. */
int exchange_send(struct exchange *x, struct slice body);

/* `trailers` may be NULL; forbidden ones are left out. ROUTED_ERROR_RESPONSE when less was sent
 * than declared or a trailer is malformed; the exchange then has failed. */
int exchange_end(struct exchange *x, const struct field_list *trailers);

/* Ends the exchange with the answer of the error table, or with a cut if the head is out. */
__attribute__((cold)) void exchange_fail(struct exchange *x, int error);

/* Lets the carrier deliver that many more bytes of the request body. */
void exchange_grant(struct exchange *x, size_t bytes);

/* May the application send now? */
static inline bool exchange_can_send(const struct exchange *x)
{
    return x->response_credit > 0 && !x->is_closed && !x->is_failed;
}

#endif
