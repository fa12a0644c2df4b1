#include "tls/credential.h"

#include "base/memory.h"
#include "io/file.h"
#include <gnutls/crypto.h>
#include <gnutls/ocsp.h>
#include <routed/error.h>
#include <time.h>

#define CHAIN_MAX      16
#define RSA_BITS_LEAST 2048

gnutls_datum_t tls_datum(struct span bytes)
{
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)bytes.data,
                            .size = (unsigned)bytes.size};
}

int tls_load_error(int result)
{
    return result == GNUTLS_E_MEMORY_ERROR ? ROUTED_ERROR_MEMORY : ROUTED_ERROR_FILE;
}

int tls_file_read(const char *path, struct buffer *out, struct failure *why)
{
    const char *reason;
    int result = file_read(path, TLS_FILE_MAX, out, &reason);
    if (result != ROUTED_OK)
        return failure_set(why, result, "%s: %s", path, reason);
    if (buffer_size(out) == 0)
        return failure_set(why, ROUTED_ERROR_FILE, "%s: is empty", path);
    return ROUTED_OK;
}

void tls_secret_release(struct buffer *b)
{
    if (b->data)
        gnutls_memset(b->data, 0, b->capacity);
    buffer_release(b);
}

static bool has_text(const struct buffer *b, const char *text)
{
    return b->data && memmem(buffer_span(b).data, buffer_size(b), text, strlen(text));
}

/* ---- certificate ---- */

static int load_chain(struct tls_credential *c, const char *path, const struct buffer *pem,
                      struct failure *why)
{
    gnutls_datum_t content = tls_datum(buffer_span(pem));
    if (!has_text(pem, "-----BEGIN CERTIFICATE-----"))
        return failure_set(why, ROUTED_ERROR_FILE, "%s: no PEM certificate in it", path);
    int result = gnutls_x509_crt_list_import2(&c->chain, &c->chain_size, &content,
                                              GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_SORT);
    if (result < 0)
        return failure_set(why, tls_load_error(result), "%s: malformed PEM certificate: %s", path,
                           gnutls_strerror(result));
    if (c->chain_size > CHAIN_MAX)
        return failure_set(why, ROUTED_ERROR_FILE, "%s: a chain of more than %d certificates", path,
                           CHAIN_MAX);
    return ROUTED_OK;
}

static int append_common_name(struct tls_credential *c)
{
    char name[256];
    size_t size = sizeof(name);
    if (gnutls_x509_crt_get_dn_by_oid(c->chain[0], GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size))
        return ROUTED_OK;
    return tls_names_append_dns(&c->names, span_of(name, size));
}

/* subjectAltName; the common name only where there is none (RFC 9525 has no use for it, old
 * private certificates have nothing else). */
