#include "bridge/channel.h"

#include <routed/error.h>

#define BLOCK_SIZE 65536
/* Content of at least this size travels on as a slice of the block it was read into; less is
 * copied, so that few bytes never keep a whole block. */
#define SHARE_MIN 16384
/* Reads in one turn, so that one busy channel does not keep the others waiting. */
#define READS_MAX 4
/* A growing chunk is closed at this size. */
#define GROWN_CHUNK_MAX 16384
/* What a message may cost beside its content: one-byte chunks are legal, a flood of empty ones is
 * an attack on the reader's time. */
#define FRAMING_MAX   (1 << 20)
#define FRAMING_RATIO 16

void bridge_channel_host_release(struct bridge_channel_host *host)
{
    block_release(host->block);
    block_release(host->small);
    host->block = host->small = NULL;
}

/* A block that nobody else looks into. */
static struct block *writable_block(struct bridge_channel_host *host)
{
    if (host->block && !block_is_unshared(host->block)) {
        block_release(host->block);
        host->block = NULL;
    }
    if (!host->block)
        host->block = block_new(BLOCK_SIZE);
    return host->block;
}

/* ---- life ---- */

static struct bridge_channel *of_stream(struct stream *s)
{
    return LIST_ITEM(s, struct bridge_channel, stream);
}

bool bridge_channel_is_open(const struct bridge_channel *c)
{
    return stream_is_open(&c->stream);
}

bool bridge_channel_is_blocked(const struct bridge_channel *c)
{
    return c->body.size > 0;
}

bool bridge_channel_is_idle(const struct bridge_channel *c)
{
    return bridge_channel_is_open(c) && !c->is_connecting && !c->stream.has_ended &&
           c->body.size == 0 && c->input.size == 0 && stream_queued(&c->stream) == 0 &&
           wire_decoder_is_idle(&c->decoder);
}

/* Between enter and leave the owner is being told something. */
static void enter(struct bridge_channel *c)
{
    c->is_entered = true;
}

static void leave(struct bridge_channel *c)
{
    c->is_entered = false;
    if (!bridge_channel_is_open(c))
        c->events->free(c);
}

void bridge_channel_close(struct bridge_channel *c)
{
    if (!bridge_channel_is_open(c))
        return;
    stream_close(&c->stream);
    wire_decoder_release(&c->decoder);
    slice_release(&c->body);
    slice_release(&c->input);
    if (!c->is_entered)
        c->events->free(c);
}

/* ---- input ---- */

/* `bytes` are part of the input that is being decoded. */
static int take_body(struct bridge_channel *c, const struct slice *input, struct span bytes)
{
    c->content_in += bytes.size;
    if (bytes.size >= SHARE_MIN) {
        c->body = slice_retain(*input);
        c->body.data = bytes.data;
        c->body.size = bytes.size;
    } else {
        c->body = slice_copy_spare(&c->host->small, bytes);
    }
    return c->body.data ? ROUTED_OK : ROUTED_ERROR_MEMORY;
}

static void tell(struct bridge_channel *c, const struct wire_event *event)
{
    switch (event->type) {
    case WIRE_EVENT_HEAD:
        c->marked_in = c->stream.bytes_in;
        c->marked_content = c->content_in;
        c->is_upgrading = event->head.status == HTTP_SWITCHING_PROTOCOLS;
        c->events->on_head(c, &event->head);
        break;
    case WIRE_EVENT_END:
        c->events->on_end(c);
        break;
    case WIRE_EVENT_TUNNEL_CLOSE:
        c->events->on_tunnel_close(c);
        break;
    case WIRE_EVENT_BODY:
    case WIRE_EVENT_TUNNEL:
        if (take_body(c, &c->input, event->bytes))
            c->events->on_failure(c, ROUTED_ERROR_MEMORY, "no memory");
        break;
    case WIRE_EVENT_ERROR:
        c->events->on_failure(c, event->error, event->text);
        break;
    case WIRE_EVENT_MORE:
        break;
    }
}

/* The decoder passes the end of an upgrade on its way to the next event, or finds it with the head
 * of a single frame. */
