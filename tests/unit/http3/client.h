/* A QUIC client of ngtcp2 and GnuTLS in memory. It writes requests by hand, with static QPACK lines
 * only, and keeps the bytes that come back, stream by stream. */
#ifndef UNIT_HTTP3_CLIENT_H
#define UNIT_HTTP3_CLIENT_H

#include "tls/pki.h"
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <routed/error.h>

#define CLIENT_STREAMS 64

/* What a later connection may begin with. */
struct client_memory {
    uint8_t token[256];
    size_t token_size;
    gnutls_datum_t ticket; /* to be freed with gnutls_free */
    uint8_t parameters[256];
    size_t parameters_size;
};

struct client_wish {
    const char *name;                /* NULL: "localhost" */
    const char *alpn;                /* NULL: "h3"; "": none */
    uint32_t version;                /* 0: 1 */
    struct client_memory *memory;    /* a token and a ticket of before are used; new ones kept */
    bool sends_early;                /* 0-RTT */
    uint64_t window;                 /* 0: 1 MiB of each stream, 16 of the connection */
    ngtcp2_duration idle;            /* max_idle_timeout; 0: none */
    const struct pki_pair *identity; /* certificate; NULL: none */
    void (*bend)(ngtcp2_transport_params *parameters);
};

/* Not base/buffer.h: where memory fails for a test, it fails for the server alone. */
struct client_bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

struct client_stream {
    int64_t id;
    struct client_bytes out; /* kept until the end: ngtcp2 sends again from it */
    size_t sent;
    struct client_bytes in;
    bool ends;
    bool has_ended; /* FIN in packets */
    bool came_to_end;
    bool is_closed;
    bool is_blocked;
    bool is_reset;
    uint64_t code;
};

struct client {
    ngtcp2_conn *conn;
    ngtcp2_crypto_conn_ref reference;
    gnutls_session_t tls;
    gnutls_certificate_credentials_t credentials;
    struct client_memory *memory;
    ngtcp2_path_storage path;
    struct client_stream streams[CLIENT_STREAMS];
    size_t stream_count;
    ngtcp2_ccerr why;
    int result; /* the first error of ngtcp2 */
    bool is_done;
    bool is_silent; /* reads and writes nothing more */
    bool is_deaf;   /* reads nothing */
    bool was_reset; /* statelessly */
    bool has_early;
    bool was_early_refused;
    unsigned retries;
    unsigned versions; /* Version Negotiation packets */
    unsigned paths;    /* validated */
    unsigned ticket_count;
    unsigned tokens;
};

static inline void client_append(struct client_bytes *b, const void *bytes, size_t size)
{
    if (b->size + size > b->capacity) {
        b->capacity = 2 * (b->size + size);
        b->data = realloc(b->data, b->capacity);
        assert_non_null(b->data);
    }
    if (size)
        memcpy(b->data + b->size, bytes, size);
    b->size += size;
}

static inline ngtcp2_conn *client_conn(ngtcp2_crypto_conn_ref *reference)
{
    return ((struct client *)reference->user_data)->conn;
}

static inline struct client_stream *client_stream(struct client *c, int64_t id)
{
    for (size_t i = 0; i < c->stream_count; i++)
        if (c->streams[i].id == id)
            return &c->streams[i];
    assert_true(c->stream_count < CLIENT_STREAMS);
    struct client_stream *s = &c->streams[c->stream_count++];
    s->id = id;
    return s;
}

/* Makes room: closed streams are forgotten. */
static inline void client_forget_closed(struct client *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->stream_count; i++) {
        struct client_stream s = c->streams[i];
        c->streams[i] = (struct client_stream){0};
        if (!s.is_closed) {
            c->streams[kept++] = s;
            continue;
        }
        free(s.out.data);
        free(s.in.data);
    }
    c->stream_count = kept;
}

/* ---- what ngtcp2 tells ---- */

static inline void client_random(uint8_t *out, size_t size, const ngtcp2_rand_ctx *context)
{
    (void)context;
    gnutls_rnd(GNUTLS_RND_NONCE, out, size);
}

