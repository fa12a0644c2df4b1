/* A client, a QUIC connection and an application around one HTTP/3 session, for the tests and fuzz
 * targets of src/http3.
 *
 * The client writes frames by hand, so that it can write wrong ones, and reads what comes back
 * frame by frame; only QPACK is nghttp3's. The connection takes every byte at once, acknowledges it
 * unless it is told not to, and answers STOP_SENDING as RFC 9000 section 3.5 wants. */
#ifndef PEER_H
#define PEER_H

#include "base/buffer.h"
#include "base/memory.h"
#include "http3/frames.h"
#include "http3/session.h"
#include "support/streams.h"
#include <nghttp3/nghttp3.h>

/* One stream of a request, as the client has it. */
struct peer_stream {
    struct peer_answer answer;
    struct http3_frames reader;
    struct buffer block; /* of the field section that comes back */
    uint64_t sent;       /* bytes that came back */
    uint64_t window;     /* bytes that may; 0: any */
    uint64_t granted;    /* window that was given */
    size_t unacknowledged;
    bool input_ended; /* FIN or RESET_STREAM was sent */
    bool is_closed;   /* the session was told so */
};

#define PEER_CONTROL     2 /* the client's streams */
#define PEER_ENCODER     6
#define PEER_DECODER     10
#define PEER_OURS        3  /* the session's control stream */
#define PEER_OUR_TABLE   11 /* its decoder stream of QPACK, */
#define PEER_INSERTS     7  /* and its encoder stream */
#define PEER_MALFORMED   NGHTTP3_H3_MESSAGE_ERROR
#define PEER_FAILED      NGHTTP3_H3_INTERNAL_ERROR
#define PEER_EXCESSIVE   NGHTTP3_H3_EXCESSIVE_LOAD
#define PEER_END_FRAMES  0
#define PEER_STREAM_COST 5120

struct peer {
    struct http3_session_options options;
    milliseconds now;
    struct http3_session *session;
    struct origin origin;

    nghttp3_qpack_encoder *encoder;
    nghttp3_qpack_decoder *decoder;
    struct peer_stream streams[PEER_ANSWERS];
    struct buffer control; /* what came on the session's control stream */
    struct buffer table;   /* and on its decoder stream, behind the type */
    size_t table_unacknowledged;
    uint64_t table_window; /* of the latter; 0: any */
    uint64_t table_sent;
    uint32_t answer_table;   /* what the client offers for answers: bytes, */
    uint32_t answer_blocked; /* and streams */
    struct buffer inserts;   /* what came for it and is not taken */
    uint64_t insert_bytes;   /* ever */
    bool keeps_inserts;      /* they are not taken */
    uint64_t counts[HTTP3_SESSION_COUNT];
    size_t split;       /* bytes a receive; 0: all */
    size_t write_max;   /* bytes a sent call reports at once; 0: all */
    int64_t next_side;  /* of the session's streams */
    unsigned sides_max; /* that the session may open */
    bool is_stuck;      /* nothing is sent */
    bool keeps_acks;    /* what came is not acknowledged */
    bool keeps_streams; /* streams are not closed */
    bool is_blind;      /* does not look at what comes back */
    int failure;        /* what a call returned that was not ROUTED_OK */
    uint64_t sent;      /* bytes received by the session */
    uint64_t received;  /* bytes that came back */
    uint64_t granted;   /* of the connection */
    uint64_t side_granted;
    uint64_t side_stop_code; /* of unidirectional streams of the client */
    unsigned side_stops;
    char order[256]; /* of what came: 'a' for stream 0, 'b' for 4 */
    size_t order_size;
    char date[HTTP_DATE_SIZE];
};

static inline struct span peer_scheme(void)
{
    return SPAN("https");
}

static inline int64_t peer_id(int64_t n)
{
    return 4 * n;
}

/* ---- what came back ---- */

static inline struct peer_stream *peer_stream(struct peer *p, int64_t id)
{
    struct peer_stream *s = &p->streams[(uint64_t)id / 4 % PEER_ANSWERS];
    if (!s->answer.is_used || s->answer.id != id) {
        buffer_release(&s->block);
        *s = (struct peer_stream){.answer = {.id = id, .is_used = true}};
    }
    return s;
}

static inline struct peer_answer *peer_answer(struct peer *p, int64_t id)
{
    return &peer_stream(p, id)->answer;
}

