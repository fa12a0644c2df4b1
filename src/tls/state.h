/* tls/state.h: the inside of a session, for the files of this room. */
#ifndef TLS_STATE_H
#define TLS_STATE_H

#include "base/buffer.h"
#include "tls/names.h"
#include "tls/session.h"
#include "tls/snapshot.h"
#include <ngtcp2/ngtcp2_crypto.h>

#define TLS_SUBJECT_MAX 1024

enum tls_stage {
    TLS_HANDSHAKING,
    TLS_OPEN,
    TLS_PEER_CLOSED, /* close_notify received */
    TLS_FAILED
};

/* The handshake message of a client over QUIC that is coming, or came last. */
struct tls_quic_message {
    uint8_t head[4];
    uint8_t head_size;
    uint32_t left; /* bytes of it that are not here */
};

struct tls_session {
    ngtcp2_crypto_conn_ref quic; /* first: GnuTLS's pointer of a session over QUIC is read by ngtcp2
                                  * as a pointer to this */
    struct tls_quic_message message;
    enum tls_carrier carrier;
    gnutls_session_t tls;
    struct tls_context *context;
    struct tls_snapshot *snapshot;
    const struct tls_identity *identity; /* what is served */
    enum tls_stage stage;
    int error; /* why FAILED */
    const char *failure;
    bool said_hello; /* a ClientHello was read: its name holds for a second one too */
    bool is_resumed;
    bool owes_ticket; /* of TLS 1.3, with the first plain bytes */
    bool has_closed;  /* close_notify sent */
    uint8_t alerts;   /* warnings received */
    uint32_t key_updates;
    uint32_t flight_records; /* sent since the flight began */
    size_t allowance;        /* sealed bytes that may still come without plain ones */
    uint64_t sealed_in;
    uint64_t plain_in;
    struct span lent;   /* input, behind `kept` */
    struct buffer kept; /* input that outlived its feed */
    struct buffer output;
    struct tls_peer peer;
    struct span cipher;
    gnutls_datum_t alpn;
    uint16_t server_name_size;
    uint16_t subject_size;
    char server_name[TLS_NAME_MAX + 1];
    char fingerprint[64];
    char *subject;
};

/* A session of the context's snapshot that has no way in or out yet. NULL: no memory.
 * tls/session.c */
struct tls_session *tls_session_make(struct tls_context *context, enum tls_carrier carrier,
                                     unsigned flags);
/* Gives the GnuTLS session its ways in and out. tls/transport.c */
void tls_transport_attach(struct tls_session *s);
/* Plain bytes were opened: they earn allowance. */
void tls_transport_credit(struct tls_session *s, size_t plain);
/* Reads ClientHello and counts KeyUpdate. tls/hello.c */
void tls_hello_attach(struct tls_session *s);
/* Notes what was agreed and judges the client's certificate: ROUTED_OK, or the session has
 * failed. tls/peer.c */
int tls_peer_read(struct tls_session *s);

/* Ends the session for a reason of our own, the first one counts: returns `error`. */
int tls_session_fail(struct tls_session *s, int error, const char *failure);
/* Ends the session with the alert for a GnuTLS result. */
int tls_session_fail_with(struct tls_session *s, int result);

#endif
