#include "bridge/endpoint.h"

#include "base/memory.h"
#include "io/private_socket.h"
#include "io/process.h"
#include <routed/error.h>

struct bridge_endpoint {
    unsigned count;
    struct private_socket *sockets; /* of TCP: only the listener is used */
    struct socket_address *addresses;
    struct bell *bells; /* shared with the processes that are forked; of TCP: not used */
    unsigned capacity;
};

static int open_tcp(struct private_socket *s)
{
    struct socket_listen_options options = {0};
    *s = PRIVATE_SOCKET_CLOSED;
    int found = socket_resolve("127.0.0.1", 0, &s->address, 1);
    if (found < 0)
        return found;
    int listener = socket_listen(&s->address, &options);
    if (listener < 0)
        return listener;
    s->listener = listener;
    return socket_local_address(listener, &s->address);
}

static int open_unix(struct private_socket *s, struct bell *bell)
{
    int error = bell_open(bell);
    if (error)
        return error;
    error = private_socket_open(s);
    if (error)
        bell_close(bell);
    return error;
}

static int open_socket(struct private_socket *s, struct bell *bell, bool is_tcp,
                       const struct log *log)
{
    int error = is_tcp ? ROUTED_ERROR_UNSUPPORTED : open_unix(s, bell);
    if (!error || error == ROUTED_ERROR_MEMORY)
        return error;
    if (!is_tcp)
        log_write(log, LOG_WARNING, "bridge: no Unix socket (%s), taking loopback TCP",
                  routed_error_text(error));
    return open_tcp(s);
}

static struct bridge_endpoint *endpoint_new(unsigned count)
{
    struct bridge_endpoint *e = memory_new_zeroed(sizeof(*e));
    if (!e)
        return NULL;
    e->sockets = memory_new_array(count, sizeof(*e->sockets));
    e->addresses = memory_new_array(count, sizeof(*e->addresses));
    e->bells = process_shared_new(count * sizeof(*e->bells));
    e->capacity = count;
    if (e->sockets && e->addresses && e->bells)
        return e;
    bridge_endpoint_close(e);
    return NULL;
}

int bridge_endpoint_open(struct bridge_endpoint **out,
                         const struct bridge_endpoint_options *options)
{
    if (options->count == 0)
        return ROUTED_ERROR_ARGUMENT;
    struct bridge_endpoint *e = endpoint_new(options->count);
    if (!e)
        return ROUTED_ERROR_MEMORY;
    for (; e->count < options->count; e->count++) {
        struct private_socket *s = &e->sockets[e->count];
        int error = open_socket(s, &e->bells[e->count], options->is_tcp, options->log);
        if (error) {
            private_socket_close(s);
            bridge_endpoint_close(e);
            return error;
        }
        e->addresses[e->count] = s->address;
    }
    *out = e;
    return ROUTED_OK;
}

void bridge_endpoint_close(struct bridge_endpoint *e)
{
    if (!e)
        return;
    for (unsigned i = 0; i < e->count; i++) {
        if (bridge_endpoint_bell(e, i))
            bell_close(&e->bells[i]);
        private_socket_close(&e->sockets[i]);
    }
    process_shared_free(e->bells, e->capacity * sizeof(*e->bells));
    memory_free(e->sockets);
    memory_free(e->addresses);
    memory_free(e);
}

unsigned bridge_endpoint_count(const struct bridge_endpoint *e)
{
    return e->count;
}

int bridge_endpoint_listener(const struct bridge_endpoint *e, unsigned engine)
{
    return e->sockets[engine].listener;
}

struct bell *bridge_endpoint_bell(const struct bridge_endpoint *e, unsigned engine)
{
    return socket_address_is_unix(&e->addresses[engine]) ? &e->bells[engine] : NULL;
}

void bridge_endpoint_ring(const struct bridge_endpoint *e)
{
    for (unsigned i = 0; i < e->count; i++)
        if (bridge_endpoint_bell(e, i))
            bell_ring(&e->bells[i]);
}

struct bell *bridge_endpoint_bells(const struct bridge_endpoint *e)
{
    return e->bells;
}

const struct socket_address *bridge_endpoint_addresses(const struct bridge_endpoint *e)
{
    return e->addresses;
}
