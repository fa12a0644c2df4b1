#include "tls/quic.h"

#include "tls/state.h"
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <routed/error.h>

/* RFC 9001 section 4.6.1: the limit of early data is that of streams. */
#define EARLY_DATA_ANY 0xffffffffu

/* RFC 8446 section 4. */
#define MESSAGE_FINISHED         20
#define ALERT_UNEXPECTED_MESSAGE 10

/* ---- messages of the client ---- */

/* Its Finished is the last: neither KeyUpdate nor what answers a CertificateRequest may follow in
 * QUIC (RFC 9001 sections 6 and 4.4), and GnuTLS 3.7 overlooks what stands behind. */
static bool is_after_finished(struct tls_quic_message *m, struct span bytes)
{
    while (bytes.size) {
        if (m->head_size == sizeof(m->head) && m->left == 0) {
            if (m->head[0] == MESSAGE_FINISHED)
                return true;
            m->head_size = 0;
        }
        size_t take = m->left < bytes.size ? m->left : bytes.size;
        if (m->head_size < sizeof(m->head)) {
            take = 1;
            m->head[m->head_size++] = *bytes.data;
            if (m->head_size == sizeof(m->head))
                m->left = (uint32_t)m->head[1] << 16 | (uint32_t)m->head[2] << 8 | m->head[3];
        } else {
            m->left -= (uint32_t)take;
        }
        bytes = span_of(bytes.data + take, bytes.size - take);
    }
    return false;
}

static int on_crypto_data(ngtcp2_conn *conn, ngtcp2_encryption_level level, uint64_t offset,
                          const uint8_t *data, size_t size, void *user)
{
    struct tls_session *s = gnutls_session_get_ptr(ngtcp2_conn_get_tls_native_handle(conn));
    if (is_after_finished(&s->message, span_of(data, size))) {
        ngtcp2_conn_set_tls_alert(conn, ALERT_UNEXPECTED_MESSAGE);
        return NGTCP2_ERR_CRYPTO;
    }
    return ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, size, user);
}

/* ---- the session ---- */

void tls_quic_callbacks(ngtcp2_callbacks *callbacks)
{
    callbacks->recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    callbacks->recv_crypto_data = on_crypto_data;
    callbacks->encrypt = ngtcp2_crypto_encrypt_cb;
    callbacks->decrypt = ngtcp2_crypto_decrypt_cb;
    callbacks->hp_mask = ngtcp2_crypto_hp_mask_cb;
    callbacks->update_key = ngtcp2_crypto_update_key_cb;
    callbacks->delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    callbacks->delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    callbacks->get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
    callbacks->version_negotiation = ngtcp2_crypto_version_negotiation_cb;
}

static ngtcp2_conn *connection_of(ngtcp2_crypto_conn_ref *reference)
{
    return reference->user_data;
}

struct tls_session *tls_quic_new(struct tls_context *context, ngtcp2_conn *conn,
                                 enum tls_quic_early early)
{
    unsigned flags = GNUTLS_NO_END_OF_EARLY_DATA | (early ? (unsigned)GNUTLS_ENABLE_EARLY_DATA : 0);
    struct tls_session *s = tls_session_make(context, TLS_OVER_QUIC, flags);
    if (!s)
        return NULL;
    s->quic = (ngtcp2_crypto_conn_ref){.get_conn = connection_of, .user_data = conn};
    if (ngtcp2_crypto_gnutls_configure_server_session(s->tls) != 0) {
        tls_session_free(s);
        return NULL;
    }
    if (early) {
        gnutls_anti_replay_enable(s->tls, early == TLS_QUIC_EARLY_NOW ? s->snapshot->replays
                                                                      : s->snapshot->no_replays);
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

const char *tls_quic_alert_text(uint8_t alert)
{
    const char *name = gnutls_alert_get_name((gnutls_alert_description_t)alert);
    return name ? name : "an alert without a name";
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
