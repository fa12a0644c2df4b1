#include "front/address_table.h"

#include "base/memory.h"
#include <pthread.h>

struct entry {
    uint64_t key; /* 0: free */
    uint64_t connections;
};

/* Open addressing with linear probing, at most half full; keys are already well mixed. */
struct address_table {
    pthread_mutex_t mutex;
    size_t mask;
    size_t used;
    struct entry entries[];
};

#define START_SIZE 64

struct address_table *address_table_new(uint64_t connections)
{
    size_t size = START_SIZE;
    while (size / 2 < connections && size < SIZE_MAX / 4 / sizeof(struct entry))
        size *= 2;
    struct address_table *t = memory_new_zeroed(sizeof(*t) + size * sizeof(struct entry));
    if (!t)
        return NULL;
    pthread_mutex_init(&t->mutex, NULL);
    t->mask = size - 1;
    return t;
}

void address_table_free(struct address_table *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->mutex);
    memory_free(t);
}

static size_t find(const struct address_table *t, uint64_t key)
{
    size_t i = key & t->mask;
    while (t->entries[i].key && t->entries[i].key != key)
        i = (i + 1) & t->mask;
    return i;
}

bool address_table_enter(struct address_table *t, uint64_t key, uint64_t limit)
{
    if (key == 0)
        return true;
    bool is_allowed = false;
    pthread_mutex_lock(&t->mutex);
    struct entry *e = &t->entries[find(t, key)];
    if (e->connections < limit && (e->key || t->used <= t->mask / 2)) {
        if (!e->key)
            t->used++;
        e->key = key;
        e->connections++;
        is_allowed = true;
    }
    pthread_mutex_unlock(&t->mutex);
    return is_allowed;
}

/* Moves what would no longer be found after a hole came into its chain. */
static void fill_hole(struct address_table *t, size_t hole)
{
    size_t i = hole;
    for (;;) {
        i = (i + 1) & t->mask;
        if (!t->entries[i].key)
            break;
        size_t home = t->entries[i].key & t->mask;
        if (((i - home) & t->mask) >= ((i - hole) & t->mask)) {
            t->entries[hole] = t->entries[i];
            hole = i;
        }
    }
    t->entries[hole] = (struct entry){0, 0};
}

void address_table_leave(struct address_table *t, uint64_t key)
{
    if (key == 0)
        return;
    pthread_mutex_lock(&t->mutex);
    size_t i = find(t, key);
    if (t->entries[i].key && --t->entries[i].connections == 0) {
        fill_hole(t, i);
        t->used--;
    }
    pthread_mutex_unlock(&t->mutex);
}
