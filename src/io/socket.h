/* io/socket.h: stream sockets that never block.
 *
 * Byte counts come back as ssize_t: above zero bytes moved, 0 end of input, or one of the
 * negative SOCKET_ results. errno never leaves this room. All sockets are non-blocking and
 * close-on-exec; writes never raise SIGPIPE. */
#ifndef IO_SOCKET_H
#define IO_SOCKET_H

#include "base/span.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SOCKET_AGAIN = -1, /* nothing now: wait for the edge */
    SOCKET_DEAD = -2   /* reset or broken: close it */
};

struct socket_address {
    uint8_t storage[128]; /* a struct sockaddr_storage */
    uint32_t size;
};

/* Numeric text of an address: "127.0.0.1", "::1", "unix". Writes at most SOCKET_TEXT_MAX bytes,
 * returns how many. */
#define SOCKET_TEXT_MAX 46
size_t socket_address_text(const struct socket_address *a, char *out);
uint16_t socket_address_port(const struct socket_address *a);
bool socket_address_is_unix(const struct socket_address *a);
/* A key for per-address limits: IPv4 whole, IPv6 the /64. 0 for Unix sockets. */
uint64_t socket_address_key(const struct socket_address *a, uint64_t seed);

/* ---- listening ---- */

struct socket_listen_options {
    int backlog;  /* 0: 1024 */
    bool v6_only; /* IPv6 sockets only */
    bool shared;  /* SO_REUSEPORT: several sockets on one address */
    /* TCP: a peer that acknowledges nothing for this many milliseconds is dead, silent ones are
     * asked after the same time; accepted connections inherit it. 0: the system's defaults. */
    unsigned dead_after;
};

/* Addresses of a host: a numeric address, a name, "localhost" for both loopbacks, "any" or ""
 * for every interface. Fills up to `max`, returns the count or a negative routed_error. */
int socket_resolve(const char *host, uint16_t port, struct socket_address *out, int max);
/* A Unix path; ROUTED_ERROR_ADDRESS_UNKNOWN when it is too long. */
int socket_address_unix(const char *path, struct socket_address *out);
void socket_address_set_port(struct socket_address *a, uint16_t port);

/* A listening descriptor, or a negative routed_error: ADDRESS_IN_USE, PERMISSION,
 * ADDRESS_UNKNOWN (not of this machine) or SYSTEM. SO_REUSEADDR and TCP_NODELAY are always set
 * for TCP. */
int socket_listen(const struct socket_address *a, const struct socket_listen_options *options);
/* A routed_error for an errno: for the files of this room. */
int socket_error_of(int number);
/* Another descriptor of the same socket, or ROUTED_ERROR_SYSTEM. */
int socket_duplicate(int fd);
/* A socket file that nobody listens on any more is removed; one that may be in use is
 * ROUTED_ERROR_ADDRESS_IN_USE, one that is no socket ROUTED_ERROR_FILE. */
int socket_unlink_stale(const char *path);
void socket_unlink(const char *path);
/* The address a socket is bound to. */
int socket_local_address(int fd, struct socket_address *out);

enum {
    SOCKET_EXHAUSTED = -3 /* no descriptor or memory for another socket */
};
/* A connected descriptor, SOCKET_AGAIN, SOCKET_EXHAUSTED, or SOCKET_DEAD (that client is gone,
 * go on with the next). */
int socket_accept(int listener, struct socket_address *peer);

/* ---- connecting and moving bytes ---- */

/* Starts a connect; the descriptor turns writable when done. Negative routed_error otherwise;
 * ROUTED_ERROR_AGAIN: the peer's backlog is full (Unix sockets), try later. */
int socket_connect(const struct socket_address *a);
/* After the first writable event: ROUTED_OK, or why the connect failed. */
int socket_connect_result(int fd);

ssize_t socket_read(int fd, uint8_t *into, size_t size);
ssize_t socket_write(int fd, struct span data);
/* Gathers at most SOCKET_GATHER spans. */
#define SOCKET_GATHER 64
ssize_t socket_write_spans(int fd, const struct span *spans, size_t count);
/* Ends the sending direction (FIN). */
void socket_end(int fd);
/* Nanoseconds to the peer of a TCP connection and back, as the kernel smooths them; 0: not known.
 */
uint64_t socket_round_trip(int fd);
void socket_close(int fd);
/* Closing sends a reset instead of lingering data. */
void socket_reset_on_close(int fd);
/* Is there anything to read, or is it closed? True for a pooled connection that is unusable:
 * an idle peer has nothing to say. */
bool socket_has_input(int fd);

/* Unix sockets: the peer's user and process (SO_PEERCRED). False when not known. */
bool socket_peer_credentials(int fd, uint32_t *uid, int32_t *pid);

#endif
