/* base/memory.h: the only door to the heap.
 *
 * Every allocation of the library passes here, so that one number says how much it holds and a
 * test can make the n-th allocation fail. Any thread. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL when there is no memory or the sum overflows; callers answer with ROUTED_ERROR_MEMORY. */
void *memory_new(size_t size);
void *memory_new_zeroed(size_t size);
void *memory_new_array(size_t count, size_t size);
void *memory_resize(void *block, size_t size);
void memory_free(void *block);
char *memory_copy_text(const char *text);

/* Bytes held by the library in this process, as the C library rounds them. */
size_t memory_held(void);
/* Keeps that number in `place` from now on, where another process may read it too. Before this
 * process has a second thread; `place` lives as long as the process. */
void memory_count_in(atomic_size_t *place);

/* Makes the n-th allocation from now on fail (1 = the next), and only that one; 0 ends it. For
 * tests: the counter is process-wide. memory_fault_fired says whether it came to that. */
void memory_fault_set(uint64_t nth);
bool memory_fault_fired(void);

#endif
