/* http3/state.h: what the files of a session share. For them only: session, streams, events,
 * charge, machine, side, control, receive, request, qpack, instructions, answer, send.
 *
 * session.c owns the connection's life, streams.c that of its request streams; events.c is what the
 * QUIC connection tells; charge.c draws on the budgets of the connection; machine.c makes and ends
 * what nghttp3 does; side.c takes unidirectional streams, control.c one of them; receive.c takes
 * the frames of request streams and request.c makes requests of them; qpack.c keeps the client's
 * dynamic table and those who wait for it, instructions.c tells the client of it; answer.c gives
 * answers to nghttp3; send.c hands out what nghttp3 has to send. */
#ifndef HTTP3_STATE_H
#define HTTP3_STATE_H

#include "base/bucket.h"
#include "base/heap.h"
#include "base/list.h"
#include "exchange/arrival.h"
#include "exchange/inlet.h"
#include "exchange/outlet.h"
#include "exchange/window.h"
#include "http/head.h"
#include "http3/frames.h"
#include "http3/lines.h"
#include "http3/repertoire.h"
#include "http3/session.h"
#include <nghttp3/nghttp3.h>

/* Bytes of nghttp3's that each open stream costs, whatever its fields are. */
#define HTTP3_STREAM_COST 2048

#define HTTP3_BUCKETS     32 /* of the table of request streams */

/* Of a frame of the control stream as much is kept; a PRIORITY_UPDATE that fills it changes
 * nothing. */
#define HTTP3_PAYLOAD_MAX 64

/* What a request stream may bring next. */
enum http3_expects {
    HTTP3_EXPECTS_HEAD,
    HTTP3_EXPECTS_CONTENT, /* or trailers */
    HTTP3_EXPECTS_END
};

/* What a live stream waits for, as enum session_wait means it. */
enum http3_wait {
    HTTP3_WAIT_HEAD,
    HTTP3_WAIT_BODY,
    HTTP3_WAIT_ANSWER,
    HTTP3_WAIT_WINDOW,
    HTTP3_WAIT_TUNNEL,
    HTTP3_WAIT_COUNT
};

enum http3_farewell { /* RFC 9114 section 5.2 */
    HTTP3_FAREWELL_NONE,
    HTTP3_FAREWELL_NOTICE, /* GOAWAY that stops nothing was queued */
    HTTP3_FAREWELL_LAST    /* GOAWAY with the first stream that is not taken was queued */
};

/* One request with its answer. Lives until the QUIC connection forgets the stream, for what was
 * sent is kept until it is acknowledged. */
struct http3_stream {
    struct exchange exchange;      /* first */
    struct http_head head;         /* what the fields of the request are parts of */
    struct exchange_outlet outlet; /* of the response; content stays until it is acknowledged */
    /* From here on nothing is kept for the next request. */
    struct list_link link; /* in `live`, `finishing` or `spare` */
    struct list_link due;  /* in `due`: settle has something to do for it */
    struct http3_stream *next_in_bucket;
    int64_t id;
    int error;                             /* why it failed */
    nghttp3_qpack_stream_context *section; /* of the field section that is coming; or NULL */
    struct http3_lines lines;              /* of the same */
    struct list_link waiting;              /* in `waiting`: the section needs later inserts */
    struct buffer held;                    /* the rest of it and what came behind, meanwhile */
    struct http3_frames frames;
    struct exchange_inlet inlet;
    struct exchange_window window;
    size_t given_whole;    /* slices of the content that nghttp3 has, from the front */
    size_t given_part;     /* bytes of the next one that it has */
    size_t unacknowledged; /* bytes of all that */
    uint64_t announced;    /* request content, by the frames that came */
    struct exchange_arrival arrival;
    uint64_t acknowledged;        /* response content, ever */
    uint64_t acknowledged_before; /* when content began to wait; and the whole session's */
    uint64_t acknowledged_elsewhere;
    milliseconds waits_since;
    enum http3_expects expects;
    enum http3_wait wait;
    bool is_exchange;     /* the host knows it */
    bool is_refused;      /* it never will */
    bool is_over;         /* nobody but the transport knows it any more */
    bool is_gone;         /* the transport has forgotten it */
    bool is_reset;        /* by us, or by the client */
    bool is_ignored;      /* what comes on it is thrown away */
    bool is_read;         /* to its end */
    bool is_abandoned;    /* its sections are not decoded any more, as the client was told */
    bool is_stopped;      /* STOP_SENDING was queued */
    bool is_charged;      /* for a reset */
    bool has_update;      /* PRIORITY_UPDATE came before the request */
    bool input_has_ended; /* FIN or RESET_STREAM came: no window is given */
    bool data_begun;      /* a DATA frame came */
    bool is_window_full;  /* the stream's own */
    bool response_sent;   /* FIN went out */
    bool is_deferred;     /* nghttp3 waits for more content */
};

