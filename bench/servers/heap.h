/* servers/heap.h: counts calls of malloc, calloc and realloc by everything in the process, the
 * libraries included, and in the processes that are forked from it. */
#ifndef SERVERS_HEAP_H
#define SERVERS_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Begins to count. Before the first thread starts; false: there is no shared memory, or this build
 * cannot count (a sanitizer has the heap). Until then a call costs one comparison more. */
bool servers_heap_count(void);
/* Calls so far; 0 when nothing is counted. */
uint64_t servers_heap_calls(void);

#endif
