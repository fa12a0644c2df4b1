/* How a connection comes to be: address validation (RFC 9000 section 8.1), what ngtcp2 is told, the
 * handshake. */
#include "http3/inside.h"

#include "base/memory.h"
#include <routed/error.h>

static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};

/* ---- what ngtcp2 asks for ---- */

static void on_random(uint8_t *out, size_t size, const ngtcp2_rand_ctx *context)
{
    struct random *random = context->native_handle;
    while (size) {
        uint64_t word = random_next(random);
        size_t part = size < sizeof(word) ? size : sizeof(word);
        memcpy(out, &word, part);
        out += part;
        size -= part;
    }
}

static int on_identifier_wanted(ngtcp2_conn *conn, ngtcp2_cid *id, uint8_t *token, size_t size,
                                void *user)
{
    struct http3_connection *c = user;
    struct http3_endpoint *e = c->endpoint;
    (void)conn;
    (void)size;
    if (!bucket_take(&c->identifiers, &HTTP3_IDENTIFIERS, http3_now_milliseconds(e))) {
        http3_connection_close_over_budget(c);
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (!http3_identifier_make(&e->key, e->options.worker, id) ||
        !tls_quic_reset_token(token, e->options.secret, id) ||
        http3_table_add(&e->table, id, c, &c->routes) != ROUTED_OK)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int on_identifier_retired(ngtcp2_conn *conn, const ngtcp2_cid *id, void *user)
{
    struct http3_connection *c = user;
    struct http3_table *table = &c->endpoint->table;
    struct http3_route *route = http3_table_route(table, span_of(id->data, id->datalen));
    (void)conn;
    if (route && route->connection == c)
        http3_table_remove(table, route);
    return 0;
}

static int on_path_validation(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path,
                              const ngtcp2_path *old, ngtcp2_path_validation_result result,
                              void *user)
{
    (void)conn;
    (void)flags;
    (void)old;
    if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
        http3_path_prove(user, path);
    return 0;
}

static int on_update_key(ngtcp2_conn *conn, uint8_t *rx_secret, uint8_t *tx_secret,
                         ngtcp2_crypto_aead_ctx *rx, uint8_t *rx_iv, ngtcp2_crypto_aead_ctx *tx,
                         uint8_t *tx_iv, const uint8_t *rx_now, const uint8_t *tx_now, size_t size,
                         void *user)
{
    struct http3_connection *c = user;
    /* The first keys after those of the handshake are made in advance. */
    if (c->key_updates++ > 0)
        c->endpoint->counts[HTTP3_KEY_UPDATES]++;
    return c->endpoint->update_key(conn, rx_secret, tx_secret, rx, rx_iv, tx, tx_iv, rx_now, tx_now,
                                   size, user);
}

/* ---- the handshake is done ---- */

static int submit_token(struct http3_connection *c)
{
    uint8_t token[TLS_QUIC_TOKEN_MAX];
    const struct http3_endpoint *e = c->endpoint;
    size_t size = tls_quic_write_token(token, e->options.secret,
                                       &ngtcp2_conn_get_path(c->conn)->remote, http3_token_time(e));
    return size ? ngtcp2_conn_submit_new_token(c->conn, token, size) : 0;
}

/* Who the client is is known: streams may be opened. */
static int open_session(struct http3_connection *c)
{
    int result = tls_quic_note_peer(c->tls);
    if (result != ROUTED_OK) {
        http3_connection_fail(c,
                              result == ROUTED_ERROR_MEMORY ? NGTCP2_ERR_NOMEM : NGTCP2_ERR_CRYPTO);
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    tls_session_describe(c->tls, &c->agreed);
    return http3_transport_start(c);
}

static int on_done(ngtcp2_conn *conn, void *user)
{
    struct http3_connection *c = user;
    struct http3_endpoint *e = c->endpoint;
    int result = c->session ? 0 : open_session(c);
    (void)conn;
    if (result)
        return result;
    c->phase = HTTP3_OPEN;
    e->handshakes--;
    e->counts[HTTP3_HANDSHAKES]++;
    if (c->is_early)
        http3_session_set_early(c->session, false);
    return tls_quic_send_ticket(c->tls) == ROUTED_OK ? submit_token(c) : NGTCP2_ERR_NOMEM;
}

/* With the key of what we send, early data can be answered. */
static int on_send_key(ngtcp2_conn *conn, ngtcp2_encryption_level level, void *user)
{
    struct http3_connection *c = user;
    (void)conn;
    if (level != NGTCP2_ENCRYPTION_LEVEL_1RTT || c->session || !tls_quic_is_early(c->tls))
        return 0;
    c->is_early = true;
    c->endpoint->counts[HTTP3_EARLY_DATA]++;
    int result = open_session(c);
    if (result == 0)
        http3_session_set_early(c->session, true);
    return result;
}

/* ---- the handshake failed ---- */

/* RFC 9001 section 4.8: of the codes of transport errors, those of alerts. */
#define ALERTS     0x100
#define ALERTS_END 0x200

static const char *words_of_client(const struct http3_connection *c)
{
    const ngtcp2_ccerr *told = ngtcp2_conn_get_ccerr(c->conn);
    bool is_alert = told->type == NGTCP2_CCERR_TYPE_TRANSPORT && told->error_code >= ALERTS &&
                    told->error_code < ALERTS_END;
    return is_alert ? tls_quic_alert_text((uint8_t)(told->error_code - ALERTS))
                    : "the client closed the connection";
}

static const char *words_of_tls(const struct http3_connection *c)
{
    const char *words = tls_session_failure(c->tls);
    return *words ? words : tls_quic_alert_text(ngtcp2_conn_get_tls_alert(c->conn));
}

static const char *words_of(const struct http3_connection *c)
{
    switch (c->result) {
    case 0:
        return error_entry(c->error)->text;
    case NGTCP2_ERR_CRYPTO:
        return words_of_tls(c);
    case NGTCP2_ERR_DRAINING:
        return words_of_client(c);
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
    case NGTCP2_ERR_IDLE_CLOSE:
        return error_entry(ROUTED_ERROR_TIMEOUT)->text;
    default:
        return ngtcp2_strerror(c->result);
    }
}

void http3_handshake_failed(struct http3_connection *c)
{
    const struct http3_endpoint_host *host = &c->endpoint->options.host;
    if (c->result == NGTCP2_ERR_RETRY) /* it begins anew, with a token */
        return;
    c->endpoint->counts[HTTP3_HANDSHAKES_FAILED]++;
    if (host->on_handshake_failed)
        host->on_handshake_failed(host->host, &c->peer, words_of(c));
}

void http3_handshake_callbacks(struct http3_endpoint *e)
{
    tls_quic_callbacks(&e->callbacks);
    http3_transport_callbacks(&e->callbacks);
    e->update_key = e->callbacks.update_key;
    e->callbacks.update_key = on_update_key;
    e->callbacks.rand = on_random;
    e->callbacks.get_new_connection_id = on_identifier_wanted;
    e->callbacks.remove_connection_id = on_identifier_retired;
    e->callbacks.path_validation = on_path_validation;
    e->callbacks.handshake_completed = on_done;
    e->callbacks.recv_tx_key = on_send_key;
}

/* ---- a new connection ---- */

/* What is known of a client before it has a connection. */
struct greeting {
    const struct http3_datagram *datagram;
    ngtcp2_pkt_hd initial;
    enum tls_quic_token token;
    ngtcp2_cid original; /* with TLS_QUIC_TOKEN_RETRY */
    bool has_place;      /* among the handshakes of its address */
};

/* Only of who has proved the address: others could use up the places of somebody else. */
static bool take_place(const struct http3_endpoint *e, struct greeting *g)
{
    const struct http3_endpoint_host *host = &e->options.host;
    bool is_counted = g->token != TLS_QUIC_TOKEN_NONE && host->on_handshake;
    g->has_place = is_counted && host->on_handshake(host->host, &g->datagram->remote);
    return !is_counted || g->has_place;
}

static void give_place(const struct http3_endpoint *e, const struct http3_address *peer)
{
    e->options.host.on_handshake_over(e->options.host.host, peer);
}

void http3_handshake_leave(struct http3_connection *c)
{
    if (c->has_place)
        give_place(c->endpoint, &c->peer);
    c->has_place = false;
}

static void write_settings(struct http3_endpoint *e, const struct greeting *g,
                           ngtcp2_settings *settings)
{
    ngtcp2_settings_default(settings);
    settings->initial_ts = http3_now(e);
    settings->handshake_timeout = e->options.handshake_time * NGTCP2_MILLISECONDS;
    /* Once for what was read at once, so that it goes with the answer and not, a moment later, in a
     * datagram of its own. */
    settings->ack_thresh = 1;
    settings->max_window = e->options.session.limits.connection_window +
                           (uint64_t)e->options.session.limits.upload_growth;
    settings->rand_ctx.native_handle = &e->random;
    settings->available_versions = versions;
    settings->available_versionslen = sizeof(versions) / sizeof(versions[0]);
    if (g->token == TLS_QUIC_TOKEN_NONE)
        return;
    settings->token = g->initial.token;
    settings->tokenlen = g->initial.tokenlen;
    settings->token_type =
        g->token == TLS_QUIC_TOKEN_RETRY ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
}

static bool write_parameters(const struct http3_endpoint *e, const struct greeting *g,
                             const ngtcp2_cid *id, ngtcp2_transport_params *parameters)
{
    const struct http3_limits *limits = &e->options.session.limits;
    ngtcp2_transport_params_default(parameters);
    parameters->initial_max_data = limits->connection_window;
    parameters->initial_max_stream_data_bidi_remote = limits->stream_window;
    parameters->initial_max_stream_data_uni = limits->stream_window;
    parameters->initial_max_streams_bidi = limits->streams_max;
    parameters->initial_max_streams_uni = HTTP3_SIDE_STREAMS_MAX;
    parameters->max_idle_timeout = e->options.idle_time * NGTCP2_MILLISECONDS;
    parameters->active_connection_id_limit = HTTP3_PEER_IDENTIFIERS;
    parameters->original_dcid = g->initial.dcid;
    parameters->original_dcid_present = 1;
    if (g->token == TLS_QUIC_TOKEN_RETRY) {
        parameters->original_dcid = g->original;
        parameters->retry_scid = g->initial.dcid;
        parameters->retry_scid_present = 1;
    }
    parameters->stateless_reset_token_present = 1;
    return tls_quic_reset_token(parameters->stateless_reset_token, e->options.secret, id);
}

static int make_conn(struct http3_connection *c, const struct greeting *g)
{
    struct http3_endpoint *e = c->endpoint;
    ngtcp2_mem memory = {.user_data = &c->heap,
                         .malloc = heap_new,
                         .free = heap_free,
                         .calloc = heap_new_zeroed,
                         .realloc = heap_resize};
    ngtcp2_path_storage path;
    ngtcp2_settings settings;
    ngtcp2_transport_params parameters;
    ngtcp2_cid id;
    http3_path_read(&path, &g->datagram->local, &g->datagram->remote);
    write_settings(e, g, &settings);
    if (!http3_identifier_make(&e->key, e->options.worker, &id) ||
        !write_parameters(e, g, &id, &parameters))
        return ROUTED_ERROR_SYSTEM;
    http3_qlog_begin(c, &settings, &parameters.original_dcid);
    c->heap.spare = e->options.session.spare;
    c->memory = memory;
    ngtcp2_conn *conn; /* where this fails, it is left pointing to nothing */
    if (ngtcp2_conn_server_new(&conn, &g->initial.scid, &id, &path.path, g->initial.version,
                               &e->callbacks, &settings, &parameters, &c->memory, c) != 0)
        return ROUTED_ERROR_MEMORY;
    c->conn = conn;
    int result = http3_table_add(&e->table, &id, c, &c->routes);
    if (result == ROUTED_OK)
        result = http3_table_add(&e->table, &g->initial.dcid, c, &c->routes);
    return result;
}

static struct http3_connection *make_connection(struct http3_endpoint *e, const struct greeting *g)
{
    struct http3_connection *c = memory_new_zeroed(sizeof(*c));
    if (!c && g->has_place)
        give_place(e, &g->datagram->remote);
    if (!c)
        return NULL;
    c->endpoint = e;
    c->peer = g->datagram->remote;
    c->has_place = g->has_place;
    c->moves = bucket_full(&HTTP3_MOVES, http3_now_milliseconds(e));
    c->identifiers = bucket_full(&HTTP3_IDENTIFIERS, http3_now_milliseconds(e));
    c->streams_told = e->options.session.limits.streams_max;
    list_init(&c->routes);
    list_append(&e->connections, &c->all);
    e->count++;
    e->handshakes++;
    enum tls_quic_early early = !e->options.has_early_data        ? TLS_QUIC_EARLY_OFF
                                : g->token == TLS_QUIC_TOKEN_NONE ? TLS_QUIC_EARLY_LATER
                                                                  : TLS_QUIC_EARLY_NOW;
    if (http3_deadlines_reserve(&e->deadlines, e->count + e->closed) == ROUTED_OK &&
        make_conn(c, g) == ROUTED_OK && (c->tls = tls_quic_new(e->options.tls, c->conn, early)))
        return c;
    http3_connection_forget(c);
    return NULL;
}

/* May this client have state here? Answers if not. */
static bool is_welcome(struct http3_endpoint *e, struct greeting *g)
{
    ngtcp2_path_storage path;
    http3_path_read(&path, &g->datagram->local, &g->datagram->remote);
    g->token = tls_quic_judge_token(&g->initial, e->options.secret, &path.path.remote,
                                    http3_token_time(e), &g->original);
    if (g->token == TLS_QUIC_TOKEN_REGULAR &&
        !http3_spent_take(e->options.spent, span_of(g->initial.token, g->initial.tokenlen))) {
        e->counts[HTTP3_TOKENS_SPENT]++;
        g->token = TLS_QUIC_TOKEN_NONE;
    }
    if (g->token == TLS_QUIC_TOKEN_REFUSED) {
        e->counts[HTTP3_TOKENS_REFUSED]++;
        http3_stateless_refuse(e, g->datagram, &g->initial, NGTCP2_INVALID_TOKEN);
        return false;
    }
    if (e->is_shut || e->count >= e->options.connections_max) {
        http3_stateless_refuse(e, g->datagram, &g->initial, NGTCP2_CONNECTION_REFUSED);
        return false;
    }
    if (g->token == TLS_QUIC_TOKEN_NONE && e->handshakes >= e->options.retry_from) {
        http3_stateless_retry(e, g->datagram, &g->initial);
        return false;
    }
    if (e->handshakes >= e->options.handshakes_max) {
        e->counts[HTTP3_DATAGRAMS_DROPPED]++;
        e->counts[HTTP3_HANDSHAKES_DROPPED]++;
        return false;
    }
    bool has_place = take_place(e, g);
    if (!has_place)
        http3_stateless_refuse(e, g->datagram, &g->initial, NGTCP2_CONNECTION_REFUSED);
    return has_place;
}

void http3_handshake_begin(struct http3_endpoint *e, const struct http3_datagram *datagram)
{
    struct greeting g = {.datagram = datagram};
    if (ngtcp2_accept(&g.initial, datagram->bytes.data, datagram->bytes.size) != 0) {
        e->counts[HTTP3_DATAGRAMS_DROPPED]++;
        return;
    }
    if (!is_welcome(e, &g))
        return;
    struct http3_connection *c = make_connection(e, &g);
    if (!c)
        e->counts[HTTP3_DATAGRAMS_DROPPED]++;
    else if (http3_connection_receive(c, datagram) == NGTCP2_ERR_RETRY)
        http3_stateless_retry(e, datagram, &g.initial);
}
