/* io/tcp_owner.h: who is at the other end of a TCP connection within this machine.
 *
 * TCP carries no credentials, but the kernel knows the owner of each socket of its own. */
#ifndef IO_TCP_OWNER_H
#define IO_TCP_OWNER_H

#include <stdbool.h>
#include <stdint.h>

/* The user whose socket `fd` (IPv4, connected) is connected to. False when the other end is not of
 * this machine or network namespace, or the kernel does not tell (NETLINK_SOCK_DIAG). Asks the
 * kernel once, without waiting for anybody else. */
bool tcp_owner_of_peer(int fd, uint32_t *user);

#endif
