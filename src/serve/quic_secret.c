#include "serve/quic_secret.h"

#include "io/file.h"
#include <nettle/sha2.h>
#include <routed/error.h>
#include <string.h>

static void digest(uint8_t out[FRONT_QUIC_SECRET_SIZE], struct span content)
{
    struct sha256_ctx context;
    _Static_assert(SHA256_DIGEST_SIZE == FRONT_QUIC_SECRET_SIZE, "a secret is a digest");
    sha256_init(&context);
    sha256_update(&context, content.size, content.data);
    sha256_digest(&context, FRONT_QUIC_SECRET_SIZE, out);
    explicit_bzero(&context, sizeof(context));
}

int serve_quic_secret_read(uint8_t out[FRONT_QUIC_SECRET_SIZE], const char *path,
                           struct failure *why)
{
    struct buffer content = BUFFER_EMPTY;
    const char *reason;
    int error = file_read_private(path, SERVE_QUIC_SECRET_MAX, &content, &reason);
    if (error)
        failure_set(why, error, "quic_secret %s: %s", path, reason);
    else if (buffer_size(&content) < SERVE_QUIC_SECRET_MIN)
        error = failure_set(why, ROUTED_ERROR_FILE, "quic_secret %s: has less than %d bytes", path,
                            SERVE_QUIC_SECRET_MIN);
    else
        digest(out, buffer_span(&content));
    if (content.data)
        explicit_bzero(content.data, content.capacity);
    buffer_release(&content);
    return error;
}
