/* websocket/utf8.h: UTF-8 (RFC 3629) checked piece by piece, wrong bytes found at once. */
#ifndef WEBSOCKET_UTF8_H
#define WEBSOCKET_UTF8_H

#include "base/span.h"

/* Zero is the start. A piece may end inside a character. */
struct websocket_utf8 {
    uint8_t missing; /* continuation bytes to come */
    uint8_t lowest;  /* allowed for the next one */
    uint8_t highest;
};

#define WEBSOCKET_UTF8_START ((struct websocket_utf8){0, 0, 0})

/* False at the first byte that no valid text can have there: overlong forms, surrogates, above
 * U+10FFFF, stray and missing continuation bytes. */
bool websocket_utf8_feed(struct websocket_utf8 *u, struct span piece);

/* The text may end here. */
static inline bool websocket_utf8_is_complete(const struct websocket_utf8 *u)
{
    return u->missing == 0;
}

bool websocket_utf8_is_valid(struct span text);

#endif
