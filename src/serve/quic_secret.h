/* serve/quic_secret.h: the secret of QUIC from a file, so that it outlives the process and several
 * hosts may share it. */
#ifndef SERVE_QUIC_SECRET_H
#define SERVE_QUIC_SECRET_H

#include "base/failure.h"
#include "front/server.h"

#define SERVE_QUIC_SECRET_MIN 32
#define SERVE_QUIC_SECRET_MAX 4096

/* The file holds between MIN and MAX bytes that nobody can guess, which others may not read; the
 * secret is their SHA-256. ROUTED_OK, ROUTED_ERROR_FILE, _PERMISSION or _MEMORY. */
int serve_quic_secret_read(uint8_t out[FRONT_QUIC_SECRET_SIZE], const char *path,
                           struct failure *why);

#endif
