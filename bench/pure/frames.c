/* frames.c: bridge frames and WebSocket frames, there and back. */
#include "pure/pure.h"

#include "websocket/receiver.h"
#include "wire/decoder.h"
#include <routed/error.h>

/* ---- the bridge: a request with five fields, and its response ---- */

static struct field request_fields[] = {
    {SPAN("host"), SPAN("localhost:8080"), FIELD_HOST},
    {SPAN("user-agent"), SPAN("Mozilla/5.0 (X11; Linux x86_64)"), FIELD_USER_AGENT},
    {SPAN("accept"), SPAN("text/html,application/json;q=0.9"), FIELD_ACCEPT},
    {SPAN("accept-encoding"), SPAN("gzip, br"), FIELD_ACCEPT_ENCODING},
    {SPAN("cookie"), SPAN("session=0123456789"), FIELD_COOKIE},
};
static struct field response_fields[] = {
    {SPAN("content-type"), SPAN("application/json"), FIELD_CONTENT_TYPE},
    {SPAN("content-length"), SPAN("0"), FIELD_CONTENT_LENGTH},
};

static bool read_head(struct wire_decoder *decoder, struct buffer *bytes, struct wire_event *event)
{
    struct span input = buffer_span(bytes);
    wire_decoder_feed(decoder, &input, event);
    return event->type == WIRE_EVENT_HEAD;
}

static bool read_end(struct wire_decoder *decoder)
{
    struct span input = SPAN_EMPTY;
    struct wire_event event;
    wire_decoder_feed(decoder, &input, &event);
    return event.type == WIRE_EVENT_END;
}

static PURE_MEASURED bool measured_wire(struct buffer *bytes, struct wire_decoder *engine,
                                        struct wire_decoder *front, struct arena *arena)
{
    struct http_request request = {.method = SPAN("GET"),
                                   .scheme = SPAN("http"),
                                   .authority = SPAN("localhost:8080"),
                                   .target = SPAN("/bench?x=1"),
                                   .path = SPAN("/bench"),
                                   .query = SPAN("x=1"),
                                   .protocol = HTTP_1_1,
                                   .fields = {request_fields, 5, 5}};
    struct http_response response = {.status = 200, .fields = {response_fields, 2, 2}};
    struct wire_origin origin = {.address = SPAN("127.0.0.1"), .port = 1};
    struct wire_event event;
    buffer_clear(bytes);
    arena_reset(arena);
    if (wire_request_write(bytes, WIRE_REQUEST_SINGLE, &request, &origin, 0) != ROUTED_OK ||
        !read_head(engine, bytes, &event) ||
        wire_request_read(&event.head, arena, &request, &origin) != ROUTED_OK || !read_end(engine))
        return false;
    buffer_clear(bytes);
    return wire_response_write(bytes, WIRE_RESPONSE_SINGLE, &response, 0, 0) == ROUTED_OK &&
           read_head(front, bytes, &event) &&
           wire_response_read(&event.head, arena, &response) == ROUTED_OK && read_end(front);
}

bool pure_wire(uint64_t count)
{
    struct buffer bytes = BUFFER_EMPTY;
    struct arena arena = ARENA_EMPTY;
    struct wire_decoder engine, front;
    bool is_well = true;
    wire_decoder_init(&engine, WIRE_REQUESTS, NULL);
    wire_decoder_init(&front, WIRE_RESPONSES, NULL);
    for (uint64_t i = 0; is_well && i < count; i++)
        is_well = measured_wire(&bytes, &engine, &front, &arena);
    wire_decoder_release(&engine);
    wire_decoder_release(&front);
    arena_release(&arena);
    buffer_release(&bytes);
    return is_well;
}

/* ---- WebSocket: a masked text message of 100 bytes, and the head of its echo ---- */

static PURE_MEASURED bool measured_websocket(struct websocket_receiver *r, struct span input)
{
    uint8_t head[WEBSOCKET_HEAD_MAX];
    struct websocket_event event;
    websocket_receiver_feed(r, &input, &event);
    return event.type == WEBSOCKET_EVENT_MESSAGE &&
           websocket_frame_write_server(head, event.opcode, event.payload.size) == 2;
}

bool pure_websocket(uint64_t count)
{
    uint8_t bytes[WEBSOCKET_HEAD_MAX + 100];
    struct websocket_frame frame = {.opcode = WEBSOCKET_TEXT,
                                    .is_final = true,
                                    .is_masked = true,
                                    .mask = {1, 2, 3, 4},
                                    .size = 100};
    size_t size = websocket_frame_write(bytes, &frame);
    memset(bytes + size, 'x', 100);
    websocket_mask(bytes + size, bytes + size, 100, frame.mask, 0);
    struct websocket_receiver receiver;
    websocket_receiver_init(&receiver, true, NULL);
    bool is_well = true;
    for (uint64_t i = 0; is_well && i < count; i++)
        is_well = measured_websocket(&receiver, span_of(bytes, size + 100));
    websocket_receiver_release(&receiver);
    return is_well;
}
