/* tls/verify.h: the judgement on a client's certificate. */
#ifndef TLS_VERIFY_H
#define TLS_VERIFY_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

/* The peer's chain against the authorities and revocation lists of its credentials: true when it
 * is good for a TLS client now. *status is a set of gnutls_certificate_status_t. */
bool tls_verify_peer(gnutls_session_t session, unsigned *status);
/* "success" or what is wrong first of all: static. */
const char *tls_verify_text(unsigned status);
gnutls_alert_description_t tls_verify_alert(unsigned status);
/* A gnutls_certificate_verify_function: fails the handshake of a client that is not verified. */
int tls_verify_required(gnutls_session_t session);

#endif
