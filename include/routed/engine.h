/* routed/engine.h: an application in C: routes, middleware, requests, responses.
 *
 *     static int hello(routed_exchange *x, void *user)
 *     {
 *         return routed_response_text(x, "hello\n");
 *     }
 *     ...
 *     routed_engine_route(engine, "GET", "/hello", hello, NULL, NULL);
 *
 * An engine is configured by one thread, then served (routed/serve.h). From then on it is frozen:
 * every function here that changes it returns ROUTED_ERROR_STATE, and all threads share it.
 *
 * An exchange is one request with its response. It belongs to one thread, the one that calls its
 * handler, and all its callbacks run there, never two at once. A handler must not block: the
 * thread serves other exchanges too. It answers at once, or returns ROUTED_OK and answers later,
 * from a timer, from a body callback or from another thread.
 *
 * Threads: functions on an engine are for the thread that sets it up. Functions named
 * routed_request_* are for the exchange's own thread unless said otherwise. Functions named
 * routed_response_* may be called by any thread that holds a reference (routed_exchange_retain);
 * from a foreign thread they copy their arguments and act in the order in which that thread
 * called them, soon after. No two threads may write one response at the same time.
 *
 * Errors: functions that return int return ROUTED_OK (0) or a negative code of routed/error.h.
 * ROUTED_ERROR_ARGUMENT, ROUTED_ERROR_MEMORY, ROUTED_ERROR_STATE and, after the exchange is over,
 * ROUTED_ERROR_CLOSED can come from all of them and are not repeated below.
 *
 * Text: parameters are NUL-terminated. Results are NUL-terminated too, and last until the exchange
 * is closed; where a function has a `size` parameter it stores the length there, unless NULL. */
#ifndef ROUTED_ENGINE_H
#define ROUTED_ENGINE_H

#include <routed/error.h>
#include <routed/export.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define ROUTED_FORMAT(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define ROUTED_FORMAT(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct routed_engine routed_engine;
typedef struct routed_group routed_group;
typedef struct routed_exchange routed_exchange;

#define ROUTED_UNLIMITED      INT64_C(-1)
#define ROUTED_LENGTH_UNKNOWN INT64_C(-1)
#define ROUTED_BODY_LIMIT     INT64_C(1048576) /* default for request bodies: 1 MiB */

/* Answers, or arranges that the answer comes later, and returns ROUTED_OK. A negative code means
 * failure: before the response head the client gets the status that belongs to the code, 500 for
 * all that are no mistake of the client, and nothing of the text; after it the response is cut. */
typedef int routed_handler(routed_exchange *x, void *user);

/* What a middleware returns, besides a negative code, which means what it means for a handler.
 * To stop is ROUTED_OK, so that "return routed_response_error(x, 403);" stops. */
enum {
    ROUTED_STOP = 0, /* it answered, or will, or will call routed_exchange_next */
    ROUTED_NEXT = 1  /* go on with the next middleware, or the handler */
};
typedef int routed_middleware(routed_exchange *x, void *user);

typedef void routed_callback(routed_exchange *x, void *user);
/* `error`: ROUTED_OK when request and response were both complete; ROUTED_ERROR_CLIENT_GONE and
 * others when not. */
typedef void routed_close_callback(routed_exchange *x, int error, void *user);

/* ---- the engine ---- */

/* NULL when there is no memory. */
ROUTED_API routed_engine *routed_engine_new(void);
/* Not before every server that uses it has stopped. NULL is allowed. */
ROUTED_API void routed_engine_free(routed_engine *engine);

typedef struct routed_route_options {
    size_t size;        /* of this struct: start from ROUTED_ROUTE_OPTIONS */
    int64_t body_limit; /* bytes of request content; more is answered with 413. ROUTED_UNLIMITED */
} routed_route_options;

/* routed_route_options options = ROUTED_ROUTE_OPTIONS; */
#define ROUTED_ROUTE_OPTIONS                                                                       \
    {                                                                                              \
        sizeof(routed_route_options), ROUTED_BODY_LIMIT                                            \
    }

