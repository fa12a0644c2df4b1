/* streams.c: answers that take their time. All follow one pattern: write until the window is full
 * (ROUTED_ERROR_AGAIN), go on when it is open again; or until there is nothing more to write now,
 * and go on when the timer says so. No handler waits, so one thread serves thousands of them. */
#include "showcase.h"

#include <routed/events.h>
#include <stdio.h>
#include <string.h>

static uint32_t query_milliseconds(routed_exchange *x, const char *name)
{
    int64_t number = routed_request_query_number(x, name, 0);
    return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

/* Without a timer the response would never end: then it fails at once. */
static bool pause_for(routed_exchange *x, uint32_t milliseconds, routed_callback *go_on, void *user)
{
    int error = routed_exchange_after(x, milliseconds, go_on, user);
    if (error != ROUTED_OK)
        routed_response_fail(x, error);
    return true;
}

static bool is_head(routed_exchange *x)
{
    return strcmp(routed_request_method(x), "HEAD") == 0;
}

/* ---- GET /bytes/{n} ---- */

#define CYCLE 251 /* byte i is i mod 251 */
#define BLOCK 65536

/* Any block of the stream is a part of this. */
static uint8_t pattern[CYCLE + BLOCK];

struct bytes {
    uint64_t sent;
    uint64_t total;
    uint32_t pause; /* milliseconds after each block */
    bool is_pausing;
};

static void bytes_go_on(routed_exchange *x, void *user);

static void bytes_end_pause(routed_exchange *x, void *user)
{
    struct bytes *b = user;
    b->is_pausing = false;
    bytes_go_on(x, b);
}

static void bytes_go_on(routed_exchange *x, void *user)
{
    struct bytes *b = user;
    while (b->sent < b->total && !b->is_pausing) {
        uint64_t left = b->total - b->sent;
        size_t size = left < BLOCK ? (size_t)left : BLOCK;
        if (routed_response_write_static(x, pattern + b->sent % CYCLE, size) != ROUTED_OK)
            return;
        b->sent += size;
        if (b->pause && b->sent < b->total)
            b->is_pausing = pause_for(x, b->pause, bytes_end_pause, b);
    }
    if (b->sent == b->total)
        routed_response_end(x);
}

static int send_bytes(routed_exchange *x, void *user)
{
    (void)user;
    int64_t total;
    if (routed_request_param_number(x, "n", &total) != ROUTED_OK)
        return routed_response_error(x, 400);
    struct bytes *b = routed_exchange_memory(x, sizeof(*b));
    if (!b)
        return ROUTED_ERROR_MEMORY;
    *b = (struct bytes){.total = (uint64_t)total, .pause = query_milliseconds(x, "pause")};

    bool is_chunked = routed_request_query_number(x, "chunked", 0) == 1;
    routed_response_set_field(x, "content-type", "application/octet-stream");
    routed_response_on_writable(x, bytes_go_on, b);
    int error = routed_response_begin(x, is_chunked ? ROUTED_LENGTH_UNKNOWN : total);
    if (error != ROUTED_OK)
        return error;
    if (is_head(x))
        return routed_response_end(x);
    /* What is complete at once may get a length from the bridge: a stream begins a turn later. */
    if (is_chunked)
        return routed_exchange_after(x, 1, bytes_go_on, b);
    bytes_go_on(x, b);
    return ROUTED_OK;
}

/* ---- GET /lines/{n} and GET /events/{n} ---- */

struct series {
    int64_t next;
    int64_t last;
    uint32_t pause; /* milliseconds between two of them */
    bool is_pausing;
    int (*send)(routed_exchange *x, int64_t number);
};

static int send_line(routed_exchange *x, int64_t number)
{
    char line[32];
    int size = snprintf(line, sizeof(line), "line %lld\n", (long long)number);
    return routed_response_write(x, line, (size_t)size);
}

static int send_event(routed_exchange *x, int64_t number)
{
    char id[24], data[32];
    snprintf(id, sizeof(id), "%lld", (long long)number);
    snprintf(data, sizeof(data), "event %lld", (long long)number);
    return routed_events_send(x, id, NULL, data);
}

static void series_go_on(routed_exchange *x, void *user);

static void series_end_pause(routed_exchange *x, void *user)
{
    struct series *s = user;
    s->is_pausing = false;
    series_go_on(x, s);
}

static void series_go_on(routed_exchange *x, void *user)
{
    struct series *s = user;
    while (s->next <= s->last && !s->is_pausing) {
        if (s->send(x, s->next) != ROUTED_OK)
            return;
        s->next++;
        if (s->pause && s->next <= s->last)
            s->is_pausing = pause_for(x, s->pause, series_end_pause, s);
    }
    if (s->next > s->last)
        routed_response_end(x);
}

/* 1 to {n}, one every ?ms=; the response has begun. */
static int start_series(routed_exchange *x, int64_t last,
                        int (*send)(routed_exchange *x, int64_t number))
{
    if (is_head(x))
        return routed_response_end(x);
    struct series *s = routed_exchange_memory(x, sizeof(*s));
    if (!s)
        return ROUTED_ERROR_MEMORY;
    *s = (struct series){
        .next = 1, .last = last, .pause = query_milliseconds(x, "ms"), .send = send};
    int error = routed_response_on_writable(x, series_go_on, s);
    if (error == ROUTED_OK)
        series_go_on(x, s);
    return error;
}

static int send_lines(routed_exchange *x, void *user)
{
    (void)user;
    int64_t count;
    if (routed_request_param_number(x, "n", &count) != ROUTED_OK)
        return routed_response_error(x, 400);
    routed_response_set_field(x, "content-type", "text/plain; charset=utf-8");
    int error = routed_response_begin(x, ROUTED_LENGTH_UNKNOWN);
    return error == ROUTED_OK ? start_series(x, count, send_line) : error;
}

static int send_events(routed_exchange *x, void *user)
{
    (void)user;
    int64_t count;
    if (routed_request_param_number(x, "n", &count) != ROUTED_OK)
        return routed_response_error(x, 400);
    int error = routed_events_begin(x);
    return error == ROUTED_OK ? start_series(x, count, send_event) : error;
}

/* ---- POST /echo ---- */

static int echo_end(routed_exchange *x)
{
    const char *name, *value;
    for (size_t i = 0; routed_request_trailer_at(x, i, &name, &value) == ROUTED_OK; i++)
        routed_response_trailer(x, name, value);
    return routed_response_end(x);
}

/* A write that is refused refuses the piece of body as well: it comes again when the response is
 * writable, and meanwhile the client is held back. */
static int echo_body(routed_exchange *x, const void *bytes, size_t size, int is_end, void *user)
{
    (void)user;
    if (is_end)
        return echo_end(x);
    int error = routed_response_write(x, bytes, size);
    if (error == ROUTED_OK)
        ledger_took(x, bytes, size);
    return error;
}

static int echo(routed_exchange *x, void *user)
{
    (void)user;
    const char *type = routed_request_field(x, "content-type");
    if (type)
        routed_response_set_field(x, "content-type", type);
    int error = routed_request_read(x, echo_body, NULL);
    return error == ROUTED_OK ? routed_response_begin(x, routed_request_content_length(x)) : error;
}

/* ---- GET /delay/{ms} ---- */

static void answer_late(routed_exchange *x, void *user)
{
    (void)user;
    routed_response_json(x, "{\"ok\":true}");
}

static int delay(routed_exchange *x, void *user)
{
    (void)user;
    int64_t milliseconds;
    if (routed_request_param_number(x, "ms", &milliseconds) != ROUTED_OK ||
        milliseconds > UINT32_MAX)
        return routed_response_error(x, 400);
    return routed_exchange_after(x, (uint32_t)milliseconds, answer_late, NULL);
}

int add_streams(routed_engine *engine)
{
    routed_route_options unlimited = ROUTED_ROUTE_OPTIONS;
    unlimited.body_limit = ROUTED_UNLIMITED;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i % CYCLE);

    int error = ROUTED_OK;
    add_route(&error, engine, "GET", "/bytes/{n}", send_bytes, NULL);
    add_route(&error, engine, "GET", "/lines/{n}", send_lines, NULL);
    add_route(&error, engine, "GET", "/events/{n}", send_events, NULL);
    add_route(&error, engine, "POST", "/echo", echo, &unlimited);
    add_route(&error, engine, "GET", "/delay/{ms}", delay, NULL);
    return error;
}
