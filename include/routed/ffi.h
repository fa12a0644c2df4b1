/* routed/ffi.h: the front alone, for hosts in any language.
 *
 * Made for foreign function interfaces: opaque pointers, fixed-width integers, bytes as pointer
 * and size, no variable arguments, no struct by value, structs that begin with their size. No
 * function calls back into the host; the host asks.
 *
 * The application joins in one of two ways:
 *
 *   Bridge peer   the host listens on a socket of its own, and each request comes there as
 *                 docs/BRIDGE_PROTOCOL.md says (options.bridge_path or .bridge_port).
 *   Event queue   without either, exchanges come in batches through routed_ffi_poll, announced by
 *                 one descriptor to wait on. Heads and content are the payloads of bridge frames
 *                 without the four bytes of length, so one codec serves both ways.
 *                 The least of it is examples/python/hello.py.
 *
 * Threads: every function may be called by any thread, routed_ffi_poll and routed_ffi_wait by one
 * at a time each. None blocks but those that say so. Processes: a server belongs to the process
 * that started it; after a fork only that one may use it.
 *
 * Errors: functions that return int32_t return 0 or a negative code of routed/error.h. A server
 * that is NULL, as after a start that failed, is ROUTED_ERROR_ARGUMENT for those, and for others
 * one that has nothing and does nothing. */
#ifndef ROUTED_FFI_H
#define ROUTED_FFI_H

#include <routed/error.h>
#include <routed/export.h>
#include <routed/limits.h>
#include <routed/metrics.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface: grows when something is added. */
#define ROUTED_FFI_VERSION 1

typedef struct routed_ffi routed_ffi;

enum routed_ffi_mode {
    ROUTED_FFI_APPLICATION = 0,  /* bridge peer or event queue */
    ROUTED_FFI_NATIVE_DIRECT = 1 /* answers {"ok":true,"label":"routed_ffi_native_direct"} */
};

/* Strings are NUL-terminated UTF-8, copied during the call; NULL means the default. */
typedef struct routed_ffi_options {
    uint64_t size; /* sizeof(routed_ffi_options) as the host knows it: members past it have their
                      defaults; members that only a newer host knows must be zero here, else
                      ROUTED_ERROR_UNSUPPORTED */

    const char *host;      /* an address, a name, "localhost", "any"; NULL: 127.0.0.1 */
    const char *unix_path; /* listens on this Unix socket too, or NULL */
    uint32_t port;         /* 0: the system chooses, routed_ffi_port tells */
    uint32_t backlog;      /* 0: 1,024 */
    uint32_t v6_only;      /* 1: IPv6 sockets refuse IPv4 */
    uint32_t shared;       /* 1: SO_REUSEPORT, other processes of the same user may listen too */
    uint32_t workers;      /* at most 64; 0: one per core */
    uint32_t mode;         /* enum routed_ffi_mode */

    const char *bridge_path; /* the Unix socket where the application listens, */
    uint32_t bridge_port;    /* or its port on 127.0.0.1; both unset: the event queue */
    uint32_t log_level;      /* 0 debug, 1 info, 2 warning, 3 error */

    const char *access_log; /* a file for one JSON line per request, or NULL */
    const char *log;        /* a file for the server's own lines; NULL: none are written */

    uint32_t http2; /* 0 and 1: on, in the clear by prior knowledge; 2: off */
    uint32_t http3; /* 0: on where there is TLS; 1: on, ROUTED_ERROR_ARGUMENT without; 2: off */

    /* With a certificate `port` speaks TLS and nothing is served in the clear. As in
     * routed/serve.h. */
    const char *tls_certificate;
    const char *tls_key;
    const char *tls_key_password;
    const char *tls_ocsp;
    const char *tls_client_authorities;
    const char *tls_client_revocations;
    uint32_t tls_client; /* client certificates: 0 off, 1 request, 2 require */
    uint32_t alt_svc;    /* answers tell of HTTP/3: 0 and 1 yes, 2 no; as in routed/serve.h */

    const routed_limits *limits; /* NULL: defaults */

    uint32_t early_data; /* requests in 0-RTT, see routed/serve.h: 1 yes, 0 and 2 no */
    uint32_t reserved;   /* 0 */

    const char *quic_secret; /* of HTTP/3, as in routed/serve.h */
} routed_ffi_options;

/* ROUTED_FFI_VERSION of the library that is loaded. */
ROUTED_API uint32_t routed_ffi_version(void);
/* The library's version, for example "0.1.0". Static. */
ROUTED_API const char *routed_ffi_version_text(void);
/* One JSON object: version, ffi and bridge (versions of the interface and of the protocol),
 * protocols, modes, tls (versions; null: none). Static. */
ROUTED_API const char *routed_ffi_features(void);

/* Starts the front; its listeners accept when this returns. On failure *server is NULL. */
ROUTED_API int32_t routed_ffi_start(const routed_ffi_options *options, routed_ffi **server);
/* The text of the last failed routed_ffi_start of this thread: at most `size` bytes with a NUL,
 * whole characters. Returns the size of the whole text without it; 0 without a failure. */
ROUTED_API uint64_t routed_ffi_last_error(char *text, uint64_t size);

/* The real port; 0 for servers on a Unix socket only. */
ROUTED_API uint32_t routed_ffi_port(const routed_ffi *server);

