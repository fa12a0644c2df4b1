/* sockets.c: WebSockets. */
#include "showcase.h"

#include <routed/websocket.h>
#include <stdio.h>

/* Try again later, in the registry of close codes: this client reads slower than it writes. */
#define CLOSE_TRY_AGAIN_LATER 1013

static int echo(routed_websocket *ws, int type, const void *data, size_t size, void *user)
{
    (void)user;
    int error = routed_websocket_send(ws, type, data, size);
    if (error == ROUTED_ERROR_AGAIN)
        return routed_websocket_close(ws, CLOSE_TRY_AGAIN_LATER, "read faster");
    return error == ROUTED_ERROR_CLOSED ? ROUTED_OK : error;
}

/* ---- 1 to n ---- */

struct counter {
    int64_t next;
    int64_t last;
};

/* Sends until the queue is full, and goes on when it is empty again. */
static void count_on(routed_websocket *ws, void *user)
{
    (void)user;
    struct counter *counter = routed_websocket_user(ws);
    for (; counter->next <= counter->last; counter->next++) {
        char text[24];
        int size = snprintf(text, sizeof(text), "%lld", (long long)counter->next);
        if (routed_websocket_send(ws, ROUTED_WEBSOCKET_TEXT, text, (size_t)size) != ROUTED_OK)
            return;
    }
    routed_websocket_close(ws, 1000, NULL);
}

static int start_counting(routed_websocket *ws, void *user)
{
    routed_exchange *x = routed_websocket_exchange(ws);
    struct counter *counter = routed_exchange_memory(x, sizeof(*counter));
    if (!counter)
        return ROUTED_ERROR_MEMORY;
    *counter = (struct counter){1, routed_request_query_number(x, "n", 10)};
    routed_websocket_set_user(ws, counter);
    count_on(ws, user);
    return ROUTED_OK;
}

int add_sockets(routed_engine *engine)
{
    routed_websocket_callbacks echoing = ROUTED_WEBSOCKET_CALLBACKS;
    echoing.on_message = echo;
    int error = routed_engine_websocket(engine, "/ws/echo", &echoing, NULL, NULL);
    if (error != ROUTED_OK)
        return error;

    routed_websocket_callbacks counting = ROUTED_WEBSOCKET_CALLBACKS;
    counting.on_open = start_counting;
    counting.on_writable = count_on;
    return routed_engine_websocket(engine, "/ws/count", &counting, NULL, NULL);
}
