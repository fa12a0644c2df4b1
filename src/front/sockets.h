/* front/sockets.h: the UDP sockets of a worker, and the datagrams of its HTTP/3 endpoint on them:
 * in the endpoint's words on one side, in those of io/datagram.h on the other.
 *
 * A turn reads a bounded share, and begins with another socket each time: neither TCP nor the other
 * sockets wait for one that is flooded. One thread. */
#ifndef FRONT_SOCKETS_H
#define FRONT_SOCKETS_H

#include "http3/endpoint.h"
#include "io/datagram.h"
#include "io/loop.h"

#define FRONT_SOCKETS_MAX 8
/* Datagrams of a turn, and what the last call brought beyond them. */
#define FRONT_SOCKETS_SHARE 256

struct front_sockets;

struct front_socket {
    struct loop_handle handle;
    struct datagram_socket socket;
    struct front_sockets *all;
    bool is_readable; /* it may have more */
    bool is_full;     /* hears of room for output */
};

struct front_sockets {
    struct loop *loop;
    struct datagram_inbox *inbox;
    /* There is something to receive, or room (`has_room`) where there was none. */
    void (*on_ready)(struct front_sockets *s, bool has_room);
    unsigned count;
    unsigned first; /* to be read in the next turn */
    struct front_socket items[FRONT_SOCKETS_MAX];
};

/* `s` is zeroed but for `loop` and `on_ready`. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int front_sockets_init(struct front_sockets *s);
/* The sockets are closed already. */
void front_sockets_release(struct front_sockets *s);
/* The socket is taken, on failure too. */
int front_sockets_add(struct front_sockets *s, struct datagram_socket *given);
void front_sockets_close(struct front_sockets *s);

/* True: there is more. */
typedef void front_sockets_visit(void *user, const struct http3_datagram *datagram);
bool front_sockets_receive(struct front_sockets *s, front_sockets_visit *visit, void *user);
/* As http3_endpoint_host.send; fewer bytes than given: on_ready comes with room. */
size_t front_sockets_send(struct front_sockets *s, const struct http3_batch *batch);

struct socket_address front_sockets_address(const struct http3_address *a);

#endif