/* First call: graceful, cut after `timeout` milliseconds (ROUTED_NO_LIMIT: limits.drain_timeout).
 * Second call: forced. Returns at once; the queue then ends with ROUTED_FFI_STOPPED. */
ROUTED_API void routed_ffi_stop(routed_ffi *server, uint64_t timeout);
/* Blocks until stopped: 0, ROUTED_ERROR_TIMEOUT (cut at the deadline) or ROUTED_ERROR_CLOSED
 * (forced). With the event queue, go on polling on another thread, or wait for
 * ROUTED_FFI_STOPPED first. */
ROUTED_API int32_t routed_ffi_wait(routed_ffi *server);
/* Forces, waits and frees. No other thread may use the server any more. NULL is allowed. */
ROUTED_API void routed_ffi_free(routed_ffi *server);

/* ---- the event queue ---- */

/* From the end of a request to the head of its answer a host has limits.engine_answer_timeout;
 * then the client gets 504 and the host ROUTED_FFI_CLOSED. */

enum routed_ffi_event_kind {
    /* A request. data: the payload of a frame of type 11 (data is all of the request, and no
     * ROUTED_FFI_END follows), or of type 13 (content follows). */
    ROUTED_FFI_REQUEST = 1,
    /* Content: data are the bytes themselves. Grant as much again when it is consumed. */
    ROUTED_FFI_BODY = 2,
    ROUTED_FFI_END = 3, /* the request, or the client's direction of a tunnel, is complete */
    /* The response window is open again after routed_ffi_send returned ROUTED_ERROR_AGAIN. */
    ROUTED_FFI_WRITABLE = 4,
    /* The exchange is over; code is 0 or why it was cut, for example ROUTED_ERROR_CLIENT_GONE.
     * Always the last event of an exchange. Its id is never used again. An exchange that ends
     * before its request was handed out has no events at all. */
    ROUTED_FFI_CLOSED = 5,
    ROUTED_FFI_STOPPED = 6 /* the server has stopped: the last event of all */
};

typedef struct routed_ffi_event {
    uint64_t exchange; /* its id; 0 for ROUTED_FFI_STOPPED */
    uint32_t kind;     /* enum routed_ffi_event_kind */
    int32_t code;
    const uint8_t *data; /* until the next routed_ffi_poll; NULL without */
    uint64_t size;
} routed_ffi_event;

/* Readable while there are events. Belongs to the server. -1 without an event queue. */
ROUTED_API int32_t routed_ffi_descriptor(const routed_ffi *server);

/* Takes up to `max` events in order; those of the poll before, with their data, are gone. Waits
 * at most `timeout` milliseconds for the first (0: not at all, UINT64_MAX: without end). Returns
 * how many, 0 also when a signal ended the wait; or a negative code: ROUTED_ERROR_CLOSED after
 * ROUTED_FFI_STOPPED, ROUTED_ERROR_STATE without an event queue, ROUTED_ERROR_MEMORY (nothing is
 * lost: poll again). */
ROUTED_API int64_t routed_ffi_poll(routed_ffi *server, routed_ffi_event *events, uint64_t max,
                                   uint64_t timeout);

/* Sends a part of the response: the payload of a frame of type 12; or 14, then 7 any number of
 * times, then 8; 14 with a status of 103 before them; after 14 with 101, 9 and 10. The bytes are
 * copied. ROUTED_ERROR_AGAIN: the window is full and nothing was taken, wait for
 * ROUTED_FFI_WRITABLE. ROUTED_ERROR_CLOSED: the exchange is over, or was never there.
 * ROUTED_ERROR_BRIDGE_FRAME: no such payload. What can be judged only by the front, such as a
 * field that is not allowed, ends the exchange with 502 and shows in ROUTED_FFI_CLOSED. */
ROUTED_API int32_t routed_ffi_send(routed_ffi *server, uint64_t exchange, const uint8_t *payload,
                                   uint64_t size);
/* Several at once, for the same or different exchanges: payload i is the `sizes[i]` bytes after
 * those before it. Returns how many were taken; the next one's fault is in *error (may be NULL). */
ROUTED_API uint64_t routed_ffi_send_batch(routed_ffi *server, const uint64_t *exchanges,
                                          const uint8_t *payloads, const uint64_t *sizes,
                                          uint64_t count, int32_t *error);

/* Lets that many more bytes of the request's content come. The first window is given when the
 * request is handed out. */
ROUTED_API int32_t routed_ffi_grant(routed_ffi *server, uint64_t exchange, uint64_t bytes);

/* The application failed: 500 before the response head, a visible cut after it. */
ROUTED_API int32_t routed_ffi_abort(routed_ffi *server, uint64_t exchange);

/* ---- numbers ---- */

ROUTED_API uint64_t routed_ffi_metrics(const routed_ffi *server, routed_metric *out, uint64_t max);
/* As JSON: at most `size` bytes with a NUL; returns what was needed without it. */
ROUTED_API uint64_t routed_ffi_metrics_json(const routed_ffi *server, char *out, uint64_t size);
/* Loads the TLS files anew within a second, as happens by itself when one changes. */
ROUTED_API void routed_ffi_reload(routed_ffi *server);
/* Opens the access log anew, after it was renamed. */
ROUTED_API void routed_ffi_reopen_log(routed_ffi *server);

#ifdef __cplusplus
}
#endif

#endif