enum http3_side_kind {
    HTTP3_SIDE_FREE,
    HTTP3_SIDE_NEW, /* its type is not known */
    HTTP3_SIDE_IGNORED,
    HTTP3_SIDE_CONTROL,
    HTTP3_SIDE_ENCODER, /* of QPACK */
    HTTP3_SIDE_DECODER
};

/* A unidirectional stream of the client. */
struct http3_side {
    int64_t id;
    struct http3_number type;
    enum http3_side_kind kind;
};

/* Our decoder stream of QPACK. */
struct http3_instructions {
    int64_t stream;              /* -1: not open */
    struct exchange_queue queue; /* behind the stream's type; not acknowledged */
    size_t sent;                 /* of it, in packets */
    struct block *block;         /* where the latest stand, and the next will; or NULL */
    size_t filled;               /* bytes of it */
    bool has_type;               /* is in packets */
    bool is_type_acknowledged;
    bool is_window_full;
};

struct http3_session {
    struct session session; /* first */
    const struct http3_session_options *options;
    struct exchange_outlet_host outlets;
    struct http3_transport transport;
    struct loop *loop;
    struct heap heap;
    nghttp3_mem allocator;
    nghttp3_conn *machine;
    nghttp3_qpack_decoder *decoder;
    struct http3_instructions instructions;
    struct http3_repertoire *repertoire; /* NULL: the client offers no table for answers */
    struct list_link waiting;            /* streams, for inserts */
    size_t waiting_count;
    size_t held_memory;       /* of them */
    uint64_t inserts_charged; /* that requests have paid for */
    struct http3_stream *buckets[HTTP3_BUCKETS];
    struct list_link live;      /* streams that are not over */
    struct list_link finishing; /* over, and the transport still has them */
    struct list_link due;
    struct list_link spare; /* for reuse */
    size_t live_count;
    size_t
        stream_count; /* live and finishing; and the most at once, which nghttp3 keeps room for */
    size_t stream_most;
    size_t waits[HTTP3_WAIT_COUNT]; /* live streams, by what they wait for */
    struct http3_side sides[HTTP3_SIDE_STREAMS_MAX];
    struct http3_frames control;        /* of the client's control stream */
    uint8_t payload[HTTP3_PAYLOAD_MAX]; /* of its frame, as far as it is kept */
    size_t payload_size;
    uint64_t push_max; /* MAX_PUSH_ID and GOAWAY of the client */
    uint64_t push_end;
    int64_t control_id;
    int64_t next_request; /* the first request stream that has not come */
    struct bucket resets;
    struct bucket glitches;
    struct bucket small_data;
    struct http_heads heads;         /* of requests */
    struct exchange_windows windows; /* of uploads */
    size_t idle_memory;              /* of nghttp3 at the beginning */
    nghttp3_nv *lines;               /* room for the lines of one response head */
    size_t lines_capacity;
    int64_t control_stream; /* of ours */
    uint64_t control_unacknowledged;
    uint64_t streams_closed; /* request streams, ever */
    struct exchange_arrivals arrivals;
    uint64_t acknowledged; /* response content, ever */
    size_t unacknowledged; /* response content that nghttp3 has, of all streams */
    int64_t latest_stream; /* what next said last */
    size_t latest_size;
    milliseconds noticed_at;
    uint64_t failure_code; /* for CONNECTION_CLOSE */
    int failure;           /* why the connection must end; 0: it need not */
    enum http3_farewell farewell;
    bool latest_ends;
    bool was_deferred; /* a stream had nothing for nghttp3 */
    bool is_full;      /* or had to wait for acknowledgements */
    bool is_started;
    bool is_broken; /* nghttp3 must not be called any more */
    bool is_over;
    bool is_early;      /* what comes now is early data */
    bool is_silent;     /* nothing was left to be sent */
    bool control_begun; /* the first frame of the client's control stream has */
    bool was_greeted;   /* the client's SETTINGS came */
    bool is_shut;       /* no new requests */
    bool notice_sent;   /* the first GOAWAY is in packets */
    bool was_noticed;   /* and acknowledged */
};

