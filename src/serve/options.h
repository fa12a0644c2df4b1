/* serve/options.h: what a host asks routed_serve for, checked before anything is started. */
#ifndef SERVE_OPTIONS_H
#define SERVE_OPTIONS_H

#include "base/failure.h"
#include <routed/serve.h>

#define SERVE_ENGINES_MAX 64

/* What is listened on. */
enum serve_doors {
    SERVE_DOOR_CLEAR,  /* options.port, and TLS on options.secure_port where that is wanted */
    SERVE_DOOR_SECURE, /* TLS on options.port */
};

/* Copies what `given` says, which may be NULL and of another version, with defaults for the rest.
 */
int serve_options_read(routed_serve_options *out, const routed_serve_options *given,
                       struct failure *why);
int serve_options_check(const routed_serve_options *o, const routed_engine *engine,
                        enum serve_doors doors, struct failure *why);

#endif