/* Adds a route. `method`: a method, case-sensitive, or NULL or "*" for every method. `options`
 * may be NULL. `user` is handed to the handler and must outlive the engine.
 *
 * A pattern starts with "/". Between slashes stands either
 *   text     which equals the path's bytes as received (nothing is decoded or folded),
 *   {name}   one segment that is not empty,
 *   {*name}  at the end only: the rest of the path, slashes included, which may be empty: the
 *            pattern "/files/{*path}" matches "/files/" and not "/files".
 * Text goes before {name} and {name} before {*name}, segment by segment from the left; a choice
 * that leads nowhere is taken back. "/a" and "/a/" are two paths. A path may match several
 * patterns with different methods: the first of them that has the request's method is taken.
 *
 * Answered without a handler: 404; 405 with Allow; HEAD by the route for GET, without content;
 * OPTIONS with 204 and Allow. All of these pass the middleware too: that of the engine, and that
 * of the innermost group whose prefix the path has. A parameter with a broken percent escape, or
 * with "%00", is answered with 400.
 *
 * ROUTED_ERROR_ARGUMENT also for a pattern that breaks these rules, has more than 16 parameters or
 * 64 segments, and for a method and pattern that are there already (names of parameters make no
 * difference); ROUTED_ERROR_LIMIT for more than 64 different methods. */
ROUTED_API int routed_engine_route(routed_engine *engine, const char *method, const char *pattern,
                                   routed_handler *handler, void *user,
                                   const routed_route_options *options);

/* Adds middleware around all routes. `before` runs before the handler, in order of adding;
 * `after` runs in the reverse order just before the final response head leaves, where
 * `before` had its turn, and may change status and fields, not the content. One of them may be
 * NULL. Middleware applies to every route, added earlier or later. */
ROUTED_API int routed_engine_use(routed_engine *engine, routed_middleware *before,
                                 routed_callback *after, void *user);

/* Runs when an exchange is over, for logs and numbers: routed_exchange_status and
 * routed_exchange_sent are final. At most 8. */
ROUTED_API int routed_engine_on_done(routed_engine *engine, routed_close_callback *callback,
                                     void *user);

/* Routes below a common prefix with middleware of their own, which runs inside that of the
 * engine. `prefix` is a pattern without {*name} that does not end in "/". The group belongs to
 * the engine; the same prefix gives the same group. NULL for a bad prefix, without memory and
 * once the engine is served. */
ROUTED_API routed_group *routed_engine_group(routed_engine *engine, const char *prefix);
ROUTED_API routed_group *routed_group_group(routed_group *group, const char *prefix);
/* `pattern` is appended to the prefix; "" is the prefix itself. */
ROUTED_API int routed_group_route(routed_group *group, const char *method, const char *pattern,
                                  routed_handler *handler, void *user,
                                  const routed_route_options *options);
ROUTED_API int routed_group_use(routed_group *group, routed_middleware *before,
                                routed_callback *after, void *user);

typedef struct routed_engine_counters {
    size_t size;                 /* of this struct, set by the caller */
    uint64_t exchanges;          /* since the engine was made */
    uint64_t exchanges_open;     /* now */
    uint64_t exchanges_cut;      /* ended before both sides were complete */
    uint64_t handler_failures;   /* handlers and callbacks that returned a negative code */
    uint64_t bodies_too_large;   /* answered with 413, or cut */
    uint64_t websockets;         /* opened since the engine was made */
    uint64_t websockets_open;    /* now */
    uint64_t websockets_refused; /* malformed handshakes and requests without one */
} routed_engine_counters;

/* Any thread, at any time. Fills what `counters->size` has room for. */
ROUTED_API int routed_engine_count(const routed_engine *engine, routed_engine_counters *counters);

/* ---- the exchange ---- */

/* A reference keeps the handle valid, not the request open: once the exchange is over, functions
 * return ROUTED_ERROR_CLOSED. Take one before handing the exchange to another thread; give it
 * back on any thread. Every thread that uses an exchange needs one. */
ROUTED_API void routed_exchange_retain(routed_exchange *x);
ROUTED_API void routed_exchange_release(routed_exchange *x);

/* Continues a chain that a middleware stopped with ROUTED_STOP, once; without effect on one that
 * runs, was answered or reached its handler. Any thread with a reference. */
ROUTED_API int routed_exchange_next(routed_exchange *x);

