#include "exchange/inlet.h"

/* Content is copied up to this size, so that a byte does not pin a block. */
#define COPY_BELOW 4096

void exchange_inlet_release(struct exchange_inlet *in)
{
    buffer_release(&in->held);
    *in = (struct exchange_inlet){.held = BUFFER_EMPTY};
}

/* A tunnel that was asked for and not yet granted has no content to deliver. */
static bool is_open(const struct exchange_inlet *in, const struct exchange *x)
{
    return !in->is_done && x->request_phase == EXCHANGE_BODY;
}

bool exchange_inlet_is_waiting(const struct exchange_inlet *in, const struct exchange *x)
{
    return is_open(in, x) && x->request_credit > 0;
}

static struct slice slice_of(struct block *block, struct span bytes)
{
    if (!block || bytes.size < COPY_BELOW)
        return slice_copy(bytes);
    return slice_of_block(block, (size_t)(bytes.data - block_data(block)), bytes.size);
}

/* Delivers from the front of the bytes what the credit covers; returns how much that was. */
static size_t deliver_some(struct exchange *x, struct block *block, struct span bytes, int *error)
{
    uint64_t credit = (uint64_t)x->request_credit;
    size_t size = bytes.size < credit ? bytes.size : (size_t)credit;
    struct slice slice = slice_of(block, span_part(bytes, 0, size));
    *error = slice.data ? exchange_deliver(x, slice) : ROUTED_ERROR_MEMORY;
    return size;
}

int exchange_inlet_deliver(struct exchange_inlet *in, struct exchange *x, size_t *taken)
{
    int error = ROUTED_OK;
    while (!error && buffer_size(&in->held) && exchange_inlet_is_waiting(in, x)) {
        size_t size = deliver_some(x, NULL, buffer_span(&in->held), &error);
        /* What the application did meanwhile may have given everything up. */
        if (in->is_done)
            break;
        buffer_consume(&in->held, size);
        *taken += size;
    }
    if (!buffer_size(&in->held))
        buffer_release(&in->held);
    return error;
}

static bool is_too_much(const struct exchange_inlet *in, const struct exchange *x, size_t more,
                        int64_t max)
{
    uint64_t bytes = x->request_bytes + buffer_size(&in->held) + more;
    return !in->is_done && !x->is_tunnel && bytes > (uint64_t)max;
}

int exchange_inlet_receive(struct exchange_inlet *in, struct exchange *x, int64_t max,
                           struct block *block, struct span bytes, size_t *taken)
{
    int error = is_too_much(in, x, bytes.size, max) ? ROUTED_ERROR_CONTENT_TOO_LARGE
                                                    : exchange_inlet_deliver(in, x, taken);
    while (!error && bytes.size && !buffer_size(&in->held) && exchange_inlet_is_waiting(in, x)) {
        size_t size = deliver_some(x, block, bytes, &error);
        bytes = span_after(bytes, size);
        *taken += size;
    }
    if (!error && bytes.size && !in->is_done)
        error = buffer_append_span(&in->held, bytes);
    else
        *taken += bytes.size;
    return error;
}

bool exchange_inlet_is_at_end(const struct exchange_inlet *in, const struct exchange *x)
{
    return in->has_ended && is_open(in, x) && !buffer_size(&in->held);
}

size_t exchange_inlet_give_up(struct exchange_inlet *in)
{
    size_t size = buffer_size(&in->held);
    in->is_done = true;
    buffer_release(&in->held);
    return size;
}
