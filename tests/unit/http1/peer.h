/* A client and an application around one HTTP/1 session, for the tests and fuzz targets of
 * src/http1.
 *
 * Input is handed over in exactly sized heap copies, so that a read beyond it is caught. The
 * application reads each request to its end and answers 200 "ok" unless the test says otherwise;
 * what it saw becomes one line of text for each request. */
#ifndef PEER_H
#define PEER_H

#include "base/buffer.h"
#include "base/memory.h"
#include "http1/session.h"
#include "http1/spare.h"
#include <stdlib.h>

struct peer;

/* What the application does; members that are NULL do nothing. */
struct peer_script {
    void (*on_request)(struct peer *p, struct exchange *x);
    void (*on_body)(struct peer *p, struct exchange *x, struct span body);
    void (*on_end)(struct peer *p, struct exchange *x);
    void (*on_writable)(struct peer *p, struct exchange *x);
};

struct peer {
    struct http1_session_options options;
    struct http1_spare spare;
    struct session *session;
    const struct peer_script *script;
    struct exchange *exchange; /* the latest */
    struct buffer output;      /* everything drained so far */
    struct buffer held;        /* input that feed did not take yet */
    struct buffer view;        /* the application's view of complete requests */
    struct buffer content;     /* of the current request */
    void *user;
    size_t write_max;  /* bytes a drained call reports at once; 0: all */
    bool is_stuck;     /* nothing is written */
    bool gives_blocks; /* feed from a block instead of bare bytes */
    unsigned opened;   /* exchanges */
    unsigned complete; /* requests read to their end */
    unsigned closed;   /* on_close of applications */
    unsigned ended;    /* on_exchange_end of the host */
    unsigned refused;  /* on_refused of the host */
    unsigned writable; /* on_writable of applications */
    unsigned ready;    /* on_ready of the host */
    int close_error;   /* the latest on_close */
    int failure;       /* the latest on_close with an error */
    int refused_error; /* the latest on_refused */
    uint16_t refused_status;
    char date[HTTP_DATE_SIZE];
};

#define PEER_DATE "Sun, 06 Nov 1994 08:49:37 GMT"

/* ---- what the application saw ---- */

static inline void peer_view_text(struct peer *p, struct span s)
{
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        static const char hex[] = "0123456789abcdef";
        char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
        if (c == '\t')
            buffer_append_text(&p->view, "\\t");
        else if (c == '\\')
            buffer_append_text(&p->view, "\\\\");
        else if (c < 0x20 || c >= 0x7f)
            buffer_append(&p->view, escaped, 4);
        else
            buffer_append(&p->view, &c, 1);
    }
}

static inline void peer_view_fields(struct peer *p, const struct field_list *l)
{
    buffer_append_text(&p->view, "[");
    for (size_t i = 0; l && i < l->count; i++) {
        peer_view_text(p, l->items[i].text);
        buffer_append_text(&p->view, "=");
        peer_view_text(p, l->items[i].value);
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
        peer_view_text(p, words[i]);
        buffer_append_text(&p->view, " ");
    }
    peer_view_fields(p, &r->fields);
    buffer_append_text(&p->view, " ");
    peer_view_text(p, buffer_span(&p->content));
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
    buffer_clear(&p->content);
    if (p->script->on_request)
        p->script->on_request(p, x);
}

