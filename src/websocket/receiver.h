/* websocket/receiver.h: bytes of one direction of a WebSocket -> messages and control frames.
 *
 * Does what RFC 6455 asks of the receiving side: masks, fragments, control frames between
 * fragments, close codes, UTF-8. A size is judged before memory is taken for it, and memory grows
 * with bytes that came, not with sizes that were announced. The input is never written to:
 * unmasking and gathering are one pass into the receiver's own buffer, so the input may be a
 * shared block. One owner, one thread. */
#ifndef WEBSOCKET_RECEIVER_H
#define WEBSOCKET_RECEIVER_H

#include "base/buffer.h"
#include "websocket/frame.h"
#include "websocket/utf8.h"

#define WEBSOCKET_MESSAGE_MAX   1048576 /* bytes of one message, over all its frames */
#define WEBSOCKET_FRAGMENTS_MAX 1024    /* frames of one message, empty ones too */
#define WEBSOCKET_CONTROLS_MAX  128     /* pings and pongs between two refills */

struct websocket_limits {
    uint32_t message_max;
    uint32_t fragments_max;
    uint32_t controls_max;
};

enum websocket_event_type {
    WEBSOCKET_EVENT_MORE,    /* the input is used up */
    WEBSOCKET_EVENT_MESSAGE, /* .opcode is TEXT or BINARY, .payload */
    WEBSOCKET_EVENT_PING,    /* .payload: answer with a pong of the same */
    WEBSOCKET_EVENT_PONG,    /* .payload */
    WEBSOCKET_EVENT_CLOSE,   /* .code (0: none was sent), .payload is the reason */
    WEBSOCKET_EVENT_ERROR    /* .error, .text: answer with websocket_close_code(error) */
};

struct websocket_event {
    enum websocket_event_type type;
    enum websocket_opcode opcode;
    struct span payload; /* until the next feed or release */
    uint16_t code;
    int error;        /* ROUTED_ERROR_WEBSOCKET_PROTOCOL, _UTF8, _TOO_BIG, _BUDGET or _MEMORY */
    const char *text; /* of an error, static, for the log */
};

struct websocket_receiver {
    struct websocket_limits limits;
    bool masked;  /* the peer is a client */
    bool is_over; /* a close or an error was told: the rest of the input is dropped */
    uint8_t head[WEBSOCKET_HEAD_MAX];
    uint8_t head_size;
    bool in_frame; /* the head is whole, the payload is not */
    struct websocket_frame frame;
    uint64_t received; /* payload bytes of the frame */
    uint8_t control[WEBSOCKET_CONTROL_MAX];
    enum websocket_opcode message; /* of the message in progress; CONTINUATION: none */
    bool is_told;                  /* the message was handed out: cleared by the next feed */
    uint32_t fragments;
    uint32_t controls;
    struct websocket_utf8 utf8;
    struct buffer gathered;
};

/* `masked`: the peer is a client, its frames must be masked; false: a server, they must not.
 * `limits` may be NULL for the defaults above. Allocates nothing. */
void websocket_receiver_init(struct websocket_receiver *r, bool masked,
                             const struct websocket_limits *limits);
void websocket_receiver_release(struct websocket_receiver *r);

/* Consumes from the front of `input` up to the next event; call again until MORE. After a close
 * or an error all input is dropped and the answer is MORE. */
void websocket_receiver_feed(struct websocket_receiver *r, struct span *input,
                             struct websocket_event *event);

/* A new ration of pings and pongs: the owner calls it once a second, say. */
void websocket_receiver_refill(struct websocket_receiver *r);

#endif
