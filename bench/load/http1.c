/* http1.c: requests on HTTP/1.1, one after another or pipelined. */
#include "load/client.h"

#include "base/memory.h"
#include "load/fleet.h"

static enum load_error open_http1(struct load_client *c)
{
    struct load_http1 *h = &c->http1;
    uint32_t depth = c->fleet->options->depth;
    if (!h->intended)
        h->intended = memory_new_array(depth, sizeof(*h->intended));
    if (!h->intended)
        return LOAD_ERROR_CONNECT;
    h->first = 0;
    h->is_answered = false;
    load_client_ready(c);
    return LOAD_ERROR_NONE;
}

static bool has_room(const struct load_client *c)
{
    return c->under_way < c->fleet->options->depth && c->http1.pending.size == 0;
}

static enum load_error send_request(struct load_client *c, microseconds intended)
{
    struct load_http1 *h = &c->http1;
    struct load_requests *requests = &c->fleet->requests;
    uint32_t depth = c->fleet->options->depth;
    h->intended[(h->first + c->under_way - 1) % depth] = intended;
    h->pending = requests->rest;
    return load_client_write(c, buffer_span(&load_requests_next(requests)->bytes), false);
}

/* The oldest request under way has its answer, and all of it was sent. */
static enum load_error finish(struct load_client *c)
{
    struct load_http1 *h = &c->http1;
    microseconds intended = h->intended[h->first];
    h->first = (h->first + 1) % c->fleet->options->depth;
    h->is_answered = false;
    if (h->response.closes)
        c->is_spent = true;
    load_client_done(c, intended, h->response.status);
    return c->is_spent && c->under_way ? LOAD_ERROR_CLOSED : LOAD_ERROR_NONE;
}

static enum load_error drain(struct load_client *c)
{
    struct load_http1 *h = &c->http1;
    size_t room;
    while (h->pending.size && (room = load_client_room(c)) > 0) {
        size_t size = h->pending.size < room ? h->pending.size : room;
        enum load_error error = load_client_write(c, span_part(h->pending, 0, size), true);
        if (error)
            return error;
        h->pending = span_after(h->pending, size);
    }
    if (!h->is_answered || h->pending.size)
        return LOAD_ERROR_NONE;
    stream_wake(&c->stream); /* there is room for the next one */
    return finish(c);
}

/* An answer may come before the end of its request, which is sent all the same unless the server
 * will close. */
static enum load_error take_answer(struct load_client *c)
{
    struct load_http1 *h = &c->http1;
    if (c->under_way == 0 || h->is_answered)
        return LOAD_ERROR_PROTOCOL;
    h->is_answered = true;
    bool goes_on = h->pending.size && c->under_way == 1 && !h->response.closes;
    return goes_on ? LOAD_ERROR_NONE : finish(c);
}

static enum load_error feed(struct load_client *c, struct span plain)
{
    struct load_response *r = &c->http1.response;
    enum load_response_event event;
    enum load_error error = LOAD_ERROR_NONE;
    uint64_t before = r->content;
    do {
        event = load_response_feed(r, &plain);
        if (event == LOAD_RESPONSE_DONE)
            error = take_answer(c);
    } while (event == LOAD_RESPONSE_DONE && !error);
    c->fleet->tally.content += r->content - before;
    return event == LOAD_RESPONSE_WRONG ? LOAD_ERROR_PROTOCOL : error;
}

static enum load_error end(struct load_client *c)
{
    c->is_spent = true;
    if (c->under_way == 1 && load_response_end(&c->http1.response))
        return take_answer(c);
    return LOAD_ERROR_CLOSED;
}

static void close_http1(struct load_client *c)
{
    load_response_release(&c->http1.response);
    c->http1.pending = SPAN_EMPTY;
}

const struct load_machine load_http1_machine = {.open = open_http1,
                                                .has_room = has_room,
                                                .send = send_request,
                                                .feed = feed,
                                                .drain = drain,
                                                .end = end,
                                                .close = close_http1};
