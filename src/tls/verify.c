#include "tls/verify.h"

#include <gnutls/x509.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which they are told. */
static const struct {
    unsigned status;
    gnutls_alert_description_t alert;
    const char *text;
} verdicts[] = {
    {GNUTLS_CERT_REVOKED, GNUTLS_A_CERTIFICATE_REVOKED, "revoked"},
    {GNUTLS_CERT_SIGNER_NOT_FOUND, GNUTLS_A_UNKNOWN_CA, "unknown authority"},
    {GNUTLS_CERT_SIGNER_NOT_CA, GNUTLS_A_UNKNOWN_CA, "signed by no authority"},
    {GNUTLS_CERT_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED, "expired"},
    {GNUTLS_CERT_NOT_ACTIVATED, GNUTLS_A_CERTIFICATE_EXPIRED, "not valid yet"},
    {GNUTLS_CERT_INSECURE_ALGORITHM, GNUTLS_A_BAD_CERTIFICATE, "insecure algorithm"},
    {GNUTLS_CERT_PURPOSE_MISMATCH, GNUTLS_A_UNSUPPORTED_CERTIFICATE, "not meant for clients"},
    {GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED, GNUTLS_A_CERTIFICATE_UNKNOWN,
     "revocation list is out of date"},
    {GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE, GNUTLS_A_CERTIFICATE_UNKNOWN,
     "revocation list is not valid yet"},
};

#define VERDICTS (sizeof(verdicts) / sizeof(verdicts[0]))

bool tls_verify_peer(gnutls_session_t session, unsigned *status)
{
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT,
                                     .size = 0};
    *status = GNUTLS_CERT_INVALID;
    int result = gnutls_certificate_verify_peers(session, &purpose, 1, status);
    if (result < 0)
        *status |= GNUTLS_CERT_INVALID;
    return *status == 0;
}

const char *tls_verify_text(unsigned status)
{
    for (size_t i = 0; i < VERDICTS; i++)
        if (status & verdicts[i].status)
            return verdicts[i].text;
    return status ? "invalid" : "success";
}

gnutls_alert_description_t tls_verify_alert(unsigned status)
{
    for (size_t i = 0; i < VERDICTS; i++)
        if (status & verdicts[i].status)
            return verdicts[i].alert;
    return GNUTLS_A_BAD_CERTIFICATE;
}

int tls_verify_required(gnutls_session_t session)
{
    unsigned status;
    return tls_verify_peer(session, &status) ? 0 : GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}
