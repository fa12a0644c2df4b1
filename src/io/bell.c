#include "io/bell.h"

#include "io/doorbell.h"
#include <routed/error.h>

int bell_open(struct bell *b)
{
    atomic_init(&b->is_awaited, 0);
    b->fd = doorbell_open();
    return b->fd >= 0 ? ROUTED_OK : b->fd;
}

void bell_close(struct bell *b)
{
    doorbell_close(b->fd);
}

/* The barriers of both sides stand between a write and a read of different places: of the socket
 * and the flag here, of the flag and the socket there. One of the two sees the other's. */
void bell_ring(struct bell *b)
{
    __sync_synchronize();
    if (atomic_load_explicit(&b->is_awaited, memory_order_relaxed) &&
        atomic_exchange_explicit(&b->is_awaited, 0, memory_order_relaxed))
        doorbell_ring(b->fd);
}

void bell_await(struct bell *b)
{
    atomic_store_explicit(&b->is_awaited, 1, memory_order_relaxed);
    __sync_synchronize();
}

void bell_disregard(struct bell *b)
{
    atomic_store_explicit(&b->is_awaited, 0, memory_order_relaxed);
}
