/* front/connection.h: one client connection: a socket, a session, and the time they may take.
 *
 * The heart of the front is front_connection_run in connection.c: read what the socket has
 * (bounded), feed the session, drain it, write, set the deadline, close if done. It cannot tell
 * one version of HTTP from another. */
#ifndef FRONT_CONNECTION_H
#define FRONT_CONNECTION_H

#include "front/pace.h"
#include "front/transport.h"
#include "front/worker.h"

/* What comes before the first request: front/greeting.h. */
enum front_greeting {
    FRONT_GREETING_TLS,     /* the handshake */
    FRONT_GREETING_PREFACE, /* the first bytes tell HTTP/2 from HTTP/1 */
    FRONT_GREETING_DONE
};

struct front_connection {
    struct loop_handle handle;
    struct loop_task task;   /* a turn asked for by the session */
    struct loop_timer timer; /* fires at the deadline or before it */
    struct front_worker *worker;
    struct front_transport transport;
    struct session_host host;
    struct session *session;
    enum front_greeting greeting;
    struct http_tls *tls;       /* what the handshake agreed on; NULL in the clear and before */
    struct list_link link;      /* worker->connections */
    struct list_link idle_link; /* worker->idle, while idle */
    struct buffer held;         /* input that the session did not take yet */
    struct pace input;          /* of request content */
    struct pace output;
    enum session_wait wait; /* of the session when it was last looked at, */
    uint64_t wait_requests; /* its request count then, */
    milliseconds wait_since;
    milliseconds opened_at;
    milliseconds probe_at; /* CLOCK_NEVER: no sign of life is due */
    uint64_t address_key;
    uint16_t peer_port;
    uint8_t peer_text_size;
    char peer_text[SOCKET_TEXT_MAX];
    uint64_t written;
    milliseconds quiet_at; /* without a write until then, the next one begins a flight */
    bool was_probed;       /* one sign of life is asked for, not more */
    bool is_readable;      /* the socket may have more */
    bool is_blocked;       /* the socket takes no more: wait for the edge */
    bool peer_ended;       /* FIN seen, maybe with bytes before it unread */
    bool input_ended;      /* FIN read; the session knows */
    bool is_http2;
    bool is_leaving;     /* to be shut after the next read */
    bool is_turned_away; /* answered before there was a session to ask: only lingers */
    bool is_dead;        /* the session was aborted: close */
    bool is_running;     /* inside front_connection_run */
    bool output_ended;   /* our FIN is out: lingering */
    bool has_lingered;   /* long enough, or until the client's own end */
};

/* Takes the descriptor and the caller's count of it. NULL: no memory; the descriptor is closed and
 * front_worker_connection_closed was called. */
struct front_connection *front_connection_open(struct front_worker *w, int fd,
                                               const struct socket_address *peer,
                                               uint64_t address_key, bool is_secure);
/* Aborts the session; the connection closes at the end of the turn. */
void front_connection_abort(struct front_connection *c, int error);
/* After a read: is the socket empty until the next edge? */
void front_connection_note_read(struct front_connection *c, bool is_drained);
/* What the connection waits for now. */
enum session_wait front_connection_wait(const struct front_connection *c);
/* Cuts at once: exchanges are closed with `error`. */
void front_connection_close(struct front_connection *c, int error);
/* No request after those in progress. */
void front_connection_shut(struct front_connection *c);

#endif
