#include "load/seal.h"

#include "base/memory.h"
#include <errno.h>
#include <gnutls/gnutls.h>
#include <routed/error.h>

/* One version, group and cipher for every server, so that none has easier work than another:
 * a session of TLS 1.2 goes on without a new exchange of keys. */
#define PRIORITIES                                                                                 \
    "SECURE128:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:"                  \
    "-CIPHER-ALL:+AES-128-GCM"

struct load_seal_context {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    const char *alpn;
    const char *server_name;
    gnutls_datum_t ticket; /* .data NULL: none yet */
    bool resume;
};

struct load_seal {
    gnutls_session_t session;
    struct load_seal_context *context;
    struct buffer *out;
    struct span lent;
};

struct load_seal_context *load_seal_context_new(const char *alpn, const char *server_name,
                                                bool resume)
{
    struct load_seal_context *c = memory_new_zeroed(sizeof(*c));
    if (!c)
        return NULL;
    c->alpn = alpn;
    c->server_name = server_name;
    c->resume = resume;
    if (gnutls_certificate_allocate_credentials(&c->credentials) == GNUTLS_E_SUCCESS &&
        gnutls_priority_init(&c->priorities, PRIORITIES, NULL) == GNUTLS_E_SUCCESS)
        return c;
    load_seal_context_free(c);
    return NULL;
}

void load_seal_context_free(struct load_seal_context *c)
{
    if (!c)
        return;
    if (c->credentials)
        gnutls_certificate_free_credentials(c->credentials);
    if (c->priorities)
        gnutls_priority_deinit(c->priorities);
    gnutls_free(c->ticket.data);
    memory_free(c);
}

bool load_seal_context_has_ticket(const struct load_seal_context *c)
{
    return c->ticket.data != NULL;
}

/* ---- bytes in and out of the library ---- */

static ssize_t push(gnutls_transport_ptr_t pointer, const void *bytes, size_t size)
{
    struct load_seal *s = pointer;
    if (buffer_append(s->out, bytes, size) == ROUTED_OK)
        return (ssize_t)size;
    gnutls_transport_set_errno(s->session, ENOMEM);
    return -1;
}

static ssize_t pull(gnutls_transport_ptr_t pointer, void *into, size_t size)
{
    struct load_seal *s = pointer;
    if (s->lent.size == 0) {
        gnutls_transport_set_errno(s->session, EAGAIN);
        return -1;
    }
    if (size > s->lent.size)
        size = s->lent.size;
    memcpy(into, s->lent.data, size);
    s->lent = span_after(s->lent, size);
    return (ssize_t)size;
}

static int is_ready(gnutls_transport_ptr_t pointer, unsigned milliseconds)
{
    const struct load_seal *s = pointer;
    (void)milliseconds;
    return s->lent.size > 0;
}

/* ---- sessions ---- */

static bool prepare(struct load_seal *s)
{
    struct load_seal_context *c = s->context;
    gnutls_datum_t alpn = {(unsigned char *)(uintptr_t)c->alpn, (unsigned)strlen(c->alpn)};
    if (gnutls_priority_set(s->session, c->priorities) != GNUTLS_E_SUCCESS ||
        gnutls_credentials_set(s->session, GNUTLS_CRD_CERTIFICATE, c->credentials) !=
            GNUTLS_E_SUCCESS ||
        gnutls_alpn_set_protocols(s->session, &alpn, 1, GNUTLS_ALPN_MANDATORY) !=
            GNUTLS_E_SUCCESS ||
        gnutls_server_name_set(s->session, GNUTLS_NAME_DNS, c->server_name,
                               strlen(c->server_name)) != GNUTLS_E_SUCCESS)
        return false;
    if (c->ticket.data)
        gnutls_session_set_data(s->session, c->ticket.data, c->ticket.size);
    gnutls_transport_set_ptr(s->session, s);
    gnutls_transport_set_push_function(s->session, push);
    gnutls_transport_set_pull_function(s->session, pull);
    gnutls_transport_set_pull_timeout_function(s->session, is_ready);
    return true;
}

struct load_seal *load_seal_new(struct load_seal_context *c, struct buffer *out)
{
    struct load_seal *s = memory_new_zeroed(sizeof(*s));
    if (!s)
        return NULL;
    s->context = c;
    s->out = out;
    if (gnutls_init(&s->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) !=
        GNUTLS_E_SUCCESS) {
        memory_free(s);
        return NULL;
    }
    if (prepare(s))
        return s;
    load_seal_free(s);
    return NULL;
}

void load_seal_free(struct load_seal *s)
{
    if (!s)
        return;
    gnutls_deinit(s->session);
    memory_free(s);
}

void load_seal_feed(struct load_seal *s, struct span sealed)
{
    s->lent = sealed;
}

static bool has_agreed(const struct load_seal *s)
{
    gnutls_datum_t chosen;
    return gnutls_alpn_get_selected_protocol(s->session, &chosen) == GNUTLS_E_SUCCESS &&
           span_equals(span_of(chosen.data, chosen.size), span_from(s->context->alpn));
}

int load_seal_handshake(struct load_seal *s)
{
    int error;
    do
        error = gnutls_handshake(s->session);
    while (error == GNUTLS_E_INTERRUPTED ||
           (error != GNUTLS_E_AGAIN && error < 0 && !gnutls_error_is_fatal(error)));
    if (error == GNUTLS_E_AGAIN)
        return ROUTED_ERROR_AGAIN;
    /* A server that speaks HTTP/1.1 only may leave ALPN unanswered. */
    bool is_agreed = has_agreed(s) || strcmp(s->context->alpn, "http/1.1") == 0;
    return error == GNUTLS_E_SUCCESS && is_agreed ? ROUTED_OK : ROUTED_ERROR_TLS;
}

bool load_seal_is_resumed(const struct load_seal *s)
{
    return gnutls_session_is_resumed(s->session) != 0;
}

ssize_t load_seal_open(struct load_seal *s, uint8_t *into, size_t size)
{
    ssize_t taken;
    /* After a ticket the library says AGAIN, whatever comes behind it. */
    do
        taken = gnutls_record_recv(s->session, into, size);
    while (taken < 0 && !gnutls_error_is_fatal((int)taken) &&
           (taken != GNUTLS_E_AGAIN || s->lent.size));
    if (taken >= 0)
        return taken;
    return taken == GNUTLS_E_AGAIN ? ROUTED_ERROR_AGAIN : ROUTED_ERROR_TLS;
}

int load_seal_write(struct load_seal *s, struct span plain)
{
    while (plain.size) {
        ssize_t taken = gnutls_record_send(s->session, plain.data, plain.size);
        if (taken < 0 && (gnutls_error_is_fatal((int)taken) || taken == GNUTLS_E_AGAIN))
            return ROUTED_ERROR_TLS;
        if (taken > 0)
            plain = span_after(plain, (size_t)taken);
    }
    return ROUTED_OK;
}

void load_seal_keep_ticket(struct load_seal *s)
{
    struct load_seal_context *c = s->context;
    if (!c->resume || c->ticket.data)
        return;
    bool has_one = gnutls_protocol_get_version(s->session) != GNUTLS_TLS1_3 ||
                   (gnutls_session_get_flags(s->session) & GNUTLS_SFLAGS_SESSION_TICKET);
    if (has_one && gnutls_session_get_data2(s->session, &c->ticket) != GNUTLS_E_SUCCESS)
        c->ticket = (gnutls_datum_t){NULL, 0};
}
