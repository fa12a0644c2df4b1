/* What a decoder told, as text: two inputs are the same when their traces are. Runs of content
 * are joined, since where they are cut depends on the input's cuts. Shared by unit tests and
 * fuzz targets. */
#ifndef TESTS_WIRE_TRACE_H
#define TESTS_WIRE_TRACE_H

#include "wire/decoder.h"
#include <routed/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct trace {
    struct buffer text;
    char run; /* 'b' or 't' while content is being joined */
};

static inline void trace_say(struct trace *t, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof(line) || buffer_append(&t->text, line, (size_t)size))
        abort();
}

static inline void trace_bytes(struct trace *t, struct span s)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *room = buffer_reserve(&t->text, 2 * s.size + 1);
    if (!room)
        abort();
    for (size_t i = 0; i < s.size; i++) {
        room[2 * i] = (uint8_t)digits[s.data[i] >> 4];
        room[2 * i + 1] = (uint8_t)digits[s.data[i] & 15];
    }
    room[2 * s.size] = ' ';
    buffer_commit(&t->text, 2 * s.size + 1);
}

static inline void trace_fields(struct trace *t, const struct field_list *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        trace_say(t, "\n  %d ", (int)fields->items[i].name);
        trace_bytes(t, fields->items[i].text);
        trace_bytes(t, fields->items[i].value);
    }
}

static inline void trace_request(struct trace *t, int type, uint32_t body_size,
                                 const struct http_request *r, const struct wire_origin *origin)
{
    trace_say(t, "\nhead %d %u ", type, body_size);
    trace_bytes(t, r->method);
    trace_bytes(t, r->scheme);
    trace_bytes(t, r->authority);
    trace_bytes(t, r->path);
    trace_bytes(t, r->query);
    trace_say(t, "protocol %d upgrade %d length %lld port %u ", (int)r->protocol, (int)r->upgrade,
              (long long)r->content_length, origin->port);
    trace_bytes(t, origin->address);
    trace_bytes(t, origin->request_id);
    trace_fields(t, &r->fields);
    t->run = 0;
}

static inline void trace_response(struct trace *t, int type, uint32_t body_size,
                                  const struct http_response *r)
{
    trace_say(t, "\nhead %d %u status %u ", type, body_size, r->status);
    trace_fields(t, &r->fields);
    t->run = 0;
}

static inline void trace_head(struct trace *t, enum wire_direction direction,
                              const struct wire_head *h)
{
    struct arena a = ARENA_EMPTY;
    int error;
    if (direction == WIRE_REQUESTS) {
        struct http_request r;
        struct wire_origin origin;
        error = wire_request_read(h, &a, &r, &origin);
        if (!error)
            trace_request(t, (int)h->type, h->body_size, &r, &origin);
    } else {
        struct http_response r;
        error = wire_response_read(h, &a, &r);
        if (!error)
            trace_response(t, (int)h->type, h->body_size, &r);
    }
    if (error)
        trace_say(t, "\nundecodable %s ", routed_error_name(error));
    t->run = 0;
    arena_release(&a);
}

static inline void trace_content(struct trace *t, char kind, struct span bytes)
{
    if (t->run != kind)
        trace_say(t, "\n%s ", kind == 'b' ? "body" : "tunnel");
    else
        t->text.tail--; /* the blank after the last piece */
    t->run = kind;
    trace_bytes(t, bytes);
}

static inline void trace_word(struct trace *t, const char *word, const char *detail)
{
    trace_say(t, "\n%s %s", word, detail);
    t->run = 0;
}

/* False when there is nothing more to tell. */
static inline bool trace_event(struct trace *t, enum wire_direction direction,
                               const struct wire_event *event)
{
    switch (event->type) {
    case WIRE_EVENT_MORE:
        return false;
    case WIRE_EVENT_HEAD:
        trace_head(t, direction, &event->head);
        break;
    case WIRE_EVENT_BODY:
        trace_content(t, 'b', event->bytes);
        break;
    case WIRE_EVENT_TUNNEL:
        trace_content(t, 't', event->bytes);
        break;
    case WIRE_EVENT_END:
        trace_word(t, "end", "");
        break;
    case WIRE_EVENT_TUNNEL_CLOSE:
        trace_word(t, "tunnel_close", "");
        break;
    case WIRE_EVENT_ERROR:
        trace_word(t, "error", event->text);
        return false;
    }
    return true;
}

/* Feeds one piece; a copy of exactly its size, so that a sanitizer sees reads beyond it. */
static inline bool trace_feed(struct trace *t, struct wire_decoder *d, struct span piece)
{
    struct wire_event event;
    uint8_t *copy = malloc(piece.size ? piece.size : 1);
    if (!copy)
        abort();
    if (piece.size)
        memcpy(copy, piece.data, piece.size);
    struct span input = span_of(copy, piece.size);
    do
        wire_decoder_feed(d, &input, &event);
    while (trace_event(t, d->direction, &event));
    free(copy);
    return event.type != WIRE_EVENT_ERROR;
}

#endif
