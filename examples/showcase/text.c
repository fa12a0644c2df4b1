#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct text *t, size_t size)
{
    size_t needed = t->size + size + 1;
    if (t->failed || needed <= t->capacity)
        return !t->failed;
    size_t capacity = t->capacity ? t->capacity : 512;
    while (capacity < needed)
        capacity *= 2;
    char *bytes = realloc(t->bytes, capacity);
    if (!bytes) {
        t->failed = true;
        return false;
    }
    t->bytes = bytes;
    t->capacity = capacity;
    return true;
}

void text_add_bytes(struct text *t, const void *bytes, size_t size)
{
    if (!reserve(t, size))
        return;
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
    t->bytes[t->size] = '\0';
}

void text_add(struct text *t, const char *piece)
{
    text_add_bytes(t, piece, strlen(piece));
}

void text_add_number(struct text *t, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    text_add(t, digits);
}

void text_add_json(struct text *t, const char *value)
{
    if (!value) {
        text_add(t, "null");
        return;
    }
    text_add(t, "\"");
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        char escaped[8];
        if (*c == '"' || *c == '\\')
            snprintf(escaped, sizeof(escaped), "\\%c", *c);
        else if (*c < 0x20 || *c >= 0x7f)
            snprintf(escaped, sizeof(escaped), "\\u%04x", *c);
        else
            snprintf(escaped, sizeof(escaped), "%c", *c);
        text_add(t, escaped);
    }
    text_add(t, "\"");
}

void text_free(struct text *t)
{
    free(t->bytes);
    *t = TEXT_EMPTY;
}
