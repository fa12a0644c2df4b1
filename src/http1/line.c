#include "http1/line.h"

#include "http/control.h"
#include <routed/error.h>

static enum http1_line_result keep_partial(struct http1_line *l, struct span *bytes)
{
    if (buffer_append_span(&l->partial, *bytes) != ROUTED_OK)
        return HTTP1_LINE_MEMORY;
    *bytes = span_after(*bytes, bytes->size);
    return HTTP1_LINE_PARTIAL;
}

static enum http1_line_result give_partial(struct http1_line *l, struct span *line)
{
    l->is_given = true;
    *line = buffer_span(&l->partial);
    return HTTP1_LINE_READY;
}

/* The input ended between CR and LF. */
static enum http1_line_result feed_after_cr(struct http1_line *l, struct span *bytes,
                                            struct span *line)
{
    if (bytes->size == 0)
        return HTTP1_LINE_PARTIAL;
    if (bytes->data[0] != '\n')
        return HTTP1_LINE_BAD;
    *bytes = span_after(*bytes, 1);
    enum http1_line_result result = give_partial(l, line);
    line->size--;
    return result;
}

enum http1_line_result http1_line_feed(struct http1_line *l, struct span *bytes, size_t limit,
                                       struct span *line)
{
    if (l->is_given) {
        buffer_clear(&l->partial);
        l->is_given = false;
    }
    struct span partial = buffer_span(&l->partial);
    if (partial.size && partial.data[partial.size - 1] == '\r')
        return feed_after_cr(l, bytes, line);

    size_t at = http_control_at(*bytes);
    if (partial.size + at > limit)
        return HTTP1_LINE_TOO_LONG;
    if (at == bytes->size)
        return keep_partial(l, bytes);
    if (bytes->data[at] != '\r')
        return HTTP1_LINE_BAD;
    if (at + 1 == bytes->size)
        return keep_partial(l, bytes);
    if (bytes->data[at + 1] != '\n')
        return HTTP1_LINE_BAD;

    *line = span_of(bytes->data, at);
    *bytes = span_after(*bytes, at + 2);
    if (partial.size == 0)
        return HTTP1_LINE_READY;
    if (buffer_append_span(&l->partial, *line) != ROUTED_OK)
        return HTTP1_LINE_MEMORY;
    return give_partial(l, line);
}

void http1_line_release(struct http1_line *l)
{
    buffer_release(&l->partial);
    l->is_given = false;
}
