#include "front/forward.h"

#include "base/memory.h"

struct parcel {
    struct loop_message message;
    struct front_forwards *to;
    struct http3_datagram datagram;
    uint8_t bytes[];
};

/* ---- what is under way ---- */

/* Counted first, and taken back where that was too much: no two workers take the last place. False:
 * *limit is the one that was reached. */
static bool count(struct front_forwards *to, size_t size, const routed_limits *limits,
                  size_t *limit)
{
    uint64_t parcels = atomic_fetch_add_explicit(&to->count, 1, memory_order_relaxed);
    uint64_t bytes = atomic_fetch_add_explicit(&to->bytes, size, memory_order_relaxed);
    bool has_room = parcels < limits->http3_forwards;
    *limit = has_room ? offsetof(routed_limits, http3_forward_bytes)
                      : offsetof(routed_limits, http3_forwards);
    return has_room && bytes + size <= limits->http3_forward_bytes;
}

static void forget(struct front_forwards *to, size_t size)
{
    atomic_fetch_sub_explicit(&to->count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&to->bytes, size, memory_order_relaxed);
}

/* ---- the way ---- */

static void on_parcel(struct loop_message *m)
{
    struct parcel *p = LIST_ITEM(m, struct parcel, message);
    forget(p->to, p->datagram.bytes.size);
    p->to->on_datagram(p->to, &p->datagram);
    memory_free(p);
}

static bool post(struct loop *loop, struct front_forwards *to,
                 const struct http3_datagram *datagram)
{
    struct parcel *p = memory_new(sizeof(*p) + datagram->bytes.size);
    if (!p)
        return false;
    p->message.on_delivery = on_parcel;
    p->to = to;
    p->datagram = *datagram;
    memcpy(p->bytes, datagram->bytes.data, datagram->bytes.size);
    p->datagram.bytes = span_of(p->bytes, datagram->bytes.size);
    if (loop_post(loop, &p->message))
        return true;
    memory_free(p);
    return false;
}

void front_forward(struct front_worker *from, struct loop *loop, struct front_forwards *to,
                   const struct http3_datagram *datagram)
{
    const routed_limits *limits = &from->shared->limits;
    size_t size = datagram->bytes.size, limit;
    bool has_room = count(to, size, limits, &limit);
    if (!has_room)
        front_metrics_hit(&from->metrics, limit);
    if (!has_room || !post(loop, to, datagram))
        forget(to, size);
}
