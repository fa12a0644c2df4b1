/* A client, a QUIC connection and an application around one HTTP/3 session, for the tests and fuzz
 * targets of src/http3.
 *
 * The client writes frames by hand, so that it can write wrong ones, and reads what comes back
 * frame by frame; only QPACK is nghttp3's. The connection takes every byte at once, acknowledges it
 * unless it is told not to, and answers STOP_SENDING as RFC 9000 section 3.5 wants. The application
 * is that of the HTTP/2 tests: it reads each request to its end and answers 200 "ok" unless the
 * test says otherwise. */
#ifndef PEER_H
#define PEER_H

#include "base/buffer.h"
#include "base/memory.h"
#include "http3/frames.h"
#include "http3/session.h"
#include <nghttp3/nghttp3.h>
#include <stdio.h>
#include <stdlib.h>

struct peer;

/* What the application does; members that are NULL do nothing. */
struct peer_script {
    void (*on_request)(struct peer *p, struct exchange *x);
    void (*on_body)(struct peer *p, struct exchange *x, struct span body);
    void (*on_end)(struct peer *p, struct exchange *x);
    void (*on_writable)(struct peer *p, struct exchange *x);
};

/* One stream, as the client has it. */
struct peer_answer {
    int64_t id;
    unsigned status; /* of the latest head */
    unsigned heads;
    unsigned frames;  /* DATA */
    uint64_t size;    /* of the content */
    uint8_t text[64]; /* how it begins */
    char fields[600]; /* "name=value;" of all heads, but for date */
    struct http3_frames reader;
    struct buffer block; /* of the field section that comes back */
    uint64_t sent;       /* bytes that came back */
    uint64_t window;     /* bytes that may; 0: any */
    uint64_t granted;    /* window that was given */
    uint64_t reset_code; /* of RESET_STREAM */
    uint64_t stop_code;  /* of STOP_SENDING */
    size_t unacknowledged;
    bool is_used, is_reset, is_stopped, has_ended;
    bool input_ended; /* FIN or RESET_STREAM was sent */
    bool is_closed;   /* the session was told so */
};

#define PEER_ANSWERS   256
#define PEER_LINES_MAX 1200 /* of one field section */
#define PEER_CONTROL   2    /* the client's streams */
#define PEER_ENCODER   6
#define PEER_DECODER   10
#define PEER_OURS      3  /* the session's control stream */
#define PEER_OUR_TABLE 11 /* its decoder stream of QPACK, */
#define PEER_INSERTS   7  /* and its encoder stream */

struct peer {
    struct http3_session_options options;
    milliseconds now;
    struct http3_session *session;
    const struct peer_script *script;
    struct exchange *exchange; /* the latest */
    void *user;

    nghttp3_qpack_encoder *encoder;
    nghttp3_qpack_decoder *decoder;
    struct peer_answer answers[PEER_ANSWERS];
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

    struct buffer view; /* the application's view of complete requests */
    unsigned opened;    /* exchanges */
    unsigned open;      /* now */
    unsigned most_open;
    unsigned complete;    /* requests read to their end */
    unsigned closed;      /* on_close of applications */
    unsigned ended;       /* on_exchange_end of the host */
    unsigned refused;     /* on_refused of the host */
    unsigned writable;    /* on_writable of applications */
    unsigned ready;       /* on_ready of the host */
    uint64_t content;     /* bytes that applications got */
    int close_error;      /* the latest on_close */
    int exchange_failure; /* the latest on_close with an error */
    int refused_error;    /* the latest on_refused */
    uint16_t refused_status;
    char date[HTTP_DATE_SIZE];
};

#define PEER_DATE "Sun, 06 Nov 1994 08:49:37 GMT"

/* ---- what the application saw ---- */

