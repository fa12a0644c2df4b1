/* A client and an application around one HTTP/1 session, for the tests and fuzz targets of
 * src/http1.
 *
 * The application's view has the content of each request. */
#ifndef PEER_H
#define PEER_H

#include "base/buffer.h"
#include "base/memory.h"
#include "http1/session.h"
#include "http1/spare.h"
#include "support/feed.h"
#include "support/origin.h"
#include <stdlib.h>

struct peer {
    struct http1_session_options options;
    struct http1_spare spare;
    struct session *session;
    struct origin origin;
    struct buffer output; /* everything drained so far */
    struct buffer held;   /* input that feed did not take yet */
    size_t write_max;     /* bytes a drained call reports at once; 0: all */
    bool is_stuck;        /* nothing is written */
    bool gives_blocks;    /* feed from a block instead of bare bytes */
    char date[HTTP_DATE_SIZE];
};

/* ---- the client ---- */

/* Options are the defaults and may be changed before the first input. */
static inline void peer_open(struct peer *p, const struct origin_script *script)
{
    *p = (struct peer){.options = HTTP1_SESSION_OPTIONS_DEFAULT,
                       .origin = {.script = script, .keeps_body = true}};
    memcpy(p->date, ORIGIN_DATE, HTTP_DATE_SIZE);
    p->options.date = p->date;
    http1_spare_init(&p->spare);
    p->options.spare = &p->spare;
    const struct session_host host = origin_host(&p->origin);
    p->session = http1_session_new(&p->options, &host, NULL);
}

static inline void peer_close(struct peer *p)
{
    if (p->session)
        p->session->ops->free(p->session);
    http1_spare_release(&p->spare);
    buffer_release(&p->output);
    buffer_release(&p->held);
    origin_release(&p->origin);
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
    size_t taken = feed_copy(p->session, held, p->gives_blocks);
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

#endif
