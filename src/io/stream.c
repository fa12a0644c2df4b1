#include "io/stream.h"

#include "base/memory.h"
#include <routed/error.h>

/* A slice costs a piece and a vector; below this a copy is cheaper, and does not keep a large
 * block alive for a few bytes. */
#define COPY_MAX 1024
/* A queue that ran empty keeps this much for the next turn. */
#define BYTES_KEPT_MAX 4096

struct stream_piece {
    struct slice slice;
    size_t bytes_before; /* of `bytes`, between the piece in front and this one */
};

static void on_ready(struct loop_handle *h, unsigned events)
{
    struct stream *s = LIST_ITEM(h, struct stream, handle);
    if (events & (LOOP_READABLE | LOOP_HALF_CLOSED | LOOP_HUNG_UP))
        s->can_read = true;
    if (events & (LOOP_WRITABLE | LOOP_HUNG_UP))
        s->can_write = true;
    if (events & (LOOP_HALF_CLOSED | LOOP_HUNG_UP))
        s->has_ended = true;
    s->events->on_ready(s);
}

static void on_task(struct loop_task *t)
{
    struct stream *s = LIST_ITEM(t, struct stream, task);
    s->events->on_turn(s);
}

int stream_open(struct stream *s, struct loop *loop, int fd, bool is_unix,
                const struct stream_events *events)
{
    *s = (struct stream){.handle = {.fd = fd, .on_ready = on_ready},
                         .loop = loop,
                         .events = events,
                         .is_unix = is_unix,
                         .can_write = is_unix};
    loop_task_init(&s->task, on_task);
    int error = is_unix ? loop_watch_input(loop, &s->handle) : loop_watch(loop, &s->handle);
    if (error) {
        socket_close(fd);
        s->handle.fd = -1;
    }
    return error;
}

bool stream_is_open(const struct stream *s)
{
    return s->handle.fd >= 0;
}

void stream_close(struct stream *s)
{
    if (!stream_is_open(s))
        return;
    loop_forget(s->loop, &s->handle);
    loop_task_cancel(&s->task);
    socket_close(s->handle.fd);
    s->handle.fd = -1;
    for (uint32_t i = 0; i < s->piece_count; i++)
        slice_release(&s->pieces[s->piece_first + i].slice);
    memory_free(s->pieces);
    s->pieces = NULL;
    s->piece_first = s->piece_count = s->piece_capacity = 0;
    s->bytes_placed = s->slice_bytes = 0;
    buffer_release(&s->bytes);
}

void stream_wake(struct stream *s)
{
    loop_task_defer(s->loop, &s->task);
}

/* A read that does not fill its room has emptied the socket: the next byte makes a new edge. Once
 * the peer has ended there is no next edge, so only the end itself ends the reading. */
ssize_t stream_read(struct stream *s, uint8_t *into, size_t size)
{
    ssize_t moved = socket_read(s->handle.fd, into, size);
    if (moved > 0)
        s->bytes_in += (uint64_t)moved;
    if (moved <= 0 || ((size_t)moved < size && !s->has_ended))
        s->can_read = false;
    return moved;
}

/* ---- output ---- */

static bool make_room(struct stream *s)
{
    if (s->piece_first + s->piece_count < s->piece_capacity)
        return true;
    if (s->piece_first > 0 && s->piece_first >= s->piece_capacity / 2) {
        memmove(s->pieces, s->pieces + s->piece_first, s->piece_count * sizeof(*s->pieces));
        s->piece_first = 0;
        return true;
    }
    uint32_t capacity = s->piece_capacity ? s->piece_capacity * 2 : 8;
    struct stream_piece *grown = memory_resize(s->pieces, capacity * sizeof(*grown));
    if (!grown)
        return false;
    s->pieces = grown;
    s->piece_capacity = capacity;
    return true;
}

int stream_append(struct stream *s, struct slice slice)
{
    if (slice.size < COPY_MAX) {
        int error = buffer_append(&s->bytes, slice.data, slice.size);
        slice_release(&slice);
        return error;
    }
    if (!make_room(s)) {
        slice_release(&slice);
        return ROUTED_ERROR_MEMORY;
    }
    size_t filled = buffer_size(&s->bytes);
    s->pieces[s->piece_first + s->piece_count++] =
        (struct stream_piece){.slice = slice, .bytes_before = filled - s->bytes_placed};
    s->bytes_placed = filled;
    s->slice_bytes += slice.size;
    return ROUTED_OK;
}

static size_t gather(const struct stream *s, struct span spans[SOCKET_GATHER])
{
    struct span bytes = buffer_span(&s->bytes);
    size_t count = 0;
    for (uint32_t i = 0; i < s->piece_count && count + 2 <= SOCKET_GATHER; i++) {
        const struct stream_piece *piece = &s->pieces[s->piece_first + i];
        if (piece->bytes_before)
            spans[count++] = span_part(bytes, 0, piece->bytes_before);
        bytes = span_after(bytes, piece->bytes_before);
        spans[count++] = slice_span(piece->slice);
        if (i + 1 < s->piece_count)
            continue;
        if (bytes.size && count < SOCKET_GATHER)
            spans[count++] = bytes;
    }
    if (s->piece_count == 0 && bytes.size)
        spans[count++] = bytes;
    return count;
}

static size_t consume_bytes(struct stream *s, size_t most, size_t written)
{
    size_t taken = most < written ? most : written;
    buffer_consume(&s->bytes, taken);
    return taken;
}

static void consume(struct stream *s, size_t written)
{
    s->bytes_out += written;
    while (s->piece_count) {
        struct stream_piece *piece = &s->pieces[s->piece_first];
        size_t taken = consume_bytes(s, piece->bytes_before, written);
        piece->bytes_before -= taken;
        s->bytes_placed -= taken;
        written -= taken;
        size_t sliced = piece->slice.size < written ? piece->slice.size : written;
        if (piece->bytes_before || sliced == 0)
            return;
        piece->slice.data += sliced;
        piece->slice.size -= sliced;
        s->slice_bytes -= sliced;
        written -= sliced;
        if (piece->slice.size)
            return;
        slice_release(&piece->slice);
        s->piece_count--;
        s->piece_first = s->piece_count ? s->piece_first + 1 : 0;
    }
    consume_bytes(s, buffer_size(&s->bytes), written);
}

static void hear_output(struct stream *s, bool wanted)
{
    if (!s->is_unix || s->hears_output == wanted)
        return;
    loop_hear_output(s->loop, &s->handle, wanted);
    s->hears_output = wanted;
}

int stream_flush(struct stream *s)
{
    struct span spans[SOCKET_GATHER];
    while (stream_queued(s) && s->can_write) {
        ssize_t moved = socket_write_spans(s->handle.fd, spans, gather(s, spans));
        if (moved == SOCKET_AGAIN) {
            s->can_write = false;
            hear_output(s, true);
        } else if (moved < 0) {
            return ROUTED_ERROR_CLOSED;
        } else {
            consume(s, (size_t)moved);
        }
    }
    if (stream_queued(s))
        return ROUTED_OK;
    hear_output(s, false);
    if (s->bytes.capacity > BYTES_KEPT_MAX)
        buffer_release(&s->bytes);
    return ROUTED_OK;
}