static inline void peer_view_fields(struct peer *p, const struct field_list *l)
{
    buffer_append_text(&p->view, "[");
    for (size_t i = 0; l && i < l->count; i++) {
        buffer_append_span(&p->view, l->items[i].text);
        buffer_append_text(&p->view, "=");
        buffer_append_span(&p->view, l->items[i].value);
        buffer_append_text(&p->view, ";");
    }
    buffer_append_text(&p->view, "]");
}

static inline void peer_view_request(struct peer *p, struct exchange *x,
                                     const struct field_list *trailers)
{
    const struct http_request *r = &x->request;
    const struct span words[] = {r->method, r->target, r->authority};
    for (size_t i = 0; i < 3; i++) {
        buffer_append_span(&p->view, words[i]);
        buffer_append_text(&p->view, " ");
    }
    peer_view_fields(p, &r->fields);
    buffer_append_text(&p->view, " ");
    buffer_append_decimal(&p->view, x->request_bytes);
    buffer_append_text(&p->view, " ");
    peer_view_fields(p, trailers);
    buffer_append_text(&p->view, "\n");
}

static inline bool peer_saw(const struct peer *p, const char *text)
{
    struct span view = buffer_span(&p->view);
    return view.size && memmem(view.data, view.size, text, strlen(text));
}

/* ---- answers ---- */

static inline int peer_respond(struct exchange *x, uint16_t status, const char *length)
{
    struct field items[] = {{SPAN("content-length"), span_from(length), FIELD_CONTENT_LENGTH}};
    struct http_response head = {.status = status, .fields = {items, length ? 1 : 0, 1}};
    return exchange_respond(x, &head);
}

static inline int peer_send(struct exchange *x, const char *text)
{
    return exchange_send(x, slice_copy(span_from(text)));
}

static inline int peer_send_size(struct exchange *x, size_t size)
{
    struct block *b = block_new(size);
    if (!b)
        return ROUTED_ERROR_MEMORY;
    memset(block_data(b), 'x', size);
    return exchange_send(x, (struct slice){b, block_data(b), size});
}

static inline void peer_answer_ok(struct exchange *x)
{
    peer_respond(x, 200, "2");
    peer_send(x, "ok");
    exchange_end(x, NULL);
}

static inline void peer_grant_all(struct peer *p, struct exchange *x)
{
    (void)p;
    exchange_grant(x, SIZE_MAX / 4);
}

static inline void peer_answer_at_end(struct peer *p, struct exchange *x)
{
    (void)p;
    peer_answer_ok(x);
}

static const struct peer_script peer_reads_then_answers = {.on_request = peer_grant_all,
                                                           .on_end = peer_answer_at_end};

/* ---- the application ---- */

static inline void peer_on_request(struct exchange *x, void *context)
{
    struct peer *p = context;
    x->application_state = p;
    p->exchange = x;
    p->opened++;
    p->open++;
    if (p->open > p->most_open)
        p->most_open = p->open;
    if (p->script->on_request)
        p->script->on_request(p, x);
}

static inline void peer_on_body(struct exchange *x, struct slice body)
{
    struct peer *p = x->application_state;
    p->content += body.size;
    if (p->script->on_body)
        p->script->on_body(p, x, slice_span(body));
    slice_release(&body);
}

static inline void peer_on_end(struct exchange *x, const struct field_list *trailers)
{
    struct peer *p = x->application_state;
    p->complete++;
    peer_view_request(p, x, trailers);
    if (p->script->on_end)
        p->script->on_end(p, x);
}

static inline void peer_on_writable(struct exchange *x)
{
    struct peer *p = x->application_state;
    p->writable++;
    if (p->script->on_writable)
        p->script->on_writable(p, x);
}

static inline void peer_on_close(struct exchange *x, int error)
{
    struct peer *p = x->application_state;
    p->closed++;
    p->open--;
    p->close_error = error;
    if (error)
        p->exchange_failure = error;
    if (p->exchange == x)
        p->exchange = NULL;
}

