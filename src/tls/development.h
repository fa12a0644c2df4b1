/* tls/development.h: certificates for a developer's own machine. */
#ifndef TLS_DEVELOPMENT_H
#define TLS_DEVELOPMENT_H

#include "base/failure.h"
#include <stdbool.h>

/* Makes in `folder` (which is created, 0700, where its parent exists) what is not there yet or
 * expires within a week:
 *   authority.pem, authority-key.pem    a certificate authority of this machine, ten years; to be
 *                                       trusted by browsers and tools; it may vouch for localhost
 *                                       and loopback addresses only
 *   localhost.pem, localhost-key.pem    localhost, 127.0.0.1 and ::1, 90 days, with an ECDSA
 *                                       P-256 key
 * Keys have mode 0600. *made tells whether anything was written. ROUTED_OK, or ROUTED_ERROR_FILE,
 * _PERMISSION, _MEMORY or _SYSTEM with `why`. Blocks. */
int tls_development_make(const char *folder, bool *made, struct failure *why);

#endif
