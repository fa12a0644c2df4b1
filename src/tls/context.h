/* tls/context.h: what all TLS sessions of a listener share: certificates, rules for client
 * certificates, ALPN, ticket keys.
 *
 * One context serves any number of threads. What was loaded is one unchanging snapshot; a reload
 * loads another and swaps it in. A session keeps the snapshot that it began with.
 *
 * TLS 1.3 (RFC 8446) and TLS 1.2 (RFC 5246) with forward secrecy and AEAD ciphers only
 * (RFC 9325); no early data, no renegotiation, no compression. */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include "base/clock.h"
#include "base/failure.h"
#include "base/log.h"
#include <stdbool.h>
#include <stddef.h>

struct tls_context;

/* A certificate with its key, as PEM files. */
struct tls_certificate_files {
    const char *certificate; /* the certificate first, then its issuers */
    const char *key;         /* PKCS#8, PKCS#1 or SEC1; NULL: in the certificate's file */
    const char *password;    /* of an encrypted key; NULL: none */
    const char *ocsp;        /* an OCSP response, DER or PEM, to be stapled; NULL: none */
};

enum tls_client_certificate {
    TLS_CLIENT_CERTIFICATE_OFF = 0,
    TLS_CLIENT_CERTIFICATE_REQUEST, /* none is fine; a bad one is told, see tls_session_peer */
    TLS_CLIENT_CERTIFICATE_REQUIRE  /* none or a bad one fails the handshake */
};

#define TLS_CERTIFICATES_MAX 1024
#define TLS_ALPN_MAX         8
#define TLS_FILE_MAX         ((size_t)4 << 20) /* bytes of one file */

struct tls_context_options {
    /* At least one; the first is the default, the others are chosen by server name (RFC 6066
     * section 3). Where several fit, an exact name goes before a wildcard and an earlier one
     * before a later one; pairs with the same names and other kinds of keys (ECDSA beside RSA)
     * are chosen by what the client can verify. */
    const struct tls_certificate_files *certificates;
    size_t certificate_count;
    /* Protocol names, RFC 7301, best first; none: ALPN is not answered. */
    const char *const *alpn;
    size_t alpn_count;
    enum tls_client_certificate client_certificate;
    const char *client_authorities; /* a PEM file, or a folder of them; needed unless OFF */
    const char *client_revocations; /* a PEM file with revocation lists; NULL: none */
    /* A GnuTLS priority string in place of the built-in one; NULL: built-in. */
    const char *priorities;
};

/* Everything is copied. On failure *out is NULL and `why` names the file and the reason:
 * ROUTED_ERROR_ARGUMENT, _FILE, _PERMISSION, _MEMORY or _SYSTEM. What is odd but usable, such as
 * an expired certificate, is a warning in `log`, which must outlive the context. Blocks: reads
 * files. */
int tls_context_new(struct tls_context **out, const struct tls_context_options *options,
                    const struct log *log, struct failure *why);
/* The creator holds one reference, each session another. Any thread. NULL is allowed. */
void tls_context_retain(struct tls_context *c);
void tls_context_release(struct tls_context *c);

/* Loads all files anew. On failure the old snapshot stays in use and `why` tells. New sessions
 * use the new one; tickets from before lead to full handshakes. Blocks. Any thread, one at a
 * time. */
int tls_context_reload(struct tls_context *c, struct failure *why);
/* Has any file changed since it was loaded (or since the last failed reload)? Any thread. */
bool tls_context_files_changed(struct tls_context *c);

/* Ticket keys live TLS_TICKET_KEY_LIFETIME at most; call this now and then (every minute) from
 * any thread with loop_now. Without it they live as long as the snapshot. */
#define TLS_TICKET_KEY_LIFETIME     ((milliseconds)12 * 3600 * 1000)
#define TLS_TICKET_LIFETIME_SECONDS (2 * 3600)
void tls_context_tick(struct tls_context *c, milliseconds now);
/* New ticket keys at once. */
int tls_context_rotate_tickets(struct tls_context *c);

/* ---- for tls/session.c ---- */

struct tls_snapshot;
/* With a reference of its own. */
struct tls_snapshot *tls_context_snapshot(struct tls_context *c);
/* As long as the context lives. */
const struct tls_context_options *tls_context_rules(const struct tls_context *c);

#endif
