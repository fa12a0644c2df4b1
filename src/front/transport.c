#include "front/transport.h"

#include <routed/error.h>

int front_transport_open(struct front_transport *t, int fd, struct tls_context *context)
{
    *t = (struct front_transport){.fd = fd};
    if (!context)
        return ROUTED_OK;
    t->tls = tls_session_new(context);
    if (t->tls)
        return ROUTED_OK;
    socket_close(fd);
    t->fd = -1;
    return ROUTED_ERROR_MEMORY;
}

void front_transport_close(struct front_transport *t)
{
    if (t->tls && !t->is_gone) {
        tls_session_close(t->tls);
        front_transport_flush(t);
    }
    tls_session_free(t->tls);
    t->tls = NULL;
    if (t->fd >= 0)
        socket_close(t->fd);
    t->fd = -1;
}

void front_transport_reset(struct front_transport *t)
{
    tls_session_free(t->tls);
    t->tls = NULL;
    if (t->fd >= 0)
        socket_reset_on_close(t->fd);
    front_transport_close(t);
}

/* ---- input ---- */

static ssize_t read_socket(struct front_transport *t, uint8_t *into, size_t size, bool *is_drained)
{
    ssize_t count = socket_read(t->fd, into, size);
    *is_drained = count == SOCKET_AGAIN || (count > 0 && (size_t)count < size);
    return count;
}

/* Sealed bytes. An end without close_notify is no end: who ends so reads no more either. */
static ssize_t receive(struct front_transport *t, struct block *sealed, bool *is_drained)
{
    ssize_t count = read_socket(t, block_data(sealed), block_capacity(sealed), is_drained);
    if (count == 0)
        count = SOCKET_DEAD;
    t->is_gone = count == SOCKET_DEAD;
    return count;
}

int front_transport_handshake(struct front_transport *t, struct block *sealed, bool *is_drained)
{
    ssize_t count = receive(t, sealed, is_drained);
    if (count < 0)
        return count == SOCKET_AGAIN ? ROUTED_ERROR_AGAIN : ROUTED_ERROR_CLIENT_GONE;
    struct span input = span_of(block_data(sealed), (size_t)count);
    if (!t->has_greeted && tls_session_is_plain_http(input))
        return ROUTED_ERROR_PLAIN_HTTP;
    t->has_greeted = true;
    int error = tls_session_feed(t->tls, input);
    if (!error)
        error = tls_session_handshake(t->tls);
    if (front_transport_flush(t) == SOCKET_DEAD)
        return ROUTED_ERROR_CLIENT_GONE;
    if (error == ROUTED_OK)
        error = tls_session_keep(t->tls);
    return error;
}

static ssize_t open_records(struct front_transport *t, uint8_t *into, size_t size)
{
    size_t opened = 0;
    while (opened < size) {
        ssize_t count = tls_session_open(t->tls, into + opened, size - opened);
        if (count > 0) {
            opened += (size_t)count;
            continue;
        }
        if (opened) {
            t->has_verdict = count != ROUTED_ERROR_AGAIN;
            break;
        }
        if (count == ROUTED_ERROR_AGAIN)
            return SOCKET_AGAIN;
        return count == 0 ? 0 : SOCKET_DEAD;
    }
    return (ssize_t)opened;
}

static ssize_t read_sealed(struct front_transport *t, uint8_t *into, size_t size,
                           struct block *sealed, bool *is_drained)
{
    if (!front_transport_has_input(t)) {
        ssize_t count = receive(t, sealed, is_drained);
        if (count < 0)
            return count;
        if (tls_session_feed(t->tls, span_of(block_data(sealed), (size_t)count)) != ROUTED_OK)
            return SOCKET_DEAD;
    }
    ssize_t opened = open_records(t, into, size);
    if (opened > 0 && tls_session_keep(t->tls) != ROUTED_OK)
        return SOCKET_DEAD;
    return opened;
}

ssize_t front_transport_read(struct front_transport *t, uint8_t *into, size_t size,
                             struct block *sealed, bool *is_drained)
{
    *is_drained = false;
    return t->tls ? read_sealed(t, into, size, sealed, is_drained)
                  : read_socket(t, into, size, is_drained);
}

bool front_transport_has_input(const struct front_transport *t)
{
    return t->tls && (t->has_verdict || tls_session_has_input(t->tls));
}

/* ---- output ---- */

void front_transport_start_flight(struct front_transport *t)
{
    if (t->tls)
        tls_session_start_flight(t->tls);
}

int front_transport_flush(struct front_transport *t)
{
    if (!t->tls)
        return 1;
    struct span output;
    while ((output = tls_session_output(t->tls)).size) {
        ssize_t count = socket_write(t->fd, output);
        if (count < 0)
            return (int)count;
        tls_session_consume(t->tls, (size_t)count);
        if ((size_t)count < output.size)
            return SOCKET_AGAIN;
    }
    return 1;
}

static bool is_worth_a_write(const struct front_transport *t)
{
    return tls_session_output(t->tls).size >= TLS_OUTPUT_MAX / 2;
}

static ssize_t write_sealed(struct front_transport *t, const struct span *spans, size_t count)
{
    ssize_t taken = tls_session_seal(t->tls, spans, count);
    if (taken < 0 || (is_worth_a_write(t) && front_transport_flush(t) == SOCKET_DEAD))
        return SOCKET_DEAD;
    return taken;
}

ssize_t front_transport_write(struct front_transport *t, const struct span *spans, size_t count)
{
    return t->tls ? write_sealed(t, spans, count) : socket_write_spans(t->fd, spans, count);
}

bool front_transport_is_full(const struct front_transport *t, ssize_t taken, size_t offered)
{
    if (t->tls)
        return is_worth_a_write(t);
    return taken < 0 || (size_t)taken < offered;
}

void front_transport_end(struct front_transport *t)
{
    if (t->tls) {
        tls_session_close(t->tls);
        front_transport_flush(t);
    }
    socket_end(t->fd);
}

void front_transport_rest(struct front_transport *t)
{
    if (t->tls)
        tls_session_rest(t->tls);
}
