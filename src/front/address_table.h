/* front/address_table.h: how many connections each client address has open, for all workers.
 *
 * Entries exist only for addresses with connections, so the table is as large as the limit of
 * connections at most. Any thread. */
#ifndef FRONT_ADDRESS_TABLE_H
#define FRONT_ADDRESS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address_table;

/* For up to `connections` connections; NULL without memory. */
struct address_table *address_table_new(uint64_t connections);
void address_table_free(struct address_table *t);

/* Counts one more connection of the address with this key (socket_address_key; 0 is never
 * limited). False, and nothing is counted, when it has `limit` already. */
bool address_table_enter(struct address_table *t, uint64_t key, uint64_t limit);
void address_table_leave(struct address_table *t, uint64_t key);

#endif
