/* io/private_socket.h: listening Unix sockets without a name: only a descriptor leads to them.
 *
 * The socket is bound in a directory of its own (0700, under $XDG_RUNTIME_DIR or /tmp), is given
 * mode 0600, is held by a descriptor of its path, and then both names are removed. Connecting
 * goes through /proc/self/fd: nobody can find the socket, and however the process ends nothing
 * is left of it. */
#ifndef IO_PRIVATE_SOCKET_H
#define IO_PRIVATE_SOCKET_H

#include "io/socket.h"

struct private_socket {
    int listener;
    int path; /* names the socket as long as it is open */
    /* Good in this process, and in a forked one, while both descriptors are open there. */
    struct socket_address address;
};

#define PRIVATE_SOCKET_CLOSED ((struct private_socket){.listener = -1, .path = -1})

/* ROUTED_OK, or a routed_error and `s` closed; ROUTED_ERROR_UNSUPPORTED without /proc. */
int private_socket_open(struct private_socket *s);
/* Harmless when closed. */
void private_socket_close(struct private_socket *s);

#endif
