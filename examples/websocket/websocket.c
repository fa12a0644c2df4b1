/* websocket.c: a chat. What one client says at ws://127.0.0.1:8080/chat all of them hear.
 *
 * Sockets live on several threads, so the list of them has a lock. A reference keeps a handle in
 * the list valid, and sending from a foreign thread is allowed to whoever holds one. */
#include <pthread.h>
#include <routed/serve.h>
#include <routed/websocket.h>
#include <stdio.h>

#define SEATS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static routed_websocket *seats[SEATS];

static int take_seat(routed_websocket *ws, void *user)
{
    (void)user;
    int error = ROUTED_ERROR_LIMIT;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < SEATS && error != ROUTED_OK; i++)
        if (!seats[i]) {
            routed_websocket_retain(ws);
            seats[i] = ws;
            error = ROUTED_OK;
        }
    pthread_mutex_unlock(&lock);
    return error;
}

static void leave_seat(routed_websocket *ws, int code, const char *reason, size_t size, void *user)
{
    (void)code, (void)reason, (void)size, (void)user;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < SEATS; i++)
        if (seats[i] == ws) {
            seats[i] = NULL;
            routed_websocket_release(ws);
        }
    pthread_mutex_unlock(&lock);
}

static int tell_all(routed_websocket *ws, int type, const void *data, size_t size, void *user)
{
    (void)ws, (void)user;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < SEATS; i++)
        if (seats[i] && routed_websocket_send(seats[i], type, data, size) == ROUTED_ERROR_AGAIN)
            routed_websocket_close(seats[i], 1013, "read faster");
    pthread_mutex_unlock(&lock);
    return ROUTED_OK;
}

int main(void)
{
    routed_server *server;
    routed_serve_options options;
    routed_serve_options_init(&options);
    options.port = 8080;

    routed_websocket_callbacks chat = ROUTED_WEBSOCKET_CALLBACKS;
    chat.on_open = take_seat;
    chat.on_message = tell_all;
    chat.on_close = leave_seat;
    routed_engine *engine = routed_engine_new();
    if (!engine || routed_engine_websocket(engine, "/chat", &chat, NULL, NULL) != ROUTED_OK)
        return 1;
    if (routed_serve(engine, &options, &server) != ROUTED_OK) {
        fprintf(stderr, "%s\n", routed_last_error());
        return 1;
    }
    puts("Listening on ws://127.0.0.1:8080/chat");
    return routed_server_wait(server) != ROUTED_OK;
}
