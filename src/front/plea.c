#include "front/plea.h"

#include "front/worker.h"

static void pass_on(struct front_plea *p, struct front_worker *to)
{
    p->at = to;
    loop_post(to->loop, &p->message);
}

static void come_back(struct front_plea *p)
{
    p->is_under_way = false;
    front_worker_listen_again(p->from);
}

/* The workers form a ring. */
static struct front_worker *next_of(const struct front_worker *w)
{
    const struct front_shared *shared = w->shared;
    return shared->workers[(w->number + 1) % shared->worker_count];
}

/* On the thread of p->at. A worker that has ended no longer asks its neighbour, which may be gone;
 * without an answer nobody waits: the others end too. */
static void on_delivery(struct loop_message *m)
{
    struct front_plea *p = LIST_ITEM(m, struct front_plea, message);
    struct front_worker *w = p->at;
    if (w->phase == FRONT_WORKER_ENDED)
        return;
    if (w == p->from)
        come_back(p);
    else if (!front_worker_is_full(w) || front_worker_evict(w))
        pass_on(p, p->from);
    else
        pass_on(p, next_of(w));
}

void front_plea_init(struct front_plea *p, struct front_worker *w)
{
    *p = (struct front_plea){.message = {.on_delivery = on_delivery}, .from = w};
}

void front_plea_send(struct front_plea *p)
{
    if (p->is_under_way || p->from->shared->worker_count == 1)
        return;
    p->is_under_way = true;
    pass_on(p, next_of(p->from));
}
