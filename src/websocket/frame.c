#include "websocket/frame.h"

#include "websocket/utf8.h"
#include <routed/error.h>

#define FINAL_BIT     0x80
#define RESERVED_BITS 0x70
#define OPCODE_BITS   0x0f
#define MASK_BIT      0x80
#define SIZE_BITS     0x7f
#define SIZE_IN_TWO   126
#define SIZE_IN_EIGHT 127

static bool opcode_is_known(uint8_t opcode)
{
    return opcode <= WEBSOCKET_BINARY || (opcode >= WEBSOCKET_CLOSE && opcode <= WEBSOCKET_PONG);
}

static bool first_two_are_valid(const uint8_t *head, bool masked)
{
    uint8_t opcode = head[0] & OPCODE_BITS;
    if ((head[0] & RESERVED_BITS) || !opcode_is_known(opcode))
        return false;
    if (((head[1] & MASK_BIT) != 0) != masked)
        return false;
    bool is_control = websocket_opcode_is_control((enum websocket_opcode)opcode);
    return !is_control || ((head[0] & FINAL_BIT) && (head[1] & SIZE_BITS) <= WEBSOCKET_CONTROL_MAX);
}

static uint64_t read_number(const uint8_t *at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | at[i];
    return number;
}

static size_t size_bytes(uint8_t short_size)
{
    if (short_size == SIZE_IN_TWO)
        return 2;
    return short_size == SIZE_IN_EIGHT ? 8 : 0;
}

static bool size_is_shortest(uint64_t size, size_t bytes)
{
    if (bytes == 2)
        return size >= SIZE_IN_TWO;
    return bytes == 0 || (size > UINT16_MAX && size <= INT64_MAX);
}

int websocket_frame_read(struct span bytes, bool masked, struct websocket_frame *f)
{
    if (bytes.size < 2)
        return 0;
    const uint8_t *head = bytes.data;
    if (!first_two_are_valid(head, masked))
        return ROUTED_ERROR_WEBSOCKET_PROTOCOL;
    uint8_t short_size = head[1] & SIZE_BITS;
    size_t extended = size_bytes(short_size);
    if (bytes.size < 2 + extended)
        return 0;
    uint64_t size = extended ? read_number(head + 2, extended) : short_size;
    if (!size_is_shortest(size, extended))
        return ROUTED_ERROR_WEBSOCKET_PROTOCOL;
    size_t head_size = 2 + extended + (masked ? sizeof(f->mask) : 0);
    if (bytes.size < head_size)
        return 0;
    *f = (struct websocket_frame){.opcode = (enum websocket_opcode)(head[0] & OPCODE_BITS),
                                  .is_final = (head[0] & FINAL_BIT) != 0,
                                  .is_masked = masked,
                                  .size = size};
    if (masked)
        memcpy(f->mask, head + 2 + extended, sizeof(f->mask));
    return (int)head_size;
}

static size_t write_size(uint8_t *out, uint64_t size)
{
    size_t bytes = size < SIZE_IN_TWO ? 0 : size <= UINT16_MAX ? 2 : 8;
    if (bytes == 0) {
        out[0] = (uint8_t)size;
        return 1;
    }
    out[0] = bytes == 2 ? SIZE_IN_TWO : SIZE_IN_EIGHT;
    for (size_t i = 0; i < bytes; i++)
        out[1 + i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
    return 1 + bytes;
}

size_t websocket_frame_write(uint8_t out[WEBSOCKET_HEAD_MAX], const struct websocket_frame *f)
{
    out[0] = (uint8_t)((f->is_final ? FINAL_BIT : 0) | (uint8_t)f->opcode);
    size_t size = 1 + write_size(out + 1, f->size);
    if (f->is_masked) {
        out[1] |= MASK_BIT;
        memcpy(out + size, f->mask, sizeof(f->mask));
        size += sizeof(f->mask);
    }
    return size;
}

size_t websocket_frame_write_server(uint8_t out[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode,
                                    uint64_t size)
{
    struct websocket_frame f = {.opcode = opcode, .is_final = true, .size = size};
    return websocket_frame_write(out, &f);
}

void websocket_mask(uint8_t *out, const uint8_t *in, size_t size, const uint8_t mask[4],
                    uint64_t offset)
{
    uint8_t turned[8];
    for (size_t i = 0; i < sizeof(turned); i++)
        turned[i] = mask[(offset + i) & 3];
    uint64_t key;
    memcpy(&key, turned, sizeof(key));
    size_t at = 0;
    for (; size - at >= sizeof(key); at += sizeof(key)) {
        uint64_t word;
        memcpy(&word, in + at, sizeof(word));
        word ^= key;
        memcpy(out + at, &word, sizeof(word));
    }
    for (; at < size; at++)
        out[at] = in[at] ^ turned[at & 3];
}

/* The longest part of at most `max` bytes that does not end inside a character. */
static size_t cut_at_character(struct span text, size_t max)
{
    if (text.size <= max)
        return text.size;
    size_t size = max;
    while (size && (text.data[size] & 0xc0) == 0x80)
        size--;
    return size;
}

size_t websocket_close_write(uint8_t out[WEBSOCKET_CLOSE_FRAME_MAX], uint16_t code,
                             struct span reason)
{
    size_t size = code ? cut_at_character(reason, WEBSOCKET_REASON_MAX) : 0;
    size_t head = websocket_frame_write_server(out, WEBSOCKET_CLOSE, code ? 2 + size : 0);
    if (code == 0)
        return head;
    out[head] = (uint8_t)(code >> 8);
    out[head + 1] = (uint8_t)code;
    if (size)
        memcpy(out + head + 2, reason.data, size);
    return head + 2 + size;
}

bool websocket_close_code_is_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

uint16_t websocket_close_code(int error)
{
    switch (error) {
    case ROUTED_OK:
        return 1000;
    case ROUTED_ERROR_STOPPING:
        return 1001;
    case ROUTED_ERROR_WEBSOCKET_PROTOCOL:
        return 1002;
    case ROUTED_ERROR_WEBSOCKET_UTF8:
        return 1007;
    case ROUTED_ERROR_BUDGET:
        return 1008;
    case ROUTED_ERROR_WEBSOCKET_TOO_BIG:
        return 1009;
    default:
        return 1011;
    }
}
