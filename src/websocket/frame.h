/* websocket/frame.h: one frame of RFC 6455 section 5.2: its head as bytes and back, and the mask.
 * Pure functions; any thread. */
#ifndef WEBSOCKET_FRAME_H
#define WEBSOCKET_FRAME_H

#include "base/span.h"

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
};

#define WEBSOCKET_HEAD_MAX    14  /* bytes of the longest frame head */
#define WEBSOCKET_CONTROL_MAX 125 /* payload bytes of a control frame, section 5.5 */
#define WEBSOCKET_REASON_MAX  123 /* of a close frame, after the code */

struct websocket_frame {
    enum websocket_opcode opcode;
    bool is_final;
    bool is_masked;
    uint8_t mask[4];
    uint64_t size; /* of the payload, below 2^63 */
};

static inline bool websocket_opcode_is_control(enum websocket_opcode o)
{
    return ((unsigned)o & 8) != 0;
}

/* Reads a head at the start of `bytes`. Returns its size, 0 when more bytes are needed, or
 * ROUTED_ERROR_WEBSOCKET_PROTOCOL: reserved bits or opcode, a control frame that is fragmented or
 * over 125 bytes, a size not in its shortest form or over 2^63 - 1. Wrong in the first two bytes
 * is told from those two. `masked` is what the peer must do: true for clients (section 5.1). */
int websocket_frame_read(struct span bytes, bool masked, struct websocket_frame *f);

/* Writes the head; the payload follows it (masked already when f->is_masked). Returns the size. */
size_t websocket_frame_write(uint8_t out[WEBSOCKET_HEAD_MAX], const struct websocket_frame *f);

/* A head as a server sends it: whole message, no mask. */
size_t websocket_frame_write_server(uint8_t out[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode,
                                    uint64_t size);

/* Copies `size` bytes and applies the mask (section 5.3); `offset` is where in the payload they
 * are. `out` and `in` are the same memory or do not overlap. Masking twice gives the original. */
void websocket_mask(uint8_t *out, const uint8_t *in, size_t size, const uint8_t mask[4],
                    uint64_t offset);

/* Writes a whole close frame as a server sends it; the reason is UTF-8 and cut, at a character,
 * to WEBSOCKET_REASON_MAX. Code 0: an empty close frame. Returns the size. */
#define WEBSOCKET_CLOSE_FRAME_MAX (2 + WEBSOCKET_CONTROL_MAX)
size_t websocket_close_write(uint8_t out[WEBSOCKET_CLOSE_FRAME_MAX], uint16_t code,
                             struct span reason);

/* May this code be in a close frame: 1000-1003, 1007-1014, 3000-4999 (section 7.4 and its
 * registry). */
bool websocket_close_code_is_valid(uint16_t code);

/* The close code that answers an error: 1000 for none, 1002, 1007, 1009, 1008 for
 * ROUTED_ERROR_BUDGET, 1001 for ROUTED_ERROR_STOPPING, else 1011. */
uint16_t websocket_close_code(int error);

#endif
