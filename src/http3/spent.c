#include "http3/spent.h"

/* FNV-1a. Nobody but us makes tokens, with random bytes in each, so no key is needed. */
static uint64_t mark_of(struct span token)
{
    uint64_t mark = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < token.size; i++)
        mark = (mark ^ token.data[i]) * UINT64_C(0x100000001b3);
    return mark ? mark : 1;
}

bool http3_spent_take(struct http3_spent *s, struct span token)
{
    uint64_t mark = mark_of(token);
    atomic_uint_fast64_t *place = &s->marks[(mark >> 32) % HTTP3_SPENT_TOKENS];
    return atomic_exchange_explicit(place, mark, memory_order_relaxed) != mark;
}
