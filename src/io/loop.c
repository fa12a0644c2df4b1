#include "io/loop.h"

#include "base/memory.h"
#include "io/doorbell.h"
#include "io/poller.h"
#include "io/wheel.h"
#include <routed/error.h>
#include <stdatomic.h>
#include <time.h>

#define NANOSECONDS_A_MILLISECOND UINT64_C(1000000)
#define NANOSECONDS_A_SECOND      UINT64_C(1000000000)

struct loop {
    struct poller poller;
    struct loop_handle doorbell;
    struct wheel wheel;
    struct list_link alarms;
    struct list_link tasks;
    struct list_link last_tasks;
    struct list_link tasks_end; /* stands behind the last task of this turn */
    nanoseconds now;
    int64_t wall_seconds;
    _Atomic(struct loop_message *) mailbox; /* newest first */
    _Atomic(const void *) thread;
    atomic_bool is_stopping;
    atomic_size_t references;
};

/* A mailbox that takes nothing more. */
static struct loop_message closed_mailbox;

/* Its address names a thread without a system call. */
static _Thread_local char thread_marker;

static nanoseconds read_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (nanoseconds)t.tv_sec * NANOSECONDS_A_SECOND + (nanoseconds)t.tv_nsec;
}

microseconds loop_clock(void)
{
    return read_clock() / 1000;
}

static void read_clocks(struct loop *l)
{
    struct timespec t;
    l->now = read_clock();
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    l->wall_seconds = t.tv_sec;
}

milliseconds loop_now(const struct loop *l)
{
    return l->now / NANOSECONDS_A_MILLISECOND;
}

nanoseconds loop_now_precise(const struct loop *l)
{
    return l->now;
}

int64_t loop_wall_seconds(const struct loop *l)
{
    return l->wall_seconds;
}

bool loop_is_here(const struct loop *l)
{
    return atomic_load_explicit(&l->thread, memory_order_relaxed) == &thread_marker;
}

int loop_descriptor(const struct loop *l)
{
    return l->poller.epoll;
}

/* ---- descriptors ---- */

int loop_watch(struct loop *l, struct loop_handle *h)
{
    return poller_watch(&l->poller, h, POLLER_ALL);
}

int loop_watch_input(struct loop *l, struct loop_handle *h)
{
    return poller_watch(&l->poller, h, POLLER_INPUT);
}

int loop_watch_level(struct loop *l, struct loop_handle *h)
{
    return poller_watch(&l->poller, h, POLLER_LEVEL);
}

int loop_watch_shared(struct loop *l, struct loop_handle *h)
{
    return poller_watch(&l->poller, h, POLLER_SHARED);
}

void loop_hear_output(struct loop *l, struct loop_handle *h, bool wanted)
{
    poller_hear_output(&l->poller, h, wanted);
}

void loop_pause(struct loop *l, struct loop_handle *h)
{
    poller_set_interest(&l->poller, h, POLLER_NOTHING);
}

void loop_resume(struct loop *l, struct loop_handle *h)
{
    poller_set_interest(&l->poller, h, POLLER_LEVEL);
}

void loop_forget(struct loop *l, struct loop_handle *h)
{
    poller_forget(&l->poller, h);
}

int loop_attend(struct loop *l, struct bell *b)
{
    return poller_attend(&l->poller, b);
}

/* ---- timers ---- */

void loop_timer_init(struct loop_timer *t, void (*on_due)(struct loop_timer *t))
{
    list_init(&t->link);
    t->due = CLOCK_NEVER;
    t->on_due = on_due;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, milliseconds due)
{
    if (loop_timer_is_set(t)) {
        if (t->due == due)
            return;
        wheel_remove(&l->wheel, t);
    }
    t->due = due;
    wheel_add(&l->wheel, t);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
    wheel_remove(&l->wheel, t);
}

/* ---- alarms ---- */

void loop_alarm_init(struct loop_alarm *a, void (*on_due)(struct loop_alarm *a))
{
    list_init(&a->link);
    a->due = CLOCK_NEVER;
    a->on_due = on_due;
}

void loop_alarm_set(struct loop *l, struct loop_alarm *a, nanoseconds due)
{
    a->due = due;
    if (due == CLOCK_NEVER)
        list_remove(&a->link);
    else if (!list_is_linked(&a->link))
        list_append(&l->alarms, &a->link);
}

void loop_alarm_clear(struct loop_alarm *a)
{
    list_remove(&a->link);
}

static nanoseconds first_alarm(const struct loop *l)
{
    nanoseconds first = CLOCK_NEVER;
    for (const struct list_link *i = l->alarms.next; i != &l->alarms; i = i->next) {
        nanoseconds due = LIST_ITEM(i, struct loop_alarm, link)->due;
        if (due < first)
            first = due;
    }
    return first;
}

/* Those that are due leave the list first: what a callback sets waits for the next turn. */
static void ring_alarms(struct loop *l)
{
    struct list_link due;
    list_init(&due);
    for (struct list_link *i = l->alarms.next, *next; i != &l->alarms; i = next) {
        next = i->next;
        if (LIST_ITEM(i, struct loop_alarm, link)->due > l->now)
            continue;
        list_remove(i);
        list_append(&due, i);
    }
    while (!list_is_empty(&due)) {
        struct loop_alarm *a = LIST_ITEM(due.next, struct loop_alarm, link);
        list_remove(&a->link);
        if (a->due > l->now)
            list_append(&l->alarms, &a->link); /* moved meanwhile */
        else
            a->on_due(a);
    }
}

/* ---- tasks ---- */

