/* routed/websocket.h: WebSocket routes (RFC 6455).
 *
 * The engine does the handshake, masks, fragments, pings, close codes and UTF-8; the application
 * sees whole messages. A socket belongs to one thread, which runs all its callbacks, never two at
 * once. A handle is valid from on_open until on_close returns, longer with a reference. */
#ifndef ROUTED_WEBSOCKET_H
#define ROUTED_WEBSOCKET_H

#include <routed/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct routed_websocket routed_websocket;

enum {
    ROUTED_WEBSOCKET_TEXT = 1,
    ROUTED_WEBSOCKET_BINARY = 2
};

typedef struct routed_websocket_callbacks {
    size_t size; /* of this struct: start from ROUTED_WEBSOCKET_CALLBACKS */
    /* The handshake is answered; sending is allowed. A negative code closes with 1011. */
    int (*on_open)(routed_websocket *ws, void *user);
    /* One whole message; text is valid UTF-8. `data` lasts until the callback returns. A negative
     * code closes with 1011. */
    int (*on_message)(routed_websocket *ws, int type, const void *data, size_t size, void *user);
    /* Over, exactly once after on_open. `code`: the close code that ended it (1000 and so on), 1005
     * for a close without code, 1006 when the connection was lost. */
    void (*on_close)(routed_websocket *ws, int code, const char *reason, size_t size, void *user);
    /* The queue is empty again after routed_websocket_send was refused. */
    void (*on_writable)(routed_websocket *ws, void *user);
} routed_websocket_callbacks;

/* Each callback may be NULL. */
#define ROUTED_WEBSOCKET_CALLBACKS                                                                 \
    {                                                                                              \
        sizeof(routed_websocket_callbacks), NULL, NULL, NULL, NULL                                 \
    }

typedef struct routed_websocket_options {
    size_t size;              /* of this struct: start from ROUTED_WEBSOCKET_OPTIONS */
    size_t message_limit;     /* bytes of one message; above it the socket closes with 1009 */
    size_t queue_limit;       /* bytes that may wait to be sent */
    uint32_t ping_interval;   /* milliseconds of silence before a ping; 0: none */
    uint32_t dead_after;      /* milliseconds of silence before the socket is cut; 0: never */
    const char *subprotocols; /* "chat.v2, chat.v1", the most wanted first; NULL: none */
} routed_websocket_options;

/* 1 MiB, 1 MiB, 20 s, 60 s. */
#define ROUTED_WEBSOCKET_OPTIONS                                                                   \
    {                                                                                              \
        sizeof(routed_websocket_options), 1048576, 1048576, 20000, 60000, NULL                     \
    }

/* Adds a WebSocket route, a GET route for everything else said of routes: middleware runs first
 * and may refuse (a check of the field "origin" belongs there). A request that is no handshake is
 * answered with 426, a malformed one with 400. Options and callbacks are copied; `user` must
 * outlive the engine. */
ROUTED_API int routed_engine_websocket(routed_engine *engine, const char *pattern,
                                       const routed_websocket_callbacks *callbacks, void *user,
                                       const routed_websocket_options *options);
ROUTED_API int routed_group_websocket(routed_group *group, const char *pattern,
                                      const routed_websocket_callbacks *callbacks, void *user,
                                      const routed_websocket_options *options);

/* Queues one message, copied. ROUTED_ERROR_AGAIN when the queue is full, ROUTED_ERROR_CLOSED once
 * the socket is closing. Text must be UTF-8, else ROUTED_ERROR_ARGUMENT. Any thread with a
 * reference. */
ROUTED_API int routed_websocket_send(routed_websocket *ws, int type, const void *data, size_t size);

/* Starts the closing handshake: what is queued goes first. `code`: 1000 to 1003, 1007 to 1014, 3000
 * to 4999. `reason` may be NULL; at most 123 bytes of UTF-8. Any thread with a reference. */
ROUTED_API int routed_websocket_close(routed_websocket *ws, int code, const char *reason);

/* For foreign threads: blocks until a send would be taken. As routed_response_wait. */
ROUTED_API int routed_websocket_wait(routed_websocket *ws, uint32_t milliseconds);

/* Bytes that wait to be sent. Any thread with a reference. */
ROUTED_API size_t routed_websocket_queued(const routed_websocket *ws);

/* The subprotocol that was agreed on; "" for none. Own thread. */
ROUTED_API const char *routed_websocket_subprotocol(const routed_websocket *ws);
/* The field "origin" of the handshake; NULL when there was none. Own thread. */
ROUTED_API const char *routed_websocket_origin(routed_websocket *ws);

/* The exchange that the socket grew from: for request accessors (routed_request_param and so on),
 * timers (routed_exchange_after), routed_exchange_post and routed_exchange_memory. */
ROUTED_API routed_exchange *routed_websocket_exchange(routed_websocket *ws);

/* One pointer for the application's own use. Own thread. */
ROUTED_API void routed_websocket_set_user(routed_websocket *ws, void *user);
ROUTED_API void *routed_websocket_user(const routed_websocket *ws);

/* As routed_exchange_retain and routed_exchange_release. */
ROUTED_API void routed_websocket_retain(routed_websocket *ws);
ROUTED_API void routed_websocket_release(routed_websocket *ws);

#ifdef __cplusplus
}
#endif

#endif
