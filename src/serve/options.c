#include "serve/options.h"

#include <stdbool.h>
#include <string.h>

/* More than any version of the struct will have: what is over it was never set. */
#define OPTIONS_SIZE_MAX 4096

void routed_serve_options_init(routed_serve_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
    options->log_level = ROUTED_LOG_INFO;
    options->secure_port = -1;
}

/* Members that this version does not know must say nothing. */
static bool has_unknown_options(const routed_serve_options *given)
{
    const uint8_t *bytes = (const uint8_t *)given;
    for (size_t i = sizeof(*given); i < given->size; i++)
        if (bytes[i])
            return true;
    return false;
}

/* A caller built against an older header has a shorter struct: what it lacks is default. The
 * lengths of versions differ by whole members, in steps of the struct's alignment. */
int serve_options_read(routed_serve_options *out, const routed_serve_options *given,
                       struct failure *why)
{
    routed_serve_options_init(out);
    if (!given)
        return ROUTED_OK;
    if (given->size == 0)
        return failure_set(why, ROUTED_ERROR_ARGUMENT,
                           "options.size is not set: call routed_serve_options_init");
    if (given->size % _Alignof(routed_serve_options) || given->size > OPTIONS_SIZE_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT,
                           "options.size is not that of routed_serve_options");
    if (has_unknown_options(given))
        return failure_set(why, ROUTED_ERROR_UNSUPPORTED,
                           "options are set that this version does not know");
    memcpy(out, given, given->size < sizeof(*out) ? given->size : sizeof(*out));
    return ROUTED_OK;
}

static int check_doors(const routed_serve_options *o, enum serve_doors doors, struct failure *why)
{
    bool is_secure = doors == SERVE_DOOR_SECURE || o->secure_port >= 0;
    if (is_secure && !o->tls_certificate)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "TLS needs tls_certificate");
    if (!is_secure && o->tls_certificate)
        return failure_set(why, ROUTED_ERROR_ARGUMENT,
                           "tls_certificate is set, but no port for TLS: set secure_port or call "
                           "routed_serve_secure");
    if (o->secure_port > UINT16_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "secure_port: %d is more than 65535",
                           (int)o->secure_port);
    return ROUTED_OK;
}

static int check_http3(const routed_serve_options *o, struct failure *why)
{
    if (o->http3 < ROUTED_SWITCH_DEFAULT || o->http3 > ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "http3 %d is not known", o->http3);
    if (o->alt_svc < ROUTED_SWITCH_DEFAULT || o->alt_svc > ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "alt_svc %d is not known", o->alt_svc);
    if (o->early_data < ROUTED_SWITCH_DEFAULT || o->early_data > ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "early_data %d is not known", o->early_data);
    if (o->http3_process < ROUTED_SWITCH_DEFAULT || o->http3_process > ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "http3_process %d is not known",
                           o->http3_process);
    if (o->http3 == ROUTED_SWITCH_ON && !o->tls_certificate)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "HTTP/3 needs TLS: set tls_certificate");
    if (o->http3_process != ROUTED_SWITCH_ON)
        return ROUTED_OK;
    if (o->mode != ROUTED_MODE_PROCESSES)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "http3_process needs ROUTED_MODE_PROCESSES");
    if (!o->tls_certificate || o->http3 == ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "http3_process needs HTTP/3, with TLS");
    return ROUTED_OK;
}

static int check_engine(const routed_serve_options *o, const routed_engine *engine,
                        struct failure *why)
{
    if (o->mode < ROUTED_MODE_BRIDGE || o->mode > ROUTED_MODE_NATIVE_DIRECT)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "mode %d is not known", o->mode);
    if (o->bridge != ROUTED_BRIDGE_UNIX && o->bridge != ROUTED_BRIDGE_TCP)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "bridge %d is not known", o->bridge);
    if (!engine && o->mode != ROUTED_MODE_NATIVE_DIRECT)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "this mode needs an engine");
    if (o->engines > SERVE_ENGINES_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "engines: %u is more than %u", o->engines,
                           SERVE_ENGINES_MAX);
    return ROUTED_OK;
}

static int check_words(const routed_serve_options *o, struct failure *why)
{
    if (o->log_level < ROUTED_LOG_DEBUG || o->log_level > ROUTED_LOG_ERROR)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "log_level %d is not known", o->log_level);
    if (o->limits && o->limits->size == 0)
        return failure_set(why, ROUTED_ERROR_ARGUMENT,
                           "limits.size is not set: call routed_limits_init");
    if (o->backlog > INT32_MAX)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "backlog: %u is too large", o->backlog);
    if (o->http2 < ROUTED_SWITCH_DEFAULT || o->http2 > ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "http2 %d is not known", o->http2);
    return ROUTED_OK;
}

static int check_secret(const routed_serve_options *o, struct failure *why)
{
    if (o->quic_secret && (!o->tls_certificate || o->http3 == ROUTED_SWITCH_OFF))
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "quic_secret needs HTTP/3, with TLS");
    return ROUTED_OK;
}

static int check_qlog(const routed_serve_options *o, struct failure *why)
{
    if (!o->qlog)
        return ROUTED_OK;
#ifndef ROUTED_QLOG
    return failure_set(why, ROUTED_ERROR_UNSUPPORTED,
                       "qlog: this library was built without qlog (ROUTED_QLOG)");
#else
    if (!o->tls_certificate || o->http3 == ROUTED_SWITCH_OFF)
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "qlog needs HTTP/3, with TLS");
    return ROUTED_OK;
#endif
}

int serve_options_check(const routed_serve_options *o, const routed_engine *engine,
                        enum serve_doors doors, struct failure *why)
{
    int error = check_engine(o, engine, why);
    if (!error)
        error = check_words(o, why);
    if (!error)
        error = check_http3(o, why);
    if (!error)
        error = check_qlog(o, why);
    if (!error)
        error = check_secret(o, why);
    return error ? error : check_doors(o, doors, why);
}
