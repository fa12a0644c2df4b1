/* tls/quic.h: the TLS of a QUIC connection (RFC 9001): a session over the same context as those of
 * TCP, with the same choice of certificates, rules for client certificates and tickets, whose
 * messages ngtcp2 carries and whose secrets ngtcp2 uses. ALPN is "h3", whatever the context says.
 *
 * Questions about what was agreed, and tls_session_free, are those of tls/session.h; nothing is
 * fed, opened or sealed. One thread. */
#ifndef TLS_QUIC_H
#define TLS_QUIC_H

#include "tls/session.h"
#include <ngtcp2/ngtcp2.h>

/* Fills in what is cryptography of the callbacks of a server. */
void tls_quic_callbacks(ngtcp2_callbacks *callbacks);

enum tls_quic_early {
    TLS_QUIC_EARLY_OFF,
    TLS_QUIC_EARLY_LATER, /* refused now; the ticket allows it for the next connection */
    TLS_QUIC_EARLY_NOW
};

/* For a connection that was just made, and outlives the session. `early` is about early data
 * (0-RTT). NULL: no memory. */
struct tls_session *tls_quic_new(struct tls_context *context, ngtcp2_conn *conn,
                                 enum tls_quic_early early);
/* Once, when keys of the application's bytes are here: notes what was agreed and judges the
 * client's certificate. ROUTED_OK, ROUTED_ERROR_TLS (the connection knows the alert) or _MEMORY. */
int tls_quic_note_peer(struct tls_session *s);
/* The handshake is done: a ticket for the next one. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int tls_quic_send_ticket(struct tls_session *s);
/* What an alert (RFC 8446 section 6) means. Static. */
const char *tls_quic_alert_text(uint8_t alert);
/* Was early data accepted? */
bool tls_quic_is_early(const struct tls_session *s);

/* ---- without a connection; `secret` is the server's, the same for all its workers ---- */

#define TLS_QUIC_SECRET_SIZE 32

enum tls_quic_token {
    TLS_QUIC_TOKEN_NONE,    /* none, or none of ours: as good as none */
    TLS_QUIC_TOKEN_REFUSED, /* one of a Retry that does not hold: INVALID_TOKEN */
    TLS_QUIC_TOKEN_RETRY,
    TLS_QUIC_TOKEN_REGULAR /* of NEW_TOKEN */
};

/* A Retry token holds ten seconds for the same address and port, one of NEW_TOKEN an hour for the
 * same address (RFC 9000 sections 8.1.2 to 8.1.4). Time is that of whoever shares the secret. */
#define TLS_QUIC_RETRY_TIME   (10 * NGTCP2_SECONDS)
#define TLS_QUIC_REGULAR_TIME (3600 * NGTCP2_SECONDS)
#define TLS_QUIC_TOKEN_MAX    128

/* Bytes of a NEW_TOKEN token; 0: failed. */
size_t tls_quic_write_token(uint8_t out[TLS_QUIC_TOKEN_MAX], const uint8_t *secret,
                            const ngtcp2_addr *remote, ngtcp2_tstamp now);
/* Judges the token of an Initial; *original is the first destination of the client where a Retry
 * came before. */
enum tls_quic_token tls_quic_judge_token(const ngtcp2_pkt_hd *initial, const uint8_t *secret,
                                         const ngtcp2_addr *remote, ngtcp2_tstamp now,
                                         ngtcp2_cid *original);

/* Bytes of the datagram, at most `size`; 0: failed. `id` is what the client shall use. */
size_t tls_quic_write_retry(uint8_t *out, size_t size, const ngtcp2_pkt_hd *initial,
                            const ngtcp2_cid *id, const uint8_t *secret, const ngtcp2_addr *remote,
                            ngtcp2_tstamp now);
/* CONNECTION_CLOSE with a transport error in answer to an Initial. */
size_t tls_quic_write_refusal(uint8_t *out, size_t size, const ngtcp2_pkt_hd *initial,
                              uint64_t error);

/* True, or no random numbers or memory. */
bool tls_quic_reset_token(uint8_t out[NGTCP2_STATELESS_RESET_TOKENLEN], const uint8_t *secret,
                          const ngtcp2_cid *id);
/* Numbers that nobody can guess. */
bool tls_quic_random(uint8_t *out, size_t size);

#endif
