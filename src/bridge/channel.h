/* bridge/channel.h: one framed pipe: a bridge connection as it looks from either end. Bytes that
 * arrive become heads, content and ends for the owner; frames that the owner sends leave in one
 * gathered write a turn, their content uncopied.
 *
 * The owner embeds the channel. Input is bounded by one read block: content that the owner does
 * not take stays here and nothing more is read until bridge_channel_resume, which is all the
 * backpressure that version 1 has. Output is bounded by the owner's credit. */
#ifndef BRIDGE_CHANNEL_H
#define BRIDGE_CHANNEL_H

#include "io/stream.h"
#include "wire/decoder.h"

/* What the channels of one loop share: the block that is read into, and one for content that is
 * copied out of it. NULL before the first use. */
struct bridge_channel_host {
    struct loop *loop;
    struct block *block;
    struct block *small;
};

void bridge_channel_host_release(struct bridge_channel_host *host);

struct bridge_channel;

/* All are called from the loop, never from inside a function below. The owner may close the
 * channel in any of them. */
struct bridge_channel_events {
    /* TCP: the connection stands. Unix sockets stand from the start. */
    void (*on_connect)(struct bridge_channel *c);
    void (*on_head)(struct bridge_channel *c, const struct wire_head *head);
    /* Content, of a message or a tunnel. Take from its front with slice_take, or all of it by
     * emptying `body`; what is left comes again after bridge_channel_resume. */
    void (*on_body)(struct bridge_channel *c, struct slice *body);
    void (*on_end)(struct bridge_channel *c);
    /* Responses only: the head with status 101 is followed by what makes it valid. */
    void (*on_upgrade)(struct bridge_channel *c);
    void (*on_tunnel_close)(struct bridge_channel *c);
    /* The turn's frames are about to be written: the last moment to add to them. */
    void (*on_flush)(struct bridge_channel *c);
    /* Output was written; `content` bytes of content with it. */
    void (*on_drained)(struct bridge_channel *c, size_t content);
    /* The peer closed or half-closed. What it sent before may still be to come. */
    void (*on_ended)(struct bridge_channel *c);
    /* The channel is of no more use: close it. BRIDGE_FRAME for bytes that are no frame,
     * BRIDGE_CLOSED for an end or a reset, MEMORY, or what connecting gave. `text` is static. */
    void (*on_failure)(struct bridge_channel *c, int error, const char *text);
    /* After bridge_channel_close: the last call, frees what embeds the channel. */
    void (*free)(struct bridge_channel *c);
};

struct bridge_channel {
    struct stream stream;
    struct wire_decoder decoder;
    struct bridge_channel_host *host;
    const struct bridge_channel_events *events;
    struct slice body;       /* content that the owner has not taken */
    struct slice input;      /* bytes behind it, not decoded yet */
    uint64_t content_in;     /* content decoded so far */
    uint64_t marked_in;      /* bytes and content when the message began: what is more than */
    uint64_t marked_content; /* these, and no content, is framing */
    size_t content_queued;   /* content in the output */
    size_t chunk_size;       /* of the chunk at the end of the output that may still grow; or 0 */
    enum wire_type chunk_type;
    bool is_upgrading; /* a head with status 101 was told, on_upgrade was not */
    bool is_connecting;
    bool is_entered; /* an event is being told: freeing waits */
};

/* Takes the descriptor, of a connection that stands or is being made. On failure `free` is not
 * called and the descriptor is closed. */
int bridge_channel_open(struct bridge_channel *c, struct bridge_channel_host *host, int fd,
                        bool is_unix, bool is_connecting, enum wire_direction direction,
                        const struct bridge_channel_events *events);
/* Drops everything both ways and closes. `free` follows: at once, or when the event that is being
 * told has returned. */
void bridge_channel_close(struct bridge_channel *c);
bool bridge_channel_is_open(const struct bridge_channel *c);

/* Goes on with content that was left. */
void bridge_channel_resume(struct bridge_channel *c);
/* Content is waiting to be taken. */
bool bridge_channel_is_blocked(const struct bridge_channel *c);

/* Nothing is under way in either direction, nothing unread is known of. */
bool bridge_channel_is_idle(const struct bridge_channel *c);

/* ---- sending; each queues, ROUTED_OK or ROUTED_ERROR_MEMORY ---- */

/* Where to write heads; they go out in this turn. */
struct buffer *bridge_channel_output(struct bridge_channel *c);
/* Content as chunk frames of type 4, 7 or 9. Small ones that meet in the queue become one frame.
 * Takes the slice. */
int bridge_channel_send_chunk(struct bridge_channel *c, enum wire_type type, struct slice content);
/* Content of a single frame whose head was written. Takes the slice. */
int bridge_channel_send_content(struct bridge_channel *c, struct slice content);
/* Type 5, 8 or 10. */
int bridge_channel_send_mark(struct bridge_channel *c, enum wire_type type);

#endif
