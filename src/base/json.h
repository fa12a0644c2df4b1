/* base/json.h: writing JSON into a buffer. Reading is left to libraries. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buffer.h"

/* A string with its quotes. Bytes that are not valid UTF-8 are written as U+0080 to U+00FF, so
 * the result is always valid JSON. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int json_append_string(struct buffer *b, struct span text);

/* How many bytes at the start of `text` take at most `max` bytes in a JSON string, without its
 * quotes. Never ends inside a character. */
size_t json_fitting(struct span text, size_t max);

#endif
