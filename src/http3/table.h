/* http3/table.h: whose a connection id is. Clients choose some of the ids, so the hash has a seed
 * that they do not know. One thread. */
#ifndef HTTP3_TABLE_H
#define HTTP3_TABLE_H

#include "base/list.h"
#include "base/span.h"
#include <ngtcp2/ngtcp2.h>

struct http3_connection;

struct http3_route {
    struct http3_route *next; /* in its bucket */
    struct list_link link;    /* in the routes of its connection */
    struct http3_connection *connection;
    uint64_t hash;
    ngtcp2_cid id;
};

struct http3_table {
    struct http3_route **buckets;
    size_t mask;
    size_t count;
    uint64_t seed;
};

/* ROUTED_OK or ROUTED_ERROR_MEMORY. */
int http3_table_init(struct http3_table *t, uint64_t seed);
/* All routes are removed before. */
void http3_table_release(struct http3_table *t);

/* NULL: nobody's. */
struct http3_connection *http3_table_find(const struct http3_table *t, struct span id);
/* Adds the id to the list `routes` of the connection. ROUTED_OK, ROUTED_ERROR_MEMORY, or
 * ROUTED_ERROR_STATE: it is taken. */
int http3_table_add(struct http3_table *t, const ngtcp2_cid *id, struct http3_connection *c,
                    struct list_link *routes);
void http3_table_remove(struct http3_table *t, struct http3_route *route);
/* The route of an id, or NULL. */
struct http3_route *http3_table_route(const struct http3_table *t, struct span id);

#endif
