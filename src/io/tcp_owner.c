#include "io/tcp_owner.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

static bool address_of(int fd, bool is_peer, struct sockaddr_in *out)
{
    socklen_t size = sizeof(*out);
    struct sockaddr *address = (struct sockaddr *)(void *)out;
    int result = is_peer ? getpeername(fd, address, &size) : getsockname(fd, address, &size);
    return result == 0 && out->sin_family == AF_INET;
}

/* The peer's socket is ours with both ends exchanged. */
static bool ask(int netlink, const struct sockaddr_in *peer, const struct sockaddr_in *own)
{
    struct question q = {
        .header = {.nlmsg_len = sizeof(q),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = AF_INET,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = UINT32_MAX,
                 .id = {.idiag_sport = peer->sin_port,
                        .idiag_dport = own->sin_port,
                        .idiag_src = {peer->sin_addr.s_addr},
                        .idiag_dst = {own->sin_addr.s_addr},
                        .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}}};
    return send(netlink, &q, sizeof(q), 0) == (ssize_t)sizeof(q);
}

static bool is_answer_about(const struct inet_diag_msg *m, const struct sockaddr_in *peer,
                            const struct sockaddr_in *own)
{
    return m->idiag_family == AF_INET && m->id.idiag_sport == peer->sin_port &&
           m->id.idiag_dport == own->sin_port && m->id.idiag_src[0] == peer->sin_addr.s_addr &&
           m->id.idiag_dst[0] == own->sin_addr.s_addr && m->idiag_inode != 0;
}

/* The kernel has answered when send returned. */
static bool hear(int netlink, const struct sockaddr_in *peer, const struct sockaddr_in *own,
                 uint32_t *user)
{
    uint8_t bytes[1024];
    struct nlmsghdr header;
    struct inet_diag_msg answer;
    ssize_t size = recv(netlink, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size < (ssize_t)NLMSG_LENGTH(sizeof(answer)))
        return false;
    memcpy(&header, bytes, sizeof(header));
    memcpy(&answer, bytes + NLMSG_HDRLEN, sizeof(answer));
    if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || !is_answer_about(&answer, peer, own))
        return false;
    *user = answer.idiag_uid;
    return true;
}

bool tcp_owner_of_peer(int fd, uint32_t *user)
{
    struct sockaddr_in peer, own;
    if (!address_of(fd, true, &peer) || !address_of(fd, false, &own))
        return false;
    int netlink = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return false;
    bool is_known = ask(netlink, &peer, &own) && hear(netlink, &peer, &own, user);
    close(netlink);
    return is_known;
}