static inline struct http3_session *http3_state_of(struct session *s)
{
    return (struct http3_session *)(void *)s;
}

static inline struct http3_stream *http3_state_stream(struct exchange *x)
{
    return (struct http3_stream *)(void *)x;
}

/* What happened to it is for settle to look at. */
static inline void http3_state_is_due(struct http3_session *s, struct http3_stream *t)
{
    if (!list_is_linked(&t->due))
        list_append(&s->due, &t->due);
}

/* For the client's inserts. */
static inline bool http3_state_is_waiting(const struct http3_stream *t)
{
    return list_is_linked(&t->waiting);
}

/* RFC 9000 section 2.1. */
static inline bool http3_state_is_request_stream(int64_t id)
{
    return (id & 3) == 0;
}

static inline bool http3_state_is_client_side_stream(int64_t id)
{
    return (id & 3) == 2;
}

/* session.c */

/* The connection must end: notes the reason, nothing more. */
void http3_session_break(struct http3_session *s, int error, uint64_t code);
/* Around what may call back: settles before and after. */
void http3_session_enter(struct http3_session *s);
/* ROUTED_OK, or why the connection must be closed. */
int http3_session_leave(struct http3_session *s);

/* streams.c */

/* NULL: there is none. */
struct http3_stream *http3_streams_find(struct http3_session *s, int64_t id);
/* A stream for the next request, or NULL when there is no memory. */
struct http3_stream *http3_streams_take(struct http3_session *s, int64_t id);
/* The transport is done with a stream that was never a request. */
void http3_streams_forget(struct http3_session *s, int64_t id);
/* Does what events and the application's calls left to be done. */
void http3_streams_settle(struct http3_session *s);
/* From now on the client's progress with the answer is watched. */
void http3_streams_watch(const struct http3_session *s, struct http3_stream *t);
/* Ends the answers whose client takes too little of them (limits.send_rate). */
void http3_streams_cut_slow(struct http3_session *s);
/* What the most urgent of the live streams, of which there is one, waits for. */
enum session_wait http3_streams_wait(const struct http3_session *s);
/* Ends the requests whose content did not come in time; false when there is none. */
bool http3_streams_fail_waiting(struct http3_session *s, int error);
/* on_close for those that are not over; */
void http3_streams_finish_live(struct http3_session *s, int error);
/* who is, and still with the transport, need not wait for it any more. */
void http3_streams_drop_finishing(struct http3_session *s);
/* Gives back what is kept for the next request. */
void http3_streams_free_spare(struct http3_session *s);

/* charge.c */

/* Draws on a budget of the connection, for the stream once where it is given. */
void http3_charge_reset(struct http3_session *s, struct http3_stream *t);
void http3_charge_glitch(struct http3_session *s);
/* The same for a frame that means nothing for a request, with its size. */
void http3_charge_unknown(struct http3_session *s, uint64_t size);
/* The fields of all streams, what waits for the table, and nghttp3's own memory against what the
 * client has paid for. */
bool http3_charge_is_over_memory(const struct http3_session *s);

/* machine.c */

/* ROUTED_OK or ROUTED_ERROR_MEMORY. */
int http3_machine_open(struct http3_session *s);
void http3_machine_close(struct http3_session *s);
/* Opens our control and QPACK streams. */
void http3_machine_start(struct http3_session *s);
/* nghttp3 refused: the connection must end. */
void http3_machine_failed(struct http3_session *s, int result);

/* qpack.c */

/* ROUTED_OK or ROUTED_ERROR_MEMORY. */
int http3_qpack_open(struct http3_session *s);
void http3_qpack_close(struct http3_session *s);
/* Bytes of the client's encoder stream: the table changes, and who waited for that goes on. */
void http3_qpack_receive(struct http3_session *s, struct span bytes);
/* A context for a field section, or NULL when there is no memory. */
nghttp3_qpack_stream_context *http3_qpack_begin_section(struct http3_session *s, int64_t id);
/* The section needs inserts that have not come: what stands behind its prefix, and all that comes
 * on the stream, is held until http3_receive_resume. */
