/* A client and an application around one HTTP/2 session, for the tests and fuzz targets of
 * src/http2.
 *
 * The client writes frames by hand, so that it can write wrong ones, and reads what comes back
 * frame by frame; only HPACK is nghttp2's. */
#ifndef PEER_H
#define PEER_H

#include "base/buffer.h"
#include "base/memory.h"
#include "base/spare.h"
#include "http2/session.h"
#include "support/feed.h"
#include "support/streams.h"
#include <nghttp2/nghttp2.h>

struct peer {
    struct http2_session_options options;
    struct spare spare;
    milliseconds now;
    struct session *session;
    struct origin origin;

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
    char date[HTTP_DATE_SIZE];
};

#define PEER_PREFACE     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PEER_MALFORMED   NGHTTP2_PROTOCOL_ERROR
#define PEER_FAILED      NGHTTP2_INTERNAL_ERROR
#define PEER_EXCESSIVE   NGHTTP2_ENHANCE_YOUR_CALM
#define PEER_END_FRAMES  1
#define PEER_STREAM_COST 4608

static inline struct span peer_scheme(void)
{
    return SPAN("http");
}

static inline int64_t peer_id(int64_t n)
{
    return 2 * n + 1;
}

/* ---- what came back ---- */

static inline struct peer_answer *peer_answer(struct peer *p, int64_t id)
{
    struct peer_answer *a = &p->answers[(uint64_t)id / 2 % PEER_ANSWERS];
    if (!a->is_used || a->id != id)
        *a = (struct peer_answer){.id = id, .is_used = true};
    return a;
}

static inline uint32_t peer_number(const uint8_t *bytes, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum = sum << 8 | bytes[i];
    return sum;
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
            peer_note_field(a, span_of(nv.name, nv.namelen), span_of(nv.value, nv.valuelen));
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(p->inflater);
    buffer_clear(&p->block);
}

static inline void peer_take_data(struct peer *p, struct peer_answer *a, struct span payload)
{
    peer_note_content(a, payload);
    a->frames++;
    if (p->order_size + 1 < sizeof(p->order))
        p->order[p->order_size++] = (char)('a' + a->id / 2);
}

static inline void peer_take_frame(struct peer *p, uint8_t type, uint8_t flags, int64_t id,
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
        a->reset_code = peer_number(payload.data, 4);
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
        peer_take_frame(p, bytes.data[3], bytes.data[4], peer_number(bytes.data + 5, 4),
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

static inline void peer_turn(struct peer *p)
{
    while (buffer_size(&p->input)) {
        struct span bytes = buffer_span(&p->input);
        size_t size = p->split && p->split < bytes.size ? p->split : bytes.size;
        feed_copy(p->session, span_part(bytes, 0, size), p->gives_blocks);
        p->sent += size;
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
                                   int64_t id)
{
    const uint8_t head[9] = {
        (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size,      type,       flags,
        (uint8_t)(id >> 24),   (uint8_t)(id >> 16),  (uint8_t)(id >> 8), (uint8_t)id};
    peer_bytes(p, span_of(head, sizeof(head)));
}

static inline void peer_frame(struct peer *p, uint8_t type, uint8_t flags, int64_t id,
                              struct span payload)
{
    peer_frame_head(p, payload.size, type, flags, id);
    peer_bytes(p, payload);
}

/* A payload of one 32-bit number: WINDOW_UPDATE, RST_STREAM. */
static inline void peer_number_frame(struct peer *p, uint8_t type, int64_t id, uint32_t number)
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

static inline void peer_data(struct peer *p, int64_t id, size_t size, bool ends)
{
    static const uint8_t zeros[16384];
    peer_frame(p, NGHTTP2_DATA, ends ? NGHTTP2_FLAG_END_STREAM : 0, id, span_of(zeros, size));
}

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

static inline void peer_head(struct peer *p, int64_t id, const struct peer_line *lines,
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

static inline void peer_fin(struct peer *p, int64_t id)
{
    peer_data(p, id, 0, true);
}

static inline void peer_cancel(struct peer *p, int64_t id)
{
    peer_number_frame(p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
}

/* ---- beginning and end ---- */

static inline void peer_init(struct peer *p, const struct origin_script *script)
{
    *p = (struct peer){
        .options = HTTP2_SESSION_OPTIONS_DEFAULT, .origin.script = script, .now = 1000};
    memcpy(p->date, ORIGIN_DATE, HTTP_DATE_SIZE);
    p->options.date = p->date;
    p->options.now = &p->now;
    p->options.spare = &p->spare;
    nghttp2_hd_deflate_new(&p->deflater, 4096);
    nghttp2_hd_inflate_new(&p->inflater);
}

static inline bool peer_begin(struct peer *p)
{
    const struct session_host host = origin_host(&p->origin);
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

static inline void peer_forget(struct peer *p)
{
    buffer_release(&p->input);
    buffer_release(&p->output);
    buffer_release(&p->block);
    origin_release(&p->origin);
}

static inline void peer_close(struct peer *p)
{
    if (p->session)
        p->session->ops->free(p->session);
    spare_release(&p->spare);
    nghttp2_hd_deflate_del(p->deflater);
    nghttp2_hd_inflate_del(p->inflater);
    peer_forget(p);
}

static inline void peer_end(struct peer *p)
{
    p->session->ops->feed_end(p->session);
    peer_turn(p);
}

static inline struct session *peer_base(const struct peer *p)
{
    return p->session;
}

static inline uint64_t peer_code(const struct peer *p)
{
    return p->goaway_code;
}

#endif