static const struct exchange_application peer_application = {
    .on_request = peer_on_request,
    .on_body = peer_on_body,
    .on_end = peer_on_end,
    .on_writable = peer_on_writable,
    .on_close = peer_on_close,
};

/* ---- the host ---- */

static inline void peer_host_exchange(void *host, struct exchange *x)
{
    exchange_open(x, &peer_application, host);
}

static inline void peer_host_end(void *host, struct exchange *x, int error)
{
    (void)x;
    (void)error;
    ((struct peer *)host)->ended++;
}

static inline void peer_host_ready(void *host)
{
    ((struct peer *)host)->ready++;
}

static inline void peer_host_refused(void *host, const struct exchange *x, int error,
                                     uint16_t status)
{
    struct peer *p = host;
    (void)x;
    p->refused++;
    p->refused_error = error;
    p->refused_status = status;
}

/* ---- what came back ---- */

static inline struct peer_answer *peer_answer(struct peer *p, int64_t id)
{
    struct peer_answer *a = &p->answers[(uint64_t)id / 4 % PEER_ANSWERS];
    if (!a->is_used || a->id != id) {
        buffer_release(&a->block);
        *a = (struct peer_answer){.id = id, .is_used = true};
    }
    return a;
}

static inline void peer_note_field(struct peer_answer *a, struct span name, struct span value)
{
    size_t at = strlen(a->fields);
    if (span_equals(name, SPAN(":status")))
        a->status = (unsigned)strtoul((const char *)value.data, NULL, 10);
    else if (!span_equals(name, SPAN("date")))
        snprintf(a->fields + at, sizeof(a->fields) - at, "%.*s=%.*s;", (int)name.size,
                 (const char *)name.data, (int)value.size, (const char *)value.data);
}

static inline struct span peer_text(nghttp3_rcbuf *held)
{
    nghttp3_vec bytes = nghttp3_rcbuf_get_buf(held);
    return span_of(bytes.base, bytes.len);
}

static inline void peer_decode(struct peer *p, struct peer_answer *a)
{
    nghttp3_qpack_stream_context *section;
    struct span in = buffer_span(&a->block);
    uint8_t flags = 0;
    a->heads++;
    if (nghttp3_qpack_stream_context_new(&section, a->id, nghttp3_mem_default()))
        abort();
    while (!(flags & NGHTTP3_QPACK_DECODE_FLAG_FINAL)) {
        nghttp3_qpack_nv nv;
        nghttp3_ssize used = nghttp3_qpack_decoder_read_request(p->decoder, section, &nv, &flags,
                                                                in.data, in.size, 1);
        if (used < 0 || flags & NGHTTP3_QPACK_DECODE_FLAG_BLOCKED)
            abort();
        in = span_after(in, (size_t)used);
        if (flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT) {
            peer_note_field(a, peer_text(nv.name), peer_text(nv.value));
            nghttp3_rcbuf_decref(nv.name);
            nghttp3_rcbuf_decref(nv.value);
        }
    }
    nghttp3_qpack_stream_context_del(section);
    buffer_clear(&a->block);
}

static inline void peer_take_data(struct peer_answer *a, struct span payload)
{
    for (size_t i = 0; i < payload.size && a->size + i < sizeof(a->text); i++)
        a->text[a->size + i] = payload.data[i];
    a->size += payload.size;
}

