/* The words of tests/unit/support/unit.h for fuzz targets that use helpers of the unit tests: what
 * does not hold ends the process, and the fuzzer keeps the input. */
#ifndef FUZZ_SUPPORT_UNIT_H
#define FUZZ_SUPPORT_UNIT_H

#include "base/span.h"
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static inline void require(bool holds)
{
    if (!holds)
        abort();
}

#define assert_true(x)         require(x)
#define assert_false(x)        require(!(x))
#define assert_non_null(x)     require((x) != NULL)
#define assert_int_equal(a, b) require((a) == (b))
#define fail_msg(...)          abort()

static inline uint64_t unit_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
