/* engine/escape.h: percent escapes of targets (RFC 3986 section 2.1), decoded once. Pure. */
#ifndef ENGINE_ESCAPE_H
#define ENGINE_ESCAPE_H

#include "base/arena.h"
#include "base/span.h"

/* Every "%" starts an escape, and none stands for a NUL, which would end a C string early. */
bool engine_escape_is_valid(struct span text);
/* The decoded text, NUL-terminated, in the arena; NULL without memory or for invalid text.
 * `size` may be NULL. `plus_is_space`: as in the query of a form. */
char *engine_escape_decode(struct arena *a, struct span text, bool plus_is_space, size_t *size);

#endif
