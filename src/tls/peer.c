/* What was agreed, and who the client is. */
#include "tls/state.h"

#include "base/memory.h"
#include "tls/verify.h"
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <routed/error.h>

static void write_hexadecimal(char *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static int read_fingerprint(struct tls_session *s, const gnutls_datum_t *certificate)
{
    uint8_t digest[32];
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, certificate->data, certificate->size, digest) < 0)
        return ROUTED_ERROR_TLS;
    write_hexadecimal(s->fingerprint, digest, sizeof(digest));
    s->peer.fingerprint = span_of(s->fingerprint, sizeof(s->fingerprint));
    return ROUTED_OK;
}

/* Longer subjects than TLS_SUBJECT_MAX are left out: a part of a name is another name. */
static int read_subject(struct tls_session *s, gnutls_x509_crt_t certificate)
{
    gnutls_datum_t name = {NULL, 0};
    if (gnutls_x509_crt_get_dn3(certificate, &name, 0) < 0)
        return ROUTED_OK;
    int result = ROUTED_OK;
    if (name.size && name.size <= TLS_SUBJECT_MAX) {
        s->subject = memory_new(name.size);
        if (s->subject) {
            memcpy(s->subject, name.data, name.size);
            s->peer.subject = span_of(s->subject, name.size);
        } else {
            result = ROUTED_ERROR_MEMORY;
        }
    }
    gnutls_free(name.data);
    return result;
}

static int read_certificate(struct tls_session *s, const gnutls_datum_t *certificate)
{
    gnutls_x509_crt_t parsed;
    s->peer.has_certificate = true;
    int result = read_fingerprint(s, certificate);
    if (result != ROUTED_OK)
        return result;
    if (gnutls_x509_crt_init(&parsed) < 0)
        return ROUTED_ERROR_MEMORY;
    if (gnutls_x509_crt_import(parsed, certificate, GNUTLS_X509_FMT_DER) < 0)
        result = ROUTED_ERROR_TLS;
    else
        result = read_subject(s, parsed);
    gnutls_x509_crt_deinit(parsed);
    return result;
}

/* A resumed session brings the certificate of the first one along: it is judged anew, because it
 * may have expired since. */
static int judge(struct tls_session *s)
{
    unsigned status;
    s->peer.is_verified = tls_verify_peer(s->tls, &status);
    s->peer.verification = span_from(tls_verify_text(status));
    if (s->peer.is_verified || s->snapshot->client_certificate != TLS_CLIENT_CERTIFICATE_REQUIRE)
        return ROUTED_OK;
    gnutls_alert_send(s->tls, GNUTLS_AL_FATAL, tls_verify_alert(status));
    return tls_session_fail(s, ROUTED_ERROR_TLS, tls_verify_text(status));
}

static int read_peer(struct tls_session *s)
{
    unsigned count = 0;
    s->peer.verification = SPAN("none");
    const gnutls_datum_t *chain = s->snapshot->client_certificate == TLS_CLIENT_CERTIFICATE_OFF
                                      ? NULL
                                      : gnutls_certificate_get_peers(s->tls, &count);
    if (!chain || count == 0) {
        if (s->snapshot->client_certificate != TLS_CLIENT_CERTIFICATE_REQUIRE)
            return ROUTED_OK;
        gnutls_alert_send(s->tls, GNUTLS_AL_FATAL, GNUTLS_A_CERTIFICATE_REQUIRED);
        return tls_session_fail(s, ROUTED_ERROR_TLS, "no client certificate");
    }
    int result = read_certificate(s, &chain[0]);
    if (result != ROUTED_OK)
        return tls_session_fail(s, result, "the client certificate cannot be read");
    return judge(s);
}

int tls_peer_read(struct tls_session *s)
{
    s->is_resumed = gnutls_session_is_resumed(s->tls) != 0;
    s->cipher = span_from(gnutls_ciphersuite_get(s->tls));
    if (gnutls_alpn_get_selected_protocol(s->tls, &s->alpn) < 0)
        s->alpn = (gnutls_datum_t){NULL, 0};
    return read_peer(s);
}

/* ---- questions ---- */

struct span tls_session_version(const struct tls_session *s)
{
    return gnutls_protocol_get_version(s->tls) == GNUTLS_TLS1_3 ? SPAN("1.3") : SPAN("1.2");
}

struct span tls_session_cipher(const struct tls_session *s)
{
    return s->cipher;
}

struct span tls_session_alpn(const struct tls_session *s)
{
    return span_of(s->alpn.data, s->alpn.size);
}

struct span tls_session_server_name(const struct tls_session *s)
{
    return span_of(s->server_name, s->server_name_size);
}

bool tls_session_is_resumed(const struct tls_session *s)
{
    return s->is_resumed;
}

const struct tls_peer *tls_session_peer(const struct tls_session *s)
{
    return &s->peer;
}

void tls_session_describe(const struct tls_session *s, struct http_tls *out)
{
    *out = (struct http_tls){.parts = {[HTTP_TLS_VERSION] = tls_session_version(s),
                                       [HTTP_TLS_CIPHER] = tls_session_cipher(s),
                                       [HTTP_TLS_ALPN] = tls_session_alpn(s),
                                       [HTTP_TLS_SERVER_NAME] = tls_session_server_name(s)}};
    if (!s->peer.has_certificate)
        return;
    out->parts[HTTP_TLS_CLIENT_SUBJECT] = s->peer.subject;
    out->parts[HTTP_TLS_CLIENT_FINGERPRINT] = s->peer.fingerprint;
    out->parts[HTTP_TLS_CLIENT_VERIFIED] = s->peer.verification;
}

bool tls_session_covers(const struct tls_session *s, struct span authority)
{
    struct span host = tls_authority_host(authority);
    if (host.size && host.data[host.size - 1] == '.')
        host.size--;
    return s->server_name_size == 0 ||
           span_equals_ignoring_case(host, tls_session_server_name(s)) ||
           tls_names_cover(&s->identity->names, host);
}

const char *tls_session_failure(const struct tls_session *s)
{
    return s->failure ? s->failure : "";
}
