/* What the clients of HTTP/2 and HTTP/3 have in common, for tests/unit/http2/peer.h and
 * tests/unit/http3/peer.h, and how the tests of both speak to them. */
#ifndef UNIT_SUPPORT_STREAMS_H
#define UNIT_SUPPORT_STREAMS_H

#include "support/origin.h"
#include <stdio.h>
#include <stdlib.h>

/* What came back on one stream. */
struct peer_answer {
    int64_t id;
    bool is_used;
    unsigned status; /* of the latest head */
    unsigned heads;
    unsigned frames;     /* DATA */
    uint64_t size;       /* of the content */
    uint8_t text[64];    /* how it begins */
    char fields[600];    /* "name=value;" of all heads, but for date */
    uint64_t reset_code; /* of RST_STREAM or RESET_STREAM */
    uint64_t stop_code;  /* of STOP_SENDING, which HTTP/2 has not */
    bool is_reset, is_stopped, has_ended;
};

/* A line of a field block or section, legal or not. */
struct peer_line {
    struct span name, value;
    bool is_indexed; /* goes into the table of HPACK */
};

#define PEER_LINE(name, value) ((struct peer_line){SPAN(name), SPAN(value), false})
#define PEER_LINES_MAX         1200
#define PEER_ANSWERS           256 /* that are remembered */

/* ---- what each peer.h defines ----
 *
 * struct peer with the members options (of the session), now, is_stuck and origin. Codes of streams
 * that are reset: PEER_MALFORMED for a malformed message, PEER_FAILED where the application failed.
 * Codes of connections: PEER_EXCESSIVE for clients that ask for too much. PEER_END_FRAMES: DATA
 * frames of an end that comes when the head is already sent. PEER_STREAM_COST: memory of an open
 * stream, that is of the exchange, 16 lines, the first chunk of an arena, the library's stream. */

struct peer;

static inline struct span peer_scheme(void);
/* Of the n-th request, from 0. */
static inline int64_t peer_id(int64_t n);

/* Options are the defaults and may be changed before peer_begin. */
static inline void peer_init(struct peer *p, const struct origin_script *script);
/* False when there is no memory. */
static inline bool peer_begin(struct peer *p);
/* Whatever a client sends before its first request. */
static inline void peer_greet(struct peer *p);
static inline void peer_close(struct peer *p);
static inline struct session *peer_base(const struct peer *p);
/* What the session tells the client of the end of the connection. */
static inline uint64_t peer_code(const struct peer *p);

/* HTTP/2 sends with the next turn, HTTP/3 at once. `ends` is the end of the stream. */
static inline void peer_head(struct peer *p, int64_t id, const struct peer_line *lines,
                             size_t count, bool ends);
/* One DATA frame of zeros. */
static inline void peer_data(struct peer *p, int64_t id, size_t size, bool ends);
/* The end alone. */
static inline void peer_fin(struct peer *p, int64_t id);
/* The client wants nothing of it any more. */
static inline void peer_cancel(struct peer *p, int64_t id);
/* Whatever a connection does, until nothing moves. */
static inline void peer_turn(struct peer *p);
/* Gives the client's own bytes back, so that what is held is the session's. */
static inline void peer_forget(struct peer *p);
/* Empty if nothing came; of the latest PEER_ANSWERS streams. */
static inline struct peer_answer *peer_answer(struct peer *p, int64_t id);

/* ---- what they share ---- */

static inline void peer_open(struct peer *p, const struct origin_script *script)
{
    peer_init(p, script);
    if (!peer_begin(p))
        abort();
    peer_greet(p);
}

static inline enum session_wait peer_wait(const struct peer *p)
{
    return peer_base(p)->wait;
}

/* A deadline of the connection has passed. */
static inline void peer_fail(struct peer *p, int error)
{
    (peer_base(p)->ops->fail)(peer_base(p), error);
}

static inline void peer_shut(struct peer *p)
{
    peer_base(p)->ops->shut(peer_base(p));
}

static inline void peer_abort(struct peer *p)
{
    peer_base(p)->ops->abort(peer_base(p), ROUTED_ERROR_CLIENT_GONE);
}

/* Four pseudo-fields and what is given. */
static inline void peer_request(struct peer *p, int64_t id, const char *method, const char *path,
                                const struct peer_line *more, size_t count, bool ends)
{
    struct peer_line lines[PEER_LINES_MAX] = {{SPAN(":method"), span_from(method), true},
                                              {SPAN(":scheme"), peer_scheme(), true},
                                              {SPAN(":path"), span_from(path), true},
                                              {SPAN(":authority"), SPAN("a.test"), true}};
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

static inline void peer_note_field(struct peer_answer *a, struct span name, struct span value)
{
    size_t at = strlen(a->fields);
    if (span_equals(name, SPAN(":status")))
        a->status = (unsigned)strtoul((const char *)value.data, NULL, 10);
    else if (!span_equals(name, SPAN("date")))
        snprintf(a->fields + at, sizeof(a->fields) - at, "%.*s=%.*s;", (int)name.size,
                 (const char *)name.data, (int)value.size, (const char *)value.data);
}

static inline void peer_note_content(struct peer_answer *a, struct span content)
{
    for (size_t i = 0; i < content.size && a->size + i < sizeof(a->text); i++)
        a->text[a->size + i] = content.data[i];
    a->size += content.size;
}

#endif
