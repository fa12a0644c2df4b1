#include "tls/credential.h"
#include "tls/snapshot.h"

#include "io/file.h"
#include <routed/error.h>

#define BEGIN_CERTIFICATE "-----BEGIN CERTIFICATE-----"

struct reading {
    struct buffer *authorities;
    struct failure *why;
    bool is_folder; /* other files may lie there too */
};

static int check_certificates(const char *path, struct span pem, struct failure *why)
{
    gnutls_x509_crt_t *certificates = NULL;
    unsigned count = 0;
    gnutls_datum_t content = tls_datum(pem);
    int result =
        gnutls_x509_crt_list_import2(&certificates, &count, &content, GNUTLS_X509_FMT_PEM, 0);
    if (result < 0)
        return failure_set(why, tls_load_error(result), "%s: malformed PEM certificate: %s", path,
                           gnutls_strerror(result));
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(certificates[i]);
    gnutls_free(certificates);
    return ROUTED_OK;
}

static int append_authority(void *user, const char *path)
{
    struct reading *r = user;
    struct buffer pem = BUFFER_EMPTY;
    int result = tls_file_read(path, &pem, r->why);
    bool has_any = pem.data && memmem(buffer_span(&pem).data, buffer_size(&pem), BEGIN_CERTIFICATE,
                                      strlen(BEGIN_CERTIFICATE));
    if (result == ROUTED_OK && has_any)
        result = check_certificates(path, buffer_span(&pem), r->why);
    else if (result == ROUTED_OK && !r->is_folder)
        result = failure_set(r->why, ROUTED_ERROR_FILE, "%s: no PEM certificate in it", path);
    if (result == ROUTED_OK && has_any &&
        (buffer_append_span(r->authorities, buffer_span(&pem)) != ROUTED_OK ||
         buffer_append_text(r->authorities, "\n") != ROUTED_OK))
        result = failure_set(r->why, ROUTED_ERROR_MEMORY, "%s: out of memory", path);
    buffer_release(&pem);
    return result;
}

static int load_authorities(struct tls_client_rules *r, const char *path, struct failure *why)
{
    struct reading reading = {&r->authorities, why, file_is_folder(path)};
    if (!reading.is_folder)
        return append_authority(&reading, path);
    struct failure folder = {0};
    reading.why = &folder;
    int result = file_each(path, append_authority, &reading);
    if (result != ROUTED_OK && folder.code)
        return failure_set(why, result, "%s", folder.text);
    if (result != ROUTED_OK)
        return failure_set(why, result, "%s: the folder cannot be read", path);
    if (buffer_size(&r->authorities) == 0)
        return failure_set(why, ROUTED_ERROR_FILE, "%s: no PEM certificate in the folder", path);
    return ROUTED_OK;
}

int tls_client_rules_load(struct tls_client_rules *r, const struct tls_context_options *options,
                          struct failure *why)
{
    *r = (struct tls_client_rules){BUFFER_EMPTY, BUFFER_EMPTY};
    if (options->client_certificate == TLS_CLIENT_CERTIFICATE_OFF)
        return ROUTED_OK;
    int result = load_authorities(r, options->client_authorities, why);
    if (result == ROUTED_OK && options->client_revocations)
        result = tls_file_read(options->client_revocations, &r->revocations, why);
    if (result != ROUTED_OK)
        tls_client_rules_release(r);
    return result;
}

void tls_client_rules_release(struct tls_client_rules *r)
{
    buffer_release(&r->authorities);
    buffer_release(&r->revocations);
}

int tls_client_rules_apply(const struct tls_client_rules *r, const struct tls_context_options *o,
                           gnutls_certificate_credentials_t credentials, struct failure *why)
{
    if (buffer_size(&r->authorities) == 0)
        return ROUTED_OK;
    gnutls_datum_t pem = tls_datum(buffer_span(&r->authorities));
    int result = gnutls_certificate_set_x509_trust_mem(credentials, &pem, GNUTLS_X509_FMT_PEM);
    if (result <= 0)
        return failure_set(why, tls_load_error(result), "%s: no usable certificate: %s",
                           o->client_authorities, gnutls_strerror(result));
    if (buffer_size(&r->revocations) == 0)
        return ROUTED_OK;
    pem = tls_datum(buffer_span(&r->revocations));
    result = gnutls_certificate_set_x509_crl_mem(credentials, &pem, GNUTLS_X509_FMT_PEM);
    if (result <= 0)
        return failure_set(why, tls_load_error(result), "%s: no usable revocation list: %s",
                           o->client_revocations, gnutls_strerror(result));
    return ROUTED_OK;
}
