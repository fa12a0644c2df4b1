/* Bytes into a server's session, in pieces. The first byte says how far a real client comes before
 * the bytes take its place: 0 to 127 bytes in, they are all there is; then in the middle of the
 * handshake; then after it. The second seeds the cuts. */
#include "tls/session.h"

#include "base/buffer.h"
#include "tls/development.h"
#include <errno.h>
#include <gnutls/gnutls.h>
#include <routed/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_context *context;
static gnutls_certificate_credentials_t credentials;

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const alpn[] = {"h2", "http/1.1"};
    static const char *const names[] = {"localhost.pem", "localhost-key.pem", "authority.pem",
                                        "authority-key.pem"};
    char folder[] = "/tmp/routed-fuzz-XXXXXX", paths[4][64];
    bool made;
    (void)argc;
    (void)argv;
    require(mkdtemp(folder) && tls_development_make(folder, &made, NULL) == ROUTED_OK);
    for (size_t i = 0; i < 4; i++)
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, names[i]);
    struct tls_certificate_files files = {.certificate = paths[0], .key = paths[1]};
    require(tls_context_new(&context,
                            &(struct tls_context_options){
                                .certificates = &files,
                                .certificate_count = 1,
                                .alpn = alpn,
                                .alpn_count = 2,
                                .client_certificate = TLS_CLIENT_CERTIFICATE_REQUEST,
                                .client_authorities = paths[2],
                            },
                            NULL, NULL) == ROUTED_OK);
    for (size_t i = 0; i < 4; i++)
        unlink(paths[i]);
    rmdir(folder);
    require(gnutls_certificate_allocate_credentials(&credentials) >= 0);
    return 0;
}

/* ---- a real client ---- */

struct client {
    gnutls_session_t tls;
    struct buffer in;
    struct buffer out;
};

static ssize_t push(gnutls_transport_ptr_t p, const void *data, size_t size)
{
    struct client *c = p;
    require(buffer_append(&c->out, data, size) == ROUTED_OK);
    return (ssize_t)size;
}

static ssize_t pull(gnutls_transport_ptr_t p, void *into, size_t size)
{
    struct client *c = p;
    struct span bytes = buffer_span(&c->in);
    size = size < bytes.size ? size : bytes.size;
    if (size == 0) {
        gnutls_transport_set_errno(c->tls, EAGAIN);
        return -1;
    }
    memcpy(into, bytes.data, size);
    buffer_consume(&c->in, size);
    return (ssize_t)size;
}

static int pull_timeout(gnutls_transport_ptr_t p, unsigned wait)
{
    (void)wait;
    return buffer_size(&((struct client *)p)->in) != 0;
}

/* So many flights of a handshake between a client and the session. */
static void shake(struct tls_session *s, int flights, bool is_old)
{
    struct client c = {NULL, BUFFER_EMPTY, BUFFER_EMPTY};
    require(gnutls_init(&c.tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK) >= 0);
    require(gnutls_priority_set_direct(
                c.tls, is_old ? "NORMAL:-VERS-ALL:+VERS-TLS1.2" : "NORMAL:-VERS-ALL:+VERS-TLS1.3",
                NULL) >= 0);
    gnutls_credentials_set(c.tls, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_ptr(c.tls, &c);
    gnutls_transport_set_push_function(c.tls, push);
    gnutls_transport_set_pull_function(c.tls, pull);
    gnutls_transport_set_pull_timeout_function(c.tls, pull_timeout);
    for (int i = 0; i < flights; i++) {
        gnutls_handshake(c.tls);
        require(tls_session_feed(s, buffer_span(&c.out)) == ROUTED_OK);
        int result = tls_session_handshake(s);
        require(result == ROUTED_OK || result == ROUTED_ERROR_AGAIN);
        require(tls_session_keep(s) == ROUTED_OK);
        buffer_clear(&c.out);
        require(buffer_append_span(&c.in, tls_session_output(s)) == ROUTED_OK);
        tls_session_consume(s, tls_session_output(s).size);
    }
    gnutls_deinit(c.tls);
    buffer_release(&c.in);
    buffer_release(&c.out);
}

/* ---- the bytes ---- */

static bool take(struct tls_session *s)
{
    uint8_t plain[1000];
    int result = tls_session_handshake(s);
    if (result == ROUTED_OK) {
        require(tls_session_version(s).size == 3);
        ssize_t count;
        while ((count = tls_session_open(s, plain, sizeof(plain))) > 0)
            require((size_t)count <= sizeof(plain));
        result = (int)count;
    }
    require(tls_session_output(s).size < TLS_OUTPUT_MAX);
    if (result == 0 || result == ROUTED_ERROR_AGAIN)
        return true;
    require(result == ROUTED_ERROR_TLS || result == ROUTED_ERROR_BUDGET);
    require(tls_session_failure(s)[0] != '\0');
    require(tls_session_open(s, plain, 1) == result && tls_session_handshake(s) == result);
    return false;
}

static void feed(struct tls_session *s, struct span bytes, uint32_t seed)
{
    bool goes_on = true;
    while (bytes.size && goes_on) {
        seed = seed * 1664525u + 1013904223u;
        size_t size = seed >> 31 ? bytes.size : 1 + (seed >> 16) % 64;
        size = size < bytes.size ? size : bytes.size;
        uint8_t *copy = malloc(size);
        require(copy);
        memcpy(copy, bytes.data, size);
        require(tls_session_feed(s, span_of(copy, size)) == ROUTED_OK);
        goes_on = take(s);
        require(tls_session_keep(s) == ROUTED_OK);
        free(copy);
        bytes = span_after(bytes, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct tls_session *s = tls_session_new(context);
    require(s);
    if (data[0] >= 128)
        shake(s, data[0] >= 192 ? 3 : 1, data[0] & 1);
    feed(s, span_of(data + 2, size - 2), data[1]);
    tls_session_seal(s, &SPAN("answer"), 1);
    tls_session_close(s);
    tls_session_rest(s);
    tls_session_free(s);
    return 0;
}
