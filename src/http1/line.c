#include "http1/line.h"

#include <routed/error.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool is_control(uint8_t c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

#ifdef __SSE2__
/* One bit for each of 16 bytes. */
static unsigned control_mask(const uint8_t *data)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)data);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}
#endif

size_t http1_line_control_at(struct span text)
{
    size_t at = 0;
#ifdef __SSE2__
    for (; text.size - at >= 16; at += 16) {
        unsigned mask = control_mask(text.data + at);
        if (mask)
            return at + (size_t)__builtin_ctz(mask);
    }
#endif
    while (at < text.size && !is_control(text.data[at]))
        at++;
    return at;
}

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

    size_t at = http1_line_control_at(*bytes);
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
