#include "load/quic_state.h"

#include "base/memory.h"
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <routed/error.h>

/* One group and one cipher for every server, as over TCP. */
#define PRIORITIES                                                                                 \
    "%DISABLE_TLS13_COMPAT_MODE:SECURE128:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519:"        \
    "+GROUP-SECP256R1:-CIPHER-ALL:+AES-128-GCM"
#define WINDOW        ((UINT64_C(1) << 30) - 1) /* the client never holds the server back */
#define PAYLOAD_MAX   1472 /* of UDP on Ethernet: some find that loopback takes 64 KiB at once */
#define OUR_ID        8
#define FIRST_PEER_ID 18

/* ---- what all share ---- */

struct load_quic_context *load_quic_context_new(const char *server_name, bool resume)
{
    struct load_quic_context *x = memory_new_zeroed(sizeof(*x));
    if (!x)
        return NULL;
    x->server_name = server_name;
    x->resume = resume;
    x->inbox = datagram_inbox_new();
    if (x->inbox && gnutls_certificate_allocate_credentials(&x->credentials) == GNUTLS_E_SUCCESS &&
        gnutls_priority_init(&x->priorities, PRIORITIES, NULL) == GNUTLS_E_SUCCESS)
        return x;
    load_quic_context_free(x);
    return NULL;
}

void load_quic_context_free(struct load_quic_context *x)
{
    if (!x)
        return;
    if (x->credentials)
        gnutls_certificate_free_credentials(x->credentials);
    if (x->priorities)
        gnutls_priority_deinit(x->priorities);
    gnutls_free(x->ticket.data);
    datagram_inbox_free(x->inbox);
    memory_free(x);
}

bool load_quic_context_has_ticket(const struct load_quic_context *x)
{
    return x->ticket.data != NULL;
}

void load_quic_keep_ticket(struct load_quic *q)
{
    struct load_quic_context *x = q->context;
    if (!x->resume || x->ticket.data ||
        !(gnutls_session_get_flags(q->tls) & GNUTLS_SFLAGS_SESSION_TICKET))
        return;
    if (gnutls_session_get_data2(q->tls, &x->ticket) != GNUTLS_E_SUCCESS)
        x->ticket = (gnutls_datum_t){NULL, 0};
}

/* ---- datagrams in ---- */

static enum load_error error_of(const struct load_quic *q, int result)
{
    if (q->client->phase != LOAD_CLIENT_READY)
        return LOAD_ERROR_HANDSHAKE;
    return result == NGTCP2_ERR_DRAINING || result == NGTCP2_ERR_IDLE_CLOSE ? LOAD_ERROR_CLOSED
                                                                            : LOAD_ERROR_PROTOCOL;
}

static void on_datagram(void *user, const struct datagram *d)
{
    struct load_quic *q = user;
    struct load_fleet *f = q->client->fleet;
    ngtcp2_pkt_info mark = {.ecn = d->ecn};
    f->tally.bytes_in += d->bytes.size;
    f->moved += d->bytes.size;
    if (q->error)
        return;
    int result = ngtcp2_conn_read_pkt(q->conn, &q->path.path, &mark, d->bytes.data, d->bytes.size,
                                      loop_now_precise(f->loop));
    if (result)
        q->error = error_of(q, result);
}

static enum load_error expire(struct load_quic *q)
{
    ngtcp2_tstamp now = loop_now_precise(q->client->fleet->loop);
    if (ngtcp2_conn_get_expiry(q->conn) > now)
        return LOAD_ERROR_NONE;
    int result = ngtcp2_conn_handle_expiry(q->conn, now);
    return result ? error_of(q, result) : LOAD_ERROR_NONE;
}

static enum load_error follow_handshake(struct load_quic *q)
{
    struct load_client *c = q->client;
    if (c->phase == LOAD_CLIENT_READY || !ngtcp2_conn_get_handshake_completed(q->conn))
        return LOAD_ERROR_NONE;
    if (gnutls_session_is_resumed(q->tls))
        c->fleet->tally.resumed++;
    return c->machine->open(c);
}

/* Between two reads what came is acknowledged. */
static void on_task(struct loop_task *t)
{
    struct load_quic *q = LIST_ITEM(t, struct load_quic, task);
    if (q->is_readable) {
        bool is_drained;
        datagram_receive(&q->socket, q->context->inbox, on_datagram, q, &is_drained);
        q->is_readable = !is_drained;
    }
    if (q->is_readable)
        load_quic_wake(q);
    if (!q->error)
        q->error = expire(q);
    if (!q->error)
        q->error = follow_handshake(q);
    load_client_settle(q->client, q->error);
}

static void on_ready(struct loop_handle *h, unsigned events)
{
    struct load_quic *q = LIST_ITEM(h, struct load_quic, handle);
    (void)events;
    q->is_readable = true;
    load_quic_wake(q);
}

static void on_timer(struct loop_timer *t)
{
    load_quic_wake(LIST_ITEM(t, struct load_quic, timer));
}

void load_quic_wake(struct load_quic *q)
{
    loop_task_defer(q->client->fleet->loop, &q->task);
}

/* ---- life ---- */

static ngtcp2_conn *conn_of(ngtcp2_crypto_conn_ref *reference)
{
    return ((struct load_quic *)reference->user_data)->conn;
}

static void on_random(uint8_t *out, size_t size, const ngtcp2_rand_ctx *context)
{
    (void)context;
    gnutls_rnd(GNUTLS_RND_NONCE, out, size);
}

