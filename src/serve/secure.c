#include "serve/secure.h"

#include "base/memory.h"
#include <routed/error.h>

static int check(const routed_serve_options *o, struct failure *why)
{
    if (o->tls_client < ROUTED_TLS_CLIENT_OFF || o->tls_client > ROUTED_TLS_CLIENT_REQUIRE)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "tls_client %d is not known", o->tls_client);
    if (o->tls_client != ROUTED_TLS_CLIENT_OFF && !o->tls_client_authorities)
        return failure_set(why, ROUTED_ERROR_ARGUMENT,
                           "client certificates need tls_client_authorities");
    return ROUTED_OK;
}

static int make_context(struct tls_context **context, const routed_serve_options *o,
                        const struct tls_certificate_files *files, size_t count,
                        const struct log *log, struct failure *why)
{
    static const char *const protocols[] = {"h2", "http/1.1", "http/1.0"};
    size_t count_of_protocols = sizeof(protocols) / sizeof(protocols[0]);
    bool has_http2 = o->http2 != ROUTED_SWITCH_OFF;
    struct tls_context_options options = {.certificates = files,
                                          .certificate_count = count,
                                          .alpn = has_http2 ? protocols : protocols + 1,
                                          .alpn_count = count_of_protocols - !has_http2,
                                          .client_certificate =
                                              (enum tls_client_certificate)o->tls_client,
                                          .client_authorities = o->tls_client_authorities,
                                          .client_revocations = o->tls_client_revocations};
    return tls_context_new(context, &options, log, why);
}

int serve_secure_open(struct tls_context **context, const routed_serve_options *o,
                      const struct log *log, struct failure *why)
{
    *context = NULL;
    if (!o->tls_certificate)
        return o->tls_key || o->tls_certificate_count
                   ? failure_set(why, ROUTED_ERROR_ARGUMENT, "tls_certificate is not set")
                   : ROUTED_OK;
    int error = check(o, why);
    if (error)
        return error;
    size_t count = o->tls_certificate_count + 1;
    struct tls_certificate_files *files = memory_new_array(count, sizeof(*files));
    if (!files)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    files[0] = (struct tls_certificate_files){o->tls_certificate, o->tls_key, o->tls_key_password,
                                              o->tls_ocsp};
    for (size_t i = 1; i < count; i++) {
        const routed_tls_certificate *given = &o->tls_certificates[i - 1];
        files[i] = (struct tls_certificate_files){given->certificate, given->key,
                                                  given->key_password, given->ocsp};
    }
    error = make_context(context, o, files, count, log, why);
    memory_free(files);
    return error;
}