/* Runs `callback` once on the exchange's thread, soon; not if the exchange is over by then. Any
 * thread with a reference. */
ROUTED_API int routed_exchange_post(routed_exchange *x, routed_callback *callback, void *user);

/* Runs `callback` once on the exchange's thread after that many milliseconds, unless the
 * exchange is over by then. Own thread only, else ROUTED_ERROR_STATE. */
ROUTED_API int routed_exchange_after(routed_exchange *x, uint32_t milliseconds,
                                     routed_callback *callback, void *user);

/* Runs `callback` once when the exchange is over: complete, cancelled by the client or failed.
 * Several may be added; the last added runs first. Afterwards only routed_exchange_* functions
 * that say so and routed_exchange_release are of use. Own thread only. */
ROUTED_API int routed_exchange_on_close(routed_exchange *x, routed_close_callback *callback,
                                        void *user);
/* Any thread with a reference: 1 once the exchange is over. */
ROUTED_API int routed_exchange_is_closed(const routed_exchange *x);

/* Memory that lives until the exchange is over, aligned for any type; NULL when there is none.
 * Own thread only. */
ROUTED_API void *routed_exchange_memory(routed_exchange *x, size_t size);

/* One pointer for the application's own use, such as what a middleware found for the handler. Own
 * thread only. */
ROUTED_API void routed_exchange_set_user(routed_exchange *x, void *user);
ROUTED_API void *routed_exchange_user(const routed_exchange *x);

/* Status of the final response head, 0 before it; content bytes sent; content bytes received.
 * Own thread; also from callbacks that tell of the end. */
ROUTED_API int routed_exchange_status(const routed_exchange *x);
ROUTED_API uint64_t routed_exchange_sent(const routed_exchange *x);
ROUTED_API uint64_t routed_exchange_received(const routed_exchange *x);

/* ---- the request: head. Own thread; NULL, 0 or ROUTED_ERROR_CLOSED once the exchange is over,
 *      NULL also where the carrier does not know the value. ---- */

ROUTED_API const char *routed_request_method(routed_exchange *x);
ROUTED_API const char *routed_request_scheme(routed_exchange *x); /* "http" or "https" */
ROUTED_API const char *routed_request_authority(routed_exchange *x);
ROUTED_API const char *routed_request_target(routed_exchange *x); /* as received */
ROUTED_API const char *routed_request_path(routed_exchange *x);   /* not decoded */
ROUTED_API const char *routed_request_query(routed_exchange *x);  /* without "?", not decoded */
/* "1.0", "1.1", "2" or "3". */
ROUTED_API const char *routed_request_protocol(routed_exchange *x);
/* "websocket" for a WebSocket handshake, else NULL. */
ROUTED_API const char *routed_request_upgrade(routed_exchange *x);
/* "127.0.0.1", "::1", or "unix" with port 0. Port 0 also where it is not known. */
ROUTED_API const char *routed_request_peer_address(routed_exchange *x);
ROUTED_API uint16_t routed_request_peer_port(routed_exchange *x);
ROUTED_API const char *routed_request_id(routed_exchange *x);

/* What TLS knows of the client's connection; NULL on a connection in the clear, and for parts
 * that there are none of. */
enum routed_tls_part {
    ROUTED_TLS_VERSION = 0,            /* "1.3" */
    ROUTED_TLS_CIPHER = 1,             /* "TLS_AES_128_GCM_SHA256" */
    ROUTED_TLS_ALPN = 2,               /* "h2" */
    ROUTED_TLS_SERVER_NAME = 3,        /* that the client asked for */
    ROUTED_TLS_CLIENT_SUBJECT = 4,     /* of its certificate, RFC 4514 */
    ROUTED_TLS_CLIENT_FINGERPRINT = 5, /* SHA-256 of its certificate, hexadecimal */
    ROUTED_TLS_CLIENT_VERIFIED = 6     /* "yes", or why its certificate is not trusted */
};
ROUTED_API const char *routed_request_tls(routed_exchange *x, int part);
/* The pattern of the route that matched, with the prefixes of its groups; NULL for answers
 * without a handler. Any thread with a reference. */
ROUTED_API const char *routed_request_pattern(routed_exchange *x);
/* Declared length of the content, 0 when there is none, or ROUTED_LENGTH_UNKNOWN. */
ROUTED_API int64_t routed_request_content_length(routed_exchange *x);