static inline struct span peer_text(nghttp3_rcbuf *held)
{
    nghttp3_vec bytes = nghttp3_rcbuf_get_buf(held);
    return span_of(bytes.base, bytes.len);
}

static inline void peer_decode(struct peer *p, struct peer_stream *s)
{
    nghttp3_qpack_stream_context *section;
    struct span in = buffer_span(&s->block);
    uint8_t flags = 0;
    s->answer.heads++;
    if (nghttp3_qpack_stream_context_new(&section, s->answer.id, nghttp3_mem_default()))
        abort();
    while (!(flags & NGHTTP3_QPACK_DECODE_FLAG_FINAL)) {
        nghttp3_qpack_nv nv;
        nghttp3_ssize used = nghttp3_qpack_decoder_read_request(p->decoder, section, &nv, &flags,
                                                                in.data, in.size, 1);
        if (used < 0 || flags & NGHTTP3_QPACK_DECODE_FLAG_BLOCKED)
            abort();
        in = span_after(in, (size_t)used);
        if (flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT) {
            peer_note_field(&s->answer, peer_text(nv.name), peer_text(nv.value));
            nghttp3_rcbuf_decref(nv.name);
            nghttp3_rcbuf_decref(nv.value);
        }
    }
    nghttp3_qpack_stream_context_del(section);
    buffer_clear(&s->block);
}

static inline void peer_look(struct peer *p, struct peer_stream *s, struct span bytes)
{
    struct span payload = SPAN_EMPTY;
    enum http3_part part;
    while ((part = http3_frames_next(&s->reader, &bytes, &payload)) != HTTP3_PART_NONE) {
        bool is_head = s->reader.type == HTTP3_FRAME_HEADERS;
        if (part == HTTP3_PART_HEAD && !is_head)
            s->answer.frames++;
        if (part == HTTP3_PART_PAYLOAD && is_head)
            buffer_append_span(&s->block, payload);
        else if (part == HTTP3_PART_PAYLOAD)
            peer_note_content(&s->answer, payload);
        if (is_head && s->reader.left == 0)
            peer_decode(p, s);
    }
}

/* ---- the connection ---- */

static inline void peer_check(struct peer *p, int error)
{
    if (error && !p->failure)
        p->failure = error;
}

static inline int peer_open_stream(void *transport, int64_t *stream)
{
    struct peer *p = transport;
    if (p->sides_max == 0)
        return ROUTED_ERROR_AGAIN;
    p->sides_max--;
    *stream = p->next_side;
    p->next_side += 4;
    return ROUTED_OK;
}

static inline void peer_grant_stream(void *transport, int64_t stream, size_t bytes)
{
    struct peer *p = transport;
    *(stream & 2 ? &p->side_granted : &peer_stream(p, stream)->granted) += bytes;
}

static inline void peer_grant_connection(void *transport, size_t bytes)
{
    ((struct peer *)transport)->granted += bytes;
}

static inline void peer_reset(void *transport, int64_t stream, uint64_t code)
{
    struct peer_stream *s = peer_stream(transport, stream);
    s->answer.is_reset = true;
    s->answer.reset_code = code;
    s->unacknowledged = 0;
}

static inline void peer_stop(void *transport, int64_t stream, uint64_t code)
{
    struct peer *p = transport;
    if (stream & 2) {
        p->side_stops++;
        p->side_stop_code = code;
        return;
    }
    peer_answer(p, stream)->is_stopped = true;
    peer_answer(p, stream)->stop_code = code;
}

static inline void peer_acknowledge(struct peer *p, int64_t id)
{
    struct peer_stream *s = peer_stream(p, id);
    size_t size = s->unacknowledged;
    s->unacknowledged = 0;
    if (size)
        peer_check(p, http3_session_acknowledged(p->session, id, size));
}

static inline size_t peer_room(const struct peer *p, int64_t id, const struct peer_stream *s,
                               size_t size)
{
    if (p->write_max && size > p->write_max)
        size = p->write_max;
    if (id == PEER_OUR_TABLE && p->table_window && size > p->table_window - p->table_sent)
        size = (size_t)(p->table_window - p->table_sent);
    if (s && s->window && size > s->window - s->sent)
        size = (size_t)(s->window - s->sent);
    return size;
}