static void tell_upgrade(struct bridge_channel *c)
{
    bool is_upgraded =
        c->decoder.phase == WIRE_PHASE_TUNNEL || c->decoder.phase == WIRE_PHASE_TUNNEL_ENDED;
    if (!c->is_upgrading || !is_upgraded)
        return;
    c->is_upgrading = false;
    c->events->on_upgrade(c);
}

/* True when there may be another event. */
static bool decode_one(struct bridge_channel *c)
{
    struct wire_event event;
    struct span rest = slice_span(c->input);
    wire_decoder_feed(&c->decoder, &rest, &event);
    c->input.data += c->input.size - rest.size;
    c->input.size = rest.size;
    tell_upgrade(c);
    if (bridge_channel_is_open(c))
        tell(c, &event);
    if (bridge_channel_is_open(c))
        tell_upgrade(c);
    return event.type != WIRE_EVENT_MORE && event.type != WIRE_EVENT_ERROR &&
           (rest.size || !wire_decoder_is_idle(&c->decoder));
}

static bool is_usable(const struct bridge_channel *c)
{
    return bridge_channel_is_open(c) && c->decoder.phase != WIRE_PHASE_FAILED;
}

/* A channel that waits does not keep a block for little. */
static void shrink_input(struct bridge_channel *c)
{
    if (c->input.size == 0) {
        slice_release(&c->input);
    } else if (c->input.size < SHARE_MIN) {
        struct slice copy = slice_copy(slice_span(c->input));
        if (!copy.data)
            return;
        slice_release(&c->input);
        c->input = copy;
    }
}

static bool is_flooded(const struct bridge_channel *c)
{
    uint64_t content = c->content_in - c->marked_content;
    return c->stream.bytes_in - c->marked_in > FRAMING_MAX + FRAMING_RATIO * content;
}

/* Tells what is here until it is used up or the owner takes no more. The bytes of an event lie in
 * the block of the input, which stays while events are told. */
static void decode(struct bridge_channel *c)
{
    bool has_more = true;
    struct slice kept = slice_retain(c->input);
    while (has_more && is_usable(c)) {
        if (c->body.size)
            c->events->on_body(c, &c->body);
        if (!is_usable(c) || c->body.size)
            break;
        slice_release(&c->body);
        has_more = decode_one(c);
    }
    slice_release(&kept);
    if (!bridge_channel_is_open(c))
        return;
    shrink_input(c);
    if (is_flooded(c))
        c->events->on_failure(c, ROUTED_ERROR_BRIDGE_FRAME, "too many small frames");
}

static bool wants_input(const struct bridge_channel *c)
{
    return is_usable(c) && !c->is_connecting && c->body.size == 0 && c->stream.can_read;
}

static void read_once(struct bridge_channel *c)
{
    struct block *block = writable_block(c->host);
    if (!block) {
        c->events->on_failure(c, ROUTED_ERROR_MEMORY, "no memory");
        return;
    }
    ssize_t moved = stream_read(&c->stream, block_data(block), BLOCK_SIZE);
    if (moved > 0) {
        c->input = slice_of_block(block, 0, (size_t)moved);
        decode(c);
    } else if (moved == 0) {
        c->events->on_failure(c, ROUTED_ERROR_BRIDGE_CLOSED, "connection closed");
    } else if (moved == SOCKET_DEAD) {
        c->events->on_failure(c, ROUTED_ERROR_BRIDGE_CLOSED, "connection reset");
    }
}

static void run_input(struct bridge_channel *c)
{
    if (c->body.size || c->input.size)
        decode(c);
    for (int reads = 0; wants_input(c); reads++) {
        if (reads == READS_MAX) {
            stream_wake(&c->stream);
            return;
        }
        read_once(c);
    }
}

void bridge_channel_resume(struct bridge_channel *c)
{
    if (bridge_channel_is_open(c))
        stream_wake(&c->stream);
}

/* ---- events of the stream ---- */

static void conclude_connect(struct bridge_channel *c)
{
    if (!c->stream.can_write && !c->stream.has_ended)
        return;
    int error = socket_connect_result(c->stream.handle.fd);
    c->is_connecting = false;
    if (error)
        c->events->on_failure(c, error, "connect failed");
    else
        c->events->on_connect(c);
}

