#include "wire/frame.h"

#include "wire/bytes.h"
#include <routed/error.h>

static void write_prefix(uint8_t out[WIRE_PREFIX_SIZE], enum wire_type type, uint32_t payload)
{
    wire_bytes_write_u32(out, payload);
    out[4] = WIRE_VERSION;
    out[5] = (uint8_t)type;
}

void wire_frame_chunk(uint8_t out[WIRE_CHUNK_PREFIX_SIZE], enum wire_type type, uint32_t size)
{
    write_prefix(out, type, 2 + 4 + size);
    wire_bytes_write_u32(out + WIRE_PREFIX_SIZE, size);
}

void wire_frame_mark(uint8_t out[WIRE_PREFIX_SIZE], enum wire_type type)
{
    write_prefix(out, type, 2);
}

int wire_frame_append_chunk(struct buffer *out, enum wire_type type, uint32_t size)
{
    uint8_t prefix[WIRE_CHUNK_PREFIX_SIZE];
    wire_frame_chunk(prefix, type, size);
    return buffer_append(out, prefix, sizeof(prefix));
}

int wire_frame_append_mark(struct buffer *out, enum wire_type type)
{
    uint8_t mark[WIRE_PREFIX_SIZE];
    wire_frame_mark(mark, type);
    return buffer_append(out, mark, sizeof(mark));
}
