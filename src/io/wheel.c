#include "io/wheel.h"

#define SLOT_MASK (WHEEL_SLOTS - 1)
#define RANGE     ((uint64_t)1 << (WHEEL_LEVELS * WHEEL_BITS))

void wheel_init(struct wheel *w, milliseconds now)
{
    w->tick = now;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        w->occupied[level] = 0;
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&w->slots[level][slot]);
    }
}

static int level_of(uint64_t difference)
{
    return difference < WHEEL_SLOTS ? 0 : (63 - __builtin_clzll(difference)) / WHEEL_BITS;
}

/* `due` is after the tick, or at it while that very tick is being fired. */
static void place(struct wheel *w, struct loop_timer *t)
{
    uint64_t difference = t->due ^ w->tick;
    if (difference >= RANGE) {
        t->due = w->tick | (RANGE - 1);
        difference = t->due ^ w->tick;
    }
    int level = level_of(difference);
    unsigned slot = (unsigned)(t->due >> (level * WHEEL_BITS)) & SLOT_MASK;
    list_append(&w->slots[level][slot], &t->link);
    w->occupied[level] |= (uint64_t)1 << slot;
}

void wheel_add(struct wheel *w, struct loop_timer *t)
{
    if (t->due <= w->tick)
        t->due = w->tick + 1;
    place(w, t);
}

void wheel_remove(struct wheel *w, struct loop_timer *t)
{
    struct list_link *head = t->link.next;
    bool is_last = list_is_linked(&t->link) && head == t->link.previous;
    list_remove(&t->link);
    struct list_link *first = &w->slots[0][0];
    if (!is_last || head < first || head >= first + WHEEL_LEVELS * WHEEL_SLOTS)
        return;
    size_t index = (size_t)(head - first);
    w->occupied[index / WHEEL_SLOTS] &= ~((uint64_t)1 << (index % WHEEL_SLOTS));
}

/* The lowest occupied level holds what comes first: higher levels start in later windows. */
static bool first_slot(const struct wheel *w, int *level, unsigned *slot)
{
    for (int i = 0; i < WHEEL_LEVELS; i++) {
        if (w->occupied[i]) {
            *level = i;
            *slot = (unsigned)__builtin_ctzll(w->occupied[i]);
            return true;
        }
    }
    return false;
}

static milliseconds slot_start(const struct wheel *w, int level, unsigned slot)
{
    int shift = level * WHEEL_BITS;
    milliseconds window = w->tick >> (shift + WHEEL_BITS) << (shift + WHEEL_BITS);
    return window | (uint64_t)slot << shift;
}

milliseconds wheel_next(const struct wheel *w)
{
    int level;
    unsigned slot;
    return first_slot(w, &level, &slot) ? slot_start(w, level, slot) : CLOCK_NEVER;
}

static void move_all(struct list_link *from, struct list_link *to)
{
    list_init(to);
    if (list_is_empty(from))
        return;
    *to = *from;
    to->next->previous = to;
    to->previous->next = to;
    list_init(from);
}

static void open_slot(struct wheel *w, int level, unsigned slot)
{
    struct list_link waiting;
    move_all(&w->slots[level][slot], &waiting);
    w->occupied[level] &= ~((uint64_t)1 << slot);
    while (!list_is_empty(&waiting)) {
        struct loop_timer *t = LIST_ITEM(waiting.next, struct loop_timer, link);
        list_remove(&t->link);
        if (t->due <= w->tick)
            t->on_due(t);
        else
            place(w, t);
    }
}

void wheel_advance(struct wheel *w, milliseconds now)
{
    int level;
    unsigned slot;
    while (first_slot(w, &level, &slot)) {
        milliseconds start = slot_start(w, level, slot);
        if (start > now)
            break;
        w->tick = start;
        open_slot(w, level, slot);
    }
    if (now > w->tick)
        w->tick = now;
}
