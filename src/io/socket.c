#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <routed/error.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof(((struct socket_address *)0)->storage),
               "an address fits");

/* ---- addresses ---- */

static sa_family_t family_of(const struct socket_address *a)
{
    sa_family_t family;
    memcpy(&family, a->storage + offsetof(struct sockaddr, sa_family), sizeof(family));
    return family;
}

static struct sockaddr_in as_v4(const struct socket_address *a)
{
    struct sockaddr_in v4;
    memcpy(&v4, a->storage, sizeof(v4));
    return v4;
}

static struct sockaddr_in6 as_v6(const struct socket_address *a)
{
    struct sockaddr_in6 v6;
    memcpy(&v6, a->storage, sizeof(v6));
    return v6;
}

static void set_address(struct socket_address *a, const void *address, size_t size)
{
    memset(a, 0, sizeof(*a));
    memcpy(a->storage, address, size);
    a->size = (uint32_t)size;
}

bool socket_address_is_unix(const struct socket_address *a)
{
    return family_of(a) == AF_UNIX;
}

/* A client on a dual-stack socket is told by its IPv4 address. */
size_t socket_address_text(const struct socket_address *a, char *out)
{
    char text[INET6_ADDRSTRLEN] = "unix";
    if (family_of(a) == AF_INET) {
        struct sockaddr_in v4 = as_v4(a);
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    } else if (family_of(a) == AF_INET6) {
        struct sockaddr_in6 v6 = as_v6(a);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof(text));
        else
            inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
    }
    size_t size = strlen(text);
    memcpy(out, text, size);
    return size;
}

uint16_t socket_address_port(const struct socket_address *a)
{
    if (family_of(a) == AF_INET)
        return ntohs(as_v4(a).sin_port);
    if (family_of(a) == AF_INET6)
        return ntohs(as_v6(a).sin6_port);
    return 0;
}

void socket_address_set_port(struct socket_address *a, uint16_t port)
{
    if (family_of(a) == AF_INET) {
        struct sockaddr_in v4 = as_v4(a);
        v4.sin_port = htons(port);
        memcpy(a->storage, &v4, sizeof(v4));
    } else if (family_of(a) == AF_INET6) {
        struct sockaddr_in6 v6 = as_v6(a);
        v6.sin6_port = htons(port);
        memcpy(a->storage, &v6, sizeof(v6));
    }
}

uint64_t socket_address_key(const struct socket_address *a, uint64_t seed)
{
    uint64_t key = 0;
    if (family_of(a) == AF_INET) {
        key = as_v4(a).sin_addr.s_addr | (uint64_t)AF_INET << 32;
    } else if (family_of(a) == AF_INET6) {
        struct sockaddr_in6 v6 = as_v6(a);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            uint32_t v4;
            memcpy(&v4, &v6.sin6_addr.s6_addr[12], sizeof(v4));
            key = v4 | (uint64_t)AF_INET << 32;
        } else {
            memcpy(&key, &v6.sin6_addr, sizeof(key));
            seed = ~seed; /* a prefix that looks like an IPv4 key is another client */
        }
    } else {
        return 0;
    }
    /* The mixing of splitmix64: without the seed nobody can aim at one bucket. */
    key ^= seed;
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
    key = (key ^ key >> 27) * 0x94d049bb133111ebu;
    key ^= key >> 31;
    return key ? key : 1;
}

int socket_address_unix(const char *path, struct socket_address *out)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof(un.sun_path))
        return ROUTED_ERROR_ADDRESS_UNKNOWN;
    memcpy(un.sun_path, path, size);
    set_address(out, &un, offsetof(struct sockaddr_un, sun_path) + size + 1);
    return ROUTED_OK;
}

static int loopbacks(struct socket_address *out, int max)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int count = 0;
    if (count < max)
        set_address(&out[count++], &v4, sizeof(v4));
    if (count < max)
        set_address(&out[count++], &v6, sizeof(v6));
    return count;
}

static bool is_v6_usable(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int every_interface(struct socket_address *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (is_v6_usable())
        set_address(out, &v6, sizeof(v6));
    else
        set_address(out, &v4, sizeof(v4));
    return 1;
}

static int look_up(const char *host, struct socket_address *out, int max)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int count = 0;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return ROUTED_ERROR_ADDRESS_UNKNOWN;
    for (struct addrinfo *i = found; i && count < max; i = i->ai_next)
        if (i->ai_family == AF_INET || i->ai_family == AF_INET6)
            set_address(&out[count++], i->ai_addr, i->ai_addrlen);
    freeaddrinfo(found);
    return count ? count : ROUTED_ERROR_ADDRESS_UNKNOWN;
}

int socket_resolve(const char *host, uint16_t port, struct socket_address *out, int max)
{
    int count;
    if (strcmp(host, "localhost") == 0)
        count = loopbacks(out, max);
    else if (*host == '\0' || strcmp(host, "any") == 0 || strcmp(host, "*") == 0)
        count = every_interface(out);
    else
        count = look_up(host, out, max);
    for (int i = 0; i < count; i++)
        socket_address_set_port(&out[i], port);
    return count;
}

/* ---- listening ---- */

int socket_error_of(int number)
{
    switch (number) {
    case EADDRINUSE:
        return ROUTED_ERROR_ADDRESS_IN_USE;
    case EACCES:
    case EPERM:
        return ROUTED_ERROR_PERMISSION;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENOENT:
    case ENOTDIR:
        return ROUTED_ERROR_ADDRESS_UNKNOWN;
    case ENOMEM:
    case ENOBUFS:
        return ROUTED_ERROR_MEMORY;
    case EAGAIN:
        return ROUTED_ERROR_AGAIN;
    default:
        return ROUTED_ERROR_SYSTEM;
    }
}

