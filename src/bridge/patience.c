#include "bridge/call_state.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How long the engine may take for what it is to do now; no limit while it is the client's turn. */
static uint64_t current_limit(const struct bridge_call *call)
{
    const routed_limits *limits = call->client->limits;
    if (call->x->is_tunnel)
        return ROUTED_NO_LIMIT;
    if (bridge_call_queued(call))
        return limits->engine_idle_timeout;
    if (!call->is_request_written)
        return ROUTED_NO_LIMIT;
    if (!call->has_head)
        return limits->engine_answer_timeout;
    if (bridge_channel_is_blocked(&call->line->channel))
        return ROUTED_NO_LIMIT;
    return limits->engine_idle_timeout;
}

/* A timer that fires too early looks again: it is cheaper than one that is moved all the time. */
void bridge_patience_set(struct bridge_call *call)
{
    const routed_limits *limits = call->client->limits;
    uint64_t limit = current_limit(call);
    milliseconds due = bridge_deadline(call->since, limit);
    if (limit == ROUTED_NO_LIMIT)
        due = bridge_deadline(bridge_call_now(call),
                              least(limits->engine_idle_timeout, limits->engine_answer_timeout));
    if (call->x->is_tunnel)
        due = CLOCK_NEVER;
    else
        due = least(due, call->total_due);
    if (due == CLOCK_NEVER)
        loop_timer_clear(call->client->loop, &call->timer);
    else if (!loop_timer_is_set(&call->timer) || due < call->timer.due)
        loop_timer_set(call->client->loop, &call->timer, due);
}

static void time_out(struct bridge_call *call, enum bridge_metric limit)
{
    bridge_call_count(call, limit);
    bridge_call_blame(call, BRIDGE_TIMEOUTS, ROUTED_ERROR_ENGINE_TIMEOUT, "no answer in time");
}

static void on_due(struct loop_timer *t)
{
    struct bridge_call *call = LIST_ITEM(t, struct bridge_call, timer);
    milliseconds now = bridge_call_now(call);
    if (call->total_due <= now)
        time_out(call, BRIDGE_LIMIT_TOTAL);
    else if (bridge_deadline(call->since, current_limit(call)) <= now)
        time_out(call, bridge_call_queued(call) || call->has_head ? BRIDGE_LIMIT_STALL
                                                                  : BRIDGE_LIMIT_ANSWER);
    else
        bridge_patience_set(call);
}

void bridge_patience_init(struct bridge_call *call)
{
    loop_timer_init(&call->timer, on_due);
    call->total_due =
        bridge_deadline(bridge_call_now(call), call->client->limits->engine_total_timeout);
}
