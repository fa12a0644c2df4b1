/* bridge/call.h: one exchange over one line: what the front asks and an engine answers.
 *
 * A request without content leaves at once as a single frame; one with at most
 * BRIDGE_GATHER_MAX bytes is gathered first and then leaves as one frame, so that a slow small
 * upload holds no connection; others take a line with their head and stream, and the answer is
 * read meanwhile. An answer that is complete before its request was sent ends the line.
 *
 * Once, and on a fresh connection, a request is repeated: when a kept connection failed before
 * any byte of an answer, the request has no content and asks for no upgrade, and its method is
 * idempotent (RFC 9110 section 9.2.2) or the kernel took no byte of it; or when the engine went
 * down before it accepted a new one, under the same conditions but for the last.
 *
 * The client sees 502 for an engine that closes, speaks nonsense, sends what must not be passed
 * on, or answers that it cannot read a request that the front wrote; 503 when no engine can be
 * had, or the one that was to take it is gone; 504 when it takes too long. After the head all of
 * these cut the answer. */
#ifndef BRIDGE_CALL_H
#define BRIDGE_CALL_H

#include "bridge/pool.h"

#define BRIDGE_GATHER_MAX 16384

/* The context of on_request. */
struct bridge_client {
    struct loop *loop;
    const routed_limits *limits;
    const struct log *log;
    struct bridge_pool pool;
    struct metric_set metrics;
    _Atomic uint64_t numbers[BRIDGE_METRIC_COUNT];
};

extern const struct exchange_application bridge_call_application;

#endif
