/* base/decimal.h: unsigned numbers as decimal text, without locale or format strings. */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include "base/span.h"

#define DECIMAL_MAX 20 /* digits of 2^64 - 1 */

/* Writes the digits, no NUL; returns how many (1 to DECIMAL_MAX). */
static inline size_t decimal_write(char *out, uint64_t value)
{
    size_t count = 1;
    for (uint64_t rest = value; rest >= 10; rest /= 10)
        count++;
    for (size_t i = count; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return count;
}

/* True when the whole span is 1*DIGIT and the number is at most `max`. Leading zeros are
 * decimal (RFC 9110 section 8.6). */
static inline bool decimal_read(struct span text, uint64_t max, uint64_t *value)
{
    uint64_t sum = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';
        if (digit > 9 || sum > (max - digit) / 10 || digit > max)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

#endif
