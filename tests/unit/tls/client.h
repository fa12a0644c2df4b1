/* A GnuTLS client in memory, and the two pipes between it and a session of ours. */
#ifndef UNIT_TLS_CLIENT_H
#define UNIT_TLS_CLIENT_H

#include "tls/pki.h"

#include "base/buffer.h"
#include "tls/session.h"
#include <errno.h>
#include <gnutls/gnutls.h>
#include <routed/error.h>

#define CLIENT_MODERN "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define CLIENT_TLS12  "NORMAL:-VERS-ALL:+VERS-TLS1.2"

struct client_wish {
    const char *priorities; /* NULL: CLIENT_MODERN */
    const char *name;       /* NULL: no server_name */
    size_t name_size;       /* 0: strlen */
    const char *alpn[3];
    const struct pki_pair *certificate;
    const gnutls_datum_t *resume;
    size_t piece;   /* bytes a feed; 0: all */
    unsigned flags; /* further ones of gnutls_init */
};

struct client {
    gnutls_session_t tls;
    gnutls_certificate_credentials_t credentials;
    struct tls_session *server;
    struct buffer to_client;
    struct buffer to_server;
    size_t piece;
    int result; /* of the client's handshake */
};

static inline ssize_t client_push(gnutls_transport_ptr_t p, const void *data, size_t size)
{
    struct client *c = p;
    assert_int_equal(buffer_append(&c->to_server, data, size), ROUTED_OK);
    return (ssize_t)size;
}

static inline ssize_t client_pull(gnutls_transport_ptr_t p, void *into, size_t size)
{
    struct client *c = p;
    struct span bytes = buffer_span(&c->to_client);
    if (bytes.size == 0) {
        gnutls_transport_set_errno(c->tls, EAGAIN);
        return -1;
    }
    size = size < bytes.size ? size : bytes.size;
    memcpy(into, bytes.data, size);
    buffer_consume(&c->to_client, size);
    return (ssize_t)size;
}

static inline int client_pull_timeout(gnutls_transport_ptr_t p, unsigned wait)
{
    struct client *c = p;
    (void)wait;
    return buffer_size(&c->to_client) != 0;
}

static inline void client_set_alpn(struct client *c, const struct client_wish *wish)
{
    gnutls_datum_t protocols[3];
    unsigned count = 0;
    for (; count < 3 && wish->alpn[count]; count++)
        protocols[count] = (gnutls_datum_t){(unsigned char *)(uintptr_t)wish->alpn[count],
                                            (unsigned)strlen(wish->alpn[count])};
    if (count)
        pki_ok(gnutls_alpn_set_protocols(c->tls, protocols, count, 0));
}

static inline void client_open(struct client *c, struct tls_context *context,
                               const struct client_wish *wish)
{
    memset(c, 0, sizeof(*c));
    c->piece = wish->piece;
    c->server = tls_session_new(context);
    assert_non_null(c->server);
    pki_ok(gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | wish->flags));
    pki_ok(gnutls_priority_set_direct(c->tls, wish->priorities ? wish->priorities : CLIENT_MODERN,
                                      NULL));
    pki_ok(gnutls_certificate_allocate_credentials(&c->credentials));
    if (wish->certificate) {
        gnutls_x509_crt_t chain[1] = {wish->certificate->certificate};
        pki_ok(gnutls_certificate_set_x509_key(c->credentials, chain, 1, wish->certificate->key));
    }
    pki_ok(gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->credentials));
    if (wish->name)
        pki_ok(gnutls_server_name_set(c->tls, GNUTLS_NAME_DNS, wish->name,
                                      wish->name_size ? wish->name_size : strlen(wish->name)));
    client_set_alpn(c, wish);
    if (wish->resume)
        pki_ok(gnutls_session_set_data(c->tls, wish->resume->data, wish->resume->size));
    gnutls_transport_set_ptr(c->tls, c);
    gnutls_transport_set_push_function(c->tls, client_push);
    gnutls_transport_set_pull_function(c->tls, client_pull);
    gnutls_transport_set_pull_timeout_function(c->tls, client_pull_timeout);
}

static inline void client_close(struct client *c)
{
    tls_session_free(c->server);
    gnutls_deinit(c->tls);
    gnutls_certificate_free_credentials(c->credentials);
    buffer_release(&c->to_client);
    buffer_release(&c->to_server);
}

