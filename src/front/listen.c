#include "front/listen.h"

#include "front/protocols.h"
#include "front/quic.h"

/* A dead client is noticed after this long without an acknowledgement. */
#define DEAD_AFTER_MS 60000
/* "localhost" means one port on two addresses, HTTP/3 one of TCP and UDP: a free one on the first
 * may be taken on the other. */
#define PORT_TRIES 8
/* Of one host name. */
#define ADDRESSES_MAX 8

static struct socket_listen_options listen_options(const struct front_options *options)
{
    return (struct socket_listen_options){.backlog = options->backlog,
                                          .v6_only = options->v6_only,
                                          .shared = options->shared,
                                          .dead_after = DEAD_AFTER_MS};
}

static int fail_to_listen(struct failure *why, const struct socket_address *a, bool is_quic,
                          int code)
{
    char text[SOCKET_TEXT_MAX];
    int size = (int)socket_address_text(a, text);
    bool is_v6 = memchr(text, ':', (size_t)size) != NULL;
    return failure_set(why, code, "listen on %s%.*s%s:%u%s: %s", is_v6 ? "[" : "", size, text,
                       is_v6 ? "]" : "", (unsigned)socket_address_port(a),
                       is_quic ? " for HTTP/3 (UDP)" : "", routed_error_text(code));
}

/* Several workers share an address with SO_REUSEPORT, which would also let two servers share it
 * unnoticed: a first bind without it proves that the address is ours. */
static int prove_address_is_free(const struct socket_address *a,
                                 const struct front_options *options)
{
    struct socket_listen_options alone = listen_options(options);
    if (alone.shared)
        return ROUTED_OK;
    int fd = socket_listen(a, &alone);
    if (fd < 0)
        return fd;
    socket_close(fd);
    return ROUTED_OK;
}

static int listen_for_all(struct front_worker *const *workers, unsigned count,
                          struct socket_address *a, bool is_secure,
                          const struct front_options *options)
{
    struct socket_listen_options listening = listen_options(options);
    listening.shared = options->shared || count > 1;
    if (count > 1 && socket_address_port(a) != 0) {
        int error = prove_address_is_free(a, options);
        if (error)
            return error;
    }
    for (unsigned i = 0; i < count; i++) {
        int fd = socket_listen(a, &listening);
        if (fd < 0)
            return fd;
        int error = front_worker_add_listener(workers[i], fd, is_secure);
        if (error)
            return error;
        if (socket_address_port(a) == 0)
            error = socket_local_address(fd, a);
        if (error)
            return error;
    }
    return ROUTED_OK;
}

/* ---- datagrams ---- */

void front_datagrams_close(struct front_datagrams *d)
{
    while (d->count)
        socket_close(d->sockets[--d->count].fd);
}

int front_datagrams_add(struct front_datagrams *d, int fd, unsigned worker)
{
    if (d->count == FRONT_DATAGRAMS_MAX) {
        socket_close(fd);
        return ROUTED_ERROR_LIMIT;
    }
    d->sockets[d->count].fd = fd;
    d->sockets[d->count++].worker = (uint8_t)worker;
    return ROUTED_OK;
}

static int listen_for_quic(struct front_worker *const *workers, unsigned count,
                           const struct socket_address *a, const struct front_options *options)
{
    struct datagram_options datagrams = {.v6_only = options->v6_only, .shared = options->shared};
    struct datagram_socket s;
    int error = ROUTED_OK;
    if (count > 1 && !options->shared) {
        error = datagram_open(&s, a, &datagrams);
        if (!error)
            datagram_close(&s);
        datagrams.shared = true;
    }
    for (unsigned i = 0; i < count && !error; i++) {
        error = datagram_open(&s, a, &datagrams);
        if (!error)
            error = options->part == FRONT_WITHOUT_QUIC
                        ? front_datagrams_add(options->datagrams, s.fd, i)
                        : front_quic_add_socket(workers[i]->quic, &s);
    }
    return error;
}

/* What another process has bound. */
static int adopt(struct front_worker *const *workers, unsigned count,
                 const struct front_datagrams *d, struct failure *why)
{
    int error = ROUTED_OK;
    for (unsigned i = 0; i < d->count && !error; i++) {
        struct datagram_socket s;
        error = d->sockets[i].worker < count ? datagram_adopt(&s, d->sockets[i].fd)
                                             : ROUTED_ERROR_ARGUMENT;
        if (!error)
            error = front_quic_add_socket(workers[d->sockets[i].worker]->quic, &s);
    }
    return error
               ? failure_set(why, error, "take the sockets of HTTP/3: %s", routed_error_text(error))
               : ROUTED_OK;
}

/* ---- streams ---- */