void loop_task_init(struct loop_task *t, void (*run)(struct loop_task *t))
{
    list_init(&t->link);
    t->run = run;
}

void loop_task_defer(struct loop *l, struct loop_task *t)
{
    if (!list_is_linked(&t->link))
        list_append(&l->tasks, &t->link);
}

void loop_task_defer_last(struct loop *l, struct loop_task *t)
{
    if (!list_is_linked(&t->link))
        list_append(&l->last_tasks, &t->link);
}

void loop_task_cancel(struct loop_task *t)
{
    list_remove(&t->link);
}

/* Tasks that tasks defer wait for the next turn, so that no two of them can keep the loop from
 * its descriptors. */
static void run_tasks(struct loop *l, struct list_link *tasks)
{
    list_append(tasks, &l->tasks_end);
    while (tasks->next != &l->tasks_end) {
        struct loop_task *t = LIST_ITEM(tasks->next, struct loop_task, link);
        list_remove(&t->link);
        t->run(t);
    }
    list_remove(&l->tasks_end);
}

/* ---- mailbox ---- */

bool loop_post(struct loop *l, struct loop_message *m)
{
    struct loop_message *head = atomic_load_explicit(&l->mailbox, memory_order_relaxed);
    do {
        if (head == &closed_mailbox)
            return false;
        m->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&l->mailbox, &head, m, memory_order_release,
                                                    memory_order_relaxed));
    if (!head) {
        doorbell_ring(l->doorbell.fd);
    }
    return true;
}

static void deliver_messages(struct loop *l, struct loop_message *replacement)
{
    struct loop_message *newest =
        atomic_exchange_explicit(&l->mailbox, replacement, memory_order_acquire);
    if (newest == &closed_mailbox)
        return;
    struct loop_message *oldest = NULL;
    while (newest) {
        struct loop_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct loop_message *next = oldest->next;
        oldest->on_delivery(oldest);
        oldest = next;
    }
}

/* Edge-triggered: every ring is a new event, so the counter need not be read. */
static void on_doorbell(struct loop_handle *h, unsigned events)
{
    (void)events;
    deliver_messages(LIST_ITEM(h, struct loop, doorbell), NULL);
}

/* ---- life ---- */

static bool open_descriptors(struct loop *l)
{
    int error = poller_open(&l->poller);
    l->doorbell.fd = doorbell_open();
    l->doorbell.on_ready = on_doorbell;
    return !error && l->doorbell.fd >= 0 &&
           poller_watch(&l->poller, &l->doorbell, POLLER_INPUT) == ROUTED_OK;
}

static void close_descriptors(struct loop *l)
{
    poller_close(&l->poller);
    if (l->doorbell.fd >= 0)
        doorbell_close(l->doorbell.fd);
}

int loop_open(struct loop **out)
{
    struct loop *l = memory_new_zeroed(sizeof(*l));
    *out = NULL;
    if (!l)
        return ROUTED_ERROR_MEMORY;
    atomic_init(&l->references, 1);
    list_init(&l->alarms);
    list_init(&l->tasks);
    list_init(&l->last_tasks);
    read_clocks(l);
    wheel_init(&l->wheel, loop_now(l));
    if (!open_descriptors(l)) {
        loop_release(l);
        return ROUTED_ERROR_SYSTEM;
    }
    *out = l;
    return ROUTED_OK;
}

struct loop *loop_new(void)
{
    struct loop *l;
    loop_open(&l);
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    deliver_messages(l, &closed_mailbox);
    loop_release(l);
}

void loop_retain(struct loop *l)
{
    atomic_fetch_add_explicit(&l->references, 1, memory_order_relaxed);
}

/* The descriptors live as long as the memory: a late post may still ring the bell. */
void loop_release(struct loop *l)
{
    if (atomic_fetch_sub_explicit(&l->references, 1, memory_order_acq_rel) != 1)
        return;
    close_descriptors(l);
    memory_free(l);
}

/* How long to sleep: CLOCK_NEVER without end. */
static nanoseconds time_to_sleep(const struct loop *l, int wait)
{
    if (!list_is_empty(&l->tasks) || !list_is_empty(&l->last_tasks))
        return 0;
    nanoseconds sleep = wait < 0 ? CLOCK_NEVER : (nanoseconds)wait * NANOSECONDS_A_MILLISECOND;
    milliseconds next = wheel_next(&l->wheel);
    if (next != CLOCK_NEVER) {
        milliseconds now = loop_now(l);
        nanoseconds timer = next > now ? (next - now) * NANOSECONDS_A_MILLISECOND : 0;
        sleep = timer < sleep ? timer : sleep;
    }
    nanoseconds alarm = first_alarm(l);
    if (alarm != CLOCK_NEVER) {
        alarm = alarm > l->now ? alarm - l->now : 0;
        sleep = alarm < sleep ? alarm : sleep;
    }
    return sleep;
}

void loop_turn(struct loop *l, int wait)
{
    atomic_store_explicit(&l->thread, &thread_marker, memory_order_relaxed);
    poller_wait(&l->poller, time_to_sleep(l, wait));
    read_clocks(l);
    poller_dispatch(&l->poller);
    wheel_advance(&l->wheel, loop_now(l));
    ring_alarms(l);
    run_tasks(l, &l->tasks);
    run_tasks(l, &l->last_tasks);
}

void loop_run(struct loop *l)
{
    while (!atomic_load_explicit(&l->is_stopping, memory_order_acquire))
        loop_turn(l, -1);
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->is_stopping, true, memory_order_release);
    doorbell_ring(l->doorbell.fd);
}