void http3_qpack_wait(struct http3_session *s, struct http3_stream *t);
void http3_qpack_hold(struct http3_session *s, struct http3_stream *t, struct span bytes);
/* No section of the stream will be decoded any more, though some may be on their way: the client is
 * told (RFC 9204 section 2.2.2.2), once. */
void http3_qpack_abandon(struct http3_session *s, struct http3_stream *t);
/* The same for a stream that never was a request. */
void http3_qpack_cancel(struct http3_session *s, int64_t id);
/* Frees what the stream has here, and tells nobody. */
void http3_qpack_forget(struct http3_session *s, struct http3_stream *t);

/* instructions.c */

void http3_instructions_release(struct http3_session *s);
/* What is to be sent next on our decoder stream; it lives until it is acknowledged. */
struct span http3_instructions_next(struct http3_session *s);
/* So many bytes of the stream are in packets, or acknowledged. Returns how many of them were
 * nghttp3's. */
size_t http3_instructions_sent(struct http3_session *s, size_t bytes);
size_t http3_instructions_acknowledged(struct http3_session *s, size_t bytes);

/* side.c */

void http3_side_receive(struct http3_session *s, int64_t id, struct span bytes, bool ends);
/* The client reset it. */
void http3_side_reset(struct http3_session *s, int64_t id);
/* It is closed. */
void http3_side_end(struct http3_session *s, int64_t id);

/* control.c */

void http3_control_receive(struct http3_session *s, struct span bytes);

/* receive.c */

void http3_receive(struct http3_session *s, int64_t id, struct span bytes, bool ends);
/* What was held for a stream that waited for the client's table. */
void http3_receive_resume(struct http3_session *s, struct http3_stream *t, struct span held);
/* Delivers held content as far as credit goes, and then the end. */
void http3_receive_deliver_held(struct http3_session *s, struct http3_stream *t);
/* Ends the requests that too little content comes for, whatever else comes (exchange/arrival.h). */
void http3_receive_cut_starved(struct http3_session *s);
/* Nobody wants the rest of the content. */
void http3_receive_give_up(struct http3_session *s, struct http3_stream *t);

/* request.c */

/* A HEADERS frame has begun, brings a piece of its field section, is complete. `ends`: with the
 * stream. A section that has to wait leaves the rest of the piece. */
void http3_request_begin_section(struct http3_session *s, struct http3_stream *t);
struct span http3_request_add_section(struct http3_session *s, struct http3_stream *t,
                                      struct span bytes);
void http3_request_end_section(struct http3_session *s, struct http3_stream *t, bool ends);
/* The request breaks RFC 9114 section 4.1.2 after its head, or has none: RESET_STREAM with `code`.
 */
void http3_request_is_malformed(struct http3_session *s, struct http3_stream *t, uint64_t code);
/* Its priority (RFC 9218) from what the field or the frame says. */
void http3_request_set_priority(struct http3_session *s, int64_t id, nghttp3_pri priority);

/* answer.c */

/* What the session does for outlets. */
void http3_answer_init(struct http3_session *s);
/* RESET_STREAM and STOP_SENDING; the response is over. */
void http3_answer_reset(struct http3_session *s, struct http3_stream *t, uint64_t code);
/* STOP_SENDING: what still comes is thrown away. */
void http3_answer_stop(struct http3_session *s, struct http3_stream *t, uint64_t code);

/* send.c */

/* What nghttp3 asks for and acknowledges. */
nghttp3_ssize http3_send_on_read(nghttp3_conn *machine, int64_t id, nghttp3_vec *out, size_t max,
                                 uint32_t *flags, void *user, void *stream);
int http3_send_on_acknowledged(nghttp3_conn *machine, int64_t id, uint64_t size, void *user,
                               void *stream);
/* Room for the lines of a response in s->lines; false when there is no memory. */
bool http3_send_reserve_lines(struct http3_session *s, size_t count);
size_t http3_send_put_fields(struct http3_session *s, const struct http3_stream *t, size_t count,
                             const struct field_list *fields);
/* Content is there again. */
void http3_send_resume(struct http3_session *s, struct http3_stream *t);
/* So many bytes that nghttp3 had are not kept any more; */
void http3_send_forget(struct http3_session *s, struct http3_stream *t, size_t size);
/* streams that waited for that go on. */
void http3_send_resume_all(struct http3_session *s);

#endif
