#include "servers/heap.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

static atomic_uint_fast64_t *calls; /* NULL: nobody asked */

uint64_t servers_heap_calls(void)
{
    return calls ? atomic_load_explicit(calls, memory_order_relaxed) : 0;
}

#ifdef SERVERS_HEAP_COUNTED

bool servers_heap_count(void)
{
    void *memory =
        mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    calls = memory;
    return true;
}

/* The C library's own names for what is put in front of them here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static void count(void)
{
    if (calls)
        atomic_fetch_add_explicit(calls, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *block, size_t size)
{
    count();
    return __libc_realloc(block, size);
}

#else

bool servers_heap_count(void)
{
    return false;
}

#endif
