#include "tls/session.h"

#include "base/memory.h"
#include "tls/state.h"
#include "tls/verify.h"
#include <routed/error.h>

#define WARNINGS_MAX 4

static void seal_nothing_more(struct tls_session *s)
{
    s->has_closed = true;
}

int tls_session_fail(struct tls_session *s, int error, const char *failure)
{
    if (s->stage != TLS_FAILED) {
        s->stage = TLS_FAILED;
        s->error = error;
        s->failure = failure;
        seal_nothing_more(s);
    }
    return s->error;
}

/* Too much of what is legal, as our transport or GnuTLS itself counted it. */
static bool is_excess(int result)
{
    return result == GNUTLS_E_PULL_ERROR || result == GNUTLS_E_TOO_MANY_EMPTY_PACKETS ||
           result == GNUTLS_E_TOO_MANY_HANDSHAKE_PACKETS;
}

/* Where GnuTLS has a less fitting alert, or none, for a result. */
static void send_alert(struct tls_session *s, int result, unsigned verdict)
{
    if (result == GNUTLS_E_FATAL_ALERT_RECEIVED)
        return;
    if (result == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
        gnutls_alert_send(s->tls, GNUTLS_AL_FATAL, tls_verify_alert(verdict));
    else if (result == GNUTLS_E_NO_CERTIFICATE_FOUND) /* RFC 5246 section 7.4.6 */
        gnutls_alert_send(s->tls, GNUTLS_AL_FATAL, GNUTLS_A_HANDSHAKE_FAILURE);
    else if (is_excess(result)) /* not internal_error: it is no fault of ours */
        gnutls_alert_send(s->tls, GNUTLS_AL_FATAL, GNUTLS_A_UNEXPECTED_MESSAGE);
    else
        gnutls_alert_send_appropriate(s->tls, result);
}

static const char *failure_text(struct tls_session *s, int result, unsigned verdict)
{
    if (result == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
        return tls_verify_text(verdict);
    if (result == GNUTLS_E_NO_CERTIFICATE_FOUND || result == GNUTLS_E_CERTIFICATE_REQUIRED)
        return "no client certificate";
    const char *alert = gnutls_alert_get_name(gnutls_alert_get(s->tls));
    return result == GNUTLS_E_FATAL_ALERT_RECEIVED && alert ? alert : gnutls_strerror(result);
}

static int error_of(int result)
{
    if (result == GNUTLS_E_MEMORY_ERROR)
        return ROUTED_ERROR_MEMORY;
    return is_excess(result) ? ROUTED_ERROR_BUDGET : ROUTED_ERROR_TLS;
}

int tls_session_fail_with(struct tls_session *s, int result)
{
    unsigned verdict = 0;
    if (result == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
        tls_verify_peer(s->tls, &verdict);
    send_alert(s, result, verdict);
    return tls_session_fail(s, error_of(result), failure_text(s, result, verdict));
}

/* ---- life ---- */

static int set_alpn(struct tls_session *s)
{
    static const gnutls_datum_t over_quic = {.data = (unsigned char *)(uintptr_t) "h3", .size = 2};
    if (s->carrier == TLS_OVER_QUIC)
        return gnutls_alpn_set_protocols(s->tls, &over_quic, 1, GNUTLS_ALPN_MANDATORY);
    const struct tls_context_options *rules = tls_context_rules(s->context);
    gnutls_datum_t protocols[TLS_ALPN_MAX];
    for (size_t i = 0; i < rules->alpn_count; i++)
        protocols[i] = (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)rules->alpn[i],
                                        .size = (unsigned)strlen(rules->alpn[i])};
    if (rules->alpn_count == 0)
        return 0;
    return gnutls_alpn_set_protocols(s->tls, protocols, (unsigned)rules->alpn_count,
                                     GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE);
}

static void ask_for_certificate(struct tls_session *s)
{
    switch (s->snapshot->client_certificate) {
    case TLS_CLIENT_CERTIFICATE_OFF:
        gnutls_certificate_server_set_request(s->tls, GNUTLS_CERT_IGNORE);
        break;
    case TLS_CLIENT_CERTIFICATE_REQUEST:
        gnutls_certificate_server_set_request(s->tls, GNUTLS_CERT_REQUEST);
        break;
    case TLS_CLIENT_CERTIFICATE_REQUIRE:
        gnutls_certificate_server_set_request(s->tls, GNUTLS_CERT_REQUIRE);
        break;
    }
}

static int set_up(struct tls_session *s)
{
    int result = gnutls_priority_set(s->tls, s->snapshot->priorities[s->carrier][TLS_SHARES_ANY]);
    if (result >= 0)
        result = gnutls_credentials_set(s->tls, GNUTLS_CRD_CERTIFICATE, s->identity->credentials);
    if (result >= 0)
        result = set_alpn(s);
    if (result < 0)
        return ROUTED_ERROR_MEMORY;
    gnutls_session_set_ptr(s->tls, s);
    gnutls_db_set_cache_expiration(s->tls, TLS_TICKET_LIFETIME_SECONDS);
    gnutls_handshake_set_max_packet_length(s->tls, TLS_HANDSHAKE_MAX);
    ask_for_certificate(s);
    tls_hello_attach(s);
    return ROUTED_OK;
}

struct tls_session *tls_session_make(struct tls_context *context, enum tls_carrier carrier,
                                     unsigned flags)
{
    struct tls_session *s = memory_new_zeroed(sizeof(*s));
    if (!s)
        return NULL;
    tls_context_retain(context);
    s->context = context;
    s->carrier = carrier;
    s->snapshot = tls_context_snapshot(context);
    s->identity = &s->snapshot->identities[0];
    s->allowance = TLS_HANDSHAKE_MAX;
    s->cipher = s->peer.subject = s->peer.fingerprint = SPAN_EMPTY;
    s->peer.verification = SPAN("none");
    if (gnutls_init(&s->tls, GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET | flags) < 0)
        s->tls = NULL;
    if (s->tls && set_up(s) == ROUTED_OK)
        return s;
    tls_session_free(s);
    return NULL;
}

struct tls_session *tls_session_new(struct tls_context *context)
{
    struct tls_session *s =
        tls_session_make(context, TLS_OVER_STREAM, GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    if (s)
        tls_transport_attach(s);
    return s;
}

void tls_session_free(struct tls_session *s)
{
    if (!s)
        return;
    if (s->tls)
        gnutls_deinit(s->tls);
    buffer_release(&s->kept);
    buffer_release(&s->output);
    memory_free(s->subject);
    tls_snapshot_release(s->snapshot);
    tls_context_release(s->context);
    memory_free(s);
}

bool tls_session_is_plain_http(struct span first)
{
    if (first.size == 0)
        return false;
    uint8_t c = first.data[0];
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '\r' || c == '\n';
}

/* ---- input ---- */

int tls_session_keep(struct tls_session *s)
{
    int result = buffer_append_span(&s->kept, s->lent);
    s->lent = SPAN_EMPTY;
    return result;
}

int tls_session_feed(struct tls_session *s, struct span sealed)
{
    int result = tls_session_keep(s);
    s->lent = sealed;
    return result;
}

static bool has_fed(const struct tls_session *s)
{
    return s->lent.size || buffer_size(&s->kept);
}

bool tls_session_has_input(const struct tls_session *s)
{
    return s->stage == TLS_OPEN &&
           (s->lent.size || buffer_size(&s->kept) || gnutls_record_check_pending(s->tls));
}

/* True when a result is no reason to stop. GnuTLS says AGAIN after messages that it handled by
 * itself, such as KeyUpdate, though there is more to read. */
static bool can_go_on(struct tls_session *s, int result, uint64_t sealed_before)
{
    if (result == GNUTLS_E_AGAIN)
        return has_fed(s) && s->sealed_in != sealed_before;
    return result == GNUTLS_E_WARNING_ALERT_RECEIVED && ++s->alerts <= WARNINGS_MAX;
}

static int finish_handshake(struct tls_session *s)
{
    int result = tls_peer_read(s);
    if (result != ROUTED_OK)
        return result;
    s->owes_ticket = gnutls_protocol_get_version(s->tls) == GNUTLS_TLS1_3;
    s->stage = TLS_OPEN;
    s->allowance = TLS_OVERHEAD_MAX;
    return ROUTED_OK;
}

int tls_session_handshake(struct tls_session *s)
{
    if (s->stage != TLS_HANDSHAKING)
        return s->stage == TLS_FAILED ? s->error : ROUTED_OK;
    int result;
    uint64_t before;
    do {
        before = s->sealed_in;
        result = gnutls_handshake(s->tls);
    } while (result < 0 && can_go_on(s, result, before));
    if (result == GNUTLS_E_AGAIN)
        return ROUTED_ERROR_AGAIN;
    return result < 0 ? tls_session_fail_with(s, result) : finish_handshake(s);
}

/* RFC 5746 leaves it to the server: there is no reason left to renegotiate. */
static int refuse_renegotiation(struct tls_session *s)
{
    gnutls_alert_send(s->tls, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
    return tls_session_fail(s, ROUTED_ERROR_TLS, "renegotiation is refused");
}

/* One record, or what is left of one. */
static ssize_t open_record(struct tls_session *s, uint8_t *out, size_t size)
{
    for (;;) {
        uint64_t before = s->sealed_in;
        ssize_t result = gnutls_record_recv(s->tls, out, size);
        if (result > 0) {
            s->plain_in += (uint64_t)result;
            tls_transport_credit(s, (size_t)result);
            return result;
        }
        if (result == 0) {
            s->stage = TLS_PEER_CLOSED;
            return 0;
        }
        if (result == GNUTLS_E_REHANDSHAKE)
            return refuse_renegotiation(s);
        if (can_go_on(s, (int)result, before))
            continue;
        if (result == GNUTLS_E_AGAIN)
            return ROUTED_ERROR_AGAIN;
        return tls_session_fail_with(s, (int)result);
    }
}

ssize_t tls_session_open(struct tls_session *s, uint8_t *out, size_t size)
{
    size_t filled = 0;
    /* Asking GnuTLS costs nearly as much as a small record, also when there is nothing. */
    while (filled < size && tls_session_has_input(s)) {
        ssize_t opened = open_record(s, out + filled, size - filled);
        if (opened <= 0)
            break;
        filled += (size_t)opened;
    }
    if (filled || s->stage == TLS_PEER_CLOSED)
        return (ssize_t)filled;
    return s->stage == TLS_FAILED ? s->error : ROUTED_ERROR_AGAIN;
}

/* ---- output ---- */

struct span tls_session_output(const struct tls_session *s)
{
    return buffer_span(&s->output);
}

void tls_session_consume(struct tls_session *s, size_t size)
{
    buffer_consume(&s->output, size);
}

void tls_session_close(struct tls_session *s)
{
    if (s->has_closed || s->stage == TLS_HANDSHAKING)
        return;
    gnutls_bye(s->tls, GNUTLS_SHUT_WR);
    seal_nothing_more(s);
}

void tls_session_rest(struct tls_session *s)
{
    if (buffer_size(&s->output) == 0)
        buffer_release(&s->output);
    if (buffer_size(&s->kept) == 0)
        buffer_release(&s->kept);
}
