/* What GnuTLS takes for a connection: it reads what was fed and writes to the output. */
#include "tls/state.h"

#include <errno.h>
#include <routed/error.h>

void tls_transport_credit(struct tls_session *s, size_t plain)
{
    size_t earned = plain < TLS_OVERHEAD_MAX ? plain * TLS_OVERHEAD_FACTOR : TLS_OVERHEAD_MAX;
    s->allowance += earned;
    if (s->allowance > TLS_OVERHEAD_MAX)
        s->allowance = TLS_OVERHEAD_MAX;
}

static size_t take(struct tls_session *s, uint8_t *into, size_t size)
{
    size_t kept = buffer_size(&s->kept);
    if (kept) {
        size = size < kept ? size : kept;
        memcpy(into, buffer_span(&s->kept).data, size);
        buffer_consume(&s->kept, size);
        return size;
    }
    size = size < s->lent.size ? size : s->lent.size;
    if (size)
        memcpy(into, s->lent.data, size);
    s->lent = span_after(s->lent, size);
    return size;
}

static ssize_t pull(gnutls_transport_ptr_t transport, void *into, size_t size)
{
    struct tls_session *s = transport;
    size_t taken = take(s, into, size);
    if (taken > s->allowance) {
        tls_session_fail(s, ROUTED_ERROR_BUDGET, "too many bytes for what they convey");
        gnutls_transport_set_errno(s->tls, EIO);
        return -1;
    }
    s->allowance -= taken;
    s->sealed_in += taken;
    if (taken)
        return (ssize_t)taken;
    gnutls_transport_set_errno(s->tls, EAGAIN);
    return -1;
}

/* Never waits: what there is, is there. */
static int pull_timeout(gnutls_transport_ptr_t transport, unsigned milliseconds_to_wait)
{
    const struct tls_session *s = transport;
    (void)milliseconds_to_wait;
    return s->lent.size || buffer_size(&s->kept);
}

static ssize_t push(gnutls_transport_ptr_t transport, const giovec_t *parts, int count)
{
    struct tls_session *s = transport;
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    uint8_t *room = buffer_reserve(&s->output, size);
    if (!room) {
        tls_session_fail(s, ROUTED_ERROR_MEMORY, "out of memory");
        gnutls_transport_set_errno(s->tls, ENOMEM);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        memcpy(room, parts[i].iov_base, parts[i].iov_len);
        room += parts[i].iov_len;
    }
    buffer_commit(&s->output, size);
    return (ssize_t)size;
}

void tls_transport_attach(struct tls_session *s)
{
    gnutls_transport_set_ptr(s->tls, s);
    gnutls_transport_set_pull_function(s->tls, pull);
    gnutls_transport_set_pull_timeout_function(s->tls, pull_timeout);
    gnutls_transport_set_vec_push_function(s->tls, push);
}
