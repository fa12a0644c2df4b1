/* A whole HTTP/1 session: the input chooses how the application answers, how the bytes are split
 * and when the transport writes; the rest is what the client sends. The same client bytes must
 * get the same verdict without splits. */
#include "../unit/http1/peer.h"
#include "support/manners.h"
#include "support/unit.h"

static void run_split(struct peer *p, struct span client, uint64_t seed)
{
    while (client.size) {
        size_t size = unit_random(&seed) % (client.size < 40 ? client.size + 1 : 40) + 1;
        size = size < client.size ? size : client.size;
        p->gives_blocks = unit_random(&seed) & 1;
        p->is_stuck = (unit_random(&seed) & 3) == 0;
        p->write_max = unit_random(&seed) % 100;
        peer_write(p, span_part(client, 0, size));
        client = span_after(client, size);
        if ((unit_random(&seed) & 15) == 0)
            p->session->ops->probe(p->session);
        if ((unit_random(&seed) & 15) == 0)
            p->session->ops->rest(p->session);
    }
    p->is_stuck = false;
    p->write_max = 0;
    peer_turn(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peer whole, split;
    if (size < 3)
        return 0;
    enum manner manner = data[0] % MANNERS;
    struct span client = span_of(data + 3, size - 3);

    peer_open(&whole, &manner_script);
    whole.origin.user = &manner;
    peer_write(&whole, client);

    peer_open(&split, &manner_script);
    split.origin.user = &manner;
    run_split(&split, client, 0x9e3779b97f4a7c15u ^ data[1]);

    require(whole.origin.opened == split.origin.opened || split.session->wait == SESSION_FINISHED ||
            whole.session->wait == SESSION_FINISHED);
    if (manner == READ_THEN_ANSWER || manner == WAIT) {
        require(whole.origin.complete == split.origin.complete);
        require(whole.origin.refused_error == split.origin.refused_error);
        require(whole.origin.failure == split.origin.failure);
        require(span_equals(buffer_span(&whole.origin.view), buffer_span(&split.origin.view)));
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
    require(split.origin.opened == split.origin.closed &&
            split.origin.opened == split.origin.ended);
    peer_close(&split);
    peer_close(&whole);
    return 0;
}
