/* http2/state.h: what the files of this room share of a session. For this room only.
 *
 * session.c owns the connection's life, streams.c that of its streams; receive.c turns what nghttp2
 * decodes into requests; answer.c turns responses into what nghttp2 sends; machine.c makes the
 * nghttp2 session and moves bytes through it. */
#ifndef HTTP2_STATE_H
#define HTTP2_STATE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/output.h"
#include "exchange/arrival.h"
#include "exchange/inlet.h"
#include "exchange/outlet.h"
#include "exchange/window.h"
#include "http/head.h"
#include "http2/budget.h"
#include "http2/order.h"
#include "http2/preface.h"
#include "http2/priority.h"
#include "http2/session.h"
#include <nghttp2/nghttp2.h>

/* What one turn takes over from nghttp2: enough for full writes, little enough that a stream that
 * becomes urgent is not behind much. */
#define HTTP2_OUTPUT_TURN 65536

/* Bytes of nghttp2's that each open stream costs, whatever its fields are. */
#define HTTP2_STREAM_COST 1024

enum http2_phase {
    HTTP2_OPEN,    /* takes requests */
    HTTP2_CLOSING, /* no more requests; output is still to be written */
    HTTP2_LINGERING,
    HTTP2_OVER
};

enum http2_farewell { /* RFC 9113 section 6.8 */
    HTTP2_FAREWELL_NONE,
    HTTP2_FAREWELL_NOTICE, /* GOAWAY with 2^31-1 and a PING were queued */
    HTTP2_FAREWELL_LAST    /* GOAWAY with the last stream was queued */
};

/* One request with its answer. */
struct http2_stream {
    struct exchange exchange;      /* first */
    struct http_head head;         /* what the fields of the request are parts of */
    struct exchange_outlet outlet; /* of the response, which nghttp2 asks for */
    /* From here on nothing is kept for the next request. */
    struct list_link link; /* in `live`, `finishing` or `spare` */
    struct list_link due;  /* in `due`: settle has something to do for it */
    int32_t id;
    int error;                     /* why it failed */
    struct exchange_inlet inlet;   /* of request content */
    struct exchange_window window; /* of the stream, for that */
    struct exchange_arrival arrival;
    uint64_t response_end; /* of the output, once the last frame is in it; 0 before */
    uint64_t sent;         /* response content that went into the output, ever */
    uint64_t sent_before;  /* when it was blocked, or last looked at; */
    uint64_t sent_by_all;  /* and what all had sent then */
    milliseconds blocked_at;
    bool is_blocked;    /* nghttp2 does not take content that is here */
    bool is_exchange;   /* the host knows it */
    bool is_refused;    /* it never will */
    bool is_gone;       /* nghttp2 has closed it */
    bool response_sent; /* END_STREAM went out */
    bool is_deferred;   /* nghttp2 waits for more content */
};

struct http2_session {
    struct session session; /* first */
    const struct http2_session_options *options;
    struct exchange_outlet_host outlets;
    struct loop *loop;
    struct heap heap;
    nghttp2_session *machine;
    struct output output;
    struct list_link live;      /* streams that are not over */
    struct list_link finishing; /* over but not yet written, oldest first */
    struct list_link due;
    struct list_link spare;         /* for reuse */
    struct http2_stream *receiving; /* what nghttp2 told of last, while it knows it; or NULL */
    size_t live_count;
    struct http2_frames frames;
    struct http2_order order;
    struct http2_priority priority;
    struct http2_budget budget;
    struct http_heads heads;         /* of requests */
    struct exchange_windows windows; /* of uploads */
    size_t idle_memory;              /* of nghttp2 at the beginning */
    struct exchange_arrivals arrivals;
    uint64_t content_out; /* of all answers */
    nghttp2_nv *lines;    /* room for the lines of one response head */
    size_t lines_capacity;
    struct block *input; /* what is being fed is part of it; or NULL */
    size_t input_size;   /* bytes being fed */
    milliseconds noticed_at;
    int failure;           /* why the connection must end; 0: it need not */
    uint32_t failure_code; /* for GOAWAY */
    enum http2_phase phase;
    enum http2_farewell farewell;
    uint8_t frame_type; /* being received */
    bool is_broken;     /* nghttp2 must not be called any more */
    bool was_greeted;   /* the client's first SETTINGS came */
    bool is_probed;     /* a PING of ours was not answered yet */
    bool input_ended;   /* feed_end was called */
    bool is_shut;       /* no new requests */
    bool was_noticed;   /* the client answered the PING behind the first GOAWAY */
};

