/* Answers to datagrams that belong to no connection. Each is smaller than what it answers, or no
 * larger for Retry, so that nobody is flooded by way of us; all but Retry, which a flood of
 * Initials asks for, are limited in number. */
#include "http3/inside.h"

#define VERSIONS     ((struct bucket_rate){1000, 1000})
#define REFUSALS     ((struct bucket_rate){1000, 1000})
#define RESETS       ((struct bucket_rate){100, 100})

#define INITIAL_SIZE NGTCP2_MAX_UDP_PAYLOAD_SIZE /* RFC 9000 section 14.1 */
/* RFC 9000 section 10.3: 21 bytes at least, and one less than the trigger. */
#define RESET_RANDOM_MAX 26
#define RESET_RANDOM_MIN NGTCP2_MIN_STATELESS_RESET_RANDLEN

void http3_stateless_init(struct http3_endpoint *e)
{
    milliseconds now = http3_now_milliseconds(e);
    e->versions = bucket_full(&VERSIONS, now);
    e->refusals = bucket_full(&REFUSALS, now);
    e->resets = bucket_full(&RESETS, now);
}

static bool take(struct http3_endpoint *e, struct bucket *bucket, const struct bucket_rate *rate)
{
    return !e->output.is_blocked && bucket_take(bucket, rate, http3_now_milliseconds(e));
}

static void answer(struct http3_endpoint *e, const struct http3_datagram *datagram,
                   const uint8_t *bytes, size_t size, enum http3_endpoint_count which)
{
    if (size == 0)
        return;
    e->counts[which]++;
    http3_output_send(e, &datagram->local, &datagram->remote, span_of(bytes, size));
}

void http3_stateless_versions(struct http3_endpoint *e, const struct http3_datagram *datagram,
                              const ngtcp2_version_cid *ids)
{
    uint8_t out[INITIAL_SIZE];
    /* The first is of those that nobody may know (RFC 9000 section 15). */
    uint32_t versions[] = {0x0a0a0a0a | ((uint32_t)random_next(&e->random) & 0xf0f0f0f0u),
                           NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};
    if (datagram->bytes.size < INITIAL_SIZE || !take(e, &e->versions, &VERSIONS))
        return;
    ngtcp2_ssize size = ngtcp2_pkt_write_version_negotiation(
        out, sizeof(out), (uint8_t)(random_next(&e->random) & 0x3f), ids->scid, ids->scidlen,
        ids->dcid, ids->dcidlen, versions, sizeof(versions) / sizeof(versions[0]));
    answer(e, datagram, out, size > 0 ? (size_t)size : 0, HTTP3_VERSION_NEGOTIATIONS);
}

static ngtcp2_addr remote_of(ngtcp2_path_storage *storage, const struct http3_datagram *datagram)
{
    http3_path_read(storage, &datagram->local, &datagram->remote);
    return storage->path.remote;
}

void http3_stateless_retry(struct http3_endpoint *e, const struct http3_datagram *datagram,
                           const ngtcp2_pkt_hd *initial)
{
    uint8_t out[INITIAL_SIZE];
    ngtcp2_path_storage storage;
    ngtcp2_cid id;
    ngtcp2_addr remote = remote_of(&storage, datagram);
    if (e->output.is_blocked || !http3_identifier_make(&e->key, e->options.worker, &id))
        return;
    size_t size = tls_quic_write_retry(out, sizeof(out), initial, &id, e->options.secret, &remote,
                                       http3_token_time(e));
    answer(e, datagram, out, size, HTTP3_RETRIES);
}

void http3_stateless_refuse(struct http3_endpoint *e, const struct http3_datagram *datagram,
                            const ngtcp2_pkt_hd *initial, uint64_t error)
{
    uint8_t out[INITIAL_SIZE];
    if (take(e, &e->refusals, &REFUSALS))
        answer(e, datagram, out, tls_quic_write_refusal(out, sizeof(out), initial, error),
               HTTP3_REFUSALS);
}

void http3_stateless_reset(struct http3_endpoint *e, const struct http3_datagram *datagram,
                           struct span id)
{
    uint8_t noise[RESET_RANDOM_MAX];
    uint8_t out[RESET_RANDOM_MAX + NGTCP2_STATELESS_RESET_TOKENLEN];
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    ngtcp2_cid key;
    size_t least = RESET_RANDOM_MIN + sizeof(token);
    if (datagram->bytes.size <= least || !take(e, &e->resets, &RESETS))
        return;
    ngtcp2_cid_init(&key, id.data, id.size);
    size_t noise_size = datagram->bytes.size - 1 - sizeof(token);
    if (noise_size > sizeof(noise))
        noise_size = sizeof(noise);
    if (!tls_quic_reset_token(token, e->options.secret, &key) ||
        !tls_quic_random(noise, noise_size))
        return;
    ngtcp2_ssize size =
        ngtcp2_pkt_write_stateless_reset(out, sizeof(out), token, noise, noise_size);
    answer(e, datagram, out, size > 0 ? (size_t)size : 0, HTTP3_STATELESS_RESETS);
}
