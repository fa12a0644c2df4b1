#include "servers/application.h"

#include <pthread.h>
#include <routed/events.h>
#include <routed/websocket.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ROUTES      100
#define BLOCK       65536
#define HEARERS_MAX 20000

/* ---- answers that are ready ---- */

static char tiny[128];

static int answer(routed_exchange *x, void *user)
{
    (void)user;
    return routed_response_json(x, tiny);
}

/* As many lines as a page from behind a content management system has. */
static int answer_with_fields(routed_exchange *x, void *user)
{
    static const struct {
        const char *name;
        const char *value;
    } fields[] = {{"cache-control", "private, max-age=600, stale-while-revalidate=60"},
                  {"content-language", "en-GB"},
                  {"content-security-policy", "default-src 'self'; img-src 'self' data:"},
                  {"etag", "\"5f3a9c1e77d04b21\""},
                  {"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                  {"referrer-policy", "strict-origin-when-cross-origin"},
                  {"vary", "accept-encoding, accept-language"},
                  {"x-frame-options", "sameorigin"}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        int error = routed_response_set_field(x, fields[i].name, fields[i].value);
        if (error != ROUTED_OK)
            return error;
    }
    return answer(x, user);
}

static int drop_content(routed_exchange *x, const void *bytes, size_t size, int is_end, void *user)
{
    (void)bytes;
    (void)size;
    return is_end ? answer(x, user) : ROUTED_OK;
}

static int take_content(routed_exchange *x, void *user)
{
    return routed_request_read(x, drop_content, user);
}

static void answer_late(routed_exchange *x, void *user)
{
    answer(x, user);
}

static int wait_first(routed_exchange *x, void *user)
{
    int64_t milliseconds;
    if (routed_request_param_number(x, "ms", &milliseconds) != ROUTED_OK || milliseconds < 0 ||
        milliseconds > 60000)
        return routed_response_error(x, 400);
    return routed_exchange_after(x, (uint32_t)milliseconds, answer_late, user);
}

/* ---- answers that are large, or many small ones ---- */

static char block[BLOCK];

struct download {
    int64_t left;
};

static void go_on(routed_exchange *x, void *user)
{
    struct download *d = user;
    while (d->left > 0) {
        size_t size = d->left < BLOCK ? (size_t)d->left : BLOCK;
        if (routed_response_write_static(x, block, size) != ROUTED_OK)
            return;
        d->left -= (int64_t)size;
    }
    routed_response_end(x);
}

static int send_bytes(routed_exchange *x, void *user)
{
    int64_t size;
    (void)user;
    if (routed_request_param_number(x, "n", &size) != ROUTED_OK)
        return routed_response_error(x, 400);
    struct download *d = routed_exchange_memory(x, sizeof(*d));
    if (!d)
        return ROUTED_ERROR_MEMORY;
    d->left = size;
    routed_response_set_field(x, "content-type", "application/octet-stream");
    routed_response_on_writable(x, go_on, d);
    int error = routed_response_begin(x, size);
    if (error == ROUTED_OK)
        go_on(x, d);
    return error;
}

static void tell_more(routed_exchange *x, void *user)
{
    struct download *d = user;
    while (d->left > 0) {
        if (routed_events_send(x, NULL, NULL, "something happened") != ROUTED_OK)
            return;
        d->left--;
    }
    routed_response_end(x);
}

static int send_events(routed_exchange *x, void *user)
{
    int64_t count;
    (void)user;
    if (routed_request_param_number(x, "n", &count) != ROUTED_OK)
        return routed_response_error(x, 400);
    struct download *d = routed_exchange_memory(x, sizeof(*d));
    if (!d)
        return ROUTED_ERROR_MEMORY;
    d->left = count;
    routed_response_on_writable(x, tell_more, d);
    int error = routed_events_begin(x);
    if (error == ROUTED_OK)
        tell_more(x, d);
    return error;
}

/* ---- WebSockets ---- */

static int echo(routed_websocket *ws, int type, const void *data, size_t size, void *user)
{
    (void)user;
    return routed_websocket_send(ws, type, data, size);
}

static struct {
    pthread_mutex_t lock;
    routed_websocket *list[HEARERS_MAX];
    size_t count;
} hearers = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int join(routed_websocket *ws, void *user)
{
    int error = ROUTED_ERROR_LIMIT;
    (void)user;
    pthread_mutex_lock(&hearers.lock);
    if (hearers.count < HEARERS_MAX) {
        hearers.list[hearers.count++] = ws;
        error = ROUTED_OK;
    }
    pthread_mutex_unlock(&hearers.lock);
    if (error == ROUTED_OK)
        routed_websocket_retain(ws);
    return error;
}

static void leave(routed_websocket *ws, int code, const char *reason, size_t size, void *user)
{
    bool was_there = false;
    (void)code;
    (void)reason;
    (void)size;
    (void)user;
    pthread_mutex_lock(&hearers.lock);
    for (size_t i = 0; i < hearers.count && !was_there; i++)
        if (hearers.list[i] == ws) {
            hearers.list[i] = hearers.list[--hearers.count];
            was_there = true;
        }
    pthread_mutex_unlock(&hearers.lock);
    if (was_there)
        routed_websocket_release(ws);
}

static int tell_all(routed_websocket *ws, int type, const void *data, size_t size, void *user)
{
    (void)ws;
    (void)user;
    pthread_mutex_lock(&hearers.lock);
    for (size_t i = 0; i < hearers.count; i++)
        routed_websocket_send(hearers.list[i], type, data, size);
    pthread_mutex_unlock(&hearers.lock);
    return ROUTED_OK;
}

static int add_sockets(routed_engine *engine)
{
    routed_websocket_callbacks echoing = ROUTED_WEBSOCKET_CALLBACKS;
    echoing.on_message = echo;
    routed_websocket_callbacks telling = ROUTED_WEBSOCKET_CALLBACKS;
    telling.on_open = join;
    telling.on_message = tell_all;
    telling.on_close = leave;
    /* The load does not answer pings: it is busy, not dead. */
    routed_websocket_options options = ROUTED_WEBSOCKET_OPTIONS;
    options.ping_interval = 0;
    options.dead_after = 0;
    int error = routed_engine_websocket(engine, "/ws/echo", &echoing, NULL, &options);
    if (error == ROUTED_OK)
        error = routed_engine_websocket(engine, "/ws/broadcast", &telling, NULL, &options);
    return error;
}

/* ---- routes ---- */

static int add_routes(routed_engine *engine)
{
    routed_route_options unlimited = ROUTED_ROUTE_OPTIONS;
    unlimited.body_limit = ROUTED_UNLIMITED;
    int error = routed_engine_route(engine, "GET", "/bench", answer, NULL, NULL);
    if (error == ROUTED_OK)
        error = routed_engine_route(engine, "POST", "/bench", take_content, NULL, &unlimited);
    if (error == ROUTED_OK)
        error = routed_engine_route(engine, "GET", "/fields", answer_with_fields, NULL, NULL);
    if (error == ROUTED_OK)
        error = routed_engine_route(engine, "GET", "/bytes/{n}", send_bytes, NULL, NULL);
    if (error == ROUTED_OK)
        error = routed_engine_route(engine, "GET", "/events/{n}", send_events, NULL, NULL);
    if (error == ROUTED_OK)
        error = routed_engine_route(engine, "GET", "/delay/{ms}", wait_first, NULL, NULL);
    for (int i = 0; error == ROUTED_OK && i < ROUTES; i++) {
        char pattern[32];
        snprintf(pattern, sizeof(pattern), "/r%d/items/{id}", i);
        error = routed_engine_route(engine, "GET", pattern, answer, NULL, NULL);
    }
    return error;
}

routed_engine *servers_application_new(const char *label)
{
    routed_engine *engine = routed_engine_new();
    if (!engine)
        return NULL;
    snprintf(tiny, sizeof(tiny), "{\"ok\":true,\"label\":\"%s\"}", label);
    memset(block, 'x', sizeof(block));
    int error = add_routes(engine);
    if (error == ROUTED_OK)
        error = add_sockets(engine);
    if (error == ROUTED_OK)
        return engine;
    routed_engine_free(engine);
    return NULL;
}