static inline struct http2_session *http2_state_of(struct session *s)
{
    return (struct http2_session *)(void *)s;
}

static inline struct http2_stream *http2_state_stream(struct exchange *x)
{
    return (struct http2_stream *)(void *)x;
}

/* Is it the client's turn to send content? */
static inline bool http2_state_is_awaited(const struct http2_stream *t)
{
    return !t->exchange.is_tunnel && !t->inlet.has_ended &&
           exchange_inlet_is_waiting(&t->inlet, &t->exchange);
}

/* What the application's calls may leave for settle. */
static inline void http2_state_is_due(struct http2_session *s, struct http2_stream *t)
{
    if (!list_is_linked(&t->due))
        list_append(&s->due, &t->due);
}

/* session.c */

/* The connection must end: notes the reason, nothing more. */
void http2_session_break(struct http2_session *s, int error, uint32_t code);
/* Draws on the budget of resets. ROUTED_OK, or the connection must end. */
int http2_session_charge_reset(struct http2_session *s);

/* streams.c */

/* A stream for the next request, or NULL when there is no memory. */
struct http2_stream *http2_streams_take(struct http2_session *s, int32_t id);
/* nghttp2 knows the stream no more. `error` says why when its response was not sent. */
void http2_streams_gone(struct http2_session *s, struct http2_stream *t, int error);
/* Does what callbacks and the application's calls left to be done. */
void http2_streams_settle(struct http2_session *s);
/* The client ended its direction: what it has not sent will never come. */
void http2_streams_end_input(struct http2_session *s);
/* Without input no window ever opens again: ends the answers that wait for one. */
void http2_streams_cut_blocked(struct http2_session *s);
/* Ends the answers whose client opens its window too slowly (limits.send_rate). */
void http2_streams_cut_slow(struct http2_session *s);
/* Ends the requests that too little content comes for, whatever else comes (exchange/arrival.h). */
void http2_streams_cut_starved(struct http2_session *s);
/* Ends the requests whose content did not come in time; false when there is none. */
bool http2_streams_fail_waiting(struct http2_session *s, int error);
/* What the most urgent of the streams, of which there is one, waits for. */
enum session_wait http2_streams_wait(const struct http2_session *s);
/* on_close for those whose answer is written, */
void http2_streams_finish_written(struct http2_session *s);
/* those that are not over, */
void http2_streams_finish_live(struct http2_session *s, int error);
/* and all. */
void http2_streams_finish_all(struct http2_session *s, int error);
/* Gives back what is kept for the next request. */
void http2_streams_free_spare(struct http2_session *s);

/* machine.c */

/* ROUTED_OK or ROUTED_ERROR_MEMORY. Queues our SETTINGS. */
int http2_machine_open(struct http2_session *s);
void http2_machine_close(struct http2_session *s);
void http2_machine_feed(struct http2_session *s, struct span bytes);
/* Moves frames into the output while it is short. */
void http2_machine_pull(struct http2_session *s);
/* Ends the connection for the reason that was noted: GOAWAY, and nghttp2 is not used any more. */
void http2_machine_give_up(struct http2_session *s);
bool http2_machine_wants_write(const struct http2_session *s);
/* nghttp2 has nothing more to do on this connection. */
bool http2_machine_is_done(const struct http2_session *s);

/* receive.c */

void http2_receive_set_callbacks(nghttp2_session_callbacks *callbacks);
/* Delivers held content as far as credit goes, and then the end. */
void http2_receive_deliver_held(struct http2_session *s, struct http2_stream *t);
/* Nobody wants the rest of the content. */
void http2_receive_give_up(struct http2_session *s, struct http2_stream *t);

/* answer.c */

/* What the session does for outlets. */
void http2_answer_init(struct http2_session *s);
void http2_answer_set_callbacks(nghttp2_session_callbacks *callbacks);
/* RST_STREAM; the response is over. */
void http2_answer_reset(struct http2_session *s, struct http2_stream *t, uint32_t code);

#endif
