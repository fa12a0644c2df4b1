/* A client and an application around one HTTP/2 session, for the tests and fuzz targets of
 * src/http2.
 *
 * The client writes frames by hand, so that it can write wrong ones, and reads what comes back
 * frame by frame; only HPACK is nghttp2's. The application reads each request to its end and
 * answers 200 "ok" unless the test says otherwise; what it saw becomes one line of text for each
 * complete request. */
#ifndef PEER_H
#define PEER_H

#include "base/buffer.h"
#include "base/memory.h"
#include "base/spare.h"
#include "http2/session.h"
#include <nghttp2/nghttp2.h>
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

/* What came back on one stream. */
struct peer_answer {
    int32_t id;
    unsigned status; /* of the latest head */
    unsigned heads;
    unsigned frames;  /* DATA */
    uint64_t size;    /* of the content */
    uint8_t text[64]; /* how it begins */
    char fields[600]; /* "name=value;" of all heads, but for date */
    uint32_t code;    /* of RST_STREAM */
    bool is_reset;
    bool has_ended;
};

#define PEER_ANSWERS   256
#define PEER_LINES_MAX 1200 /* of one field block */

struct peer {
    struct http2_session_options options;
    struct spare spare;
    milliseconds now;
    struct session *session;
    const struct peer_script *script;
    struct exchange *exchange; /* the latest */
    void *user;

    nghttp2_hd_deflater *deflater;
    nghttp2_hd_inflater *inflater;
    struct buffer input;  /* frames that were written and not fed yet */
    struct buffer output; /* bytes that came back and are no whole frame yet */
    struct buffer block;  /* of the field block that comes back */
    struct peer_answer answers[PEER_ANSWERS];
    size_t split;            /* bytes a feed; 0: all */
    size_t write_max;        /* bytes a drained call reports at once; 0: all */
    bool is_stuck;           /* nothing is read by the client */
    bool gives_blocks;       /* feed from a block instead of bare bytes */
    bool is_blind;           /* does not look at what comes back */
    uint64_t sent;           /* bytes fed */
    uint64_t received;       /* bytes that came back */
    uint64_t frames[16];     /* that came back, by type */
    uint64_t updates;        /* window given back for the connection */
    uint64_t stream_updates; /* and for streams */
    int32_t goaway_last;
    uint32_t goaway_code;
    unsigned spans;  /* of all drains */
    char order[256]; /* of DATA frames: 'a' for stream 1, 'b' for 3 */
    size_t order_size;

    struct buffer view; /* the application's view of complete requests */
    unsigned opened;    /* exchanges */
    unsigned open;      /* now */
    unsigned most_open;
    unsigned complete;   /* requests read to their end */
    unsigned closed;     /* on_close of applications */
    unsigned ended;      /* on_exchange_end of the host */
    unsigned refused;    /* on_refused of the host */
    unsigned writable;   /* on_writable of applications */
    unsigned ready;      /* on_ready of the host */
    unsigned limited;    /* on_limit of the host */
    uint64_t round_trip; /* nanoseconds; 0: not known */
    uint64_t content;    /* bytes that applications got */
    int close_error;     /* the latest on_close */
    int failure;         /* the latest on_close with an error */
    int refused_error;   /* the latest on_refused */
    uint16_t refused_status;
    char date[HTTP_DATE_SIZE];
};

#define PEER_DATE    "Sun, 06 Nov 1994 08:49:37 GMT"
#define PEER_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

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
        p->failure = error;
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

static inline void peer_host_limit(void *host, size_t offset)
{
    (void)offset;
    ((struct peer *)host)->limited++;
}