static inline void peer_look(struct peer *p, struct peer_answer *a, struct span bytes)
{
    struct span payload = SPAN_EMPTY;
    enum http3_part part;
    while ((part = http3_frames_next(&a->reader, &bytes, &payload)) != HTTP3_PART_NONE) {
        bool is_head = a->reader.type == HTTP3_FRAME_HEADERS;
        if (part == HTTP3_PART_HEAD && !is_head)
            a->frames++;
        if (part == HTTP3_PART_PAYLOAD && is_head)
            buffer_append_span(&a->block, payload);
        else if (part == HTTP3_PART_PAYLOAD)
            peer_take_data(a, payload);
        if (is_head && a->reader.left == 0)
            peer_decode(p, a);
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
    *(stream & 2 ? &p->side_granted : &peer_answer(p, stream)->granted) += bytes;
}

static inline void peer_grant_connection(void *transport, size_t bytes)
{
    ((struct peer *)transport)->granted += bytes;
}

static inline void peer_reset(void *transport, int64_t stream, uint64_t code)
{
    struct peer_answer *a = peer_answer(transport, stream);
    a->is_reset = true;
    a->reset_code = code;
    a->unacknowledged = 0;
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
    struct peer_answer *a = peer_answer(p, id);
    size_t size = a->unacknowledged;
    a->unacknowledged = 0;
    if (size)
        peer_check(p, http3_session_acknowledged(p->session, id, size));
}

static inline size_t peer_room(const struct peer *p, int64_t id, const struct peer_answer *a,
                               size_t size)
{
    if (p->write_max && size > p->write_max)
        size = p->write_max;
    if (id == PEER_OUR_TABLE && p->table_window && size > p->table_window - p->table_sent)
        size = (size_t)(p->table_window - p->table_sent);
    if (a && a->window && size > a->window - a->sent)
        size = (size_t)(a->window - a->sent);
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
    struct peer_answer *a = id & 2 ? NULL : peer_answer(p, id);
    size_t whole = 0, taken = 0;
    for (size_t i = 0; i < count; i++)
        whole += spans[i].size;
    size_t room = peer_room(p, id, a, whole);
    if (room == 0 && whole) {
        http3_session_blocked(p->session, id);
        return false;
    }
    for (size_t i = 0; taken < room; i++) {
        size_t size = spans[i].size < room - taken ? spans[i].size : room - taken;
        if (a && !p->is_blind)
            peer_look(p, a, span_part(spans[i], 0, size));
        else if (id == PEER_OURS)
            buffer_append(&p->control, spans[i].data, size);
        else if (id == PEER_OUR_TABLE)
            buffer_append(&p->table, spans[i].data, size);
        else if (id == PEER_INSERTS)
            peer_note_inserts(p, span_part(spans[i], 0, size));
        taken += size;
    }
    p->received += taken;
    if (a) {
        a->sent += taken;
        a->has_ended |= ends && taken == whole;
        a->unacknowledged += taken;
        if (p->order_size + 1 < sizeof(p->order))
            p->order[p->order_size++] = (char)('a' + id / 4);
    }
    peer_check(p, http3_session_sent(p->session, id, taken));
    if (id == PEER_OUR_TABLE)
        peer_take_table(p, taken);
    else if (!a && taken)
        peer_check(p, http3_session_acknowledged(p->session, id, taken));
    else if (a && !p->keeps_acks)
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
        struct peer_answer *a = &p->answers[i];
        if (a->is_used && a->is_stopped && !a->input_ended) {
            a->input_ended = moved = true;
            peer_check(p, http3_session_stream_reset(p->session, a->id, a->stop_code));
        }
        if (a->is_used && !a->is_closed && a->input_ended && (a->has_ended || a->is_reset) &&
            a->unacknowledged == 0) {
            a->is_closed = moved = true;
            peer_check(p, http3_session_stream_closed(p->session, a->id, 0));
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
        peer_answer(p, id)->input_ended = true;
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

/* The end alone. */
static inline void peer_fin(struct peer *p, int64_t id)
{
    peer_bytes(p, id, SPAN_EMPTY, true);
}

static inline void peer_data(struct peer *p, int64_t id, size_t size, bool ends)
{
    static const uint8_t zeros[65536];
    peer_frame(p, id, HTTP3_FRAME_DATA, span_of(zeros, size), ends);
}

struct peer_line {
    struct span name, value;
};

#define PEER_LINE(name, value) ((struct peer_line){SPAN(name), SPAN(value)})

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

/* Four pseudo-fields and what is given. */
static inline void peer_request(struct peer *p, int64_t id, const char *method, const char *path,
                                const struct peer_line *more, size_t count, bool ends)
{
    static struct peer_line lines[PEER_LINES_MAX];
    lines[0] = (struct peer_line){SPAN(":method"), span_from(method)};
    lines[1] = PEER_LINE(":scheme", "https");
    lines[2] = (struct peer_line){SPAN(":path"), span_from(path)};
    lines[3] = PEER_LINE(":authority", "a.test");
    for (size_t i = 0; i < count; i++)
        lines[4 + i] = more[i];
    peer_head(p, id, lines, 4 + count, ends);
}

static inline void peer_get(struct peer *p, int64_t id)
{
    peer_request(p, id, "GET", "/", NULL, 0, true);
}

static inline void peer_post(struct peer *p, int64_t id)
{
    peer_request(p, id, "POST", "/", NULL, 0, false);
}

/* RESET_STREAM and, as a browser does it, STOP_SENDING. */
static inline void peer_cancel(struct peer *p, int64_t id)
{
    struct peer_answer *a = peer_answer(p, id);
    if (!a->input_ended) {
        a->input_ended = true;
        peer_check(p, http3_session_stream_reset(p->session, id, NGHTTP3_H3_REQUEST_CANCELLED));
    }
    peer_check(p, http3_session_stream_stopped(p->session, id, NGHTTP3_H3_REQUEST_CANCELLED));
    a->is_reset = true; /* what QUIC does by itself */
    a->unacknowledged = 0;
    http3_session_closed_for_sending(p->session, id);
}

/* ---- beginning and end ---- */

/* Options are the defaults and may be changed before peer_begin. */
static inline void peer_init(struct peer *p, const struct peer_script *script)
{
    memset(p, 0, sizeof(*p));
    p->options = HTTP3_SESSION_OPTIONS_DEFAULT;
    p->script = script;
    p->now = 1000;
    p->next_side = PEER_OURS;
    p->sides_max = 3;
    memcpy(p->date, PEER_DATE, HTTP_DATE_SIZE);
    p->options.date = p->date;
    p->options.now = &p->now;
    p->options.counts = p->counts;
    nghttp3_qpack_encoder_new(&p->encoder, 0, nghttp3_mem_default());
    nghttp3_qpack_decoder_new(&p->decoder, 0, 0, nghttp3_mem_default());
}

/* False when there is no memory. */
static inline bool peer_begin(struct peer *p)
{
    const struct session_host host = {.on_exchange = peer_host_exchange,
                                      .on_exchange_end = peer_host_end,
                                      .on_ready = peer_host_ready,
                                      .on_refused = peer_host_refused,
                                      .host = p};
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

static inline void peer_open(struct peer *p, const struct peer_script *script)
{
    peer_init(p, script);
    if (!peer_begin(p))
        abort();
    peer_greet(p);
}

static inline struct session *peer_base(struct peer *p)
{
    return http3_session_base(p->session);
}

/* A deadline of the connection has passed. */
static inline void peer_fail(struct peer *p, int error)
{
    (peer_base(p)->ops->fail)(peer_base(p), error);
}

static inline void peer_close(struct peer *p)
{
    if (p->session)
        peer_base(p)->ops->free(peer_base(p));
    nghttp3_qpack_encoder_del(p->encoder);
    nghttp3_qpack_decoder_del(p->decoder);
    for (size_t i = 0; i < PEER_ANSWERS; i++)
        buffer_release(&p->answers[i].block);
    buffer_release(&p->control);
    buffer_release(&p->table);
    buffer_release(&p->inserts);
    buffer_release(&p->view);
}

static inline enum session_wait peer_wait(struct peer *p)
{
    return peer_base(p)->wait;
}

static inline uint64_t peer_code(const struct peer *p)
{
    return http3_session_close_code(p->session);
}

#endif
