#include "bridge/call_state.h"
#include <routed/error.h>

__attribute__((cold)) static void fail(struct bridge_call *call, int error)
{
    if (error == ROUTED_ERROR_MEMORY)
        bridge_call_fail(call, error);
    else
        bridge_call_blame(call, BRIDGE_RESPONSES_INVALID, ROUTED_ERROR_RESPONSE,
                          "a response that must not be passed on");
}

static void respond(struct bridge_call *call, const struct http_response *response)
{
    int error = exchange_respond(call->x, response);
    if (error)
        fail(call, error);
}

static void inform(struct bridge_call *call, const struct wire_head *head)
{
    struct http_response response;
    int error = wire_response_read(head, &call->x->arena, &response);
    if (!error)
        error = exchange_inform(call->x, &response);
    if (error)
        fail(call, error);
}

void bridge_reply_head(void *holder, const struct wire_head *head)
{
    struct bridge_call *call = holder;
    if (http_status_is_interim(head->status)) {
        inform(call, head);
        return;
    }
    call->has_head = true;
    call->since = bridge_call_now(call);
    int error = wire_response_read(head, &call->x->arena, &call->held);
    if (!error)
        error =
            wire_response_state_length(head, call->x->request.method, &call->x->arena, &call->held);
    if (error)
        fail(call, error);
    else if (head->status != HTTP_SWITCHING_PROTOCOLS &&
             !bridge_refusal_begin(&call->refusal, head))
        respond(call, &call->held);
    if (call->line)
        bridge_patience_set(call);
}

/* Nothing of a tunnel is sent before the whole 101 is here. */
void bridge_reply_upgrade(void *holder)
{
    struct bridge_call *call = holder;
    respond(call, &call->held);
    if (!call->line)
        return;
    bridge_patience_set(call);
    exchange_grant(call->x, call->client->limits->window);
}

static void pass_on(struct bridge_call *call, struct slice body)
{
    int error = exchange_send(call->x, body);
    if (error)
        fail(call, error);
}

/* Content of a response that looks like a refusal. True when it is clear that it is none. */
static bool clear_suspicion(struct bridge_call *call, struct slice *body)
{
    struct span known = SPAN_EMPTY;
    switch (bridge_refusal_feed(&call->refusal, body, &known)) {
    case BRIDGE_REFUSAL_CERTAIN:
        bridge_call_blame(call, BRIDGE_RESPONSES_INVALID, ROUTED_ERROR_RESPONSE,
                          "the engine cannot read the request");
        return false;
    case BRIDGE_REFUSAL_NONE:
        respond(call, &call->held);
        if (!call->is_over && known.size)
            pass_on(call, slice_static(known));
        return !call->is_over;
    case BRIDGE_REFUSAL_OPEN:
    default:
        return false;
    }
}

void bridge_reply_body(void *holder, struct slice *body)
{
    struct bridge_call *call = holder;
    call->since = bridge_call_now(call);
    if (call->refusal.is_open && !clear_suspicion(call, body))
        return;
    if (!call->x->suppress_content && !exchange_can_send(call->x))
        return;
    struct slice taken = *body;
    *body = SLICE_EMPTY;
    pass_on(call, taken);
}

void bridge_reply_end(void *holder)
{
    struct bridge_call *call = holder;
    if (exchange_end(call->x, NULL))
        fail(call, ROUTED_ERROR_RESPONSE);
    else
        bridge_call_conclude(call);
}
