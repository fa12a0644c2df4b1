/* wire/decoder.h: bytes of one direction of a bridge connection -> events.
 *
 * Memory is bounded whatever the peer says: only heads are gathered (at most limits.head_max
 * bytes), and only when they arrive in pieces; content is handed out as spans of the input, so a
 * frame of 64 MiB costs nothing. A size is checked before anything is done with it, and a count
 * from the wire never sizes an allocation.
 *
 * The events of one message: HEAD, BODY*, END. Of an upgrade: HEAD with status 101, then TUNNEL*
 * and TUNNEL_CLOSE. Of an interim response: HEAD with status 1xx only. They are the same however
 * the input is cut, but for where one run of content is cut. One owner, one thread. */
#ifndef WIRE_DECODER_H
#define WIRE_DECODER_H

#include "base/buffer.h"
#include "wire/walk.h"

enum wire_direction {
    WIRE_REQUESTS, /* front to engine: 1/11, or 3/13 4* 5 */
    WIRE_RESPONSES /* engine to front: 2/12, or 6/14 7* 8 */
};

enum wire_event_type {
    WIRE_EVENT_MORE,         /* the input is used up: nothing to tell */
    WIRE_EVENT_HEAD,         /* .head, until the next feed */
    WIRE_EVENT_BODY,         /* .bytes: never empty, part of the input */
    WIRE_EVENT_END,          /* the message is complete; the next one may follow */
    WIRE_EVENT_TUNNEL,       /* .bytes: never empty, part of the input */
    WIRE_EVENT_TUNNEL_CLOSE, /* the peer's end of the tunnelled input */
    WIRE_EVENT_ERROR         /* .error and .text; the connection is of no more use */
};

struct wire_event {
    enum wire_event_type type;
    struct wire_head head;
    struct span bytes;
    int error;        /* ROUTED_ERROR_BRIDGE_FRAME or ROUTED_ERROR_MEMORY */
    const char *text; /* of an error, static, for the log */
};

enum wire_phase {
    WIRE_PHASE_HEAD,         /* between messages, or after an interim response */
    WIRE_PHASE_BODY,         /* after a start: chunks, then an end */
    WIRE_PHASE_UPGRADE,      /* after a start with 101: its end */
    WIRE_PHASE_TUNNEL,       /* type 9 and 10 only */
    WIRE_PHASE_TUNNEL_ENDED, /* nothing any more */
    WIRE_PHASE_FAILED
};

struct wire_decoder {
    struct wire_limits limits;
    enum wire_direction direction;
    enum wire_phase phase;
    uint8_t step;       /* inside a frame: see decoder.c */
    bool after_interim; /* a 1xx head came and its final response did not */
    uint8_t prefix_size;
    uint8_t prefix[WIRE_CHUNK_PREFIX_SIZE];
    uint32_t frame_size;    /* bytes of the frame after its type */
    uint32_t content_left;  /* of the frame's content, not yet handed out */
    struct wire_walk walk;  /* of the head that is here or comes */
    struct buffer gathered; /* a head that came in pieces */
    int error;              /* once failed */
    const char *text;
};

/* `limits` may be NULL for the defaults above. Allocates nothing. */
void wire_decoder_init(struct wire_decoder *d, enum wire_direction direction,
                       const struct wire_limits *limits);
void wire_decoder_release(struct wire_decoder *d);

/* Consumes from the front of `input` up to the next event. Call again until WIRE_EVENT_MORE, also
 * with an empty input: an event may be due without another byte. After an error every call gives
 * the error again. */
void wire_decoder_feed(struct wire_decoder *d, struct span *input, struct wire_event *event);

/* Between messages with no byte of a next one: the only place where the peer may close. */
bool wire_decoder_is_idle(const struct wire_decoder *d);

/* The engine answered 101: what comes from the front now is the tunnel. For WIRE_REQUESTS, after
 * WIRE_EVENT_END; a decoder of responses sees the 101 itself. ROUTED_OK or ROUTED_ERROR_STATE. */
int wire_decoder_enter_tunnel(struct wire_decoder *d);

#endif