static inline void peer_acknowledge_table(struct peer *p)
{
    size_t size = p->table_unacknowledged;
    p->table_unacknowledged = 0;
    if (size)
        peer_check(p, http3_session_acknowledged(p->session, PEER_OUR_TABLE, size));
}

static inline void peer_take_table(struct peer *p, size_t taken)
{
    if (p->table_sent == 0 && buffer_size(&p->table))
        buffer_consume(&p->table, 1);
    p->table_sent += taken;
    p->table_unacknowledged += taken;
    if (!p->keeps_acks)
        peer_acknowledge_table(p);
}

/* The client's table follows; what it says of it goes back. */
static inline bool peer_take_inserts(struct peer *p)
{
    uint8_t told[4096];
    struct span bytes = buffer_span(&p->inserts);
    if (p->keeps_inserts || !p->answer_table)
        return false;
    if (nghttp3_qpack_decoder_read_encoder(p->decoder, bytes.data, bytes.size) < 0)
        abort();
    buffer_clear(&p->inserts);
    size_t size = nghttp3_qpack_decoder_get_decoder_streamlen(p->decoder);
    if (size == 0 || size > sizeof(told) || p->failure)
        return false;
    nghttp3_buf out = {.begin = told, .end = told + size, .pos = told, .last = told};
    nghttp3_qpack_decoder_write_decoder(p->decoder, &out);
    p->sent += size;
    peer_check(p, http3_session_receive(p->session, PEER_DECODER, span_of(told, size), false));
    return true;
}

static inline void peer_note_inserts(struct peer *p, struct span bytes)
{
    bytes = span_after(bytes, p->insert_bytes == 0); /* the type */
    buffer_append_span(&p->inserts, bytes);
    p->insert_bytes += bytes.size + (p->insert_bytes == 0);
    peer_take_inserts(p);
}

/* Takes what next gave; false when the stream is full. */
static inline bool peer_take(struct peer *p, int64_t id, const struct span *spans, size_t count,
                             bool ends)
{
    struct peer_stream *s = id & 2 ? NULL : peer_stream(p, id);
    size_t whole = 0, taken = 0;
    for (size_t i = 0; i < count; i++)
        whole += spans[i].size;
    size_t room = peer_room(p, id, s, whole);
    if (room == 0 && whole) {
        http3_session_blocked(p->session, id);
        return false;
    }
    for (size_t i = 0; taken < room; i++) {
        size_t size = spans[i].size < room - taken ? spans[i].size : room - taken;
        if (s && !p->is_blind)
            peer_look(p, s, span_part(spans[i], 0, size));
        else if (id == PEER_OURS)
            buffer_append(&p->control, spans[i].data, size);
        else if (id == PEER_OUR_TABLE)
            buffer_append(&p->table, spans[i].data, size);
        else if (id == PEER_INSERTS)
            peer_note_inserts(p, span_part(spans[i], 0, size));
        taken += size;
    }
    p->received += taken;
    if (s) {
        s->sent += taken;
        s->answer.has_ended |= ends && taken == whole;
        s->unacknowledged += taken;
        if (p->order_size + 1 < sizeof(p->order))
            p->order[p->order_size++] = (char)('a' + id / 4);
    }
    peer_check(p, http3_session_sent(p->session, id, taken));
    if (id == PEER_OUR_TABLE)
        peer_take_table(p, taken);
    else if (!s && taken)
        peer_check(p, http3_session_acknowledged(p->session, id, taken));
    else if (s && !p->keeps_acks)
        peer_acknowledge(p, id);
    return true;
}

static inline bool peer_flush(struct peer *p)
{
    bool moved = false;
    while (!p->is_stuck && !p->failure) {
        struct span spans[16];
        int64_t id;
        bool ends;
        size_t count = http3_session_next(p->session, &id, spans, 16, &ends);
        if (id < 0)
            return moved;
        moved |= peer_take(p, id, spans, count, ends);
    }
    return moved;
}

