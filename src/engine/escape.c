#include "engine/escape.h"

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = span_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at `i` stands for, or -1. */
static int escape_at(struct span text, size_t i)
{
    if (text.size - i < 3)
        return -1;
    int high = hex(text.data[i + 1]);
    int low = hex(text.data[i + 2]);
    return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

bool engine_escape_is_valid(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '%' && escape_at(text, i) < 0)
            return false;
    return true;
}

char *engine_escape_decode(struct arena *a, struct span text, bool plus_is_space, size_t *size)
{
    char *out = engine_escape_is_valid(text) ? arena_new(a, text.size + 1) : NULL;
    if (!out)
        return NULL;
    size_t at = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            c = (uint8_t)escape_at(text, i);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[at++] = (char)c;
    }
    out[at] = '\0';
    if (size)
        *size = at;
    return out;
}
