/* websocket.c: messages on WebSockets: each comes back to its sender, or goes to all. */
#include "load/client.h"

#include "base/memory.h"
#include "load/fleet.h"
#include "websocket/frame.h"
#include <routed/error.h>

static bool is_broadcast(const struct load_client *c)
{
    return c->fleet->options->socket == LOAD_SOCKET_BROADCAST;
}

static enum load_error open_websocket(struct load_client *c)
{
    struct load_http1 *h = &c->http1;
    h->first = 0;
    h->frame_head_size = 0;
    h->frame_left = 0;
    if (!h->intended)
        h->intended = memory_new_array(c->fleet->options->depth, sizeof(*h->intended));
    if (!h->intended)
        return LOAD_ERROR_CONNECT;
    return load_client_write(c, buffer_span(&c->fleet->requests.items[0].bytes), false);
}

static bool has_room(const struct load_client *c)
{
    if (is_broadcast(c))
        return c == c->fleet->clients && c->fleet->round_left == 0;
    return c->under_way < c->fleet->options->depth;
}

static enum load_error send_message(struct load_client *c, microseconds intended)
{
    struct load_http1 *h = &c->http1;
    h->intended[(h->first + c->under_way - 1) % c->fleet->options->depth] = intended;
    if (is_broadcast(c)) {
        c->fleet->round = intended;
        c->fleet->round_left = c->fleet->ready;
    }
    return load_client_write(c, buffer_span(&c->fleet->requests.message), true);
}

/* The message of a round counts once for each connection that heard it, and is over when the last
 * one has. */
static void hear_round(struct load_fleet *f)
{
    if (f->round_left == 0)
        return;
    f->round_left--;
    if (f->round_left)
        load_tally_answer(&f->tally, f->round, loop_clock());
    else
        load_client_done(f->clients, f->round, 200);
}

static enum load_error take_message(struct load_client *c)
{
    struct load_http1 *h = &c->http1;
    if (is_broadcast(c)) {
        hear_round(c->fleet);
        if (c->fleet->round_left == 0)
            stream_wake(&c->fleet->clients->stream);
        return LOAD_ERROR_NONE;
    }
    if (c->under_way == 0)
        return LOAD_ERROR_PROTOCOL;
    microseconds intended = h->intended[h->first];
    h->first = (h->first + 1) % c->fleet->options->depth;
    load_client_done(c, intended, 200);
    return LOAD_ERROR_NONE;
}

/* Takes a frame head off the input: 0 when it is not whole yet, below 0 when it is wrong. */
static int take_head(struct load_http1 *h, struct span *plain, struct websocket_frame *frame)
{
    size_t before = h->frame_head_size;
    size_t taken = sizeof(h->frame_head) - before;
    if (taken > plain->size)
        taken = plain->size;
    memcpy(h->frame_head + before, plain->data, taken);
    int size = websocket_frame_read(span_of(h->frame_head, before + taken), false, frame);
    if (size == 0) {
        h->frame_head_size = (uint8_t)(before + taken);
        *plain = span_after(*plain, taken);
    } else if (size > 0) {
        h->frame_head_size = 0;
        *plain = span_after(*plain, (size_t)size - before);
    }
    return size;
}

static enum load_error feed_frames(struct load_client *c, struct span plain)
{
    struct load_http1 *h = &c->http1;
    while (plain.size) {
        struct websocket_frame frame = {.size = 0};
        if (h->frame_left == 0) {
            int size = take_head(h, &plain, &frame);
            if (size < 0)
                return LOAD_ERROR_PROTOCOL;
            if (size == 0)
                return LOAD_ERROR_NONE;
            /* Whole messages of this size are all that such a server sends; a ping is none. */
            if (frame.opcode != WEBSOCKET_TEXT || !frame.is_final)
                return LOAD_ERROR_PROTOCOL;
            h->frame_left = frame.size;
        }
        size_t taken = h->frame_left < plain.size ? (size_t)h->frame_left : plain.size;
        h->frame_left -= taken;
        c->fleet->tally.content += taken;
        plain = span_after(plain, taken);
        enum load_error error = h->frame_left ? LOAD_ERROR_NONE : take_message(c);
        if (error)
            return error;
    }
    return LOAD_ERROR_NONE;
}

static enum load_error feed(struct load_client *c, struct span plain)
{
    if (c->phase == LOAD_CLIENT_READY)
        return feed_frames(c, plain);
    enum load_response_event event = load_response_feed(&c->http1.response, &plain);
    if (event == LOAD_RESPONSE_MORE)
        return LOAD_ERROR_NONE;
    if (event == LOAD_RESPONSE_WRONG || c->http1.response.status != 101)
        return LOAD_ERROR_HANDSHAKE;
    load_client_ready(c);
    return feed_frames(c, plain);
}

static enum load_error drain(struct load_client *c)
{
    (void)c;
    return LOAD_ERROR_NONE;
}

static enum load_error end(struct load_client *c)
{
    (void)c;
    return LOAD_ERROR_CLOSED;
}

static void close_websocket(struct load_client *c)
{
    load_response_release(&c->http1.response);
}

const struct load_machine load_websocket_machine = {.open = open_websocket,
                                                    .has_room = has_room,
                                                    .send = send_message,
                                                    .feed = feed,
                                                    .drain = drain,
                                                    .end = end,
                                                    .close = close_websocket};
