/* http2/budget.h: what a client uses up of the limits that belong to the connection.
 *
 * Most of what makes a flood is legal frame by frame, so each kind draws on a budget that refills
 * with time. Nothing here knows streams; the session says what happened and ends the connection
 * when the answer is not ROUTED_OK. */
#ifndef HTTP2_BUDGET_H
#define HTTP2_BUDGET_H

#include "base/bucket.h"
#include "http2/frames.h"
#include "http2/limits.h"

struct http2_budget {
    struct bucket resets;
    struct bucket glitches;
    struct bucket small_data;
    uint64_t carried;       /* bytes of field blocks and content, both ways */
    uint32_t updates;       /* WINDOW_UPDATE frames that what we sent gives reason for */
    uint32_t first_data;    /* requests that have not sent their first DATA frame, about */
    uint32_t continuations; /* of the field block that is being received */
};

void http2_budget_init(struct http2_budget *b, const struct http2_limits *limits, milliseconds now);

/* ROUTED_OK, or the ROUTED_ERROR_HTTP2_ of the budget when the frame is one too many. */
int http2_budget_take_frame(struct http2_budget *b, const struct http2_limits *limits,
                            milliseconds now, const struct http2_frame *frame);
/* The same for a stream that was reset, by whichever side, because of the client. */
int http2_budget_take_reset(struct http2_budget *b, const struct http2_limits *limits,
                            milliseconds now);
/* DATA brought that much content, padding left out. */
static inline void http2_budget_received(struct http2_budget *b, size_t content)
{
    b->carried += content;
}
/* We sent a DATA frame. */
void http2_budget_sent(struct http2_budget *b, size_t content);

/* Three quarters of the resets are used up. */
bool http2_budget_is_low(const struct http2_budget *b, const struct http2_limits *limits);
/* `received` bytes came on the connection: is it nearly all framing? */
bool http2_budget_is_overhead(const struct http2_budget *b, const struct http2_limits *limits,
                              uint64_t received);

#endif
