/* wire/frame.h: the frames of bridge version 1 (docs/BRIDGE_PROTOCOL.md) and the small ones as
 * bytes: chunks, ends, tunnel frames.
 *
 * A frame is a u32 of payload size, then the payload: u8 version, u8 type, fields. Content is
 * never copied to be framed: a prefix goes out first, the bytes themselves after it in the same
 * gathered write. Pure functions; any thread. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/buffer.h"
#include "base/span.h"

#define WIRE_VERSION 1

enum wire_type {
    WIRE_REQUEST_SINGLE_LITERAL = 1, /* "literal": field names as text only, accepted for older */
    WIRE_RESPONSE_SINGLE_LITERAL = 2,
    WIRE_REQUEST_START_LITERAL = 3,
    WIRE_REQUEST_CHUNK = 4,
    WIRE_REQUEST_END = 5,
    WIRE_RESPONSE_START_LITERAL = 6,
    WIRE_RESPONSE_CHUNK = 7,
    WIRE_RESPONSE_END = 8,
    WIRE_TUNNEL_CHUNK = 9,
    WIRE_TUNNEL_CLOSE = 10,
    WIRE_REQUEST_SINGLE = 11,
    WIRE_RESPONSE_SINGLE = 12,
    WIRE_REQUEST_START = 13,
    WIRE_RESPONSE_START = 14
};

/* Limits. The first is the protocol's own; the others are this implementation's and may be
 * lowered in struct wire_limits. */
#define WIRE_PAYLOAD_MAX       67108864 /* 64 MiB, version and type included */
#define WIRE_HEAD_MAX          98304    /* a head: 64 KiB of fields, the target, their framing */
#define WIRE_FIELDS_MAX        1024
#define WIRE_CHUNK_DATA_MAX    65536 /* what a chunk frame carries when this side writes it */

#define WIRE_PREFIX_SIZE       6 /* payload size, version, type */
#define WIRE_CHUNK_PREFIX_SIZE 10

/* The prefix of a frame of type 4, 7 or 9 with `size` content bytes, which follow it. `size` is
 * at most WIRE_PAYLOAD_MAX - 6; senders stay at or under WIRE_CHUNK_DATA_MAX. */
void wire_frame_chunk(uint8_t out[WIRE_CHUNK_PREFIX_SIZE], enum wire_type type, uint32_t size);

/* A whole frame without fields: type 5, 8 or 10. */
void wire_frame_mark(uint8_t out[WIRE_PREFIX_SIZE], enum wire_type type);

/* The same, appended: ROUTED_OK or ROUTED_ERROR_MEMORY, and the buffer as it was. */
int wire_frame_append_chunk(struct buffer *out, enum wire_type type, uint32_t size);
int wire_frame_append_mark(struct buffer *out, enum wire_type type);

/* Of a head. */
static inline bool wire_type_is_request(enum wire_type t)
{
    return t == WIRE_REQUEST_SINGLE || t == WIRE_REQUEST_SINGLE_LITERAL ||
           t == WIRE_REQUEST_START || t == WIRE_REQUEST_START_LITERAL;
}

static inline bool wire_type_is_single(enum wire_type t)
{
    return t == WIRE_REQUEST_SINGLE || t == WIRE_REQUEST_SINGLE_LITERAL ||
           t == WIRE_RESPONSE_SINGLE || t == WIRE_RESPONSE_SINGLE_LITERAL;
}

static inline bool wire_type_is_literal(enum wire_type t)
{
    return t == WIRE_REQUEST_SINGLE_LITERAL || t == WIRE_RESPONSE_SINGLE_LITERAL ||
           t == WIRE_REQUEST_START_LITERAL || t == WIRE_RESPONSE_START_LITERAL;
}

#endif
