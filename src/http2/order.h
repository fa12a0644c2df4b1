/* http2/order.h: frames on streams that the client itself has closed (RFC 9113 section 5.1).
 *
 * nghttp2 ignores most of them, because it keeps no closed streams and cannot tell a late frame,
 * which crossed a reset of ours, from a wrong one. But a client knows what it has ended, reset or
 * passed over: a frame that opens or fills such a stream is a mistake or an attack. */
#ifndef HTTP2_ORDER_H
#define HTTP2_ORDER_H

#include "http2/frames.h"

#define HTTP2_ORDER_KEPT 1024 /* newest streams that are remembered */

struct http2_order {
    uint32_t newest;       /* stream that the client opened */
    uint32_t skipped_from; /* the latest run that it passed over; 0: none */
    uint32_t skipped_to;
    uint64_t ended[HTTP2_ORDER_KEPT / 64]; /* a bit for each stream: END_STREAM or RST_STREAM */
};

/* 0, or the code (RFC 9113 section 7) for GOAWAY. The zeroed struct is the beginning. */
uint32_t http2_order_take(struct http2_order *o, const struct http2_frame *frame);

#endif
