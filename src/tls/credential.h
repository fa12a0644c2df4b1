/* tls/credential.h: one certificate chain with its key and staple, read from files. */
#ifndef TLS_CREDENTIAL_H
#define TLS_CREDENTIAL_H

#include "base/buffer.h"
#include "tls/context.h"
#include "tls/names.h"
#include <gnutls/x509.h>

struct tls_credential {
    gnutls_x509_crt_t *chain;
    unsigned chain_size;
    gnutls_x509_privkey_t key;
    struct buffer ocsp;
    struct tls_names names;
    int algorithm; /* gnutls_pk_algorithm_t of the key */
};

/* On failure nothing is left to release. */
int tls_credential_load(struct tls_credential *c, const struct tls_certificate_files *files,
                        const struct log *log, struct failure *why);
/* Wipes the key. Harmless when zeroed. */
void tls_credential_release(struct tls_credential *c);
/* Adds chain, key and staple. */
int tls_credential_apply(const struct tls_credential *c, const struct tls_certificate_files *files,
                         gnutls_certificate_credentials_t credentials, const struct log *log,
                         struct failure *why);

/* Reads a file for this room: the failure names it. */
int tls_file_read(const char *path, struct buffer *out, struct failure *why);
/* Wipes and releases. */
void tls_secret_release(struct buffer *b);
gnutls_datum_t tls_datum(struct span bytes);
/* Which routed_error a GnuTLS result is where files are loaded. */
int tls_load_error(int result);

#endif