/* Answers STOP_SENDING, and closes what has ended on both sides. */
static inline bool peer_settle(struct peer *p)
{
    bool moved = false;
    for (size_t i = 0; i < PEER_ANSWERS && !p->keeps_streams; i++) {
        struct peer_stream *s = &p->streams[i];
        if (s->answer.is_used && s->answer.is_stopped && !s->input_ended) {
            s->input_ended = moved = true;
            peer_check(p,
                       http3_session_stream_reset(p->session, s->answer.id, s->answer.stop_code));
        }
        if (s->answer.is_used && !s->is_closed && s->input_ended &&
            (s->answer.has_ended || s->answer.is_reset) && s->unacknowledged == 0) {
            s->is_closed = moved = true;
            peer_check(p, http3_session_stream_closed(p->session, s->answer.id, 0));
        }
    }
    return moved;
}

static inline void peer_turn(struct peer *p)
{
    bool moved = true;
    while (moved) {
        moved = peer_flush(p);
        moved |= peer_settle(p);
        moved |= peer_take_inserts(p);
    }
}

/* ---- the client writes ---- */

/* Bytes of a stream; they end it if `ends`. */
static inline void peer_bytes(struct peer *p, int64_t id, struct span bytes, bool ends)
{
    p->sent += bytes.size;
    do {
        size_t size = p->split && p->split < bytes.size ? p->split : bytes.size;
        uint8_t *copy = malloc(size + 1);
        if (size)
            memcpy(copy, bytes.data, size);
        bytes = span_after(bytes, size);
        peer_check(
            p, http3_session_receive(p->session, id, span_of(copy, size), ends && bytes.size == 0));
        free(copy);
    } while (bytes.size);
    if (ends && !(id & 2))
        peer_stream(p, id)->input_ended = true;
}

static inline void peer_number(struct buffer *out, uint64_t value)
{
    unsigned log = value < 64 ? 0 : value < 16384 ? 1 : value < 1073741824 ? 2 : 3;
    uint8_t bytes[8];
    size_t size = (size_t)1 << log;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * (size - 1 - i));
    bytes[0] |= (uint8_t)(log << 6);
    buffer_append(out, bytes, size);
}

static inline void peer_put_frame(struct buffer *out, uint64_t type, struct span payload)
{
    peer_number(out, type);
    peer_number(out, payload.size);
    buffer_append_span(out, payload);
}

static inline void peer_send_buffer(struct peer *p, int64_t id, struct buffer *b, bool ends)
{
    peer_bytes(p, id, buffer_span(b), ends);
    buffer_release(b);
}

static inline void peer_frame(struct peer *p, int64_t id, uint64_t type, struct span payload,
                              bool ends)
{
    struct buffer b = BUFFER_EMPTY;
    peer_put_frame(&b, type, payload);
    peer_send_buffer(p, id, &b, ends);
}

static inline void peer_fin(struct peer *p, int64_t id)
{
    peer_bytes(p, id, SPAN_EMPTY, true);
}

static inline void peer_data(struct peer *p, int64_t id, size_t size, bool ends)
{
    static const uint8_t zeros[65536];
    peer_frame(p, id, HTTP3_FRAME_DATA, span_of(zeros, size), ends);
}

/* A field section of any lines, legal or not. */
static inline void peer_section(struct peer *p, struct buffer *out, const struct peer_line *lines,
                                size_t count)
{
    static nghttp3_nv nva[PEER_LINES_MAX];
    nghttp3_buf prefix, rest, inserts;
    nghttp3_buf_init(&prefix);
    nghttp3_buf_init(&rest);
    nghttp3_buf_init(&inserts);
    for (size_t i = 0; i < count; i++)
        nva[i] = (nghttp3_nv){.name = lines[i].name.data,
                              .namelen = lines[i].name.size,
                              .value = lines[i].value.data,
                              .valuelen = lines[i].value.size};
    uint8_t room[16];
    prefix = (nghttp3_buf){.begin = room, .pos = room, .last = room, .end = room + sizeof(room)};
    if (nghttp3_qpack_encoder_encode(p->encoder, &prefix, &rest, &inserts, 0, nva, count))
        abort();
    buffer_append(out, prefix.pos, nghttp3_buf_len(&prefix));
    if (nghttp3_buf_len(&rest))
        buffer_append(out, rest.pos, nghttp3_buf_len(&rest));
    nghttp3_buf_free(&rest, nghttp3_mem_default());
    nghttp3_buf_free(&inserts, nghttp3_mem_default());
}

static inline void peer_put_head(struct peer *p, struct buffer *out, const struct peer_line *lines,
                                 size_t count)
{
    struct buffer section = BUFFER_EMPTY;
    peer_section(p, &section, lines, count);
    peer_put_frame(out, HTTP3_FRAME_HEADERS, buffer_span(&section));
    buffer_release(&section);
}

