/* load/quic_state.h: what the files of a QUIC connection share: quic.c has its life and its turns,
 * quic_streams.c what happens to its streams, quic_output.c its datagrams on their way out. For
 * these three only. */
#ifndef LOAD_QUIC_STATE_H
#define LOAD_QUIC_STATE_H

#include "io/datagram.h"
#include "load/fleet.h"
#include "load/http3.h"
#include "load/quic.h"
#include "load/quic_output.h"
#include "load/quic_streams.h"

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#define LOAD_QUIC_BATCH_SIZE 65000

struct load_quic_context {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    const char *server_name;
    gnutls_datum_t ticket; /* .data NULL: none yet */
    bool resume;
    struct datagram_inbox *inbox;
    uint8_t out[LOAD_QUIC_BATCH_SIZE];
};

struct load_quic {
    struct load_client *client;
    struct load_quic_context *context;
    struct datagram_socket socket;
    struct loop_handle handle;
    struct loop_task task;
    struct loop_timer timer;
    bool is_readable;      /* it may have more */
    enum load_error error; /* of a datagram that came */
    ngtcp2_conn *conn;
    ngtcp2_crypto_conn_ref reference;
    ngtcp2_path_storage path;
    gnutls_session_t tls;
};

/* Of each stream, and of new ones. */
void load_quic_streams_set_callbacks(ngtcp2_callbacks *callbacks);

#endif