static void set_flag(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof(value));
}

static int new_socket(const struct socket_address *a)
{
    return socket(family_of(a), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Accepted connections inherit these from their listener, which saves a call for each. */
static void set_tcp_options(int fd, const struct socket_listen_options *options)
{
    set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (options->shared)
        set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (options->dead_after == 0)
        return;
    int seconds = (int)(options->dead_after / 1000);
    set_flag(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)options->dead_after);
    set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_flag(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds > 0 ? seconds : 1);
    set_flag(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
}

int socket_listen(const struct socket_address *a, const struct socket_listen_options *options)
{
    int fd = new_socket(a);
    if (fd < 0)
        return socket_error_of(errno);
    if (!socket_address_is_unix(a))
        set_tcp_options(fd, options);
    if (family_of(a) == AF_INET6)
        set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only);
    if (bind(fd, (const struct sockaddr *)(const void *)a->storage, a->size) != 0 ||
        listen(fd, options->backlog > 0 ? options->backlog : 1024) != 0) {
        int error = socket_error_of(errno);
        close(fd);
        return error;
    }
    return fd;
}

int socket_duplicate(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy >= 0 ? copy : ROUTED_ERROR_SYSTEM;
}

void socket_unlink(const char *path)
{
    unlink(path);
}

/* Only a refused connection says that nobody listens; all else may be a living socket that this
 * process cannot reach. */
static int prove_unused(const char *path)
{
    struct socket_address a;
    int error = socket_address_unix(path, &a);
    if (error)
        return error;
    int fd = new_socket(&a);
    if (fd < 0)
        return socket_error_of(errno);
    int result = connect(fd, (const struct sockaddr *)(const void *)a.storage, a.size);
    bool is_unused = result != 0 && (errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
    return is_unused ? ROUTED_OK : ROUTED_ERROR_ADDRESS_IN_USE;
}

int socket_unlink_stale(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return ROUTED_OK;
    if (!S_ISSOCK(status.st_mode))
        return ROUTED_ERROR_FILE;
    int error = prove_unused(path);
    if (error)
        return error;
    unlink(path);
    return ROUTED_OK;
}

int socket_local_address(int fd, struct socket_address *out)
{
    socklen_t size = sizeof(out->storage);
    memset(out, 0, sizeof(*out));
    if (getsockname(fd, (struct sockaddr *)(void *)out->storage, &size) != 0)
        return ROUTED_ERROR_SYSTEM;
    out->size = size;
    return ROUTED_OK;
}

int socket_accept(int listener, struct socket_address *peer)
{
    socklen_t size = sizeof(peer->storage);
    int fd = accept4(listener, (struct sockaddr *)(void *)peer->storage, &size,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        peer->size = size;
        return fd;
    }
    switch (errno) {
    case EAGAIN:
        return SOCKET_AGAIN;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return SOCKET_EXHAUSTED;
    default:
        return SOCKET_DEAD;
    }
}

/* ---- connecting and moving bytes ---- */

int socket_connect(const struct socket_address *a)
{
    int fd = new_socket(a);
    if (fd < 0)
        return socket_error_of(errno);
    if (!socket_address_is_unix(a))
        set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (connect(fd, (const struct sockaddr *)(const void *)a->storage, a->size) != 0 &&
        errno != EINPROGRESS) {
        int error = socket_error_of(errno);
        close(fd);
        return error;
    }
    return fd;
}

int socket_connect_result(int fd)
{
    int number = 0;
    socklen_t size = sizeof(number);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
        return ROUTED_ERROR_SYSTEM;
    return number ? socket_error_of(number) : ROUTED_OK;
}

static ssize_t result_of(ssize_t moved)
{
    if (moved >= 0)
        return moved;
    return errno == EAGAIN || errno == EINTR ? SOCKET_AGAIN : SOCKET_DEAD;
}

ssize_t socket_read(int fd, uint8_t *into, size_t size)
{
    ssize_t moved;
    do
        moved = recv(fd, into, size, 0);
    while (moved < 0 && errno == EINTR);
    return result_of(moved);
}

ssize_t socket_write(int fd, struct span data)
{
    ssize_t moved;
    do
        moved = send(fd, data.data, data.size, MSG_NOSIGNAL);
    while (moved < 0 && errno == EINTR);
    return result_of(moved);
}

ssize_t socket_write_spans(int fd, const struct span *spans, size_t count)
{
    if (count == 1)
        return socket_write(fd, spans[0]);
    struct iovec vectors[SOCKET_GATHER];
    if (count > SOCKET_GATHER)
        count = SOCKET_GATHER;
    for (size_t i = 0; i < count; i++)
        vectors[i] = (struct iovec){(void *)(uintptr_t)spans[i].data, spans[i].size};
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    ssize_t moved;
    do
        moved = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (moved < 0 && errno == EINTR);
    return result_of(moved);
}

void socket_end(int fd)
{
    shutdown(fd, SHUT_WR);
}

void socket_close(int fd)
{
    close(fd);
}

void socket_reset_on_close(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

bool socket_has_input(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};
    return poll(&p, 1, 0) != 0;
}

bool socket_peer_credentials(int fd, uint32_t *uid, int32_t *pid)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return false;
    *uid = credentials.uid;
    *pid = credentials.pid;
    return true;
}

uint64_t socket_round_trip(int fd)
{
    struct tcp_info state;
    socklen_t size = sizeof(state);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &size) != 0)
        return 0;
    return UINT64_C(1000) * state.tcpi_rtt;
}
