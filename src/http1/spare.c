#include "http1/spare.h"

#include "base/memory.h"
#include "http1/state.h"

static void free_turn(struct http1_turn *t)
{
    exchange_release(&t->exchange);
    memory_free(t);
}

void http1_spare_init(struct http1_spare *p)
{
    list_init(&p->turns);
    p->turn_count = p->output_count = 0;
}

void http1_spare_release(struct http1_spare *p)
{
    while (p->turn_count)
        free_turn(http1_spare_take_turn(p));
    while (p->output_count)
        output_release(&p->outputs[--p->output_count]);
}

struct http1_turn *http1_spare_take_turn(struct http1_spare *p)
{
    if (p->turn_count == 0)
        return memory_new_zeroed(sizeof(struct http1_turn));
    struct http1_turn *t = LIST_ITEM(p->turns.next, struct http1_turn, link);
    list_remove(&t->link);
    p->turn_count--;
    return t;
}

void http1_spare_give_turn(struct http1_spare *p, struct http1_turn *t)
{
    if (!t)
        return;
    if (p->turn_count == HTTP1_SPARE_MAX) {
        free_turn(t);
        return;
    }
    arena_reset(&t->exchange.arena);
    list_prepend(&p->turns, &t->link);
    p->turn_count++;
}

void http1_spare_lend_output(struct http1_spare *p, struct output *o)
{
    if (p->output_count && !output_has_memory(o))
        output_hand_on(&p->outputs[--p->output_count], o);
}

void http1_spare_return_output(struct http1_spare *p, struct output *o)
{
    if (p->output_count == HTTP1_SPARE_MAX || o->bytes.capacity > HTTP1_SPARE_OUTPUT_MAX) {
        output_rest(o);
        return;
    }
    p->outputs[p->output_count] = (struct output){0};
    output_hand_on(o, &p->outputs[p->output_count++]);
}
