/* bridge/call_state.h: what a call knows, and the doors between its files: call.c (the request, the
 * line, the end), reply.c (what the engine answers), patience.c (how long it may take). */
#ifndef BRIDGE_CALL_STATE_H
#define BRIDGE_CALL_STATE_H

#include "bridge/call.h"
#include "bridge/refusal.h"

struct bridge_call {
    struct exchange *x;
    struct bridge_client *client;
    struct bridge_line *line; /* NULL: none yet, or no more */
    struct bridge_wait wait;
    struct loop_timer timer;
    uint8_t *gathered; /* short content before it is sent; NULL: not gathering */
    size_t gathered_size;
    uint64_t in_before; /* the line's counts when it was taken */
    uint64_t out_before;
    milliseconds since; /* the engine last did something, or was last given something to do */
    milliseconds total_due;
    struct http_response held; /* a head that may turn out to be a refusal */
    struct bridge_refusal refusal;
    bool was_retried;
    bool is_over;            /* the exchange has failed or has its answer: nothing is passed on */
    bool has_request_end;    /* the client's end came */
    bool is_request_sent;    /* the last frame is queued */
    bool is_request_written; /* and taken by the kernel */
    bool has_head;           /* of the final response */
    bool has_response_end;
};

static inline milliseconds bridge_call_now(const struct bridge_call *call)
{
    return loop_now(call->client->loop);
}

static inline void bridge_call_count(struct bridge_call *call, enum bridge_metric which)
{
    metric_add(&call->client->metrics, which, 1);
}

/* Bytes of the request that the kernel has not taken yet; of a call with a line. */
static inline size_t bridge_call_queued(const struct bridge_call *call)
{
    return stream_queued(&call->line->channel.stream);
}

/* ---- call.c ---- */

__attribute__((cold)) void bridge_call_fail(struct bridge_call *call, int error);
/* A failure that is the engine's, for the log and in the numbers. */
__attribute__((cold)) void bridge_call_blame(struct bridge_call *call, enum bridge_metric which,
                                             int error, const char *text);
/* The response is passed on whole. */
void bridge_call_conclude(struct bridge_call *call);

/* ---- reply.c: for struct bridge_line_events, with the call as the holder ---- */

void bridge_reply_head(void *holder, const struct wire_head *head);
void bridge_reply_upgrade(void *holder);
void bridge_reply_body(void *holder, struct slice *body);
void bridge_reply_end(void *holder);

/* ---- patience.c ---- */

void bridge_patience_init(struct bridge_call *call);
/* After each change of what is waited for. */
void bridge_patience_set(struct bridge_call *call);

#endif
