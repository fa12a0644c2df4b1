#include "load/client.h"

#include "base/memory.h"
#include "load/fleet.h"
#include "load/quic_output.h"
#include <routed/error.h>

/* More than this is not queued on one connection. */
#define QUEUE_MAX ((size_t)256 << 10)

/* ---- output ---- */

size_t load_client_room(const struct load_client *c)
{
    size_t queued = stream_queued(&c->stream);
    return queued < QUEUE_MAX ? QUEUE_MAX - queued : 0;
}

enum load_error load_client_write(struct load_client *c, struct span plain, bool is_static)
{
    int error;
    if (c->seal)
        error = load_seal_write(c->seal, plain);
    else if (is_static)
        error = stream_append(&c->stream, slice_static(plain));
    else
        error = buffer_append_span(&c->stream.bytes, plain);
    return error == ROUTED_OK ? LOAD_ERROR_NONE : LOAD_ERROR_CLOSED;
}

static enum load_error flush(struct load_client *c)
{
    bool was_full;
    if (c->quic)
        return load_quic_output_flush(c);
    do {
        enum load_error error = c->machine->drain(c);
        if (error)
            return error;
        was_full = load_client_room(c) == 0;
        uint64_t before = c->stream.bytes_out;
        if (stream_flush(&c->stream) != ROUTED_OK)
            return LOAD_ERROR_CLOSED;
        c->fleet->moved += c->stream.bytes_out - before;
    } while (was_full && load_client_room(c) > 0);
    return LOAD_ERROR_NONE;
}

/* ---- the way to a usable connection ---- */

static enum load_error open_machine(struct load_client *c)
{
    c->phase = LOAD_CLIENT_OPENING;
    return c->machine->open(c);
}

void load_client_ready(struct load_client *c)
{
    c->phase = LOAD_CLIENT_READY;
    load_fleet_connected(c->fleet, c);
}

static enum load_error shake_hands(struct load_client *c)
{
    int error = load_seal_handshake(c->seal);
    if (error == ROUTED_ERROR_AGAIN)
        return LOAD_ERROR_NONE;
    if (error != ROUTED_OK)
        return LOAD_ERROR_HANDSHAKE;
    if (load_seal_is_resumed(c->seal))
        c->fleet->tally.resumed++;
    return open_machine(c);
}

static enum load_error finish_connect(struct load_client *c)
{
    if (socket_connect_result(c->stream.handle.fd) != ROUTED_OK)
        return LOAD_ERROR_CONNECT;
    if (!c->fleet->seals)
        return open_machine(c);
    c->seal = load_seal_new(c->fleet->seals, &c->stream.bytes);
    if (!c->seal)
        return LOAD_ERROR_HANDSHAKE;
    c->phase = LOAD_CLIENT_HANDSHAKE;
    return shake_hands(c);
}

/* ---- input ---- */

static enum load_error open_sealed(struct load_client *c, struct span sealed)
{
    load_seal_feed(c->seal, sealed);
    if (c->phase == LOAD_CLIENT_HANDSHAKE) {
        enum load_error error = shake_hands(c);
        if (error || c->phase == LOAD_CLIENT_HANDSHAKE)
            return error;
    }
    for (;;) {
        ssize_t size = load_seal_open(c->seal, c->fleet->plain, LOAD_READ_SIZE);
        if (size == ROUTED_ERROR_AGAIN)
            return LOAD_ERROR_NONE;
        if (size <= 0)
            return size == 0 ? c->machine->end(c) : LOAD_ERROR_PROTOCOL;
        enum load_error error = c->machine->feed(c, span_of(c->fleet->plain, (size_t)size));
        if (error)
            return error;
    }
}

static enum load_error read_all(struct load_client *c)
{
    while (c->stream.can_read) {
        ssize_t size = stream_read(&c->stream, c->fleet->room, LOAD_READ_SIZE);
        if (size == SOCKET_AGAIN)
            break;
        if (size == 0 && c->phase == LOAD_CLIENT_READY)
            return c->machine->end(c);
        if (size <= 0)
            return LOAD_ERROR_CLOSED;
        c->fleet->moved += (uint64_t)size;
        struct span bytes = span_of(c->fleet->room, (size_t)size);
        enum load_error error = c->seal ? open_sealed(c, bytes) : c->machine->feed(c, bytes);
        if (error)
            return error;
    }
    return LOAD_ERROR_NONE;
}

