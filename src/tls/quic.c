#include "tls/quic.h"

#include "tls/state.h"
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <routed/error.h>

/* RFC 9001 section 4.6.1: the limit of early data is that of streams. */
#define EARLY_DATA_ANY 0xffffffffu

void tls_quic_callbacks(ngtcp2_callbacks *callbacks)
{
    callbacks->recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    callbacks->recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
    callbacks->encrypt = ngtcp2_crypto_encrypt_cb;
    callbacks->decrypt = ngtcp2_crypto_decrypt_cb;
    callbacks->hp_mask = ngtcp2_crypto_hp_mask_cb;
    callbacks->update_key = ngtcp2_crypto_update_key_cb;
    callbacks->delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    callbacks->delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    callbacks->get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
    callbacks->version_negotiation = ngtcp2_crypto_version_negotiation_cb;
}

/* ---- the session ---- */

static ngtcp2_conn *connection_of(ngtcp2_crypto_conn_ref *reference)
{
    return reference->user_data;
}

struct tls_session *tls_quic_new(struct tls_context *context, ngtcp2_conn *conn,
                                 bool has_early_data)
{
    unsigned flags =
        GNUTLS_NO_END_OF_EARLY_DATA | (has_early_data ? (unsigned)GNUTLS_ENABLE_EARLY_DATA : 0);
    struct tls_session *s = tls_session_make(context, TLS_OVER_QUIC, flags);
    if (!s)
        return NULL;
    s->quic = (ngtcp2_crypto_conn_ref){.get_conn = connection_of, .user_data = conn};
    if (ngtcp2_crypto_gnutls_configure_server_session(s->tls) != 0) {
        tls_session_free(s);
        return NULL;
    }
    if (has_early_data) {
        gnutls_anti_replay_enable(s->tls, s->snapshot->anti_replay);
        gnutls_record_set_max_early_data_size(s->tls, EARLY_DATA_ANY);
    }
    ngtcp2_conn_set_tls_native_handle(conn, s->tls);
    return s;
}

int tls_quic_note_peer(struct tls_session *s)
{
    int result = tls_peer_read(s);
    if (result == ROUTED_OK)
        s->stage = TLS_OPEN;
    return result;
}

int tls_quic_send_ticket(struct tls_session *s)
{
    return gnutls_session_ticket_send(s->tls, 1, 0) < 0 ? ROUTED_ERROR_MEMORY : ROUTED_OK;
}

bool tls_quic_is_early(const struct tls_session *s)
{
    return gnutls_session_get_flags(s->tls) & GNUTLS_SFLAGS_EARLY_DATA;
}

/* ---- tokens ---- */

size_t tls_quic_write_token(uint8_t out[TLS_QUIC_TOKEN_MAX], const uint8_t *secret,
                            const ngtcp2_addr *remote, ngtcp2_tstamp now)
{
    _Static_assert(NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN <= TLS_QUIC_TOKEN_MAX, "a token fits");
    ngtcp2_ssize size = ngtcp2_crypto_generate_regular_token(out, secret, TLS_QUIC_SECRET_SIZE,
                                                             remote->addr, remote->addrlen, now);
    return size > 0 ? (size_t)size : 0;
}

enum tls_quic_token tls_quic_judge_token(const ngtcp2_pkt_hd *initial, const uint8_t *secret,
                                         const ngtcp2_addr *remote, ngtcp2_tstamp now,
                                         ngtcp2_cid *original)
{
    if (initial->tokenlen == 0)
        return TLS_QUIC_TOKEN_NONE;
    switch (initial->token[0]) {
    case NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2:
        return ngtcp2_crypto_verify_retry_token2(original, initial->token, initial->tokenlen,
                                                 secret, TLS_QUIC_SECRET_SIZE, initial->version,
                                                 remote->addr, remote->addrlen, &initial->dcid,
                                                 TLS_QUIC_RETRY_TIME, now) == 0
                   ? TLS_QUIC_TOKEN_RETRY
                   : TLS_QUIC_TOKEN_REFUSED;
    case NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR:
        return ngtcp2_crypto_verify_regular_token(initial->token, initial->tokenlen, secret,
                                                  TLS_QUIC_SECRET_SIZE, remote->addr,
                                                  remote->addrlen, TLS_QUIC_REGULAR_TIME, now) == 0
                   ? TLS_QUIC_TOKEN_REGULAR
                   : TLS_QUIC_TOKEN_NONE;
    default:
        return TLS_QUIC_TOKEN_NONE;
    }
}

/* ---- packets ---- */

size_t tls_quic_write_retry(uint8_t *out, size_t size, const ngtcp2_pkt_hd *initial,
                            const ngtcp2_cid *id, const uint8_t *secret, const ngtcp2_addr *remote,
                            ngtcp2_tstamp now)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
    ngtcp2_ssize token_size =
        ngtcp2_crypto_generate_retry_token2(token, secret, TLS_QUIC_SECRET_SIZE, initial->version,
                                            remote->addr, remote->addrlen, id, &initial->dcid, now);
    if (token_size < 0)
        return 0;
    ngtcp2_ssize written = ngtcp2_crypto_write_retry(out, size, initial->version, &initial->scid,
                                                     id, &initial->dcid, token, (size_t)token_size);
    return written > 0 ? (size_t)written : 0;
}

size_t tls_quic_write_refusal(uint8_t *out, size_t size, const ngtcp2_pkt_hd *initial,
                              uint64_t error)
{
    ngtcp2_ssize written = ngtcp2_crypto_write_connection_close(
        out, size, initial->version, &initial->scid, &initial->dcid, error, NULL, 0);
    return written > 0 ? (size_t)written : 0;
}

bool tls_quic_reset_token(uint8_t out[NGTCP2_STATELESS_RESET_TOKENLEN], const uint8_t *secret,
                          const ngtcp2_cid *id)
{
    return ngtcp2_crypto_generate_stateless_reset_token(out, secret, TLS_QUIC_SECRET_SIZE, id) == 0;
}

bool tls_quic_random(uint8_t *out, size_t size)
{
    return gnutls_rnd(GNUTLS_RND_RANDOM, out, size) >= 0;
}
