/* http2/frames.h: where frames begin in what a client sends (RFC 9113 section 4.1).
 *
 * nghttp2 says nothing of frames that it ignores, and those are what floods are made of; so the
 * frame heads are also read here, before nghttp2 gets the bytes. */
#ifndef HTTP2_FRAMES_H
#define HTTP2_FRAMES_H

#include "base/span.h"

#define HTTP2_FRAME_HEAD 9 /* bytes in front of each frame's payload */

struct http2_frame {
    uint32_t size; /* of the payload */
    uint32_t stream;
    uint32_t depends_on; /* PRIORITY: the stream that it names; else 0 */
    uint8_t looked_at;   /* bytes that were taken to know this */
    uint8_t type;
    uint8_t flags;
};

struct http2_frames {
    uint8_t head[HTTP2_FRAME_HEAD + 4]; /* with the beginning of PRIORITY's payload */
    uint8_t head_size;                  /* bytes of it that are here */
    size_t skip;                        /* bytes before the next head */
    bool in_block;                      /* a field block has begun and its last frame has not */
    bool is_field_frame;                /* what is skipped is part of a field block */
};

/* `skip` is the size of the preface. */
static inline void http2_frames_init(struct http2_frames *f, size_t skip)
{
    *f = (struct http2_frames){.skip = skip};
}

/* Has a field block begun whose last byte is not here? */
static inline bool http2_frames_is_in_block(const struct http2_frames *f)
{
    return f->in_block || (f->is_field_frame && f->skip > 0);
}

/* Takes bytes off the front until a frame head is complete; false when they end before. */
bool http2_frames_next(struct http2_frames *f, struct span *bytes, struct http2_frame *frame);

#endif
