/* A whole HTTP/3 session: the first bytes choose how the application answers, how the streams are
 * cut up, when the connection sends and acknowledges, what table of QPACK the client has, and how
 * it all ends; the rest is a list of pieces, each with its stream. */
#include "../unit/http3/peer.h"
#include "support/ending.h"
#include "support/manners.h"
#include "support/unit.h"

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
        peer_stream(p, id)->input_ended = true;
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
    if (is_open && (id & 2 || !peer_stream(p, id)->input_ended)) {
        peer_bytes(p, id, span_part(input, 0, size), event & 1);
        if (event & 3)
            end_lane(p, lanes, choice, event & 2 && !(event & 1));
    }
    if (!p->failure && (event & 12) == 12 && !(id & 2) && peer_stream(p, id)->sent)
        peer_check(p, http3_session_stream_stopped(p->session, id, 0x10c));
    return span_after(input, size);
}

static void run(struct peer *p, struct span input, uint64_t seed)
{
    struct lanes lanes = {0};
    while (input.size > 3 && !p->failure) {
        p->split = unit_random(&seed) & 1 ? 1 + unit_random(&seed) % 9 : 0;
        p->is_stuck = (unit_random(&seed) & 3) == 0;
        p->keeps_acks = unit_random(&seed) & 1;
        p->write_max = unit_random(&seed) % 100;
        p->now += unit_random(&seed) % 8;
        http3_session_set_early(p->session, (unit_random(&seed) & 15) == 0);
        input = take_piece(p, &lanes, input);
        peer_turn(p);
        require(p->origin.most_open <= p->options.limits.streams_max);
        require(p->granted <= p->sent);
    }
    p->is_stuck = p->keeps_acks = false;
    p->write_max = 0;
    if (p->table_unacknowledged)
        peer_acknowledge_table(p);
    for (int64_t id = 0; id < 64; id += 4)
        if (peer_stream(p, id)->unacknowledged)
            peer_acknowledge(p, id);
    if (!p->failure)
        peer_turn(p);
}

static void finish(struct peer *p, uint8_t ends)
{
    ending_come(p, ends);
    ending_abort(p);
    if (ends & ENDING_OWN)
        peer_base(p)->ops->rest(peer_base(p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct peer p;
    if (size < 3)
        return 0;
    enum manner manner = data[0] % MANNERS;
    size_t before = memory_held();
    peer_init(&p, &manner_script);
    p.origin.user = &manner;
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
