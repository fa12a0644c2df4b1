#include "io/datagram.h"

#include "base/memory.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <routed/error.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES  (4 << 20) /* asked for; the system has a limit of its own */
#define MESSAGES      8         /* a call */
#define MESSAGE_MAX   65535
#define SEGMENTS_MAX  64 /* UDP_MAX_SEGMENTS of the older kernels */
#define BATCH_MAX     65000
#define CONTROL_BYTES 128
#define ECN_MASK      3

struct datagram_inbox {
    struct mmsghdr messages[MESSAGES];
    struct iovec vectors[MESSAGES];
    struct socket_address remotes[MESSAGES];
    _Alignas(struct cmsghdr) uint8_t controls[MESSAGES][CONTROL_BYTES];
    uint8_t bytes[MESSAGES][MESSAGE_MAX];
};

/* ---- addresses ---- */

static sa_family_t family_of(const struct socket_address *a)
{
    sa_family_t family;
    memcpy(&family, a->storage + offsetof(struct sockaddr, sa_family), sizeof(family));
    return family;
}

static struct sockaddr_in6 as_v6(const struct socket_address *a)
{
    struct sockaddr_in6 v6;
    memcpy(&v6, a->storage, sizeof(v6));
    return v6;
}

static bool is_v4(const struct socket_address *a)
{
    if (family_of(a) == AF_INET)
        return true;
    struct sockaddr_in6 v6 = as_v6(a);
    return IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
}

/* ---- life ---- */

static void set_flag(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof(value));
}

