#include "http/control.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool is_control(uint8_t c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

#ifdef __SSE2__
#define VECTOR 16

/* One bit for each of 16 bytes. */
static unsigned control_mask(__m128i bytes)
{
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

/* At least one vector; the last one overlaps the one before it, which had nothing. */
static size_t find_in_vectors(struct span text)
{
    size_t last = text.size - VECTOR;
    for (size_t at = 0;; at = at + VECTOR < last ? at + VECTOR : last) {
        const void *data = text.data + at;
        unsigned mask = control_mask(_mm_loadu_si128((const __m128i *)data));
        if (mask)
            return at + (size_t)__builtin_ctz(mask);
        if (at == last)
            return text.size;
    }
}

/* At least half a vector, and less than a whole one: of two halves the second overlaps the first.
 */
static size_t find_in_halves(struct span text)
{
    const void *first = text.data, *second = text.data + text.size - VECTOR / 2;
    unsigned mask = control_mask(_mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)first),
                                                    _mm_loadl_epi64((const __m128i *)second)));
    if (!mask)
        return text.size;
    size_t at = (size_t)__builtin_ctz(mask);
    return at < VECTOR / 2 ? at : at + text.size - VECTOR;
}
#endif

size_t http_control_at(struct span text)
{
#ifdef __SSE2__
    if (text.size >= VECTOR)
        return find_in_vectors(text);
    if (text.size >= VECTOR / 2)
        return find_in_halves(text);
#endif
    size_t at = 0;
    while (at < text.size && !is_control(text.data[at]))
        at++;
    return at;
}