static int load_names(struct tls_credential *c)
{
    int result = ROUTED_OK;
    unsigned seen = 0;
    for (unsigned i = 0; result == ROUTED_OK; i++) {
        uint8_t name[512];
        size_t size = sizeof(name);
        int type = gnutls_x509_crt_get_subject_alt_name(c->chain[0], i, name, &size, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        seen++;
        if (type == GNUTLS_SAN_DNSNAME)
            result = tls_names_append_dns(&c->names, span_of(name, size));
        else if (type == GNUTLS_SAN_IPADDRESS)
            result = tls_names_append_address(&c->names, span_of(name, size));
        else if (type < 0 && type != GNUTLS_E_SHORT_MEMORY_BUFFER)
            break;
    }
    return result == ROUTED_OK && seen == 0 ? append_common_name(c) : result;
}

static const char *key_path(const struct tls_certificate_files *files)
{
    return files->key ? files->key : files->certificate;
}

static void warn(const struct tls_credential *c, const struct tls_certificate_files *files,
                 const struct log *log)
{
    const char *path = files->certificate;
    time_t now = time(NULL);
    unsigned bits = 0;
    if (gnutls_x509_crt_get_expiration_time(c->chain[0]) < now)
        log_write(log, LOG_WARNING, "tls: %s: the certificate has expired", path);
    if (gnutls_x509_crt_get_activation_time(c->chain[0]) > now)
        log_write(log, LOG_WARNING, "tls: %s: the certificate is not valid yet", path);
    if (gnutls_x509_crt_get_pk_algorithm(c->chain[0], &bits) == GNUTLS_PK_RSA &&
        bits < RSA_BITS_LEAST)
        log_write(log, LOG_WARNING, "tls: %s: an RSA key of %u bits is too short", path, bits);
    if (c->names.count == 0)
        log_write(log, LOG_WARNING, "tls: %s: the certificate names no host", path);
    if (!files->password && file_is_open_to_all(key_path(files)))
        log_write(log, LOG_WARNING, "tls: %s: every user may read the key: chmod o= it",
                  key_path(files));
}

/* ---- key ---- */

static int import_key(struct tls_credential *c, const char *path, const struct buffer *pem,
                      const char *password, struct failure *why)
{
    gnutls_datum_t content = tls_datum(buffer_span(pem));
    bool is_encrypted = has_text(pem, "-----BEGIN ENCRYPTED PRIVATE KEY-----") ||
                        has_text(pem, "Proc-Type: 4,ENCRYPTED");
    if (!has_text(pem, "PRIVATE KEY-----"))
        return failure_set(why, ROUTED_ERROR_FILE, "%s: no PEM private key in it", path);
    if (is_encrypted && !password)
        return failure_set(why, ROUTED_ERROR_FILE, "%s: the key is encrypted: it needs a password",
                           path);
    int result = gnutls_x509_privkey_init(&c->key);
    if (result >= 0)
        result = gnutls_x509_privkey_import2(c->key, &content, GNUTLS_X509_FMT_PEM,
                                             is_encrypted ? password : NULL, 0);
    if (result >= 0)
        return ROUTED_OK;
    if (is_encrypted && result == GNUTLS_E_DECRYPTION_FAILED)
        return failure_set(why, ROUTED_ERROR_FILE, "%s: the password does not open the key", path);
    return failure_set(why, tls_load_error(result), "%s: malformed PEM private key: %s", path,
                       gnutls_strerror(result));
}

static int load_key(struct tls_credential *c, const struct tls_certificate_files *files,
                    struct failure *why)
{
    const char *path = key_path(files);
    struct buffer pem = BUFFER_EMPTY;
    int result = tls_file_read(path, &pem, why);
    if (result == ROUTED_OK)
        result = import_key(c, path, &pem, files->password, why);
    tls_secret_release(&pem);
    return result;
}

static int check_pair(struct tls_credential *c, const struct tls_certificate_files *files,
                      struct failure *why)
{
    uint8_t of_key[64], of_certificate[64];
    size_t key_size = sizeof(of_key), certificate_size = sizeof(of_certificate);
    int result = gnutls_x509_privkey_get_key_id(c->key, GNUTLS_KEYID_USE_SHA256, of_key, &key_size);
    if (result >= 0)
        result = gnutls_x509_crt_get_key_id(c->chain[0], GNUTLS_KEYID_USE_SHA256, of_certificate,
                                            &certificate_size);
    if (result < 0)
        return failure_set(why, tls_load_error(result), "%s: %s", files->certificate,
                           gnutls_strerror(result));
    if (!span_equals(span_of(of_key, key_size), span_of(of_certificate, certificate_size)))
        return failure_set(why, ROUTED_ERROR_FILE, "%s: the key does not belong to %s",
                           key_path(files), files->certificate);
    c->algorithm = gnutls_x509_privkey_get_pk_algorithm(c->key);
    return ROUTED_OK;
}

/* ---- life ---- */

static int load(struct tls_credential *c, const struct tls_certificate_files *files,
                const struct log *log, struct failure *why)
{
    struct buffer pem = BUFFER_EMPTY;
    int result = tls_file_read(files->certificate, &pem, why);
    if (result == ROUTED_OK)
        result = load_chain(c, files->certificate, &pem, why);
    tls_secret_release(&pem);
    if (result == ROUTED_OK && load_names(c) != ROUTED_OK)
        result = failure_set(why, ROUTED_ERROR_MEMORY, "%s: out of memory", files->certificate);
    if (result == ROUTED_OK)
        result = load_key(c, files, why);
    if (result == ROUTED_OK)
        result = check_pair(c, files, why);
    if (result == ROUTED_OK && files->ocsp)
        result = tls_file_read(files->ocsp, &c->ocsp, why);
    if (result == ROUTED_OK)
        warn(c, files, log);
    return result;
}

int tls_credential_load(struct tls_credential *c, const struct tls_certificate_files *files,
                        const struct log *log, struct failure *why)
{
    *c = (struct tls_credential){0};
    int result = load(c, files, log, why);
    if (result != ROUTED_OK)
        tls_credential_release(c);
    return result;
}

void tls_credential_release(struct tls_credential *c)
{
    for (unsigned i = 0; i < c->chain_size; i++)
        gnutls_x509_crt_deinit(c->chain[i]);
    gnutls_free(c->chain);
    if (c->key)
        gnutls_x509_privkey_deinit(c->key);
    buffer_release(&c->ocsp);
    tls_names_release(&c->names);
    *c = (struct tls_credential){0};
}

static int apply_staple(const struct tls_credential *c, const char *path, unsigned index,
                        gnutls_certificate_credentials_t credentials, const struct log *log,
                        struct failure *why)
{
    gnutls_datum_t content = tls_datum(buffer_span(&c->ocsp));
    bool is_pem = has_text(&c->ocsp, "-----BEGIN OCSP RESPONSE-----");
    int result = gnutls_certificate_set_ocsp_status_request_mem(
        credentials, &content, index, is_pem ? GNUTLS_X509_FMT_PEM : GNUTLS_X509_FMT_DER);
    if (result == GNUTLS_E_EXPIRED) {
        /* An old answer is worse than none, but no reason to serve nothing. */
        log_write(log, LOG_WARNING, "tls: %s: the OCSP response is out of date: none is stapled",
                  path);
        return ROUTED_OK;
    }
    if (result == GNUTLS_E_OCSP_MISMATCH_WITH_CERTS)
        return failure_set(why, ROUTED_ERROR_FILE,
                           "%s: the OCSP response is about another certificate", path);
    if (result < 0)
        return failure_set(why, tls_load_error(result), "%s: no usable OCSP response: %s", path,
                           gnutls_strerror(result));
    return ROUTED_OK;
}

int tls_credential_apply(const struct tls_credential *c, const struct tls_certificate_files *files,
                         gnutls_certificate_credentials_t credentials, const struct log *log,
                         struct failure *why)
{
    int index = gnutls_certificate_set_x509_key(credentials, c->chain, (int)c->chain_size, c->key);
    if (index < 0)
        return failure_set(why, tls_load_error(index), "%s: %s", files->certificate,
                           gnutls_strerror(index));
    if (!files->ocsp)
        return ROUTED_OK;
    return apply_staple(c, files->ocsp, (unsigned)index, credentials, log, why);
}
