/* A whole HTTP/2 session: the first bytes choose how the application answers, how the input is
 * split, when the transport writes and how it all ends; the rest is what the client sends. */
#include "../unit/http2/peer.h"
#include "support/ending.h"
#include "support/manners.h"
#include "support/unit.h"

static void run(struct peer *p, struct span client, uint64_t seed)
{
    while (client.size) {
        size_t size = seed & 1 ? unit_random(&seed) % 60 + 1 : client.size;
        size = size < client.size ? size : client.size;
        p->gives_blocks = unit_random(&seed) & 1;
        p->is_stuck = (unit_random(&seed) & 3) == 0;
        p->write_max = unit_random(&seed) % 100;
        p->now += unit_random(&seed) % 8;
        peer_bytes(p, span_part(client, 0, size));
        peer_turn(p);
        client = span_after(client, size);
        if ((unit_random(&seed) & 15) == 0)
            p->session->ops->probe(p->session);
        require(p->origin.most_open <= p->options.limits.streams_max);
    }
    p->is_stuck = false;
    p->write_max = 0;
    peer_turn(p);
}

static void finish(struct peer *p, uint8_t ends)
{
    if (ends & ENDING_OWN)
        peer_end(p);
    ending_come(p, ends);
    if (p->origin.opened == p->origin.closed)
        p->session->ops->rest(p->session);
    ending_abort(p);
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
    require(peer_begin(&p));
    run(&p, span_of(data + 3, size - 3), 0x9e3779b97f4a7c15u ^ data[1]);
    finish(&p, data[2]);
    peer_close(&p);
    require(memory_held() == before);
    return 0;
}