/* The value of the first field with that name, in any case, or NULL. */
ROUTED_API const char *routed_request_field(routed_exchange *x, const char *name);
/* All fields in order of arrival; names are lower case. ROUTED_ERROR_ARGUMENT past the last. */
ROUTED_API size_t routed_request_field_count(routed_exchange *x);
ROUTED_API int routed_request_field_at(routed_exchange *x, size_t index, const char **name,
                                       const char **value);

/* Parameters of the pattern, from the left. Percent escapes are decoded once, after the path was
 * matched: "%2F" becomes a "/" that separates nothing, and "%2541" becomes "%41". */
ROUTED_API const char *routed_request_param(routed_exchange *x, const char *name);
ROUTED_API size_t routed_request_param_count(routed_exchange *x);
ROUTED_API int routed_request_param_at(routed_exchange *x, size_t index, const char **name,
                                       const char **value);
/* As received. */
ROUTED_API const char *routed_request_param_raw(routed_exchange *x, const char *name);

/* The value of the first "name=value" of the query, decoded ("+" is a space); "" for a name
 * without "=". The name is compared as received. NULL when there is none or its escapes are
 * broken. */
ROUTED_API const char *routed_request_query_param(routed_exchange *x, const char *name,
                                                  size_t *size);
/* The same as a number: `otherwise` when it is missing or no number between 0 and INT64_MAX. */
ROUTED_API int64_t routed_request_query_number(routed_exchange *x, const char *name,
                                               int64_t otherwise);
/* A path parameter as a number; ROUTED_ERROR_ARGUMENT when it is none between 0 and INT64_MAX. */
ROUTED_API int routed_request_param_number(routed_exchange *x, const char *name, int64_t *value);

/* ---- the request: body ---- */

/* Part of the body. `bytes` last until the callback returns. The end is a call of its own, the
 * last, with `is_end` 1 and a size of 0. Returns ROUTED_OK; ROUTED_ERROR_AGAIN to take nothing: the
 * same call comes again when the response is writable or after routed_request_resume; any other
 * negative code is a failure as of a handler. So the body of an echo's callback is
 *     return is_end ? routed_response_end(x) : routed_response_write(x, bytes, size); */
typedef int routed_body_callback(routed_exchange *x, const void *bytes, size_t size, int is_end,
                                 void *user);

/* Starts to read: at most 256 KiB are on their way at a time, and more is asked for as the
 * callback takes what came. Once per exchange; without it the body is never asked for, and
 * dropped when the answer is out. The body limit of the route applies. */
ROUTED_API int routed_request_read(routed_exchange *x, routed_body_callback *on_body, void *user);

/* Pause: no on_body until resume, the client is held back. Pause on the own thread; resume on any
 * thread with a reference. */
ROUTED_API int routed_request_pause(routed_exchange *x);
ROUTED_API int routed_request_resume(routed_exchange *x);

/* The whole body; a NUL byte stands after its end. `bytes` live until the exchange is over. */
typedef int routed_collect_callback(routed_exchange *x, const void *bytes, size_t size, void *user);

/* Reads the whole body, then calls `on_complete` once. More than `limit` bytes, or than the limit
 * of the route, are answered with 413, and `on_complete` is not called. */
ROUTED_API int routed_request_collect(routed_exchange *x, size_t limit,
                                      routed_collect_callback *on_complete, void *user);

/* Fields after the body, from the last on_body or on_complete on. */
ROUTED_API const char *routed_request_trailer(routed_exchange *x, const char *name);
ROUTED_API size_t routed_request_trailer_count(routed_exchange *x);
ROUTED_API int routed_request_trailer_at(routed_exchange *x, size_t index, const char **name,
                                         const char **value);

/* ---- the response: head ---- */

/* A name and a value as they are given to the functions below. */
typedef struct routed_field {
    const char *name;
    const char *value;
} routed_field;

/* 200 when never called. 200 to 999. */
ROUTED_API int routed_response_status(routed_exchange *x, int status);
/* Add keeps fields of the same name, set replaces them. ROUTED_ERROR_ARGUMENT for a name that is
 * no token or a value with a control byte: nothing that would break a message gets in. Fields of
 * the connection and of the framing are the front's: they are dropped. */
