/* A whole HTTP/3 session: the first bytes choose how the application answers, how the streams are
 * cut up, when the connection sends and acknowledges, what table of QPACK the client has, and how
 * it all ends; the rest is a list of pieces, each with its stream. */
#include "../unit/http3/peer.h"

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

/* What QUIC allows on a stream: nothing behind its end. Twelve request streams, eight others. */
struct lanes {
    bool ended[32];
};

static int64_t stream_of(uint8_t choice)
{
    unsigned lane = choice & 31;
    return lane < 16 ? 4 * (int64_t)lane : 4 * ((int64_t)lane - 16) + 2;
}

static void end_lane(struct peer *p, struct lanes *lanes, uint8_t choice, bool resets)
{
    int64_t id = stream_of(choice);
    lanes->ended[choice & 31] = true;
    if (!(id & 2))
        peer_answer(p, id)->input_ended = true;
    if (resets)
        peer_check(p, http3_session_stream_reset(p->session, id, 0x10c));
    if (id & 2)
        peer_check(p, http3_session_stream_closed(p->session, id, 0));
}

/* One piece: a byte for the stream, one for what happens to it, one for the size. */
static struct span take_piece(struct peer *p, struct lanes *lanes, struct span input)
{
    uint8_t choice = input.data[0], event = input.data[1];
    size_t size = input.data[2];
    int64_t id = stream_of(choice);
    input = span_after(input, 3);
    size = size < input.size ? size : input.size;
    bool is_open = !lanes->ended[choice & 31] && !p->failure;
    if (is_open && (id & 2 || !peer_answer(p, id)->input_ended)) {
        peer_bytes(p, id, span_part(input, 0, size), event & 1);
        if (event & 3)
            end_lane(p, lanes, choice, event & 2 && !(event & 1));
    }
    if (!p->failure && (event & 12) == 12 && !(id & 2) && peer_answer(p, id)->sent)
        peer_check(p, http3_session_stream_stopped(p->session, id, 0x10c));
    return span_after(input, size);
}

static void run(struct peer *p, struct span input, uint64_t seed)
{
    struct lanes lanes = {0};
    while (input.size > 3 && !p->failure) {
        p->split = next_random(&seed) & 1 ? 1 + next_random(&seed) % 9 : 0;
        p->is_stuck = (next_random(&seed) & 3) == 0;
        p->keeps_acks = next_random(&seed) & 1;
        p->write_max = next_random(&seed) % 100;
        p->now += next_random(&seed) % 8;
        http3_session_set_early(p->session, (next_random(&seed) & 15) == 0);
        input = take_piece(p, &lanes, input);
        peer_turn(p);
        require(p->most_open <= p->options.limits.streams_max);
        require(p->granted <= p->sent);
    }
    p->is_stuck = p->keeps_acks = false;
    p->write_max = 0;
    if (p->table_unacknowledged)
        peer_acknowledge_table(p);
    for (int64_t id = 0; id < 64; id += 4)
        if (peer_answer(p, id)->unacknowledged)
            peer_acknowledge(p, id);
    if (!p->failure)
        peer_turn(p);
}

static void finish(struct peer *p, uint8_t ends)
{
    struct session *session = peer_base(p);
    if (ends & 2)
        session->ops->fail(session, ROUTED_ERROR_REQUEST_TIMEOUT);
    if (ends & 4)
        session->ops->shut(session);
    peer_turn(p);
    if (ends & 8) {
        p->now += 1000;
        peer_turn(p);
    }
    session->ops->abort(session, ROUTED_ERROR_CLIENT_GONE);
    require(p->opened == p->closed && p->opened == p->ended);
    if (ends & 1)
        session->ops->rest(session);
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
    if (data[1] & 1) { /* a table of any size for answers, which are decoded */
        p.answer_table = 1u << (4 + (data[1] >> 4));
        p.answer_blocked = data[1] >> 1 & 7;
    }
    p.is_blind = data[0] & 0x80; /* it may have said anything of its table */
    require(peer_begin(&p));
    if (!p.is_blind)
        peer_greet(&p);
    run(&p, span_of(data + 3, size - 3), 0x9e3779b97f4a7c15u ^ data[1]);
    finish(&p, data[2]);
    peer_close(&p);
    require(memory_held() == before);
    return 0;
}
