#include "base/json.h"

#include <routed/error.h>

/* The size of the valid UTF-8 sequence at the start of a non-empty span, 0 when there is none. */
static size_t sequence_size(struct span s)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = s.data[0];
    if (first < 0x80)
        return 1;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size > s.size)
        return 0;
    uint32_t code = first & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((s.data[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s.data[i] & 0x3fu);
    }
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[size] || code > 0x10ffff || is_surrogate ? 0 : size;
}

static int append_escape(struct buffer *b, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    switch (c) {
    case '"':
    case '\\':
        escape[1] = (char)c;
        return buffer_append(b, escape, 2);
    case '\n':
        return buffer_append(b, "\\n", 2);
    case '\r':
        return buffer_append(b, "\\r", 2);
    case '\t':
        return buffer_append(b, "\\t", 2);
    default:
        return buffer_append(b, escape, sizeof(escape));
    }
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

int json_append_string(struct buffer *b, struct span text)
{
    int error = buffer_append(b, "\"", 1);
    while (text.size && !error) {
        size_t run = 0;
        while (run < text.size && is_plain(text.data[run]))
            run++;
        if (run == 0 && text.data[0] >= 0x80)
            run = sequence_size(text);
        if (run) {
            error = buffer_append(b, text.data, run);
            text = span_after(text, run);
        } else {
            error = append_escape(b, text.data[0]);
            text = span_after(text, 1);
        }
    }
    return error ? error : buffer_append(b, "\"", 1);
}
