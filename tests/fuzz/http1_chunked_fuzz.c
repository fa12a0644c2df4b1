/* The chunked decoder: whatever is accepted whole is accepted in pieces with the same content,
 * and content never exceeds what the sizes announced. */
#include "base/buffer.h"
#include "http1/chunked.h"
#include <routed/error.h>
#include <stdlib.h>

struct outcome {
    int error;
    enum http1_chunked_state state;
    size_t unread;
    size_t trailers;
    struct buffer content;
};

static void feed_piece(struct http1_chunked *c, struct http1_line *line, struct arena *arena,
                       struct span piece, struct outcome *o)
{
    const struct http1_limits limits = HTTP1_LIMITS_DEFAULT;
    uint8_t *copy = malloc(piece.size);
    memcpy(copy, piece.data, piece.size);
    struct span rest = span_of(copy, piece.size);
    while (rest.size && !o->error && c->state != HTTP1_CHUNKED_END) {
        o->error = http1_chunked_feed(c, line, &limits, arena, &rest);
        if (o->error || c->state != HTTP1_CHUNKED_DATA)
            continue;
        size_t size = http1_chunked_available(c, rest);
        buffer_append(&o->content, rest.data, size);
        rest = span_after(rest, size);
        http1_chunked_taken(c, size);
    }
    o->unread += rest.size;
    free(copy);
}

static struct outcome run(struct span input, size_t step)
{
    const struct http1_limits limits = HTTP1_LIMITS_DEFAULT;
    struct outcome o = {0};
    struct http1_line line = HTTP1_LINE_EMPTY;
    struct arena arena = ARENA_EMPTY;
    struct http1_chunked c;
    http1_chunked_init(&c, http1_allowance_of(&limits));
    while (input.size) {
        size_t size = step < input.size ? step : input.size;
        feed_piece(&c, &line, &arena, span_part(input, 0, size), &o);
        input = span_after(input, size);
    }
    if (buffer_size(&o.content) > c.content)
        abort();
    o.state = c.state;
    o.trailers = c.trailers.count;
    http1_line_release(&line);
    arena_release(&arena);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct span input = span_of(data + 1, size - 1);
    struct outcome whole = run(input, input.size);
    struct outcome split = run(input, data[0] % 17 + 1);
    if (whole.error != split.error || whole.trailers != split.trailers ||
        !span_equals(buffer_span(&whole.content), buffer_span(&split.content)))
        abort();
    if (!whole.error && (whole.state != split.state || whole.unread != split.unread))
        abort();
    buffer_release(&whole.content);
    buffer_release(&split.content);
    return 0;
}
