#include "engine/handshake.h"

#include "websocket/handshake.h"

int engine_handshake_refuse(routed_exchange *x, int error)
{
    engine_desk_count(&x->desk->counters.websockets_refused, 1);
    if (error == ROUTED_ERROR_UPGRADE)
        return engine_chain_answer_error(x, 400);
    int failure = engine_head_set_field(x, SPAN("sec-websocket-version"), SPAN("13"));
    return failure ? failure : engine_chain_answer_error(x, 426);
}

const char *engine_handshake_subprotocol(const routed_exchange *x,
                                         const struct websocket_route *route)
{
    struct exchange *e = x->exchange;
    struct span rest = span_from(route->options.subprotocols);
    struct span protocol;
    while (field_list_member(&rest, &protocol))
        if (websocket_handshake_offers(&e->request, protocol))
            return arena_text(&e->arena, protocol);
    return "";
}

static int set_fields(routed_exchange *x, const char *subprotocol)
{
    char accept[WEBSOCKET_ACCEPT_SIZE];
    const struct field *key =
        field_list_find(&x->exchange->request.fields, FIELD_SEC_WEBSOCKET_KEY);
    if (key) {
        websocket_handshake_accept(accept, span_trim(key->value));
        int error =
            engine_head_set_field(x, SPAN("sec-websocket-accept"), span_of(accept, sizeof(accept)));
        if (error)
            return error;
    }
    if (!*subprotocol)
        return ROUTED_OK;
    return engine_head_set_field(x, SPAN("sec-websocket-protocol"), span_from(subprotocol));
}

int engine_handshake_answer(routed_exchange *x, const char *subprotocol)
{
    bool has_content;
    int error = set_fields(x, subprotocol);
    if (error)
        return error;
    x->status = 101;
    error = engine_head_send(x, HTTP_LENGTH_UNKNOWN, &has_content);
    if (error)
        return error;
    /* A hook that changed the status spoilt the handshake. */
    return x->exchange->is_tunnel ? ROUTED_OK : ROUTED_ERROR_RESPONSE;
}
