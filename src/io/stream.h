/* io/stream.h: a connected socket on a loop: readiness that is remembered, a queue of output, and
 * one gathered write for all that was queued in a turn of the loop.
 *
 * Output is small bytes and body slices in order; slices are written from where they are. What is
 * queued is bounded by the owner, who looks at stream_queued. One owner, one thread. */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "base/buffer.h"
#include "base/slice.h"
#include "io/loop.h"
#include "io/socket.h"

struct stream;

struct stream_events {
    /* The kernel told something; can_read, can_write and has_ended are up to date. */
    void (*on_ready)(struct stream *s);
    /* After stream_wake, once, before the loop sleeps. */
    void (*on_turn)(struct stream *s);
};

struct stream_piece; /* a slice in the queue */

struct stream {
    struct loop_handle handle;
    struct loop_task task;
    struct loop *loop;
    const struct stream_events *events;
    bool can_read;  /* there may be input */
    bool can_write; /* there may be room */
    bool has_ended; /* the peer closed or half-closed; what it sent may still be unread */
    bool is_unix;   /* a Unix socket: hears of room only while it waits for it */
    bool hears_output;
    uint64_t bytes_in;   /* read so far */
    uint64_t bytes_out;  /* taken by the kernel so far */
    struct buffer bytes; /* append here what is small */
    size_t bytes_placed; /* of `bytes`: those that stand before a queued slice */
    struct stream_piece *pieces;
    uint32_t piece_first;
    uint32_t piece_count;
    uint32_t piece_capacity;
    size_t slice_bytes; /* of all queued slices */
};

/* Takes a connected (or, TCP only, connecting) descriptor; on failure it is closed. ROUTED_OK,
 * ROUTED_ERROR_MEMORY or ROUTED_ERROR_SYSTEM. The struct need not be zeroed. */
int stream_open(struct stream *s, struct loop *loop, int fd, bool is_unix,
                const struct stream_events *events);
/* Drops the output, closes the descriptor; no event comes any more. Harmless when closed. */
void stream_close(struct stream *s);
bool stream_is_open(const struct stream *s);

/* on_turn shall run. */
void stream_wake(struct stream *s);

/* As socket_read. */
ssize_t stream_read(struct stream *s, uint8_t *into, size_t size);

/* Queues a slice behind everything queued so far; takes it, on failure too. Short ones are
 * copied. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int stream_append(struct stream *s, struct slice slice);
static inline size_t stream_queued(const struct stream *s)
{
    return buffer_size(&s->bytes) + s->slice_bytes;
}

/* Writes as much of the queue as the kernel takes. ROUTED_OK, also when something is left, or
 * ROUTED_ERROR_CLOSED when the connection is broken. */
int stream_flush(struct stream *s);

#endif
