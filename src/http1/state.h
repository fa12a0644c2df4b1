/* http1/state.h: what the files of this room share of a session. For this room only.
 *
 * session.c owns the life cycle and settles what is over; receive.c turns input into requests;
 * answer.c turns responses into output. */
#ifndef HTTP1_STATE_H
#define HTTP1_STATE_H

#include "base/list.h"
#include "base/output.h"
#include "http1/chunked.h"
#include "http1/parser.h"
#include "http1/session.h"
#include "http1/spare.h"

enum http1_phase {
    HTTP1_OPEN,    /* takes requests */
    HTTP1_CLOSING, /* no more requests; answers are still to be written */
    HTTP1_LINGERING,
    HTTP1_OVER
};

enum http1_coding { /* of response content */
    HTTP1_CODING_NONE,
    HTTP1_CODING_CHUNKED,
    HTTP1_CODING_CLOSE /* the close of the connection is the end */
};

/* One request with its answer. */
struct http1_turn {
    struct exchange exchange; /* first */
    struct http1_parser parser;
    struct http1_chunked chunked; /* where the request is */
    struct list_link link;        /* in `finishing` or among the spare ones; zeroed from here on */
    uint64_t response_end;        /* of the output, once the response is done */
    size_t queued;                /* response content in the output that was not credited yet */
    int64_t content_left;         /* of a declared length */
    int error;                    /* why it failed */
    enum http1_coding coding;
    bool is_chunked;      /* the request */
    bool is_persistent;   /* the connection may serve another request after this one */
    bool content_begun;   /* some of it has arrived */
    bool content_dropped; /* some of it was not delivered: there is no end to deliver */
    bool continued;       /* 100 Continue was sent */
    bool request_done;    /* read to its end, or given up */
    bool response_begun;  /* the head is queued */
    bool response_done;   /* the end is queued, or the response was cut */
    bool zero_pending;    /* a probe wrote the first digit of the next chunk size */
};

struct http1_session {
    struct session session; /* first */
    const struct http1_session_options *options;
    struct loop *loop;
    struct http1_turn *incoming; /* its head is being parsed */
    struct http1_turn *current;  /* its request or response is not done */
    struct list_link finishing;  /* done but not yet written, oldest first */
    size_t finishing_count;
    struct http1_line line;
    struct output output;
    size_t drop_left; /* of linger_max */
    enum http1_phase phase;
    bool is_held;     /* the last feed left bytes */
    bool input_ended; /* feed_end was called */
    bool is_shut;     /* no new requests */
};

static inline struct http1_session *http1_state_of(struct session *s)
{
    return (struct http1_session *)(void *)s;
}

static inline struct http1_turn *http1_state_turn(struct exchange *x)
{
    return (struct http1_turn *)(void *)x;
}

/* Has the client begun a request whose head is not complete? An empty line begins none. */
static inline bool http1_state_has_head(const struct http1_session *s)
{
    return s->incoming &&
           (s->incoming->parser.phase == HTTP1_PARSER_FIELDS || http1_line_has_partial(&s->line));
}

/* session.c */

/* A turn for the next head, or NULL when there is no memory. */
struct http1_turn *http1_session_take_turn(struct http1_session *s);
/* No more requests: what still comes is discarded, up to a limit. */
void http1_session_begin_close(struct http1_session *s);
/* Moves on whatever is over. Called whenever input was taken, output written, or a call of the
 * connection begins to look at the session. */
void http1_session_settle(struct http1_session *s);
/* Input that nobody can take yet is read once: then it is held, and reading stops. */
bool http1_session_wants_input(const struct http1_session *s);

/* receive.c */

/* Takes what it can off the front of `bytes`. */
void http1_receive_feed(struct http1_session *s, struct block *block, struct span *bytes);
/* Could any input be taken now? */
bool http1_receive_is_open(const struct http1_session *s);
/* Answers a request that did not become an exchange; nothing is parsed afterwards. */
void http1_receive_refuse(struct http1_session *s, int error);

/* answer.c */

extern const struct exchange_carrier http1_answer_carrier;
/* The response to `error`, whole. ROUTED_ERROR_MEMORY when it could not be queued. */
int http1_answer_error(struct http1_session *s, struct http1_turn *t, int error);
/* Ends the turn with `error`: an answer where there is none yet, else a cut. */
void http1_answer_fail(struct http1_session *s, struct http1_turn *t, int error);
bool http1_answer_probe(struct http1_session *s);

#endif