static inline uint64_t peer_host_round_trip(void *host)
{
    return ((struct peer *)host)->round_trip;
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

static inline struct peer_answer *peer_answer(struct peer *p, int32_t id)
{
    struct peer_answer *a = &p->answers[(uint32_t)id / 2 % PEER_ANSWERS];
    if (a->id != id)
        *a = (struct peer_answer){.id = id};
    return a;
}

static inline uint32_t peer_number(const uint8_t *bytes, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum = sum << 8 | bytes[i];
    return sum;
}

static inline void peer_note_field(struct peer_answer *a, const nghttp2_nv *nv)
{
    size_t at = strlen(a->fields);
    if (nv->namelen == 7 && memcmp(nv->name, ":status", 7) == 0) {
        a->status = (unsigned)strtoul((const char *)nv->value, NULL, 10);
        return;
    }
    if (nv->namelen == 4 && memcmp(nv->name, "date", 4) == 0)
        return;
    snprintf(a->fields + at, sizeof(a->fields) - at, "%.*s=%.*s;", (int)nv->namelen,
             (const char *)nv->name, (int)nv->valuelen, (const char *)nv->value);
}

static inline void peer_inflate(struct peer *p, struct peer_answer *a)
{
    struct span in = buffer_span(&p->block);
    a->heads++;
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(p->inflater, &nv, &flags, in.data, in.size, 1);
        if (used < 0)
            abort();
        in = span_after(in, (size_t)used);
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            peer_note_field(a, &nv);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(p->inflater);
    buffer_clear(&p->block);
}

static inline void peer_take_data(struct peer *p, struct peer_answer *a, struct span payload)
{
    for (size_t i = 0; i < payload.size && a->size + i < sizeof(a->text); i++)
        a->text[a->size + i] = payload.data[i];
    a->size += payload.size;
    a->frames++;
    if (p->order_size + 1 < sizeof(p->order))
        p->order[p->order_size++] = (char)('a' + a->id / 2);
}

static inline void peer_take_frame(struct peer *p, uint8_t type, uint8_t flags, int32_t id,
                                   struct span payload)
{
    struct peer_answer *a = id ? peer_answer(p, id) : NULL;
    p->frames[type & 15]++;
    if (a && (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION)) {
        buffer_append_span(&p->block, payload);
        if (flags & NGHTTP2_FLAG_END_HEADERS)
            peer_inflate(p, a);
    }
    if (a && type == NGHTTP2_DATA)
        peer_take_data(p, a, payload);
    if (a && (type == NGHTTP2_DATA || type == NGHTTP2_HEADERS) && (flags & NGHTTP2_FLAG_END_STREAM))
        a->has_ended = true;
    if (a && type == NGHTTP2_RST_STREAM) {
        a->is_reset = true;
        a->code = peer_number(payload.data, 4);
    }
    if (type == NGHTTP2_GOAWAY) {
        p->goaway_last = (int32_t)peer_number(payload.data, 4);
        p->goaway_code = peer_number(payload.data + 4, 4);
    }
    if (type == NGHTTP2_WINDOW_UPDATE)
        *(a ? &p->stream_updates : &p->updates) += peer_number(payload.data, 4);
}

static inline void peer_look(struct peer *p)
{
    for (;;) {
        struct span bytes = buffer_span(&p->output);
        size_t size = bytes.size >= 9 ? peer_number(bytes.data, 3) : 0;
        if (bytes.size < 9 + size)
            return;
        peer_take_frame(p, bytes.data[3], bytes.data[4], (int32_t)peer_number(bytes.data + 5, 4),
                        span_part(bytes, 9, size));
        buffer_consume(&p->output, 9 + size);
    }
}

/* ---- turns ---- */

static inline bool peer_flush(struct peer *p)
{
    struct span spans[16];
    size_t count;
    bool moved = false;
    while (!p->is_stuck && (count = p->session->ops->drain(p->session, spans, 16)) > 0) {
        size_t written = 0;
        for (size_t i = 0; i < count; i++) {
            size_t size = spans[i].size;
            if (p->write_max && size > p->write_max - written)
                size = p->write_max - written;
            if (!p->is_blind)
                buffer_append(&p->output, spans[i].data, size);
            written += size;
        }
        p->spans += (unsigned)count;
        p->received += written;
        p->session->ops->drained(p->session, written);
        peer_look(p);
        moved = true;
    }
    return moved;
}

static inline void peer_feed(struct peer *p, struct span bytes)
{
    if (p->gives_blocks) {
        struct block *block = block_new(bytes.size);
        memcpy(block_data(block), bytes.data, bytes.size);
        p->session->ops->feed(p->session, block, span_of(block_data(block), bytes.size));
        block_release(block);
    } else {
        uint8_t *copy = malloc(bytes.size);
        memcpy(copy, bytes.data, bytes.size);
        p->session->ops->feed(p->session, NULL, span_of(copy, bytes.size));
        free(copy);
    }
    p->sent += bytes.size;
}

/* What a connection does: feeds what was written, writes what there is. */
static inline void peer_turn(struct peer *p)
{
    while (buffer_size(&p->input)) {
        struct span bytes = buffer_span(&p->input);
        size_t size = p->split && p->split < bytes.size ? p->split : bytes.size;
        peer_feed(p, span_part(bytes, 0, size));
        buffer_consume(&p->input, size);
        peer_flush(p);
    }
    peer_flush(p);
}

/* ---- the client writes ---- */

static inline void peer_bytes(struct peer *p, struct span bytes)
{
    buffer_append_span(&p->input, bytes);
}

static inline void peer_frame_head(struct peer *p, size_t size, uint8_t type, uint8_t flags,
                                   int32_t id)
{
    const uint8_t head[9] = {
        (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size,      type,       flags,
        (uint8_t)(id >> 24),   (uint8_t)(id >> 16),  (uint8_t)(id >> 8), (uint8_t)id};
    peer_bytes(p, span_of(head, sizeof(head)));
}

static inline void peer_frame(struct peer *p, uint8_t type, uint8_t flags, int32_t id,
                              struct span payload)
{
    peer_frame_head(p, payload.size, type, flags, id);
    peer_bytes(p, payload);
}

/* A payload of one 32-bit number: WINDOW_UPDATE, RST_STREAM. */
static inline void peer_number_frame(struct peer *p, uint8_t type, int32_t id, uint32_t number)
{
    const uint8_t payload[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                                (uint8_t)(number >> 8), (uint8_t)number};
    peer_frame(p, type, 0, id, span_of(payload, 4));
}

static inline void peer_setting(struct peer *p, uint16_t name, uint32_t value)
{
    const uint8_t payload[6] = {(uint8_t)(name >> 8),   (uint8_t)name,
                                (uint8_t)(value >> 24), (uint8_t)(value >> 16),
                                (uint8_t)(value >> 8),  (uint8_t)value};
    peer_frame(p, NGHTTP2_SETTINGS, 0, 0, span_of(payload, 6));
}

static inline void peer_data(struct peer *p, int32_t id, size_t size, bool ends)
{
    static const uint8_t zeros[16384];
    peer_frame(p, NGHTTP2_DATA, ends ? NGHTTP2_FLAG_END_STREAM : 0, id, span_of(zeros, size));
}

struct peer_line {
    struct span name, value;
    bool is_indexed; /* goes into the HPACK table */
};

#define PEER_LINE(name, value) ((struct peer_line){SPAN(name), SPAN(value), false})

/* The field block alone. */
static inline void peer_block(struct peer *p, struct buffer *out, const struct peer_line *lines,
                              size_t count)
{
    nghttp2_nv nva[PEER_LINES_MAX];
    for (size_t i = 0; i < count; i++)
        nva[i] = (nghttp2_nv){.name = (uint8_t *)lines[i].name.data,
                              .namelen = lines[i].name.size,
                              .value = (uint8_t *)lines[i].value.data,
                              .valuelen = lines[i].value.size,
                              .flags = lines[i].is_indexed ? NGHTTP2_NV_FLAG_NONE
                                                           : NGHTTP2_NV_FLAG_NO_INDEX};
    size_t bound = nghttp2_hd_deflate_bound(p->deflater, nva, count);
    uint8_t *room = buffer_reserve(out, bound);
    ssize_t size = nghttp2_hd_deflate_hd(p->deflater, room, bound, nva, count);
    if (size < 0)
        abort();
    buffer_commit(out, (size_t)size);
}

static inline void peer_head(struct peer *p, int32_t id, const struct peer_line *lines,
                             size_t count, bool ends)
{
    struct buffer block = BUFFER_EMPTY;
    uint8_t type = NGHTTP2_HEADERS, flags = ends ? NGHTTP2_FLAG_END_STREAM : 0;
    peer_block(p, &block, lines, count);
    for (; buffer_size(&block) > 16384; type = NGHTTP2_CONTINUATION, flags = 0) {
        peer_frame(p, type, flags, id, span_part(buffer_span(&block), 0, 16384));
        buffer_consume(&block, 16384);
    }
    peer_frame(p, type, flags | NGHTTP2_FLAG_END_HEADERS, id, buffer_span(&block));
    buffer_release(&block);
}

/* Four pseudo-fields and what is given. */
static inline void peer_request(struct peer *p, int32_t id, const char *method, const char *path,
                                const struct peer_line *more, size_t count, bool ends)
{
    struct peer_line lines[PEER_LINES_MAX] = {{SPAN(":method"), span_from(method), true},
                                              {SPAN(":scheme"), SPAN("http"), true},
                                              {SPAN(":path"), span_from(path), true},
                                              {SPAN(":authority"), SPAN("a.test"), true}};
    for (size_t i = 0; i < count; i++)
        lines[4 + i] = more[i];
    peer_head(p, id, lines, 4 + count, ends);
}

static inline void peer_get(struct peer *p, int32_t id)
{
    peer_request(p, id, "GET", "/", NULL, 0, true);
}

static inline void peer_post(struct peer *p, int32_t id)
{
    peer_request(p, id, "POST", "/", NULL, 0, false);
}

/* ---- beginning and end ---- */

/* Options are the defaults and may be changed before peer_begin. */
static inline void peer_init(struct peer *p, const struct peer_script *script)
{
    *p = (struct peer){.options = HTTP2_SESSION_OPTIONS_DEFAULT, .script = script, .now = 1000};
    memcpy(p->date, PEER_DATE, HTTP_DATE_SIZE);
    p->options.date = p->date;
    p->options.now = &p->now;
    p->options.spare = &p->spare;
    nghttp2_hd_deflate_new(&p->deflater, 4096);
    nghttp2_hd_inflate_new(&p->inflater);
}

/* False when there is no memory. */
static inline bool peer_begin(struct peer *p)
{
    struct session_host host = {.on_exchange = peer_host_exchange,
                                .on_exchange_end = peer_host_end,
                                .on_ready = peer_host_ready,
                                .on_refused = peer_host_refused,
                                .on_limit = peer_host_limit,
                                .round_trip = peer_host_round_trip,
                                .host = p};
    p->session = http2_session_new(&p->options, &host, NULL);
    return p->session;
}

/* The preface, our SETTINGS, and the answer to theirs. */
static inline void peer_greet(struct peer *p)
{
    peer_bytes(p, SPAN(PEER_PREFACE));
    peer_frame(p, NGHTTP2_SETTINGS, 0, 0, SPAN_EMPTY);
    peer_frame(p, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, SPAN_EMPTY);
    peer_turn(p);
}

static inline void peer_open(struct peer *p, const struct peer_script *script)
{
    peer_init(p, script);
    if (!peer_begin(p))
        abort();
    peer_greet(p);
}

static inline void peer_close(struct peer *p)
{
    if (p->session)
        p->session->ops->free(p->session);
    spare_release(&p->spare);
    nghttp2_hd_deflate_del(p->deflater);
    nghttp2_hd_inflate_del(p->inflater);
    buffer_release(&p->input);
    buffer_release(&p->output);
    buffer_release(&p->block);
    buffer_release(&p->view);
}

static inline void peer_end(struct peer *p)
{
    p->session->ops->feed_end(p->session);
    peer_turn(p);
}

static inline enum session_wait peer_wait(const struct peer *p)
{
    return p->session->wait;
}

static inline bool peer_saw(const struct peer *p, const char *text)
{
    struct span view = buffer_span(&p->view);
    return view.size && memmem(view.data, view.size, text, strlen(text));
}

#endif