ROUTED_API int routed_response_add_field(routed_exchange *x, const char *name, const char *value);
ROUTED_API int routed_response_set_field(routed_exchange *x, const char *name, const char *value);
ROUTED_API int routed_response_remove_field(routed_exchange *x, const char *name);

/* Sends an informational head (103, 102), at once, with these fields only. 100 and 101 are the
 * front's: ROUTED_ERROR_ARGUMENT. ROUTED_ERROR_LIMIT after 16 of them. */
ROUTED_API int routed_response_inform(routed_exchange *x, int status, const routed_field *fields,
                                      size_t count);

/* ---- the response: whole. Each sends status, fields and content and ends the response. The
 *      content is copied, and left out where the status or HEAD forbids it. ---- */

ROUTED_API int routed_response_send(routed_exchange *x, const void *bytes, size_t size);
/* Without a copy, for bytes that outlive the server, such as literals. */
ROUTED_API int routed_response_send_static(routed_exchange *x, const void *bytes, size_t size);
ROUTED_API int routed_response_bytes(routed_exchange *x, const char *content_type,
                                     const void *bytes, size_t size);
ROUTED_API int routed_response_text(routed_exchange *x, const char *text); /* utf-8 */
ROUTED_API int routed_response_html(routed_exchange *x, const char *html); /* utf-8 */
ROUTED_API int routed_response_json(routed_exchange *x, const char *json);
ROUTED_API int routed_response_empty(routed_exchange *x, int status);
/* Convenience for C: printf into the content, at most 64 KiB, else ROUTED_ERROR_LIMIT. */
ROUTED_API int routed_response_format(routed_exchange *x, const char *content_type,
                                      const char *format, ...) ROUTED_FORMAT(3, 4);
/* `status`: 301, 302, 303, 307 or 308. `location` must be a valid field value. */
ROUTED_API int routed_response_redirect(routed_exchange *x, int status, const char *location);
/* The status with its phrase as plain text. 400 to 599. */
ROUTED_API int routed_response_error(routed_exchange *x, int status);

/* ---- the response: as a stream ---- */

/* Sends the head at once. `length`: what will be written in total, or ROUTED_LENGTH_UNKNOWN. */
ROUTED_API int routed_response_begin(routed_exchange *x, int64_t length);

/* Takes all of the bytes, which are copied, or nothing: ROUTED_ERROR_AGAIN while the window is
 * full. The window is full when the client or the way to it is slower than the handler; wait for
 * on_writable on the own thread, routed_response_wait on others. What was taken before the end of
 * the window may overshoot it by one write: keep single writes below 1 MiB. More than the
 * declared length is ROUTED_ERROR_RESPONSE, at the latest in the response, which is then cut. */
ROUTED_API int routed_response_write(routed_exchange *x, const void *bytes, size_t size);
/* The same without a copy, for bytes that outlive the server. */
ROUTED_API int routed_response_write_static(routed_exchange *x, const void *bytes, size_t size);
/* A field after the content. Any time before the end; where the protocol or the client has no
 * place for trailers they are left out. */
ROUTED_API int routed_response_trailer(routed_exchange *x, const char *name, const char *value);
/* The response is complete. Less than the declared length: the response is cut. */
ROUTED_API int routed_response_end(routed_exchange *x);

/* 1 when a write would be taken now. */
ROUTED_API int routed_response_is_writable(const routed_exchange *x);
/* Runs `callback` on the exchange's thread each time the window opens after a write was refused.
 * One per exchange; NULL takes it back. Own thread only. */
ROUTED_API int routed_response_on_writable(routed_exchange *x, routed_callback *callback,
                                           void *user);
/* For foreign threads: blocks until a write would be taken. ROUTED_ERROR_TIMEOUT after that many
 * milliseconds, ROUTED_ERROR_STATE on the exchange's own thread. */
ROUTED_API int routed_response_wait(routed_exchange *x, uint32_t milliseconds);

/* Ends the exchange as if its handler had returned `code`, a negative code. */
ROUTED_API int routed_response_fail(routed_exchange *x, int code);

#ifdef __cplusplus
}
#endif

#endif