static int on_identifier(ngtcp2_conn *conn, ngtcp2_cid *id, uint8_t *token, size_t size, void *user)
{
    (void)conn;
    (void)user;
    id->datalen = size;
    gnutls_rnd(GNUTLS_RND_NONCE, id->data, size);
    gnutls_rnd(GNUTLS_RND_NONCE, token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

static ngtcp2_callbacks callbacks_of_connection(void)
{
    ngtcp2_callbacks callbacks = {
        .client_initial = ngtcp2_crypto_client_initial_cb,
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_retry = ngtcp2_crypto_recv_retry_cb,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
        .rand = on_random,
        .get_new_connection_id = on_identifier};
    load_quic_streams_set_callbacks(&callbacks);
    return callbacks;
}

static bool make_tls(struct load_quic *q)
{
    static const gnutls_datum_t alpn = {(unsigned char *)(uintptr_t) "h3", 2};
    const struct load_quic_context *x = q->context;
    q->reference = (ngtcp2_crypto_conn_ref){conn_of, q};
    if (gnutls_init(&q->tls, GNUTLS_CLIENT) != GNUTLS_E_SUCCESS)
        return false;
    gnutls_session_set_ptr(q->tls, &q->reference);
    bool is_right =
        gnutls_priority_set(q->tls, x->priorities) == GNUTLS_E_SUCCESS &&
        gnutls_credentials_set(q->tls, GNUTLS_CRD_CERTIFICATE, x->credentials) ==
            GNUTLS_E_SUCCESS &&
        gnutls_server_name_set(q->tls, GNUTLS_NAME_DNS, x->server_name, strlen(x->server_name)) ==
            GNUTLS_E_SUCCESS &&
        gnutls_alpn_set_protocols(q->tls, &alpn, 1, GNUTLS_ALPN_MANDATORY) == GNUTLS_E_SUCCESS &&
        ngtcp2_crypto_gnutls_configure_client_session(q->tls) == 0;
    if (is_right && x->ticket.data)
        gnutls_session_set_data(q->tls, x->ticket.data, x->ticket.size);
    return is_right;
}

static bool make_conn(struct load_quic *q)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params parameters;
    ngtcp2_callbacks callbacks = callbacks_of_connection();
    ngtcp2_cid peer = {.datalen = FIRST_PEER_ID}, ours = {.datalen = OUR_ID};
    gnutls_rnd(GNUTLS_RND_NONCE, peer.data, peer.datalen);
    gnutls_rnd(GNUTLS_RND_NONCE, ours.data, ours.datalen);
    ngtcp2_settings_default(&settings);
    settings.initial_ts = loop_now_precise(q->client->fleet->loop);
    ngtcp2_transport_params_default(&parameters);
    parameters.initial_max_streams_uni = 3;
    parameters.initial_max_stream_data_bidi_local = WINDOW;
    parameters.initial_max_stream_data_uni = WINDOW;
    parameters.initial_max_data = WINDOW;
    parameters.max_udp_payload_size = PAYLOAD_MAX;
    if (ngtcp2_conn_client_new(&q->conn, &peer, &ours, &q->path.path, NGTCP2_PROTO_VER_V1,
                               &callbacks, &settings, &parameters, NULL, q) != 0)
        return false;
    ngtcp2_conn_set_tls_native_handle(q->conn, q->tls);
    return true;
}

static bool make_socket(struct load_quic *q)
{
    const struct socket_address *remote = &q->client->fleet->address;
    struct socket_address any;
    char text[SOCKET_TEXT_MAX];
    bool is_v6 = memchr(text, ':', socket_address_text(remote, text)) != NULL;
    if (socket_resolve(is_v6 ? "::" : "0.0.0.0", 0, &any, 1) < 1 ||
        datagram_open(&q->socket, &any, &(struct datagram_options){.v6_only = is_v6}) != ROUTED_OK)
        return false;
    const struct socket_address *local = &q->socket.bound;
    ngtcp2_path_storage_init(&q->path, (const ngtcp2_sockaddr *)(const void *)local->storage,
                             local->size, (const ngtcp2_sockaddr *)(const void *)remote->storage,
                             remote->size, NULL);
    q->handle = (struct loop_handle){.fd = q->socket.fd, .on_ready = on_ready};
    return loop_watch_input(q->client->fleet->loop, &q->handle) == ROUTED_OK;
}

enum load_error load_quic_open(struct load_client *c)
{
    struct load_quic *q = memory_new_zeroed(sizeof(*q));
    if (!q)
        return LOAD_ERROR_CONNECT;
    c->quic = q;
    q->client = c;
    q->context = c->fleet->quics;
    q->socket.fd = q->handle.fd = -1;
    loop_task_init(&q->task, on_task);
    loop_timer_init(&q->timer, on_timer);
    c->http3 = load_http3_new(c);
    if (!c->http3 || !make_socket(q) || !make_tls(q) || !make_conn(q))
        return LOAD_ERROR_CONNECT;
    return load_quic_output_flush(c);
}

void load_quic_close(struct load_client *c)
{
    struct load_quic *q = c->quic;
    c->quic = NULL;
    loop_task_cancel(&q->task);
    loop_timer_clear(c->fleet->loop, &q->timer);
    if (q->conn) {
        load_quic_output_goodbye(q);
        ngtcp2_conn_del(q->conn);
    }
    if (q->tls)
        gnutls_deinit(q->tls);
    if (q->handle.fd >= 0)
        loop_forget(c->fleet->loop, &q->handle);
    if (q->socket.fd >= 0)
        datagram_close(&q->socket);
    memory_free(q);
}
