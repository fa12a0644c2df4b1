#include "io/bell.h"

#include "io/doorbell.h"
#include <routed/error.h>

int bell_open(struct bell *b)
{
    atomic_init(&b->rings, 0);
    atomic_init(&b->is_awaited, 0);
    b->fd = doorbell_open();
    return b->fd >= 0 ? ROUTED_OK : b->fd;
}

void bell_close(struct bell *b)
{
    doorbell_close(b->fd);
}

/* Each side writes one number and reads the other, all in one order (seq_cst): at least one sees
 * what the other wrote. */
void bell_ring(struct bell *b)
{
    atomic_fetch_add(&b->rings, 1);
    if (atomic_load(&b->is_awaited) && atomic_exchange(&b->is_awaited, 0))
        doorbell_ring(b->fd);
}

void bell_await(struct bell *b)
{
    atomic_store(&b->is_awaited, 1);
}

void bell_disregard(struct bell *b)
{
    atomic_store_explicit(&b->is_awaited, 0, memory_order_relaxed);
}

unsigned bell_rings(const struct bell *b)
{
    return atomic_load(&b->rings);
}
