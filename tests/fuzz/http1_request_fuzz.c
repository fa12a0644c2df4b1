/* A whole HTTP/1 session: the input chooses how the application answers, how the bytes are split
 * and when the transport writes; the rest is what the client sends. The same client bytes must
 * get the same verdict without splits. */
#include "../unit/http1/peer.h"

enum manner {
    READ_THEN_ANSWER,
    ANSWER_AT_ONCE,
    ECHO_CHUNKED,
    FAIL_AT_ONCE,
    FAIL_IN_BODY,
    TUNNEL,
    WAIT,
    MANNERS
};

static void answer_chunked(struct exchange *x)
{
    struct field trailer = {SPAN("x-sum"), SPAN("1"), FIELD_OTHER};
    struct field_list trailers = {&trailer, 1, 1};
    peer_respond(x, 200, NULL);
    exchange_send(x, slice_copy(span_of((uint8_t[3000]){0}, 3000)));
    exchange_end(x, &trailers);
}

static void on_request(struct peer *p, struct exchange *x)
{
    enum manner manner = *(enum manner *)p->user;
    struct http_response upgrade = {.status = 101};
    if (manner == ANSWER_AT_ONCE)
        peer_answer_ok(x);
    else if (manner == FAIL_AT_ONCE)
        exchange_fail(x, ROUTED_ERROR_OVERLOADED);
    else if (manner == TUNNEL && x->request.upgrade)
        exchange_respond(x, &upgrade);
    else if (manner == ECHO_CHUNKED)
        peer_respond(x, 200, NULL);
    exchange_grant(x, manner == WAIT ? 3 : SIZE_MAX / 4);
}

static void on_body(struct peer *p, struct exchange *x, struct span body)
{
    enum manner manner = *(enum manner *)p->user;
    if (manner == ECHO_CHUNKED || manner == TUNNEL)
        exchange_send(x, slice_copy(body));
    else if (manner == FAIL_IN_BODY)
        exchange_fail(x, ROUTED_ERROR_BRIDGE_CLOSED);
    else if (manner == WAIT)
        exchange_grant(x, body.size);
}

static void on_end(struct peer *p, struct exchange *x)
{
    enum manner manner = *(enum manner *)p->user;
    if (manner == READ_THEN_ANSWER || manner == WAIT)
        peer_answer_ok(x);
    else if (manner == FAIL_IN_BODY)
        answer_chunked(x);
    else
        exchange_end(x, NULL);
}

static const struct peer_script script = {
    .on_request = on_request, .on_body = on_body, .on_end = on_end};

static void run_split(struct peer *p, struct span client, uint64_t seed)
{
    while (client.size) {
        size_t size = peer_random(&seed) % (client.size < 40 ? client.size + 1 : 40) + 1;
        size = size < client.size ? size : client.size;
        p->gives_blocks = peer_random(&seed) & 1;
        p->is_stuck = (peer_random(&seed) & 3) == 0;
        p->write_max = peer_random(&seed) % 100;
        peer_write(p, span_part(client, 0, size));
        client = span_after(client, size);
        if ((peer_random(&seed) & 15) == 0)
            p->session->ops->probe(p->session);
        if ((peer_random(&seed) & 15) == 0)
            p->session->ops->rest(p->session);
    }
    p->is_stuck = false;
    p->write_max = 0;
    peer_turn(p);
}

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peer whole, split;
    if (size < 3)
        return 0;
    enum manner manner = data[0] % MANNERS;
    struct span client = span_of(data + 3, size - 3);

    peer_open(&whole, &script);
    whole.user = &manner;
    peer_write(&whole, client);

    peer_open(&split, &script);
    split.user = &manner;
    run_split(&split, client, 0x9e3779b97f4a7c15u ^ data[1]);

    require(whole.opened == split.opened || split.session->wait == SESSION_FINISHED ||
            whole.session->wait == SESSION_FINISHED);
    if (manner == READ_THEN_ANSWER || manner == WAIT) {
        require(whole.complete == split.complete);
        require(whole.refused_error == split.refused_error);
        require(whole.failure == split.failure);
        require(span_equals(buffer_span(&whole.view), buffer_span(&split.view)));
    }
    if (data[2] & 1)
        peer_end(&split);
    if (data[2] & 2)
        split.session->ops->fail(split.session, ROUTED_ERROR_REQUEST_TIMEOUT);
    if (data[2] & 4)
        split.session->ops->shut(split.session);
    peer_turn(&split);
    if (data[2] & 8)
        split.session->ops->abort(split.session, ROUTED_ERROR_CLIENT_GONE);
    split.session->ops->abort(split.session, ROUTED_ERROR_CLIENT_GONE);
    require(split.opened == split.closed && split.opened == split.ended);
    peer_close(&split);
    peer_close(&whole);
    return 0;
}
