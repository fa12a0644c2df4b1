/* text.h: a text that grows, with JSON strings in it. Set it to TEXT_EMPTY, write, then check
 * `failed` once: after the first failed allocation nothing more is written. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes; /* NUL-terminated once something was written */
    size_t size;
    size_t capacity;
    bool failed;
};

#define TEXT_EMPTY ((struct text){NULL, 0, 0, false})

void text_add(struct text *t, const char *piece);
void text_add_bytes(struct text *t, const void *bytes, size_t size);
void text_add_number(struct text *t, uint64_t number);

/* A JSON string, or null for NULL. Field values and paths may hold any byte: one of 0x80 and above
 * is written as \u0080 to \u00ff, so every byte can be told from the outside (as ISO 8859-1). */
void text_add_json(struct text *t, const char *value);

void text_free(struct text *t);

#endif
