#include "front/sockets.h"

#include <routed/error.h>

/* ---- addresses ---- */

static struct http3_address address_from(const struct socket_address *a)
{
    struct http3_address out = {.size = 0};
    if (a->size <= sizeof(out.storage)) {
        memcpy(out.storage, a->storage, a->size);
        out.size = (uint8_t)a->size;
    }
    return out;
}

struct socket_address front_sockets_address(const struct http3_address *a)
{
    struct socket_address out = {.size = a->size};
    memcpy(out.storage, a->storage, a->size);
    return out;
}

/* ---- input ---- */

struct visitor {
    front_sockets_visit *visit;
    void *user;
};

static void on_datagram(void *user, const struct datagram *d)
{
    const struct visitor *v = user;
    struct http3_datagram in = {.local = address_from(&d->local),
                                .remote = address_from(&d->remote),
                                .bytes = d->bytes,
                                .ecn = d->ecn};
    v->visit(v->user, &in);
}

bool front_sockets_receive(struct front_sockets *s, front_sockets_visit *visit, void *user)
{
    struct visitor v = {visit, user};
    unsigned taken = 0, first = s->first;
    bool has_more = false;
    for (unsigned i = 0; i < s->count; i++) {
        struct front_socket *one = &s->items[(first + i) % s->count];
        while (one->is_readable && taken < FRONT_SOCKETS_SHARE) {
            bool is_drained;
            taken += datagram_receive(&one->socket, s->inbox, on_datagram, &v, &is_drained);
            one->is_readable = !is_drained;
        }
        has_more |= one->is_readable;
    }
    s->first = s->count ? (first + 1) % s->count : 0;
    return has_more;
}

/* ---- output ---- */

static struct front_socket *socket_for(struct front_sockets *s, const struct http3_address *local)
{
    struct front_socket *any = &s->items[0];
    for (unsigned i = 0; i < s->count; i++) {
        struct front_socket *one = &s->items[i];
        if (one->socket.bound.size != local->size)
            continue;
        if (memcmp(one->socket.bound.storage, local->storage, local->size) == 0)
            return one;
        any = one;
    }
    return any;
}

size_t front_sockets_send(struct front_sockets *s, const struct http3_batch *batch)
{
    struct front_socket *one = socket_for(s, &batch->local);
    struct socket_address local = front_sockets_address(&batch->local);
    struct socket_address remote = front_sockets_address(&batch->remote);
    struct datagram_batch out = {.local = &local,
                                 .remote = &remote,
                                 .bytes = batch->bytes,
                                 .segment = batch->segment,
                                 .ecn = batch->ecn};
    size_t gone = datagram_send(&one->socket, &out);
    if (gone < batch->bytes.size && !one->is_full) {
        one->is_full = true;
        loop_hear_output(s->loop, &one->handle, true);
    }
    return gone;
}

/* ---- events ---- */

static void on_socket(struct loop_handle *h, unsigned events)
{
    struct front_socket *one = LIST_ITEM(h, struct front_socket, handle);
    bool has_room = events & LOOP_WRITABLE && one->is_full;
    if (has_room) {
        one->is_full = false;
        loop_hear_output(one->all->loop, h, false);
    }
    one->is_readable = true;
    one->all->on_ready(one->all, has_room);
}

/* ---- life ---- */

int front_sockets_init(struct front_sockets *s)
{
    s->inbox = datagram_inbox_new();
    return s->inbox ? ROUTED_OK : ROUTED_ERROR_MEMORY;
}

void front_sockets_release(struct front_sockets *s)
{
    datagram_inbox_free(s->inbox);
}

int front_sockets_add(struct front_sockets *s, struct datagram_socket *given)
{
    struct front_socket *one = &s->items[s->count];
    int error = s->count < FRONT_SOCKETS_MAX ? ROUTED_OK : ROUTED_ERROR_LIMIT;
    if (!error) {
        *one = (struct front_socket){
            .handle = {.fd = given->fd, .on_ready = on_socket}, .socket = *given, .all = s};
        error = loop_watch_input(s->loop, &one->handle);
    }
    if (error)
        datagram_close(given);
    else
        s->count++;
    return error;
}

void front_sockets_close(struct front_sockets *s)
{
    while (s->count) {
        struct front_socket *last = &s->items[--s->count];
        loop_forget(s->loop, &last->handle);
        datagram_close(&last->socket);
    }
}
