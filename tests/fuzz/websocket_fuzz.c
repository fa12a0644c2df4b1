/* The receiver of WebSocket frames, whole and in random pieces: both must tell the same. The
 * first byte seeds the cuts, the second is the role. */
#include "websocket/receiver.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small, so that the fuzzer reaches them. */
static const struct websocket_limits limits = {1000, 8, 6};

static void tell(struct buffer *out, const struct websocket_event *e)
{
    char line[64];
    int size = snprintf(line, sizeof(line), "\n%d %d %u %d ", (int)e->type, (int)e->opcode, e->code,
                        e->error);
    if (buffer_append(out, line, (size_t)size) || buffer_append_span(out, e->payload))
        abort();
}

static void check(const struct websocket_event *e)
{
    if (e->type == WEBSOCKET_EVENT_MESSAGE && e->opcode == WEBSOCKET_TEXT &&
        !websocket_utf8_is_valid(e->payload))
        abort();
    if (e->type == WEBSOCKET_EVENT_CLOSE && e->code && !websocket_close_code_is_valid(e->code))
        abort();
    if (e->payload.size > limits.message_max)
        abort();
}

static void receive(bool masked, struct span bytes, uint32_t seed, struct buffer *told)
{
    struct websocket_receiver r;
    struct websocket_event event;
    websocket_receiver_init(&r, masked, &limits);
    while (bytes.size) {
        seed = seed ? seed * 1664525u + 1013904223u : 0;
        size_t size = seed ? 1 + (seed >> 16) % 16 : bytes.size;
        size = size < bytes.size ? size : bytes.size;
        uint8_t *copy = malloc(size);
        if (!copy)
            abort();
        memcpy(copy, bytes.data, size);
        struct span input = span_of(copy, size);
        do {
            websocket_receiver_feed(&r, &input, &event);
            check(&event);
            if (event.type != WEBSOCKET_EVENT_MORE)
                tell(told, &event);
        } while (event.type != WEBSOCKET_EVENT_MORE);
        free(copy);
        bytes = span_after(bytes, size);
    }
    websocket_receiver_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = BUFFER_EMPTY, pieces = BUFFER_EMPTY;
    if (size < 2)
        return 0;
    bool masked = data[1] & 1;
    receive(masked, span_of(data + 2, size - 2), 0, &whole);
    receive(masked, span_of(data + 2, size - 2), 1u + data[0], &pieces);
    if (!span_equals(buffer_span(&whole), buffer_span(&pieces)))
        abort();
    buffer_release(&whole);
    buffer_release(&pieces);
    return 0;
}