static void on_ready(struct stream *s)
{
    struct bridge_channel *c = of_stream(s);
    enter(c);
    if (c->is_connecting)
        conclude_connect(c);
    if (bridge_channel_is_open(c) && !c->is_connecting) {
        if (stream_queued(s) && s->can_write)
            stream_wake(s);
        if (s->has_ended)
            c->events->on_ended(c);
        if (wants_input(c))
            run_input(c);
    }
    leave(c);
}

static void flush(struct bridge_channel *c)
{
    if (c->stream.can_write)
        c->chunk_size = 0;
    if (stream_flush(&c->stream)) {
        c->events->on_failure(c, ROUTED_ERROR_BRIDGE_CLOSED, "connection broken");
        return;
    }
    size_t queued = stream_queued(&c->stream);
    size_t left = c->content_queued < queued ? c->content_queued : queued;
    size_t drained = c->content_queued - left;
    c->content_queued = left;
    c->events->on_drained(c, drained);
}

static void on_turn(struct stream *s)
{
    struct bridge_channel *c = of_stream(s);
    if (c->is_connecting)
        return;
    enter(c);
    c->events->on_flush(c);
    if (bridge_channel_is_open(c) && stream_queued(s))
        flush(c);
    if (is_usable(c))
        run_input(c);
    leave(c);
}

int bridge_channel_open(struct bridge_channel *c, struct bridge_channel_host *host, int fd,
                        bool is_unix, bool is_connecting, enum wire_direction direction,
                        const struct bridge_channel_events *events)
{
    static const struct stream_events stream_events = {on_ready, on_turn};
    *c = (struct bridge_channel){.host = host, .events = events, .is_connecting = is_connecting};
    wire_decoder_init(&c->decoder, direction, NULL);
    return stream_open(&c->stream, host->loop, fd, is_unix, &stream_events);
}

/* ---- output ---- */

struct buffer *bridge_channel_output(struct bridge_channel *c)
{
    c->chunk_size = 0;
    stream_wake(&c->stream);
    return &c->stream.bytes;
}

static int append_content(struct bridge_channel *c, struct slice content)
{
    size_t size = content.size;
    int error = stream_append(&c->stream, content);
    if (!error)
        c->content_queued += size;
    return error;
}

/* Adds to the chunk at the end of the output, if there is one and it has room. */
static bool grow_chunk(struct bridge_channel *c, enum wire_type type, const struct slice *content)
{
    size_t size = c->chunk_size + content->size;
    if (c->chunk_size == 0 || c->chunk_type != type || size > GROWN_CHUNK_MAX ||
        content->size >= GROWN_CHUNK_MAX / 16)
        return false;
    struct buffer *bytes = &c->stream.bytes;
    if (buffer_append(bytes, content->data, content->size))
        return false;
    wire_frame_chunk(bytes->data + bytes->tail - size - WIRE_CHUNK_PREFIX_SIZE, type,
                     (uint32_t)size);
    c->content_queued += content->size;
    c->chunk_size = size;
    return true;
}

static int append_chunk(struct bridge_channel *c, enum wire_type type, struct slice content)
{
    size_t size = content.size;
    struct buffer *bytes = bridge_channel_output(c);
    int error = wire_frame_append_chunk(bytes, type, (uint32_t)size);
    if (error) {
        slice_release(&content);
        return error;
    }
    size_t filled = buffer_size(bytes);
    error = append_content(c, content);
    if (!error && buffer_size(bytes) == filled + size) {
        c->chunk_size = size;
        c->chunk_type = type;
    }
    return error;
}

int bridge_channel_send_chunk(struct bridge_channel *c, enum wire_type type, struct slice content)
{
    int error = ROUTED_OK;
    if (grow_chunk(c, type, &content))
        slice_release(&content);
    while (!error && content.size > WIRE_CHUNK_DATA_MAX)
        error = append_chunk(c, type, slice_take(&content, WIRE_CHUNK_DATA_MAX));
    if (!error && content.size)
        error = append_chunk(c, type, content);
    else
        slice_release(&content);
    return error;
}

int bridge_channel_send_content(struct bridge_channel *c, struct slice content)
{
    bridge_channel_output(c);
    return append_content(c, content);
}

int bridge_channel_send_mark(struct bridge_channel *c, enum wire_type type)
{
    return wire_frame_append_mark(bridge_channel_output(c), type);
}
