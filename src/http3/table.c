#include "http3/table.h"

#include "base/memory.h"
#include "base/random.h"
#include <routed/error.h>

#define START_SIZE 64

int http3_table_init(struct http3_table *t, uint64_t seed)
{
    *t = (struct http3_table){.mask = START_SIZE - 1, .seed = seed};
    t->buckets = memory_new_zeroed(START_SIZE * sizeof(*t->buckets));
    return t->buckets ? ROUTED_OK : ROUTED_ERROR_MEMORY;
}

void http3_table_release(struct http3_table *t)
{
    memory_free(t->buckets);
}

static uint64_t hash_of(const struct http3_table *t, struct span id)
{
    struct random mixer = {.state = t->seed ^ id.size};
    while (id.size) {
        uint64_t word = 0;
        size_t part = id.size < sizeof(word) ? id.size : sizeof(word);
        memcpy(&word, id.data, part);
        mixer.state = t->seed ^ random_next(&mixer) ^ word;
        id = span_after(id, part);
    }
    return random_next(&mixer);
}

static void put(struct http3_table *t, struct http3_route *route)
{
    struct http3_route **bucket = &t->buckets[route->hash & t->mask];
    route->next = *bucket;
    *bucket = route;
}

/* Without memory the chains become longer, no more. */
static void grow(struct http3_table *t)
{
    struct http3_route **old = t->buckets;
    size_t old_size = t->mask + 1;
    struct http3_route **buckets = memory_new_zeroed(2 * old_size * sizeof(*buckets));
    if (!buckets)
        return;
    t->buckets = buckets;
    t->mask = 2 * old_size - 1;
    for (size_t i = 0; i < old_size; i++)
        for (struct http3_route *next, *route = old[i]; route; route = next) {
            next = route->next;
            put(t, route);
        }
    memory_free(old);
}

struct http3_route *http3_table_route(const struct http3_table *t, struct span id)
{
    uint64_t hash = hash_of(t, id);
    struct http3_route *route = t->buckets[hash & t->mask];
    while (route &&
           (route->hash != hash || !span_equals(span_of(route->id.data, route->id.datalen), id)))
        route = route->next;
    return route;
}

struct http3_connection *http3_table_find(const struct http3_table *t, struct span id)
{
    struct http3_route *route = http3_table_route(t, id);
    return route ? route->connection : NULL;
}

int http3_table_add(struct http3_table *t, const ngtcp2_cid *id, struct http3_connection *c,
                    struct list_link *routes)
{
    struct span bytes = span_of(id->data, id->datalen);
    if (http3_table_route(t, bytes))
        return ROUTED_ERROR_STATE;
    struct http3_route *route = memory_new(sizeof(*route));
    if (!route)
        return ROUTED_ERROR_MEMORY;
    *route = (struct http3_route){.connection = c, .hash = hash_of(t, bytes), .id = *id};
    if (t->count > t->mask)
        grow(t);
    put(t, route);
    t->count++;
    list_append(routes, &route->link);
    return ROUTED_OK;
}

void http3_table_remove(struct http3_table *t, struct http3_route *route)
{
    struct http3_route **at = &t->buckets[route->hash & t->mask];
    while (*at != route)
        at = &(*at)->next;
    *at = route->next;
    t->count--;
    list_remove(&route->link);
    memory_free(route);
}