static void drop_listeners(struct front_worker *const *workers, unsigned count, unsigned keep,
                           struct front_datagrams *aside)
{
    if (aside)
        front_datagrams_close(aside);
    for (unsigned i = 0; i < count; i++) {
        front_worker_close_listeners(workers[i], keep);
        if (workers[i]->quic)
            front_quic_drop_sockets(workers[i]->quic);
    }
}

static int listen_on_tcp(struct front_worker *const *workers, unsigned count, uint16_t wanted,
                         bool is_secure, const struct front_options *options, uint16_t *port,
                         struct failure *why)
{
    unsigned kept = workers[0]->listener_count;
    bool has_quic = is_secure && options->has_http3;
    struct socket_address addresses[ADDRESSES_MAX];
    const char *host = options->host ? options->host : "127.0.0.1";
    int found = socket_resolve(host, wanted, addresses, ADDRESSES_MAX);
    if (found < 0)
        return failure_set(why, found, "host %s: %s", host, routed_error_text(found));
    for (int try = 0;; try++) {
        int error = ROUTED_OK;
        int i = 0;
        bool is_quic = false;
        for (; i < found && !error; i++) {
            error = listen_for_all(workers, count, &addresses[i], is_secure, options);
            is_quic = !error && has_quic;
            if (is_quic)
                error = listen_for_quic(workers, count, &addresses[i], options);
            *port = socket_address_port(&addresses[i]);
            for (int j = i + 1; j < found && !error && wanted == 0; j++)
                socket_address_set_port(&addresses[j], *port);
        }
        if (!error)
            return ROUTED_OK;
        /* A machine without IPv6 still has one loopback. */
        bool is_optional = i > 1 && strcmp(host, "localhost") == 0;
        if (error == ROUTED_ERROR_ADDRESS_UNKNOWN && is_optional)
            return ROUTED_OK;
        drop_listeners(workers, count, kept, options->datagrams);
        bool may_try_again = wanted == 0 && (found > 1 || has_quic) && try < PORT_TRIES;
        if (error != ROUTED_ERROR_ADDRESS_IN_USE || !may_try_again)
            return fail_to_listen(why, &addresses[i - 1], is_quic, error);
        for (int j = 0; j < found; j++)
            socket_address_set_port(&addresses[j], 0);
    }
}

/* Each worker has its own descriptor of the one socket, so that none closes another's. */
static int share(struct front_worker *const *workers, unsigned count, int fd)
{
    int error = ROUTED_OK;
    for (unsigned i = 1; i < count && !error; i++) {
        int copy = socket_duplicate(fd);
        error = copy < 0 ? copy : front_worker_add_listener(workers[i], copy, false);
    }
    if (!error)
        return front_worker_add_listener(workers[0], fd, false);
    socket_close(fd);
    return error;
}

static int listen_on_unix(struct front_worker *const *workers, unsigned count,
                          const struct front_options *options, struct failure *why)
{
    struct socket_address a;
    int error = socket_address_unix(options->unix_path, &a);
    if (error)
        return failure_set(why, error, "listen on %s: path too long", options->unix_path);
    error = socket_unlink_stale(options->unix_path);
    if (error)
        return failure_set(why, error, "listen on %s: %s", options->unix_path,
                           routed_error_text(error));
    struct socket_listen_options listening = listen_options(options);
    int fd = socket_listen(&a, &listening);
    if (fd < 0)
        return failure_set(why, fd, "listen on %s: %s", options->unix_path, routed_error_text(fd));
    error = share(workers, count, fd);
    if (!error)
        return ROUTED_OK;
    socket_unlink(options->unix_path);
    return failure_set(why, error, "listen on %s: %s", options->unix_path,
                       routed_error_text(error));
}

int front_listen(struct front_worker *const *workers, unsigned count,
                 const struct front_options *options, struct front_ports *ports,
                 struct failure *why)
{
    int error = ROUTED_OK;
    *ports = (struct front_ports){0, 0};
    if (options->part == FRONT_ONLY_QUIC)
        return adopt(workers, count, options->datagrams, why);
    bool has_tcp = !options->host || *options->host || !options->unix_path;
    if (has_tcp && !options->only_secure)
        error = listen_on_tcp(workers, count, options->port, false, options, &ports->clear, why);
    if (!error && has_tcp && options->tls)
        error =
            listen_on_tcp(workers, count, options->secure_port, true, options, &ports->secure, why);
    for (unsigned i = 0; i < count && !error && options->has_http3 && options->is_advertised; i++)
        front_protocols_advertise(workers[i], ports->secure);
    if (!error && options->unix_path)
        error = listen_on_unix(workers, count, options, why);
    return error;
}

void front_unlisten(const char *unix_path)
{
    socket_unlink(unix_path);
}
