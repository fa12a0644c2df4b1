/* A whole HTTP/2 session: the first bytes choose how the application answers, how the input is
 * split, when the transport writes and how it all ends; the rest is what the client sends. */
#include "../unit/http2/peer.h"

enum manner {
    READ_THEN_ANSWER,
    ANSWER_AT_ONCE,
    ECHO,
    FAIL_AT_ONCE,
    FAIL_IN_BODY,
    TUNNEL,
    LARGE,
    MANNERS
};

static enum manner manner_of(const struct peer *p)
{
    return *(const enum manner *)p->user;
}

static void on_request(struct peer *p, struct exchange *x)
{
    struct http_response upgrade = {.status = 101};
    switch (manner_of(p)) {
    case ANSWER_AT_ONCE:
        peer_answer_ok(x);
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
        peer_respond(x, 200, NULL);
        break;
    default:
        break;
    }
    exchange_grant(x, manner_of(p) == LARGE ? 3 : SIZE_MAX / 4);
}

static void on_body(struct peer *p, struct exchange *x, struct span body)
{
    switch (manner_of(p)) {
    case ECHO:
    case TUNNEL:
        exchange_send(x, slice_copy(body));
        break;
    case FAIL_IN_BODY:
        exchange_fail(x, ROUTED_ERROR_BRIDGE_CLOSED);
        break;
    case LARGE:
        exchange_grant(x, body.size);
        break;
    default:
        break;
    }
}

static void on_end(struct peer *p, struct exchange *x)
{
    struct field trailer = {SPAN("x-sum"), SPAN("1"), FIELD_OTHER};
    struct field_list trailers = {&trailer, 1, 1};
    if (manner_of(p) == READ_THEN_ANSWER)
        peer_answer_ok(x);
    else if (manner_of(p) == LARGE)
        peer_send_size(x, 100000);
    if (manner_of(p) != FAIL_IN_BODY && manner_of(p) != READ_THEN_ANSWER)
        exchange_end(x, &trailers);
}

static const struct peer_script script = {
    .on_request = on_request, .on_body = on_body, .on_end = on_end};

/* A stream of numbers that is the same on every run. */
static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void run(struct peer *p, struct span client, uint64_t seed)
{
    while (client.size) {
        size_t size = seed & 1 ? next_random(&seed) % 60 + 1 : client.size;
        size = size < client.size ? size : client.size;
        p->gives_blocks = next_random(&seed) & 1;
        p->is_stuck = (next_random(&seed) & 3) == 0;
        p->write_max = next_random(&seed) % 100;
        p->now += next_random(&seed) % 8;
        peer_bytes(p, span_part(client, 0, size));
        peer_turn(p);
        client = span_after(client, size);
        if ((next_random(&seed) & 15) == 0)
            p->session->ops->probe(p->session);
        require(p->most_open <= p->options.limits.streams_max);
    }
    p->is_stuck = false;
    p->write_max = 0;
    peer_turn(p);
}

static void finish(struct peer *p, uint8_t ends)
{
    if (ends & 1)
        peer_end(p);
    if (ends & 2)
        p->session->ops->fail(p->session, ROUTED_ERROR_REQUEST_TIMEOUT);
    if (ends & 4)
        p->session->ops->shut(p->session);
    peer_turn(p);
    if (ends & 8) {
        p->now += 1000;
        peer_turn(p);
    }
    if (p->opened == p->closed)
        p->session->ops->rest(p->session);
    p->session->ops->abort(p->session, ROUTED_ERROR_CLIENT_GONE);
    require(p->opened == p->closed && p->opened == p->ended);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct peer p;
    if (size < 3)
        return 0;
    enum manner manner = data[0] % MANNERS;
    size_t before = memory_held();
    peer_init(&p, &script);
    p.user = &manner;
    require(peer_begin(&p));
    run(&p, span_of(data + 3, size - 3), 0x9e3779b97f4a7c15u ^ data[1]);
    finish(&p, data[2]);
    peer_close(&p);
    require(memory_held() == before);
    return 0;
}
