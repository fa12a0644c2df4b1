/* base/span.h: borrowed bytes. A span owns nothing; whoever hands one out says how long it lasts.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t size;
};

#define SPAN_EMPTY ((struct span){NULL, 0})

/* A string literal, without its NUL. */
#define SPAN(literal) ((struct span){(const uint8_t *)("" literal), sizeof(literal) - 1})

static inline struct span span_of(const void *data, size_t size)
{
    return (struct span){(const uint8_t *)data, size};
}

static inline struct span span_from(const char *text)
{
    return span_of(text, text ? strlen(text) : 0);
}

static inline bool span_equals(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline struct span span_part(struct span s, size_t from, size_t size)
{
    return (struct span){s.data + from, size};
}

static inline struct span span_after(struct span s, size_t from)
{
    return from ? (struct span){s.data + from, s.size - from} : s;
}

static inline uint8_t span_lower(uint8_t c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Eight at a time: a byte from 'A' on reaches its highest bit in the one sum, and one from after
 * 'Z' on in the other. */
static inline uint64_t span_lower_word(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    uint64_t low = word & ~high;
    uint64_t is_upper = ((low + (0x80 - 'A') * ones) ^ (low + (0x7f - 'Z') * ones)) & high & ~word;
    return word | is_upper >> 2;
}

/* `to` has room for them; it may be where they are, but not overlap otherwise. */
static inline void span_lower_copy(uint8_t *to, struct span from)
{
    uint64_t word;
    if (from.size < sizeof(word)) {
        for (size_t i = 0; i < from.size; i++)
            to[i] = span_lower(from.data[i]);
        return;
    }
    for (size_t last = from.size - sizeof(word), at = 0;;
         at = at + sizeof(word) < last ? at + sizeof(word) : last) {
        memcpy(&word, from.data + at, sizeof(word));
        word = span_lower_word(word);
        memcpy(to + at, &word, sizeof(word));
        if (at == last)
            return;
    }
}

/* ASCII letters only; HTTP knows no other case. */
static inline bool span_equals_ignoring_case(struct span a, struct span b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (span_lower(a.data[i]) != span_lower(b.data[i]))
            return false;
    return true;
}

static inline bool span_starts_with(struct span s, struct span prefix)
{
    return s.size >= prefix.size && (prefix.size == 0 || !memcmp(s.data, prefix.data, prefix.size));
}

/* Without the spaces and tabs around it (OWS, RFC 9110 section 5.6.3). */
static inline struct span span_trim(struct span s)
{
    while (s.size && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = span_after(s, 1);
    while (s.size && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

#endif