/* What the session put out goes to the client. */
static inline void client_carry(struct client *c)
{
    struct span out = tls_session_output(c->server);
    assert_int_equal(buffer_append_span(&c->to_client, out), ROUTED_OK);
    tls_session_consume(c->server, out.size);
}

/* Feeds what the client sent, from memory that is gone afterwards. */
static inline void client_feed(struct client *c, size_t size)
{
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, buffer_span(&c->to_server).data, size);
    buffer_consume(&c->to_server, size);
    assert_int_equal(tls_session_feed(c->server, span_of(copy, size)), ROUTED_OK);
    tls_session_handshake(c->server);
    assert_int_equal(tls_session_keep(c->server), ROUTED_OK);
    free(copy);
}

/* Shakes hands until both sides are done or one gives up: the session's result. */
static inline int client_shake(struct client *c)
{
    c->result = GNUTLS_E_AGAIN;
    int mine = ROUTED_ERROR_AGAIN;
    for (int idle = 0; idle < 2;) {
        idle++;
        if (c->result == GNUTLS_E_AGAIN || (c->result < 0 && !gnutls_error_is_fatal(c->result)))
            c->result = gnutls_handshake(c->tls);
        while (buffer_size(&c->to_server) && mine == ROUTED_ERROR_AGAIN) {
            size_t all = buffer_size(&c->to_server);
            client_feed(c, c->piece && c->piece < all ? c->piece : all);
            mine = tls_session_handshake(c->server);
            idle = 0;
        }
        if (tls_session_output(c->server).size)
            idle = 0;
        client_carry(c);
    }
    return mine;
}

/* A handshake that must succeed. */
static inline void client_connect(struct client *c, struct tls_context *context,
                                  const struct client_wish *wish)
{
    client_open(c, context, wish);
    int mine = client_shake(c);
    if (mine != ROUTED_OK || c->result != 0)
        fail_msg("server %d (%s), client %d (%s)", mine, tls_session_failure(c->server), c->result,
                 gnutls_strerror(c->result));
}

/* What the session opens of what the client has sent, in one call. */
static inline ssize_t client_open_all(struct client *c, void *out, size_t size)
{
    if (buffer_size(&c->to_server))
        client_feed(c, buffer_size(&c->to_server));
    return tls_session_open(c->server, out, size);
}

/* Bytes of the session, as the client reads them; negative: GnuTLS's error. */
static inline ssize_t client_read(struct client *c, void *out, size_t size)
{
    client_carry(c);
    ssize_t result;
    do
        result = gnutls_record_recv(c->tls, out, size);
    while (result == GNUTLS_E_AGAIN && buffer_size(&c->to_client));
    return result;
}

static inline void client_write(struct client *c, const void *data, size_t size)
{
    for (const uint8_t *at = data; size;) {
        ssize_t sent = gnutls_record_send(c->tls, at, size);
        assert_true(sent > 0);
        at += sent;
        size -= (size_t)sent;
    }
}

/* A first byte of the session, and the ticket of TLS 1.3 that goes in front of it. */
static inline void client_settle(struct client *c)
{
    struct span first = SPAN("!");
    uint8_t byte;
    assert_int_equal(tls_session_seal(c->server, &first, 1), 1);
    assert_int_equal(client_read(c, &byte, 1), 1);
    assert_int_equal(byte, '!');
}

/* What a later connection may begin with, to be freed; this one is closed. */
static inline gnutls_datum_t client_take_ticket(struct client *c)
{
    gnutls_datum_t ticket;
    client_settle(c);
    pki_ok(gnutls_session_get_data2(c->tls, &ticket));
    client_close(c);
    return ticket;
}

/* The peer's alert, after client_carry; -1: none came. */
static inline int client_alert(struct client *c)
{
    client_carry(c);
    uint8_t byte;
    int result = c->result;
    if (result == 0 || result == GNUTLS_E_AGAIN)
        result = (int)gnutls_record_recv(c->tls, &byte, 1);
    if (result == GNUTLS_E_FATAL_ALERT_RECEIVED || result == GNUTLS_E_WARNING_ALERT_RECEIVED)
        return (int)gnutls_alert_get(c->tls);
    return -1;
}

/* A context over one pair of files of the test's folder. */
static inline struct tls_context *client_context(const struct tls_context_options *options)
{
    struct tls_context *context = NULL;
    struct failure why = {0};
    if (tls_context_new(&context, options, NULL, &why) != ROUTED_OK)
        fail_msg("%s", why.text);
    return context;
}

#endif
