#include "http3/endpoint.h"

#include "base/memory.h"
#include "http3/inside.h"
#include <routed/error.h>

/* ---- life ---- */

static int set_up(struct http3_endpoint *e)
{
    uint64_t seed;
    if (!tls_quic_random((uint8_t *)&seed, sizeof(seed)) ||
        !tls_quic_random((uint8_t *)&e->random.state, sizeof(e->random.state)))
        return ROUTED_ERROR_MEMORY;
    int result = http3_table_init(&e->table, seed);
    return result == ROUTED_OK ? http3_output_init(&e->output) : result;
}

static void release(struct http3_endpoint *e)
{
    http3_table_release(&e->table);
    http3_output_release(&e->output);
    http3_deadlines_release(&e->deadlines);
    tls_context_release(e->options.tls);
    memory_free(e);
}

int http3_endpoint_new(struct http3_endpoint **out, const struct http3_endpoint_options *options)
{
    struct http3_endpoint *e = memory_new_zeroed(sizeof(*e));
    *out = NULL;
    if (!e)
        return ROUTED_ERROR_MEMORY;
    e->options = *options;
    e->options.session.counts = e->counts;
    tls_context_retain(options->tls);
    list_init(&e->connections);
    list_init(&e->ready);
    http3_stateless_init(e);
    http3_identifier_key_init(&e->key, options->secret);
    http3_handshake_callbacks(e);
    int result = set_up(e);
    if (result == ROUTED_OK)
        *out = e;
    else
        release(e);
    return result;
}

void http3_endpoint_free(struct http3_endpoint *e, int error)
{
    while (!list_is_empty(&e->connections)) {
        struct http3_connection *c = LIST_ITEM(e->connections.next, struct http3_connection, all);
        http3_connection_close(c, error);
        http3_connection_finish(c);
    }
    release(e);
}

/* ---- input ---- */

/* Of no connection here: of another worker, of one that is gone, or a new one. */
static void receive_unknown(struct http3_endpoint *e, const struct http3_datagram *datagram,
                            const ngtcp2_version_cid *ids)
{
    struct span id = span_of(ids->dcid, ids->dcidlen);
    unsigned worker;
    bool is_ours = http3_identifier_read(&e->key, id, &worker);
    if (is_ours && worker != e->options.worker && worker < e->options.workers) {
        e->counts[HTTP3_DATAGRAMS_FORWARDED]++;
        e->options.host.forward(e->options.host.host, worker, datagram);
    } else if (ids->version) {
        http3_handshake_begin(e, datagram);
    } else {
        e->counts[HTTP3_DATAGRAMS_DROPPED]++;
        if (is_ours)
            http3_stateless_reset(e, datagram, id);
    }
}

void http3_endpoint_receive(struct http3_endpoint *e, const struct http3_datagram *datagram)
{
    e->counts[HTTP3_DATAGRAMS_IN]++;
    e->counts[HTTP3_BYTES_IN] += datagram->bytes.size;
    http3_endpoint_take(e, datagram);
}

void http3_endpoint_take(struct http3_endpoint *e, const struct http3_datagram *datagram)
{
    ngtcp2_version_cid ids;
    int result = datagram->bytes.size && http3_path_is_usable(datagram)
                     ? ngtcp2_pkt_decode_version_cid(&ids, datagram->bytes.data,
                                                     datagram->bytes.size, HTTP3_IDENTIFIER_SIZE)
                     : NGTCP2_ERR_INVALID_ARGUMENT;
    struct http3_connection *c =
        result == 0 ? http3_table_find(&e->table, span_of(ids.dcid, ids.dcidlen)) : NULL;
    if (c)
        http3_connection_receive(c, datagram);
    else if (result == 0)
        receive_unknown(e, datagram, &ids);
    else
        e->counts[HTTP3_DATAGRAMS_DROPPED]++;
    if (result == NGTCP2_ERR_VERSION_NEGOTIATION)
        http3_stateless_versions(e, datagram, &ids);
}

/* ---- output ---- */

static void wake_those_due(struct http3_endpoint *e)
{
    struct http3_deadline *first;
    while ((first = http3_deadlines_first(&e->deadlines)) && first->at <= http3_now(e)) {
        struct http3_connection *c = LIST_ITEM(first, struct http3_connection, deadline);
        http3_deadlines_set(&e->deadlines, first, CLOCK_NEVER);
        http3_connection_wake(c);
    }
}

bool http3_endpoint_run(struct http3_endpoint *e)
{
    if (e->output.is_blocked)
        return false;
    wake_those_due(e);
    for (int i = 0; i < HTTP3_TURN && !list_is_empty(&e->ready) && !e->output.is_blocked; i++) {
        struct http3_connection *c = LIST_ITEM(e->ready.next, struct http3_connection, ready);
        list_remove(&c->ready);
        http3_connection_run(c);
    }
    return !list_is_empty(&e->ready) && !e->output.is_blocked;
}

nanoseconds http3_endpoint_deadline(const struct http3_endpoint *e)
{
    const struct http3_deadline *first = http3_deadlines_first(&e->deadlines);
    if (e->output.is_blocked)
        return CLOCK_NEVER;
    if (!list_is_empty(&e->ready))
        return http3_now(e);
    return first ? first->at : CLOCK_NEVER;
}

void http3_endpoint_writable(struct http3_endpoint *e)
{
    http3_output_resume(e);
}

/* ---- the rest ---- */

void http3_endpoint_shut(struct http3_endpoint *e)
{
    e->is_shut = true;
    for (struct list_link *l = e->connections.next; l != &e->connections; l = l->next) {
        struct http3_connection *c = LIST_ITEM(l, struct http3_connection, all);
        if (!c->session || c->ending != HTTP3_STAYS)
            continue;
        http3_connection_session(c)->ops->shut(http3_connection_session(c));
        http3_connection_wake(c);
    }
}

size_t http3_endpoint_connections(const struct http3_endpoint *e)
{
    return e->count;
}

uint64_t http3_endpoint_count(const struct http3_endpoint *e, unsigned which)
{
    return e->counts[which];
}