static inline void peer_on_body(struct exchange *x, struct slice body)
{
    struct peer *p = x->application_state;
    buffer_append_span(&p->content, slice_span(body));
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

static inline void peer_host_refused(void *host, const struct exchange *x, int error,
                                     uint16_t status)
{
    struct peer *p = host;
    (void)x;
    p->refused++;
    p->refused_error = error;
    p->refused_status = status;
}

/* ---- the client ---- */

/* Options are the defaults and may be changed before the first input. */
static inline void peer_open(struct peer *p, const struct peer_script *script)
{
    *p = (struct peer){.options = HTTP1_SESSION_OPTIONS_DEFAULT, .script = script};
    memcpy(p->date, PEER_DATE, HTTP_DATE_SIZE);
    p->options.date = p->date;
    http1_spare_init(&p->spare);
    p->options.spare = &p->spare;
    struct session_host host = {.on_exchange = peer_host_exchange,
                                .on_exchange_end = peer_host_end,
                                .on_ready = peer_host_ready,
                                .on_refused = peer_host_refused,
                                .host = p};
    p->session = http1_session_new(&p->options, &host, NULL);
}

static inline void peer_close(struct peer *p)
{
    if (p->session)
        p->session->ops->free(p->session);
    http1_spare_release(&p->spare);
    buffer_release(&p->output);
    buffer_release(&p->held);
    buffer_release(&p->view);
    buffer_release(&p->content);
}

/* Takes what the session wants to write; true when there was something. */
static inline bool peer_flush(struct peer *p)
{
    struct span spans[4];
    size_t count;
    bool moved = false;
    while (!p->is_stuck && (count = p->session->ops->drain(p->session, spans, 4)) > 0) {
        size_t written = 0;
        for (size_t i = 0; i < count; i++) {
            size_t size = spans[i].size;
            if (p->write_max && size > p->write_max - written)
                size = p->write_max - written;
            buffer_append(&p->output, spans[i].data, size);
            written += size;
        }
        p->session->ops->drained(p->session, written);
        moved = true;
    }
    return moved;
}

/* One feed of everything held; returns what was taken. */
static inline size_t peer_feed_once(struct peer *p)
{
    struct span held = buffer_span(&p->held);
    size_t taken;
    if (p->gives_blocks) {
        struct block *block = block_new(held.size);
        memcpy(block_data(block), held.data, held.size);
        taken = p->session->ops->feed(p->session, block, span_of(block_data(block), held.size));
        block_release(block);
    } else {
        uint8_t *copy = malloc(held.size);
        memcpy(copy, held.data, held.size);
        taken = p->session->ops->feed(p->session, NULL, span_of(copy, held.size));
        free(copy);
    }
    buffer_consume(&p->held, taken);
    return taken;
}

/* What a connection does in one turn, again until nothing moves. */
static inline void peer_turn(struct peer *p)
{
    bool moves = true;
    while (moves) {
        moves = buffer_size(&p->held) && peer_feed_once(p) > 0;
        moves |= peer_flush(p);
    }
}

static inline void peer_write(struct peer *p, struct span bytes)
{
    buffer_append_span(&p->held, bytes);
    peer_turn(p);
}

static inline void peer_write_text(struct peer *p, const char *text)
{
    peer_write(p, span_from(text));
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

/* ---- what came back ---- */

static inline size_t peer_find(struct span text, struct span wanted)
{
    if (wanted.size == 0)
        return 0;
    const uint8_t *found =
        text.size ? memmem(text.data, text.size, wanted.data, wanted.size) : NULL;
    return found ? (size_t)(found - text.data) : SIZE_MAX;
}

static inline bool peer_has(const struct buffer *b, const char *text)
{
    return peer_find(buffer_span(b), span_from(text)) != SIZE_MAX;
}

/* The statuses of the final responses as "200,400". A response to HEAD is known by what follows
 * its head. */
static inline void peer_statuses(const struct peer *p, char *out, size_t size)
{
    struct span rest = buffer_span(&p->output);
    size_t at = 0;
    out[0] = '\0';
    while (span_starts_with(rest, SPAN("HTTP/1.1 ")) && at + 5 < size) {
        size_t head = peer_find(rest, SPAN("\r\n\r\n"));
        if (head == SIZE_MAX)
            return;
        struct span text = span_part(rest, 0, head + 4);
        if (text.data[9] != '1') {
            if (at)
                out[at++] = ',';
            memcpy(out + at, text.data + 9, 3);
            at += 3;
            out[at] = '\0';
        }
        rest = span_after(rest, head + 4);
        size_t field = peer_find(text, SPAN("content-length: "));
        if (field != SIZE_MAX && !span_starts_with(rest, SPAN("HTTP/1.1 "))) {
            size_t length = strtoul((const char *)text.data + field + 16, NULL, 10);
            rest = span_after(rest, length < rest.size ? length : rest.size);
        }
    }
}

/* A stream of numbers that is the same on every run. */
static inline uint32_t peer_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

#endif
