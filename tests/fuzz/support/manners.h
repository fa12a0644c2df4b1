/* How the application behind a fuzzed session answers: one byte of the input chooses. */
#ifndef FUZZ_SUPPORT_MANNERS_H
#define FUZZ_SUPPORT_MANNERS_H

#include "support/origin.h"

enum manner {
    READ_THEN_ANSWER,
    ANSWER_AT_ONCE,
    ECHO,
    FAIL_AT_ONCE,
    FAIL_IN_BODY,
    TUNNEL,
    LARGE, /* the answer; little credit */
    WAIT,  /* little credit, answered at the end */
    MANNERS
};

static enum manner manner_of(const struct origin *o)
{
    return *(const enum manner *)o->user;
}

static void manner_on_request(struct origin *o, struct exchange *x)
{
    struct http_response upgrade = {.status = 101};
    enum manner manner = manner_of(o);
    switch (manner) {
    case ANSWER_AT_ONCE:
        origin_answer_ok(x);
        break;
    case FAIL_AT_ONCE:
        exchange_fail(x, ROUTED_ERROR_OVERLOADED);
        break;
    case TUNNEL:
        if (x->request.upgrade)
            exchange_respond(x, &upgrade);
        break;
    case ECHO:
    case LARGE:
        origin_respond(x, 200, NULL);
        break;
    default:
        break;
    }
    exchange_grant(x, manner == LARGE || manner == WAIT ? 3 : SIZE_MAX / 4);
}

static void manner_on_body(struct origin *o, struct exchange *x, struct span body)
{
    switch (manner_of(o)) {
    case ECHO:
    case TUNNEL:
        exchange_send(x, slice_copy(body));
        break;
    case FAIL_IN_BODY:
        exchange_fail(x, ROUTED_ERROR_BRIDGE_CLOSED);
        break;
    case LARGE:
    case WAIT:
        exchange_grant(x, body.size);
        break;
    default:
        break;
    }
}

static void manner_on_end(struct origin *o, struct exchange *x)
{
    struct field trailer = {SPAN("x-sum"), SPAN("1"), FIELD_OTHER};
    struct field_list trailers = {&trailer, 1, 1};
    switch (manner_of(o)) {
    case READ_THEN_ANSWER:
    case WAIT:
        origin_answer_ok(x);
        break;
    case FAIL_IN_BODY: /* there was none */
        break;
    case LARGE:
        origin_send_size(x, 100000);
        exchange_end(x, &trailers);
        break;
    default:
        exchange_end(x, &trailers);
        break;
    }
}

/* origin.user points to the manner. */
static const struct origin_script manner_script = {
    .on_request = manner_on_request, .on_body = manner_on_body, .on_end = manner_on_end};

#endif