static inline void peer_head(struct peer *p, int64_t id, const struct peer_line *lines,
                             size_t count, bool ends)
{
    struct buffer b = BUFFER_EMPTY;
    peer_put_head(p, &b, lines, count);
    peer_send_buffer(p, id, &b, ends);
}

/* RESET_STREAM and, as a browser does it, STOP_SENDING. */
static inline void peer_cancel(struct peer *p, int64_t id)
{
    struct peer_stream *s = peer_stream(p, id);
    if (!s->input_ended) {
        s->input_ended = true;
        peer_check(p, http3_session_stream_reset(p->session, id, NGHTTP3_H3_REQUEST_CANCELLED));
    }
    peer_check(p, http3_session_stream_stopped(p->session, id, NGHTTP3_H3_REQUEST_CANCELLED));
    s->answer.is_reset = true; /* what QUIC does by itself */
    s->unacknowledged = 0;
    http3_session_closed_for_sending(p->session, id);
}

/* ---- beginning and end ---- */

static inline void peer_init(struct peer *p, const struct origin_script *script)
{
    memset(p, 0, sizeof(*p));
    p->options = HTTP3_SESSION_OPTIONS_DEFAULT;
    p->origin.script = script;
    p->now = 1000;
    p->next_side = PEER_OURS;
    p->sides_max = 3;
    memcpy(p->date, ORIGIN_DATE, HTTP_DATE_SIZE);
    p->options.date = p->date;
    p->options.now = &p->now;
    p->options.counts = p->counts;
    nghttp3_qpack_encoder_new(&p->encoder, 0, nghttp3_mem_default());
    nghttp3_qpack_decoder_new(&p->decoder, 0, 0, nghttp3_mem_default());
}

static inline bool peer_begin(struct peer *p)
{
    const struct session_host host = origin_host(&p->origin);
    const struct http3_transport transport = {.open_stream = peer_open_stream,
                                              .grant_stream = peer_grant_stream,
                                              .grant_connection = peer_grant_connection,
                                              .reset = peer_reset,
                                              .stop = peer_stop,
                                              .transport = p};
    p->session = http3_session_new(&p->options, &host, &transport, NULL);
    return p->session;
}

/* The client's control stream with SETTINGS, and both of QPACK. */
static inline void peer_greet(struct peer *p)
{
    static const uint8_t encoder[] = {2}, decoder[] = {3};
    struct buffer settings = BUFFER_EMPTY, control = BUFFER_EMPTY;
    peer_check(p, http3_session_start(p->session));
    if (p->answer_table) {
        peer_number(&settings, 1);
        peer_number(&settings, p->answer_table);
        peer_number(&settings, 7);
        peer_number(&settings, p->answer_blocked);
        nghttp3_qpack_decoder_del(p->decoder);
        nghttp3_qpack_decoder_new(&p->decoder, p->answer_table, p->answer_blocked,
                                  nghttp3_mem_default());
    }
    buffer_append(&control, "", 1);
    peer_put_frame(&control, HTTP3_FRAME_SETTINGS, buffer_span(&settings));
    peer_send_buffer(p, PEER_CONTROL, &control, false);
    buffer_release(&settings);
    peer_bytes(p, PEER_ENCODER, span_of(encoder, 1), false);
    peer_bytes(p, PEER_DECODER, span_of(decoder, 1), false);
    peer_turn(p);
}

static inline struct session *peer_base(const struct peer *p)
{
    return http3_session_base(p->session);
}

static inline void peer_forget(struct peer *p)
{
    for (size_t i = 0; i < PEER_ANSWERS; i++)
        buffer_release(&p->streams[i].block);
    buffer_release(&p->control);
    buffer_release(&p->table);
    buffer_release(&p->inserts);
    origin_release(&p->origin);
}

static inline void peer_close(struct peer *p)
{
    if (p->session)
        peer_base(p)->ops->free(peer_base(p));
    nghttp3_qpack_encoder_del(p->encoder);
    nghttp3_qpack_decoder_del(p->decoder);
    peer_forget(p);
}

static inline uint64_t peer_code(const struct peer *p)
{
    return http3_session_close_code(p->session);
}

#endif