/* A socket of IPv6 may carry IPv4 too, so it gets the options of both. */
static void set_options(int fd, bool is_v6, const struct datagram_options *options)
{
    if (options->shared)
        set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    set_flag(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
    set_flag(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
    set_flag(fd, IPPROTO_IP, IP_PKTINFO, 1);
    set_flag(fd, IPPROTO_IP, IP_RECVTOS, 1);
    set_flag(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    if (!options->plain)
        set_flag(fd, IPPROTO_UDP, UDP_GRO, 1);
    if (!is_v6)
        return;
    set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only);
    set_flag(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_flag(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    set_flag(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
}

/* A kernel that knows the option lets it be read. */
static bool knows_segments(int fd)
{
    int value;
    socklen_t size = sizeof(value);
    return getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &value, &size) == 0;
}

int datagram_open(struct datagram_socket *s, const struct socket_address *a,
                  const struct datagram_options *options)
{
    int fd = socket(family_of(a), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return socket_error_of(errno);
    set_options(fd, family_of(a) == AF_INET6, options);
    int error = ROUTED_OK;
    if (bind(fd, (const struct sockaddr *)(const void *)a->storage, a->size) != 0)
        error = socket_error_of(errno);
    if (!error)
        error = socket_local_address(fd, &s->bound);
    if (error) {
        close(fd);
        return error;
    }
    s->fd = fd;
    s->has_segments = !options->plain && knows_segments(fd);
    return ROUTED_OK;
}

int datagram_adopt(struct datagram_socket *s, int fd)
{
    *s = (struct datagram_socket){.fd = fd, .has_segments = knows_segments(fd)};
    int error = socket_local_address(fd, &s->bound);
    if (error)
        datagram_close(s);
    return error;
}

void datagram_close(struct datagram_socket *s)
{
    close(s->fd);
    s->fd = -1;
}

struct datagram_inbox *datagram_inbox_new(void)
{
    struct datagram_inbox *inbox = memory_new(sizeof(*inbox));
    for (int i = 0; inbox && i < MESSAGES; i++) {
        inbox->vectors[i] = (struct iovec){inbox->bytes[i], MESSAGE_MAX};
        inbox->messages[i].msg_hdr = (struct msghdr){.msg_iov = &inbox->vectors[i],
                                                     .msg_iovlen = 1,
                                                     .msg_name = inbox->remotes[i].storage,
                                                     .msg_control = inbox->controls[i]};
    }
    return inbox;
}

void datagram_inbox_free(struct datagram_inbox *inbox)
{
    memory_free(inbox);
}

/* ---- receiving ---- */

static void set_local_v4(struct socket_address *local, const struct in_pktinfo *info)
{
    if (family_of(local) == AF_INET)
        memcpy(local->storage + offsetof(struct sockaddr_in, sin_addr), &info->ipi_addr,
               sizeof(info->ipi_addr));
}

/* Addresses of one link mean nothing without their interface. */
static void set_local_v6(struct socket_address *local, const struct in6_pktinfo *info)
{
    struct sockaddr_in6 v6 = as_v6(local);
    v6.sin6_addr = info->ipi6_addr;
    v6.sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr) ? info->ipi6_ifindex : 0;
    memcpy(local->storage, &v6, sizeof(v6));
}

/* What the kernel says beside the bytes: where they went, ECN, and how many it joined. */
static size_t read_control(struct msghdr *message, struct datagram *d)
{
    int segment = 0, class = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo v4;
            memcpy(&v4, CMSG_DATA(c), sizeof(v4));
            set_local_v4(&d->local, &v4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo v6;
            memcpy(&v6, CMSG_DATA(c), sizeof(v6));
            set_local_v6(&d->local, &v6);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            d->ecn = *CMSG_DATA(c) & ECN_MASK;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            memcpy(&class, CMSG_DATA(c), sizeof(class));
            d->ecn = (uint8_t) class & ECN_MASK;
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&segment, CMSG_DATA(c), sizeof(segment));
        }
    }
    return segment > 0 ? (size_t)segment : MESSAGE_MAX;
}

static unsigned visit_message(struct datagram_socket *s, struct datagram_inbox *inbox, int i,
                              datagram_visit *visit, void *user)
{
    struct msghdr *message = &inbox->messages[i].msg_hdr;
    struct datagram d = {.local = s->bound, .remote = inbox->remotes[i]};
    size_t segment = read_control(message, &d);
    size_t size = inbox->messages[i].msg_len;
    unsigned count = 0;
    d.remote.size = message->msg_namelen;
    for (size_t from = 0; from < size; from += segment, count++) {
        size_t left = size - from;
        d.bytes = span_of(inbox->bytes[i] + from, left < segment ? left : segment);
        visit(user, &d);
    }
    return size ? count : 1;
}

unsigned datagram_receive(struct datagram_socket *s, struct datagram_inbox *inbox,
                          datagram_visit *visit, void *user, bool *is_drained)
{
    for (int i = 0; i < MESSAGES; i++) {
        inbox->messages[i].msg_hdr.msg_namelen = sizeof(inbox->remotes[i].storage);
        inbox->messages[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    }
    int filled = recvmmsg(s->fd, inbox->messages, MESSAGES, MSG_DONTWAIT, NULL);
    /* Errors other than EAGAIN tell of datagrams that were sent earlier. */
    *is_drained = filled < 0 ? errno == EAGAIN : filled < MESSAGES;
    unsigned count = filled < 0 && !*is_drained;
    for (int i = 0; i < filled; i++)
        count += visit_message(s, inbox, i, visit, user);
    return count;
}

/* ---- sending ---- */

enum outcome {
    SENT,
    LOST,    /* this datagram cannot be sent: too large, no way there, a firewall */
    FULL,    /* not now */
    REFUSED, /* not as segments */
};

struct control {
    _Alignas(struct cmsghdr) uint8_t bytes[CONTROL_BYTES];
    size_t size;
};

static void add_control(struct control *c, int level, int type, const void *value, size_t size)
{
    struct cmsghdr header = {.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(size)};
    memcpy(c->bytes + c->size, &header, sizeof(header));
    memcpy(c->bytes + c->size + CMSG_LEN(0), value, size);
    c->size += CMSG_SPACE(size);
}

static void add_source(struct control *c, const struct socket_address *local)
{
    if (family_of(local) == AF_INET) {
        struct in_pktinfo info = {.ipi_ifindex = 0};
        memcpy(&info.ipi_spec_dst, local->storage + offsetof(struct sockaddr_in, sin_addr),
               sizeof(info.ipi_spec_dst));
        add_control(c, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else {
        struct sockaddr_in6 v6 = as_v6(local);
        struct in6_pktinfo info = {.ipi6_addr = v6.sin6_addr, .ipi6_ifindex = v6.sin6_scope_id};
        add_control(c, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
}

static void fill_control(struct control *c, const struct datagram_batch *batch)
{
    int ecn = batch->ecn & ECN_MASK;
    if (batch->local)
        add_source(c, batch->local);
    if (ecn && is_v4(batch->remote))
        add_control(c, IPPROTO_IP, IP_TOS, &ecn, sizeof(ecn));
    else if (ecn)
        add_control(c, IPPROTO_IPV6, IPV6_TCLASS, &ecn, sizeof(ecn));
}

/* `segment` 0: one datagram. */
static enum outcome send_once(const struct datagram_socket *s, const struct datagram_batch *batch,
                              const struct control *common, struct span bytes, uint16_t segment)
{
    struct control c = *common;
    if (segment)
        add_control(&c, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
    struct iovec vector = {(void *)(uintptr_t)bytes.data, bytes.size};
    struct msghdr message = {.msg_name = (void *)(uintptr_t)batch->remote->storage,
                             .msg_namelen = batch->remote->size,
                             .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = c.size ? c.bytes : NULL,
                             .msg_controllen = c.size};
    ssize_t sent;
    do
        sent = sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return SENT;
    if (errno == EAGAIN)
        return FULL;
    return segment && (errno == EINVAL || errno == EIO || errno == EMSGSIZE) ? REFUSED : LOST;
}

static struct span first_of(struct span bytes, size_t size)
{
    return span_of(bytes.data, bytes.size < size ? bytes.size : size);
}

/* Adds to *lost how many the system did not want. */
static size_t send_singly(const struct datagram_socket *s, const struct datagram_batch *batch,
                          const struct control *common, struct span bytes, unsigned *lost)
{
    size_t gone = 0;
    while (gone < bytes.size) {
        struct span one = first_of(span_after(bytes, gone), batch->segment);
        enum outcome outcome = send_once(s, batch, common, one, 0);
        if (outcome == FULL)
            break;
        *lost += outcome == LOST;
        gone += one.size;
    }
    return gone;
}

/* A batch is refused where the device or the kernel cannot split, and where its datagrams are too
 * large for the path: which of them it was shows when they are sent one by one. */
static size_t send_part(struct datagram_socket *s, const struct datagram_batch *batch,
                        const struct control *common, struct span part)
{
    unsigned lost = 0;
    if (part.size > batch->segment && s->has_segments) {
        enum outcome outcome = send_once(s, batch, common, part, (uint16_t)batch->segment);
        if (outcome != REFUSED)
            return outcome == FULL ? 0 : part.size;
        size_t gone = send_singly(s, batch, common, part, &lost);
        if (gone && !lost)
            s->has_segments = false;
        return gone;
    }
    return send_singly(s, batch, common, part, &lost);
}

size_t datagram_send(struct datagram_socket *s, const struct datagram_batch *batch)
{
    struct control common = {.size = 0};
    fill_control(&common, batch);
    size_t segments = BATCH_MAX / batch->segment;
    if (segments > SEGMENTS_MAX)
        segments = SEGMENTS_MAX;
    size_t most = (segments ? segments : 1) * batch->segment;
    size_t gone = 0;
    while (gone < batch->bytes.size) {
        struct span part = first_of(span_after(batch->bytes, gone), most);
        size_t sent = send_part(s, batch, &common, part);
        gone += sent;
        if (sent < part.size)
            break;
    }
    return gone;
}