static void on_ready(struct stream *s)
{
    struct load_client *c = LIST_ITEM(s, struct load_client, stream);
    enum load_error error = LOAD_ERROR_NONE;
    if (c->phase == LOAD_CLIENT_CONNECTING) {
        if (!s->can_write && !s->has_ended)
            return;
        error = finish_connect(c);
    }
    if (!error)
        error = read_all(c);
    load_client_settle(c, error);
}

static void on_turn(struct stream *s)
{
    struct load_client *c = LIST_ITEM(s, struct load_client, stream);
    load_client_settle(c, LOAD_ERROR_NONE);
}

/* ---- what follows from what happened ---- */

static void lose(struct load_client *c, enum load_error error)
{
    uint32_t count = c->under_way + (c->has_waiting ? 1 : 0);
    /* A server may end a connection that rests. */
    if (c->phase == LOAD_CLIENT_READY && count == 0)
        error = LOAD_ERROR_NONE;
    load_client_close(c);
    load_fleet_lost(c->fleet, c, error, count);
}

void load_client_settle(struct load_client *c, enum load_error error)
{
    if (!error && c->phase == LOAD_CLIENT_READY && !c->is_spent)
        load_fleet_offer(c->fleet, c);
    if (!error)
        error = flush(c);
    if (error || (c->is_spent && c->under_way == 0))
        lose(c, error);
}

/* ---- requests ---- */

bool load_client_has_room(const struct load_client *c)
{
    if (c->fleet->options->reconnect && c->phase != LOAD_CLIENT_READY)
        return !c->has_waiting;
    return c->phase == LOAD_CLIENT_READY && !c->is_spent && c->machine->has_room(c);
}

void load_client_send(struct load_client *c, microseconds intended)
{
    if (c->phase != LOAD_CLIENT_READY) {
        c->has_waiting = true;
        c->waiting = intended;
        if (c->phase == LOAD_CLIENT_CLOSED)
            load_client_open(c);
        return;
    }
    c->under_way++;
    if (c->machine->send(c, intended))
        lose(c, LOAD_ERROR_CLOSED);
    else if (c->quic)
        load_quic_wake(c->quic);
    else
        stream_wake(&c->stream);
}

void load_client_done(struct load_client *c, microseconds intended, uint16_t status)
{
    c->under_way--;
    if (c->fleet->options->reconnect)
        c->is_spent = true;
    if (c->seal)
        load_seal_keep_ticket(c->seal);
    if (c->quic)
        load_quic_keep_ticket(c->quic);
    load_fleet_answered(c->fleet, intended, status);
}

/* ---- life ---- */

void load_client_init(struct load_client *c, struct load_fleet *fleet,
                      const struct load_machine *machine)
{
    *c = (struct load_client){.fleet = fleet, .machine = machine};
    c->stream.handle.fd = -1;
    list_init(&c->idle);
}

void load_client_release(struct load_client *c)
{
    load_client_close(c);
    memory_free(c->http1.intended);
    c->http1.intended = NULL;
}

static enum load_error open_stream(struct load_client *c)
{
    static const struct stream_events events = {on_ready, on_turn};
    int fd = socket_connect(&c->fleet->address);
    if (fd < 0 || stream_open(&c->stream, c->fleet->loop, fd, false, &events) != ROUTED_OK)
        return LOAD_ERROR_CONNECT;
    return LOAD_ERROR_NONE;
}

void load_client_open(struct load_client *c)
{
    c->phase = LOAD_CLIENT_CONNECTING;
    c->fleet->connecting++;
    enum load_error error = c->fleet->quics ? load_quic_open(c) : open_stream(c);
    if (error)
        lose(c, error);
}

void load_client_close(struct load_client *c)
{
    list_remove(&c->idle);
    if (c->phase == LOAD_CLIENT_CLOSED)
        return;
    if (c->phase == LOAD_CLIENT_READY)
        c->fleet->ready--;
    else
        c->fleet->connecting--;
    c->fleet->tally.bytes_in += c->stream.bytes_in;
    c->fleet->tally.bytes_out += c->stream.bytes_out;
    if (c->quic)
        load_quic_close(c);
    c->machine->close(c);
    load_seal_free(c->seal);
    c->seal = NULL;
    stream_close(&c->stream);
    c->phase = LOAD_CLIENT_CLOSED;
    c->under_way = 0;
    c->is_spent = c->has_waiting = false;
}
