/* http3/frames.h: numbers and frames in what a client sends on a stream (RFC 9000 section 16,
 * RFC 9114 section 7.1). Pure; bytes may be split anywhere. */
#ifndef HTTP3_FRAMES_H
#define HTTP3_FRAMES_H

#include "base/span.h"

/* RFC 9114 section 7.2, RFC 9218 section 7.2. */
enum http3_frame_type {
    HTTP3_FRAME_DATA = 0x00,
    HTTP3_FRAME_HEADERS = 0x01,
    HTTP3_FRAME_CANCEL_PUSH = 0x03,
    HTTP3_FRAME_SETTINGS = 0x04,
    HTTP3_FRAME_PUSH_PROMISE = 0x05,
    HTTP3_FRAME_GOAWAY = 0x07,
    HTTP3_FRAME_MAX_PUSH_ID = 0x0d,
    HTTP3_FRAME_PRIORITY_UPDATE = 0xf0700,
    HTTP3_FRAME_PRIORITY_UPDATE_PUSH = 0xf0701
};

/* A number of variable length; the zeroed struct is the beginning of one. */
struct http3_number {
    uint64_t value;
    uint8_t left; /* bytes that are to come */
    bool has_begun;
};

/* How many bytes the number has that begins with this one. */
static inline size_t http3_number_size(uint8_t first)
{
    return (size_t)1 << (first >> 6);
}

/* Takes bytes off the front. True when the number is complete; it begins anew with the next call.
 */
bool http3_number_read(struct http3_number *n, struct span *bytes);

struct http3_frames {
    struct http3_number number;
    uint64_t type; /* of the frame that was begun last */
    uint64_t left; /* bytes of its payload that are to come */
    bool has_type; /* and the length is not complete */
};

enum http3_part {
    HTTP3_PART_NONE, /* the bytes are used up */
    HTTP3_PART_HEAD, /* of the next frame: type and left are known */
    HTTP3_PART_PAYLOAD
};

/* Takes the next part off the front of the bytes; a payload may come in several pieces. The zeroed
 * struct stands before the first frame. */
enum http3_part http3_frames_next(struct http3_frames *f, struct span *bytes, struct span *payload);

/* No frame was begun and not ended: a stream may end here. */
bool http3_frames_is_between(const struct http3_frames *f);

/* A type that HTTP/3 took out of use because it means something in HTTP/2 (RFC 9114 section 7.2.8):
 * PRIORITY, PING, WINDOW_UPDATE, CONTINUATION. */
bool http3_frames_is_http2(uint64_t type);

#endif
