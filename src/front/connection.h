/* front/connection.h: one client connection: a socket, a session, and the time they may take.
 *
 * The heart of the front is front_connection_run in connection.c: read what the socket has
 * (bounded), feed the session, drain it, write, set the deadline, close if done. It cannot tell
 * one version of HTTP from another. */
#ifndef FRONT_CONNECTION_H
#define FRONT_CONNECTION_H

#include "front/client.h"
#include "front/transport.h"

/* What comes before the first request: front/greeting.h. */
enum front_greeting {
    FRONT_GREETING_TLS,     /* the handshake */
    FRONT_GREETING_PREFACE, /* the first bytes tell HTTP/2 from HTTP/1 */
    FRONT_GREETING_DONE
};

struct front_connection {
    struct front_client client;
    struct loop_handle handle;
    struct loop_task task; /* a turn asked for by the session */
    struct front_transport transport;
    struct session_host host;
    enum front_greeting greeting;
    struct http_tls *agreed; /* client.tls */
    struct buffer held;      /* input that the session did not take yet */
    milliseconds probe_at;   /* CLOCK_NEVER: no sign of life is due */
    milliseconds leave_at;   /* until then a client that is leaving may send its first request */
    milliseconds quiet_at;   /* without a write until then, the next one begins a flight */
    bool was_probed;         /* one sign of life is asked for, not more */
    bool is_readable;        /* the socket may have more */
    bool is_blocked;         /* the socket takes no more: wait for the edge */
    bool peer_ended;         /* FIN seen, maybe with bytes before it unread */
    bool input_ended;        /* FIN read; the session knows */
    bool is_leaving;         /* to be shut after the next read */
    bool is_turned_away;     /* answered before there was a session to ask: only lingers */
    bool is_dead;            /* the session was aborted: close */
    bool is_running;         /* inside front_connection_run */
    bool output_ended;       /* our FIN is out: lingering */
    bool has_lingered;       /* long enough, or until the client's own end */
};

/* Takes the descriptor and the caller's count of it. NULL: no memory; the descriptor is closed and
 * what front_worker_admit counted is given back. */
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

#endif