static inline int client_on_identifier(ngtcp2_conn *conn, ngtcp2_cid *id, uint8_t *token,
                                       size_t size, void *user)
{
    (void)conn;
    (void)user;
    id->datalen = size;
    gnutls_rnd(GNUTLS_RND_NONCE, id->data, size);
    gnutls_rnd(GNUTLS_RND_NONCE, token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

static inline int client_on_data(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset,
                                 const uint8_t *data, size_t size, void *user, void *stream_user)
{
    struct client *c = user;
    struct client_stream *s = client_stream(c, id);
    (void)offset;
    (void)stream_user;
    client_append(&s->in, data, size);
    s->came_to_end |= (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
    ngtcp2_conn_extend_max_stream_offset(conn, id, size);
    ngtcp2_conn_extend_max_offset(conn, size);
    return 0;
}

static inline int client_on_close(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t code,
                                  void *user, void *stream_user)
{
    struct client_stream *s = client_stream(user, id);
    (void)conn;
    (void)stream_user;
    s->is_closed = true;
    if (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET)
        s->code = code;
    return 0;
}

static inline int client_on_reset(ngtcp2_conn *conn, int64_t id, uint64_t size, uint64_t code,
                                  void *user, void *stream_user)
{
    struct client_stream *s = client_stream(user, id);
    (void)conn;
    (void)size;
    (void)stream_user;
    s->is_reset = true;
    s->code = code;
    return 0;
}

static inline int client_on_window(ngtcp2_conn *conn, int64_t id, uint64_t max, void *user,
                                   void *stream_user)
{
    (void)conn;
    (void)max;
    (void)stream_user;
    client_stream(user, id)->is_blocked = false;
    return 0;
}

static inline int client_on_done(ngtcp2_conn *conn, void *user)
{
    struct client *c = user;
    ngtcp2_ssize size;
    c->is_done = true;
    if (c->has_early && !(gnutls_session_get_flags(c->tls) & GNUTLS_SFLAGS_EARLY_DATA)) {
        c->was_early_refused = true;
        assert_int_equal(ngtcp2_conn_tls_early_data_rejected(conn), 0);
    }
    if (!c->memory)
        return 0;
    size = ngtcp2_conn_encode_0rtt_transport_params(conn, c->memory->parameters,
                                                    sizeof(c->memory->parameters));
    c->memory->parameters_size = size > 0 ? (size_t)size : 0;
    return 0;
}

static inline int client_on_token(ngtcp2_conn *conn, const uint8_t *token, size_t size, void *user)
{
    struct client *c = user;
    (void)conn;
    c->tokens++;
    if (c->memory && size <= sizeof(c->memory->token)) {
        memcpy(c->memory->token, token, size);
        c->memory->token_size = size;
    }
    return 0;
}

static inline int client_on_retry(ngtcp2_conn *conn, const ngtcp2_pkt_hd *hd, void *user)
{
    ((struct client *)user)->retries++;
    return ngtcp2_crypto_recv_retry_cb(conn, hd, user);
}

static inline int client_on_versions(ngtcp2_conn *conn, const ngtcp2_pkt_hd *hd,
                                     const uint32_t *versions, size_t count, void *user)
{
    (void)conn;
    (void)hd;
    (void)versions;
    (void)count;
    ((struct client *)user)->versions++;
    return 0;
}

static inline int client_on_reset_packet(ngtcp2_conn *conn, const ngtcp2_pkt_stateless_reset *reset,
                                         void *user)
{
    (void)conn;
    (void)reset;
    ((struct client *)user)->was_reset = true;
    return 0;
}

static inline int client_on_path(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path,
                                 const ngtcp2_path *old, ngtcp2_path_validation_result result,
                                 void *user)
{
    (void)conn;
    (void)flags;
    (void)path;
    (void)old;
    ((struct client *)user)->paths += result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS;
    return 0;
}

static inline int client_on_ticket(gnutls_session_t tls, unsigned type, unsigned when,
                                   unsigned is_incoming, const gnutls_datum_t *message)
{
    struct client *c = ((ngtcp2_crypto_conn_ref *)gnutls_session_get_ptr(tls))->user_data;
    (void)when;
    (void)message;
    if (!is_incoming || type != GNUTLS_HANDSHAKE_NEW_SESSION_TICKET)
        return 0;
    c->ticket_count++;
    if (c->memory) {
        gnutls_free(c->memory->ticket.data);
        c->memory->ticket = (gnutls_datum_t){NULL, 0};
        pki_ok(gnutls_session_get_data2(tls, &c->memory->ticket));
    }
    return 0;
}

/* ---- wrong packets ---- */

/* Changes what a packet says before it is sealed; one for all clients, NULL: nothing is changed. */
static void (*client_alter)(uint8_t *frames, size_t size, bool is_long);

static inline int client_encrypt(uint8_t *out, const ngtcp2_crypto_aead *aead,
                                 const ngtcp2_crypto_aead_ctx *context, const uint8_t *frames,
                                 size_t size, const uint8_t *nonce, size_t nonce_size,
                                 const uint8_t *head, size_t head_size)
{
    uint8_t altered[2048];
    if (client_alter && size <= sizeof(altered)) {
        memcpy(altered, frames, size);
        client_alter(altered, size, head[0] & 0x80);
        frames = altered;
    }
    return ngtcp2_crypto_encrypt_cb(out, aead, context, frames, size, nonce, nonce_size, head,
                                    head_size);
}

/* Changes what a packet that came says. */
static void (*client_overlook)(uint8_t *frames, size_t size);

static inline int client_decrypt(uint8_t *out, const ngtcp2_crypto_aead *aead,
                                 const ngtcp2_crypto_aead_ctx *context, const uint8_t *sealed,
                                 size_t size, const uint8_t *nonce, size_t nonce_size,
                                 const uint8_t *head, size_t head_size)
{
    int result = ngtcp2_crypto_decrypt_cb(out, aead, context, sealed, size, nonce, nonce_size, head,
                                          head_size);
    if (result == 0 && client_overlook)
        client_overlook(out, size - aead->max_overhead);
    return result;
}

/* ---- life ---- */

static inline void client_start_tls(struct client *c, const struct client_wish *wish)
{
    const char *name = wish->name ? wish->name : "localhost";
    const char *alpn = wish->alpn ? wish->alpn : "h3";
    gnutls_datum_t protocol = {(unsigned char *)(uintptr_t)alpn, (unsigned)strlen(alpn)};
    pki_ok(gnutls_init(&c->tls,
                       GNUTLS_CLIENT | GNUTLS_ENABLE_EARLY_DATA | GNUTLS_NO_END_OF_EARLY_DATA));
    pki_ok(gnutls_priority_set_direct(
        c->tls, "%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL));
    pki_ok(gnutls_certificate_allocate_credentials(&c->credentials));
    if (wish->identity) {
        gnutls_x509_crt_t chain[1] = {wish->identity->certificate};
        pki_ok(gnutls_certificate_set_x509_key(c->credentials, chain, 1, wish->identity->key));
    }
    pki_ok(gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->credentials));
    pki_ok(gnutls_server_name_set(c->tls, GNUTLS_NAME_DNS, name, strlen(name)));
    if (protocol.size)
        pki_ok(gnutls_alpn_set_protocols(c->tls, &protocol, 1, 0));
    c->reference = (ngtcp2_crypto_conn_ref){client_conn, c};
    gnutls_session_set_ptr(c->tls, &c->reference);
    pki_ok(ngtcp2_crypto_gnutls_configure_client_session(c->tls));
    gnutls_handshake_set_hook_function(c->tls, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_POST,
                                       client_on_ticket);
    if (c->memory && c->memory->ticket.size)
        pki_ok(gnutls_session_set_data(c->tls, c->memory->ticket.data, c->memory->ticket.size));
}

static inline ngtcp2_callbacks client_callbacks(void)
{
    return (ngtcp2_callbacks){.client_initial = ngtcp2_crypto_client_initial_cb,
                              .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
                              .encrypt = client_encrypt,
                              .decrypt = client_decrypt,
                              .hp_mask = ngtcp2_crypto_hp_mask_cb,
                              .recv_retry = client_on_retry,
                              .update_key = ngtcp2_crypto_update_key_cb,
                              .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
                              .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
                              .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
                              .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
                              .rand = client_random,
                              .get_new_connection_id = client_on_identifier,
                              .recv_stream_data = client_on_data,
                              .stream_close = client_on_close,
                              .stream_reset = client_on_reset,
                              .extend_max_stream_data = client_on_window,
                              .handshake_completed = client_on_done,
                              .recv_new_token = client_on_token,
                              .recv_version_negotiation = client_on_versions,
                              .recv_stateless_reset = client_on_reset_packet,
                              .path_validation = client_on_path};
}

static inline void client_open(struct client *c, const struct client_wish *wish,
                               const ngtcp2_path *path, ngtcp2_tstamp now)
{
    ngtcp2_callbacks callbacks = client_callbacks();
    ngtcp2_settings settings;
    ngtcp2_transport_params parameters;
    ngtcp2_cid destination = {.datalen = 18}, source = {.datalen = 8};
    memset(c, 0, sizeof(*c));
    ngtcp2_path_storage_zero(&c->path);
    ngtcp2_path_copy(&c->path.path, path);
    c->memory = wish->memory;
    gnutls_rnd(GNUTLS_RND_NONCE, destination.data, destination.datalen);
    gnutls_rnd(GNUTLS_RND_NONCE, source.data, source.datalen);
    ngtcp2_settings_default(&settings);
    settings.initial_ts = now;
    if (c->memory && c->memory->token_size) {
        settings.token = c->memory->token;
        settings.tokenlen = c->memory->token_size;
    }
    ngtcp2_transport_params_default(&parameters);
    parameters.initial_max_streams_uni = 3;
    parameters.initial_max_stream_data_bidi_local = wish->window ? wish->window : 1 << 20;
    parameters.initial_max_stream_data_uni = 65536;
    parameters.initial_max_data = wish->window ? wish->window : 1 << 24;
    parameters.max_idle_timeout = wish->idle;
    parameters.active_connection_id_limit = 7;
    if (wish->bend)
        wish->bend(&parameters);
    assert_int_equal(ngtcp2_conn_client_new(&c->conn, &destination, &source, &c->path.path,
                                            wish->version ? wish->version : NGTCP2_PROTO_VER_V1,
                                            &callbacks, &settings, &parameters, NULL, c),
                     0);
    client_start_tls(c, wish);
    ngtcp2_conn_set_tls_native_handle(c->conn, c->tls);
    c->has_early = wish->sends_early;
    if (wish->sends_early)
        assert_int_equal(ngtcp2_conn_decode_and_set_0rtt_transport_params(
                             c->conn, c->memory->parameters, c->memory->parameters_size),
                         0);
    ngtcp2_ccerr_default(&c->why);
}

static inline void client_close(struct client *c)
{
    for (size_t i = 0; i < c->stream_count; i++) {
        free(c->streams[i].out.data);
        free(c->streams[i].in.data);
    }
    if (c->conn)
        ngtcp2_conn_del(c->conn);
    if (c->tls)
        gnutls_deinit(c->tls);
    if (c->credentials)
        gnutls_certificate_free_credentials(c->credentials);
    memset(c, 0, sizeof(*c));
}

/* ---- streams ---- */

static inline int64_t client_open_stream(struct client *c, bool is_bidirectional)
{
    int64_t id = -1;
    int result = is_bidirectional ? ngtcp2_conn_open_bidi_stream(c->conn, &id, NULL)
                                  : ngtcp2_conn_open_uni_stream(c->conn, &id, NULL);
    if (result == 0)
        client_stream(c, id);
    return result == 0 ? id : -1;
}

static inline void client_write(struct client *c, int64_t id, struct span bytes, bool ends)
{
    struct client_stream *s = client_stream(c, id);
    assert_int_equal(s->sent, 0); /* ngtcp2 keeps pointers: write all before the first packet */
    client_append(&s->out, bytes.data, bytes.size);
    s->ends |= ends;
}

static inline size_t client_put_number(uint8_t *out, uint64_t value)
{
    out[0] = (uint8_t)(0x80 | value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
    return 4;
}

/* A HEADERS frame: a method of the static table (17 GET, 20 POST), https, localhost, the path. */
static inline void client_write_head(struct client *c, int64_t id, unsigned method,
                                     const char *path, bool ends)
{
    uint8_t frame[256] = {0x01};
    size_t size = 5;
    frame[size++] = 0;
    frame[size++] = 0;
    frame[size++] = (uint8_t)(0xc0 | method);
    frame[size++] = 0xc0 | 23;
    frame[size++] = 0x50; /* :authority, literal value */
    frame[size++] = 9;
    memcpy(frame + size, "localhost", 9);
    size += 9;
    frame[size++] = 0x51; /* :path */
    frame[size++] = (uint8_t)strlen(path);
    memcpy(frame + size, path, strlen(path));
    size += strlen(path);
    client_put_number(frame + 1, size - 5);
    client_write(c, id, span_of(frame, size), ends);
}

static inline void client_write_content(struct client *c, int64_t id, struct span content,
                                        bool ends)
{
    uint8_t head[5] = {0x00};
    client_put_number(head + 1, content.size);
    client_write(c, id, span_of(head, 5), false);
    client_write(c, id, content, ends);
}

static inline int64_t client_get(struct client *c, const char *path)
{
    int64_t id = client_open_stream(c, true);
    assert_true(id >= 0);
    client_write_head(c, id, 17, path, true);
    return id;
}

/* ---- datagrams ---- */

static inline void client_fail(struct client *c, int result)
{
    if (c->result == 0)
        c->result = result;
    c->is_silent = true;
}

static inline struct client_stream *client_next(struct client *c)
{
    for (size_t i = 0; i < c->stream_count; i++) {
        struct client_stream *s = &c->streams[i];
        bool has_bytes = s->sent < s->out.size;
        if (!s->is_blocked && !s->is_closed && (has_bytes || (s->ends && !s->has_ended)))
            return s;
    }
    return NULL;
}

/* The next datagram: its bytes, 0 for none. */
static inline size_t client_make(struct client *c, uint8_t *out, size_t size, ngtcp2_path *path,
                                 uint8_t *ecn, ngtcp2_tstamp now)
{
    ngtcp2_pkt_info mark = {0};
    while (!c->is_silent) {
        struct client_stream *s = client_next(c);
        ngtcp2_ssize taken = -1;
        ngtcp2_vec part = {NULL, 0};
        if (s && s->out.size)
            part = (ngtcp2_vec){s->out.data + s->sent, s->out.size - s->sent};
        uint32_t flags =
            NGTCP2_WRITE_STREAM_FLAG_MORE | (s && s->ends ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
        ngtcp2_ssize result =
            ngtcp2_conn_writev_stream(c->conn, path, &mark, out, size, &taken, flags,
                                      s ? s->id : -1, &part, part.len ? 1 : 0, now);
        if (s && taken >= 0) {
            s->sent += (size_t)taken;
            s->has_ended |= s->ends && s->sent == s->out.size;
        }
        *ecn = mark.ecn;
        if (result >= 0)
            return (size_t)result;
        if (result == NGTCP2_ERR_STREAM_DATA_BLOCKED || result == NGTCP2_ERR_STREAM_SHUT_WR ||
            result == NGTCP2_ERR_STREAM_NOT_FOUND)
            s->is_blocked = true;
        else if (result != NGTCP2_ERR_WRITE_MORE)
            client_fail(c, (int)result);
    }
    return 0;
}

static inline void client_read(struct client *c, const ngtcp2_path *path, uint8_t ecn,
                               struct span bytes, ngtcp2_tstamp now)
{
    ngtcp2_pkt_info mark = {.ecn = ecn};
    if (c->is_silent || c->is_deaf)
        return;
    int result = ngtcp2_conn_read_pkt(c->conn, path, &mark, bytes.data, bytes.size, now);
    if (result)
        client_fail(c, result);
}

/* ---- what came back ---- */

static inline size_t client_number(struct span bytes, uint64_t *out)
{
    if (bytes.size == 0 || bytes.size < (size_t)1 << (bytes.data[0] >> 6))
        return 0;
    size_t size = (size_t)1 << (bytes.data[0] >> 6);
    *out = bytes.data[0] & 0x3f;
    for (size_t i = 1; i < size; i++)
        *out = *out << 8 | bytes.data[i];
    return size;
}

/* The content of the answer on a stream: DATA frames joined; the caller frees. */
static inline struct client_bytes client_content(struct client *c, int64_t id)
{
    struct client_bytes content = {0};
    const struct client_bytes *all = &client_stream(c, id)->in;
    struct span in = span_of(all->data, all->size);
    uint64_t type, size = 0;
    size_t used;
    while ((used = client_number(in, &type))) {
        in = span_after(in, used);
        used = client_number(in, &size);
        in = span_after(in, used);
        assert_true(used && size <= in.size);
        if (type == 0)
            client_append(&content, in.data, (size_t)size);
        in = span_after(in, (size_t)size);
    }
    return content;
}

#endif
