#include "http3/lines.h"

/* Beyond it a number is larger than any string, and wrong. */
#define SHIFT_MAX 56

/* What begins with this byte, and the bits of it that belong to the number. */
static uint8_t begin_line(struct http3_lines *l, uint8_t first)
{
    if (first & 0x80) {
        l->reads = HTTP3_LINES_INDEX;
        return 0x3f;
    }
    if (first & 0x40) {
        l->reads = HTTP3_LINES_NAME_INDEX;
        return 0x0f;
    }
    if (first & 0x20) {
        l->reads = HTTP3_LINES_NAME_SIZE;
        return 0x07;
    }
    l->reads = first & 0x10 ? HTTP3_LINES_INDEX : HTTP3_LINES_NAME_INDEX;
    return first & 0x10 ? 0x0f : 0x07;
}

static uint8_t begin_number(struct http3_lines *l, uint8_t first)
{
    if (l->expects == HTTP3_LINES_INDEX)
        return begin_line(l, first);
    l->reads = l->expects;
    return l->reads == HTTP3_LINES_INSERT_COUNT ? 0xff : 0x7f;
}

/* True when the number is complete (RFC 7541 section 5.1). */
static bool read_number(struct http3_lines *l, uint8_t byte)
{
    if (!l->has_begun) {
        uint8_t mask = begin_number(l, byte);
        l->number = byte & mask;
        l->shift = 0;
        l->has_begun = l->number == mask;
        return !l->has_begun;
    }
    if (l->shift <= SHIFT_MAX) {
        l->number += (uint64_t)(byte & 0x7f) << l->shift;
        l->shift = (uint8_t)(l->shift + 7);
    }
    l->has_begun = byte & 0x80;
    return !l->has_begun;
}

static bool end_number(struct http3_lines *l)
{
    switch (l->reads) {
    case HTTP3_LINES_INSERT_COUNT:
        l->expects = HTTP3_LINES_BASE;
        return true;
    case HTTP3_LINES_NAME_INDEX:
        l->expects = HTTP3_LINES_VALUE_SIZE;
        return true;
    case HTTP3_LINES_NAME_SIZE:
        l->expects = HTTP3_LINES_VALUE_SIZE;
        l->skip = l->number;
        return l->number <= HTTP3_NAME_MAX;
    case HTTP3_LINES_VALUE_SIZE:
        l->expects = HTTP3_LINES_INDEX;
        l->skip = l->number;
        return l->number <= HTTP3_VALUE_MAX;
    default:
        l->expects = HTTP3_LINES_INDEX;
        return true;
    }
}

bool http3_lines_fit(struct http3_lines *l, struct span bytes)
{
    bool fits = true;
    while (bytes.size && fits) {
        if (l->skip) {
            size_t size = l->skip < bytes.size ? (size_t)l->skip : bytes.size;
            l->skip -= size;
            bytes = span_after(bytes, size);
            continue;
        }
        if (read_number(l, bytes.data[0]))
            fits = end_number(l);
        bytes = span_after(bytes, 1);
    }
    return fits;
}
