/* cmocka with what it needs in front of it, in the order it needs it. */
#ifndef UNIT_SUPPORT_UNIT_H
#define UNIT_SUPPORT_UNIT_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/span.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define assert_span(bytes, text)                                                                   \
    do {                                                                                           \
        struct span span_ = (bytes);                                                               \
        assert_int_equal(span_.size, strlen(text));                                                \
        if (span_.size)                                                                            \
            assert_memory_equal(span_.data, text, span_.size);                                     \
    } while (0)

/* The same numbers on every run. */
static inline uint64_t unit_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
