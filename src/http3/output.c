#include "http3/output.h"

#include "base/memory.h"
#include "http3/inside.h"
#include <routed/error.h>

int http3_output_init(struct http3_output *o)
{
    *o = (struct http3_output){.bytes = memory_new(HTTP3_BATCH_SIZE)};
    return o->bytes ? ROUTED_OK : ROUTED_ERROR_MEMORY;
}

void http3_output_release(struct http3_output *o)
{
    memory_free(o->bytes);
}

static size_t send_batch(struct http3_endpoint *e, const struct http3_batch *batch)
{
    size_t sent = e->options.host.send(e->options.host.host, batch);
    e->counts[HTTP3_BATCHES_OUT]++;
    e->counts[HTTP3_BYTES_OUT] += sent;
    e->counts[HTTP3_DATAGRAMS_OUT] += (sent + batch->segment - 1) / batch->segment;
    return sent;
}

void http3_output_flush(struct http3_endpoint *e)
{
    struct http3_output *o = &e->output;
    if (o->filled == 0 || o->is_blocked)
        return;
    o->batch.bytes = span_of(o->bytes, o->filled);
    size_t sent = send_batch(e, &o->batch);
    o->filled -= sent;
    o->is_blocked = o->filled > 0;
    if (o->is_blocked)
        memmove(o->bytes, o->bytes + sent, o->filled);
    else
        o->datagrams = 0;
}

void http3_output_resume(struct http3_endpoint *e)
{
    e->output.is_blocked = false;
    http3_output_flush(e);
}

uint8_t *http3_output_room(struct http3_endpoint *e, size_t size)
{
    struct http3_output *o = &e->output;
    if (o->filled + size > HTTP3_BATCH_SIZE || o->datagrams == HTTP3_BATCH_DATAGRAMS)
        http3_output_flush(e);
    return o->is_blocked ? NULL : o->bytes + o->filled;
}

static void start_batch(struct http3_output *o, size_t size, const struct http3_batch *batch)
{
    o->batch = *batch;
    o->batch.segment = size;
    o->filled = size;
    o->datagrams = 1;
}

static bool goes_along(const struct http3_output *o, size_t size, const struct http3_batch *batch)
{
    return size <= o->batch.segment && batch->ecn == o->batch.ecn &&
           http3_path_equals(&batch->remote, &o->batch.remote) &&
           http3_path_equals(&batch->local, &o->batch.local);
}

void http3_output_add(struct http3_endpoint *e, size_t size, const ngtcp2_path *path, uint8_t ecn)
{
    struct http3_output *o = &e->output;
    struct http3_batch batch = {.ecn = ecn};
    http3_path_write(&batch.local, &path->local);
    http3_path_write(&batch.remote, &path->remote);
    if (o->filled == 0) {
        start_batch(o, size, &batch);
    } else if (goes_along(o, size, &batch)) {
        o->filled += size;
        o->datagrams++;
        if (size < o->batch.segment) /* only the last may be shorter */
            http3_output_flush(e);
    } else {
        const uint8_t *datagram = o->bytes + o->filled;
        http3_output_flush(e);
        if (o->is_blocked) /* lost, as the network loses some */
            return;
        memmove(o->bytes, datagram, size);
        start_batch(o, size, &batch);
    }
}

void http3_output_send(struct http3_endpoint *e, const struct http3_address *local,
                       const struct http3_address *remote, struct span datagram)
{
    struct http3_batch batch = {
        .local = *local, .remote = *remote, .bytes = datagram, .segment = datagram.size};
    if (!e->output.is_blocked)
        send_batch(e, &batch);
}
