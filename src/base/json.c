#include "base/json.h"

#include <routed/error.h>

#define ESCAPE_MAX 6 /* \u0000 */

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

static size_t write_escape(char out[ESCAPE_MAX], uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    char letter = c == '"' || c == '\\' ? (char)c
                  : c == '\n'           ? 'n'
                  : c == '\r'           ? 'r'
                  : c == '\t'           ? 't'
                                        : 'u';
    char escape[ESCAPE_MAX] = {'\\', letter, '0', '0', digits[c >> 4], digits[c & 15]};
    memcpy(out, escape, sizeof(escape));
    return letter == 'u' ? ESCAPE_MAX : 2;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* How many bytes at the start of a non-empty span are written as they are. */
static size_t literal_size(struct span text)
{
    size_t run = 0;
    while (run < text.size && is_plain(text.data[run]))
        run++;
    return run == 0 && text.data[0] >= 0x80 ? sequence_size(text) : run;
}

int json_append_string(struct buffer *b, struct span text)
{
    int error = buffer_append(b, "\"", 1);
    while (text.size && !error) {
        size_t run = literal_size(text);
        if (run) {
            error = buffer_append(b, text.data, run);
            text = span_after(text, run);
        } else {
            char escape[ESCAPE_MAX];
            error = buffer_append(b, escape, write_escape(escape, text.data[0]));
            text = span_after(text, 1);
        }
    }
    return error ? error : buffer_append(b, "\"", 1);
}

size_t json_fitting(struct span text, size_t max)
{
    size_t taken = 0;
    while (taken < text.size) {
        char escape[ESCAPE_MAX];
        struct span rest = span_after(text, taken);
        size_t bytes = is_plain(rest.data[0]) ? 1 : literal_size(rest);
        size_t cost = bytes ? bytes : write_escape(escape, rest.data[0]);
        if (cost > max)
            break;
        max -= cost;
        taken += bytes ? bytes : 1;
    }
    return taken;
}
