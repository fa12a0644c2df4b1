/* Addresses: how ngtcp2 and the front write them, and which of them the client has proved to be its
 * own (RFC 9000 sections 8 and 9). And how large datagrams may be that go there. */
#include "http3/inside.h"

/* Probe timeouts without an acknowledgement after which large datagrams are taken to get lost: what
 * persistent congestion is, RFC 9002 section 7.6. */
#define HOLE_TIMEOUTS 3
/* PMTU_RAISE_TIMER of RFC 8899 section 5.1.1. */
#define RAISE_AFTER (600 * NGTCP2_SECONDS)

static bool is_usable(const struct http3_address *a)
{
    sa_family_t family;
    memcpy(&family, a->storage + offsetof(ngtcp2_sockaddr, sa_family), sizeof(family));
    return (family == NGTCP2_AF_INET && a->size == sizeof(ngtcp2_sockaddr_in)) ||
           (family == NGTCP2_AF_INET6 && a->size == sizeof(ngtcp2_sockaddr_in6));
}

bool http3_path_is_usable(const struct http3_datagram *datagram)
{
    return is_usable(&datagram->local) && is_usable(&datagram->remote);
}

void http3_path_read(ngtcp2_path_storage *out, const struct http3_address *local,
                     const struct http3_address *remote)
{
    ngtcp2_path_storage_zero(out);
    memcpy(&out->local_addrbuf, local->storage, local->size);
    memcpy(&out->remote_addrbuf, remote->storage, remote->size);
    out->path.local.addrlen = local->size;
    out->path.remote.addrlen = remote->size;
}

void http3_path_write(struct http3_address *out, const ngtcp2_addr *from)
{
    *out = (struct http3_address){.size = (uint8_t)from->addrlen};
    memcpy(out->storage, from->addr, from->addrlen);
}

bool http3_path_equals(const struct http3_address *a, const struct http3_address *b)
{
    return a->size == b->size && memcmp(a->storage, b->storage, a->size) == 0;
}

static struct http3_address present(const struct http3_connection *c)
{
    struct http3_address address;
    http3_path_write(&address, &ngtcp2_conn_get_path(c->conn)->remote);
    return address;
}

bool http3_path_admits(struct http3_connection *c, const struct http3_datagram *datagram)
{
    struct http3_address now = present(c);
    return http3_path_equals(&now, &datagram->remote) ||
           bucket_take(&c->moves, &HTTP3_MOVES, http3_now_milliseconds(c->endpoint));
}

void http3_path_prove(struct http3_connection *c, const ngtcp2_path *path)
{
    http3_path_write(&c->proved[c->next_proved], &path->remote);
    c->next_proved = (c->next_proved + 1) % HTTP3_PROVED_MAX;
}

void http3_path_settle(struct http3_connection *c)
{
    struct http3_address now = present(c);
    if (http3_path_equals(&now, &c->peer))
        return;
    for (size_t i = 0; i < HTTP3_PROVED_MAX; i++) {
        if (!http3_path_equals(&now, &c->proved[i]))
            continue;
        c->proved[i] = c->peer; /* it may come back */
        c->peer = now;
        c->small_until = 0;
        c->endpoint->counts[HTTP3_MIGRATIONS]++;
        return;
    }
}

/* ---- the size of datagrams ---- */

/* ngtcp2 finds out how large they may be, and does not notice when that shrinks. RFC 8899 section
 * 4.3: where nothing large arrives any more, small ones may. */
void http3_path_watch(struct http3_connection *c, const ngtcp2_conn_info *state)
{
    nanoseconds now = http3_now(c->endpoint);
    if (state->bytes_in_flight == 0)
        c->progress_at = now;
    else if (now > c->progress_at + HOLE_TIMEOUTS * ngtcp2_conn_get_pto(c->conn) &&
             http3_path_room(c) > NGTCP2_MAX_UDP_PAYLOAD_SIZE)
        c->small_until = now + RAISE_AFTER;
}

size_t http3_path_room(const struct http3_connection *c)
{
    return http3_now(c->endpoint) < c->small_until
               ? NGTCP2_MAX_UDP_PAYLOAD_SIZE
               : ngtcp2_conn_get_max_tx_udp_payload_size(c->conn);
}
