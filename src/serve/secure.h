/* serve/secure.h: the TLS options of a server as a context of the tls room. */
#ifndef SERVE_SECURE_H
#define SERVE_SECURE_H

#include "base/failure.h"
#include "base/log.h"
#include "tls/context.h"
#include <routed/serve.h>

/* *context is NULL where the options name no certificate. */
int serve_secure_open(struct tls_context **context, const routed_serve_options *o,
                      const struct log *log, struct failure *why);

#endif
