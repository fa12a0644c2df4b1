/* io/datagram.h: UDP sockets that never block, many datagrams a call.
 *
 * Where the kernel joins and splits datagrams (UDP_GRO, UDP_SEGMENT), one call moves dozens of
 * them; where it does not, the same calls move them one by one, and nobody above can tell. A
 * datagram larger than the path takes is lost, not fragmented: that is how QUIC probes a path
 * (RFC 9000 section 14.3). errno never leaves this room. One thread. */
#ifndef IO_DATAGRAM_H
#define IO_DATAGRAM_H

#include "io/socket.h"

struct datagram_options {
    bool v6_only;
    bool shared; /* SO_REUSEPORT: several sockets on one address */
    bool plain;  /* as on a kernel that neither joins nor splits */
};

struct datagram_socket {
    int fd;
    struct socket_address bound;
    bool has_segments; /* the kernel splits what is sent (GSO), as far as is known */
};

/* Binds; the port may be 0. ROUTED_OK or what socket_listen returns; then there is nothing to
 * close. */
int datagram_open(struct datagram_socket *s, const struct socket_address *a,
                  const struct datagram_options *options);
/* The same socket from its descriptor, which may come from another process. It is taken, on failure
 * too. */
int datagram_adopt(struct datagram_socket *s, int fd);
void datagram_close(struct datagram_socket *s);

struct datagram {
    struct socket_address local; /* which of our addresses it was sent to; the port is the bound */
    struct socket_address remote;
    struct span bytes;
    uint8_t ecn; /* the two bits of RFC 3168 */
};

/* Where datagrams land: shared by all sockets of a thread. NULL: no memory. */
struct datagram_inbox;
struct datagram_inbox *datagram_inbox_new(void);
void datagram_inbox_free(struct datagram_inbox *inbox); /* NULL is allowed */

/* One system call; `visit` for each datagram, which lives until it returns. Empty ones are left
 * out. How many came, with the empty ones and what the system reports instead of one, so that who
 * receives again and again can tell how much of it was enough; *is_drained: nothing more until the
 * next edge. */
typedef void datagram_visit(void *user, const struct datagram *datagram);
unsigned datagram_receive(struct datagram_socket *s, struct datagram_inbox *inbox,
                          datagram_visit *visit, void *user, bool *is_drained);

/* Several datagrams to one peer. */
struct datagram_batch {
    const struct socket_address *local; /* the source; NULL: the system chooses */
    const struct socket_address *remote;
    struct span bytes;
    size_t segment; /* bytes of each datagram but the last, which may be shorter */
    uint8_t ecn;
};

/* How many bytes are gone, sent or lost: whole segments, or all. Fewer than given: the socket
 * takes no more now. */
size_t datagram_send(struct datagram_socket *s, const struct datagram_batch *batch);

#endif
