#include "base/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t own;
static atomic_size_t *held = &own;
static atomic_uint_fast64_t fault_countdown;
static atomic_bool fault_fired;

static bool fault_due(void)
{
    if (atomic_load_explicit(&fault_countdown, memory_order_relaxed) == 0)
        return false;
    if (atomic_fetch_sub_explicit(&fault_countdown, 1, memory_order_relaxed) != 1)
        return false;
    atomic_store_explicit(&fault_fired, true, memory_order_relaxed);
    return true;
}

static void *account(void *block)
{
    if (block)
        atomic_fetch_add_explicit(held, malloc_usable_size(block), memory_order_relaxed);
    return block;
}

void *memory_new(size_t size)
{
    return fault_due() ? NULL : account(malloc(size ? size : 1));
}

void *memory_new_zeroed(size_t size)
{
    return fault_due() ? NULL : account(calloc(1, size ? size : 1));
}

void *memory_new_array(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return memory_new(count * size);
}

void *memory_resize(void *block, size_t size)
{
    if (fault_due())
        return NULL;
    size_t before = block ? malloc_usable_size(block) : 0;
    void *moved = realloc(block, size ? size : 1);
    if (!moved)
        return NULL;
    atomic_fetch_sub_explicit(held, before, memory_order_relaxed);
    return account(moved);
}

void memory_free(void *block)
{
    if (!block)
        return;
    atomic_fetch_sub_explicit(held, malloc_usable_size(block), memory_order_relaxed);
    free(block);
}

char *memory_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memory_new(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

size_t memory_held(void)
{
    return atomic_load_explicit(held, memory_order_relaxed);
}

void memory_count_in(atomic_size_t *place)
{
    atomic_store_explicit(place, memory_held(), memory_order_relaxed);
    held = place;
}

void memory_fault_set(uint64_t nth)
{
    atomic_store(&fault_fired, false);
    atomic_store(&fault_countdown, nth);
}

bool memory_fault_fired(void)
{
    return atomic_load(&fault_fired);
}
