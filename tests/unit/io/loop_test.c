#include "io/loop.h"

#include "base/memory.h"
#include "io/socket.h"
#include "support/unit.h"
#include <poll.h>
#include <pthread.h>
#include <routed/error.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static struct loop *loop;

static int open_loop(void **state)
{
    (void)state;
    loop = loop_new();
    return loop ? 0 : -1;
}

static int close_loop(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

/* Turns until the number is reached, or the test fails. */
static void turn_until(const unsigned *number, unsigned wanted)
{
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    while (*number < wanted) {
        assert_true(loop_clock() < end);
        loop_turn(loop, 100);
    }
}

/* ---- descriptors ---- */

struct end {
    struct loop_handle handle;
    unsigned calls;
    unsigned events; /* all so far */
    struct end *victim;
};

static void on_end_ready(struct loop_handle *h, unsigned events)
{
    struct end *e = LIST_ITEM(h, struct end, handle);
    e->calls++;
    e->events |= events;
    if (e->victim) {
        loop_forget(loop, &e->victim->handle);
        loop_forget(loop, &e->handle);
    }
}

static void open_pair(struct end *a, struct end *b)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *a = (struct end){.handle = {.fd = fds[0], .on_ready = on_end_ready}};
    *b = (struct end){.handle = {.fd = fds[1], .on_ready = on_end_ready}};
}

static void close_end(struct end *e)
{
    loop_forget(loop, &e->handle);
    socket_close(e->handle.fd);
}

static void edges_are_told_once(void **state)
{
    (void)state;
    struct end a;
    struct end b;
    open_pair(&a, &b);
    assert_int_equal(loop_watch(loop, &a.handle), ROUTED_OK);
    turn_until(&a.calls, 1);
    assert_int_equal(a.events, LOOP_WRITABLE);
    loop_turn(loop, 0);
    assert_int_equal(a.calls, 1);
    assert_int_equal(socket_write(b.handle.fd, SPAN("1")), 1);
    turn_until(&a.calls, 2);
    assert_true(a.events & LOOP_READABLE);
    loop_turn(loop, 0); /* unread, but no news */
    assert_int_equal(a.calls, 2);
    socket_write(b.handle.fd, SPAN("2"));
    turn_until(&a.calls, 3);
    a.events = 0;
    socket_end(b.handle.fd);
    turn_until(&a.calls, 4);
    assert_true(a.events & LOOP_HALF_CLOSED);
    assert_false(a.events & LOOP_HUNG_UP);
    socket_close(b.handle.fd);
    turn_until(&a.calls, 5);
    assert_true(a.events & LOOP_HUNG_UP);
    close_end(&a);
}

static void room_for_output_is_told_on_demand(void **state)
{
    (void)state;
    struct end a;
    struct end b;
    open_pair(&a, &b);
    assert_int_equal(loop_watch_input(loop, &a.handle), ROUTED_OK);
    loop_turn(loop, 0);
    assert_int_equal(a.calls, 0);
    loop_hear_output(loop, &a.handle, true);
    turn_until(&a.calls, 1);
    assert_int_equal(a.events, LOOP_WRITABLE);
    loop_hear_output(loop, &a.handle, false);
    a.events = 0;
    socket_write(b.handle.fd, SPAN("1"));
    turn_until(&a.calls, 2);
    assert_int_equal(a.events, LOOP_READABLE);
    close_end(&a);
    close_end(&b);
}

static void levels_are_told_until_paused(void **state)
{
    (void)state;
    struct end a;
    struct end b;
    open_pair(&a, &b);
    assert_int_equal(loop_watch_level(loop, &a.handle), ROUTED_OK);
    socket_write(b.handle.fd, SPAN("1"));
    turn_until(&a.calls, 3);
    loop_pause(loop, &a.handle);
    unsigned calls = a.calls;
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(a.calls, calls);
    loop_resume(loop, &a.handle);
    turn_until(&a.calls, calls + 1);
    close_end(&a);
    close_end(&b);
}

/* ---- a listener of several loops ---- */

struct sleeper {
    struct loop *loop;
    struct loop_handle listener;
    pthread_t thread;
    atomic_int id; /* of the thread, once it runs */
    unsigned clients;
};

static void on_client(struct loop_handle *h, unsigned events)
{
    struct sleeper *s = LIST_ITEM(h, struct sleeper, listener);
    (void)events;
    s->clients++;
    loop_forget(s->loop, h);
    loop_stop(s->loop);
}

static void *sleep_and_listen(void *argument)
{
    struct sleeper *s = argument;
    atomic_store(&s->id, gettid());
    loop_run(s->loop);
    return NULL;
}

static char state_of(int thread)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread);
    FILE *file = fopen(path, "re");
    if (file && !fgets(text, sizeof(text), file))
        text[0] = '\0';
    if (file)
        fclose(file);
    const char *name_end = strrchr(text, ')');
    return name_end ? name_end[2] : '?';
}

static void await_sleep(struct sleeper *s)
{
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    int id;
    while ((id = atomic_load(&s->id)) == 0 || state_of(id) != 'S') {
        assert_true(loop_clock() < end);
        sched_yield();
    }
}

static void a_client_wakes_one_of_the_loops_that_share_a_listener(void **state)
{
    enum {
        COUNT = 4
    };
    static struct sleeper sleepers[COUNT];
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    struct sockaddr_un bound;
    socklen_t size = sizeof(bound);
    (void)state;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&any, sizeof(any.sun_family)), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &size), 0);
    assert_int_equal(listen(listener, COUNT), 0);
    for (int i = 0; i < COUNT; i++) {
        struct sleeper *s = &sleepers[i];
        *s = (struct sleeper){.loop = loop_new(),
                              .listener = {.fd = dup(listener), .on_ready = on_client}};
        assert_int_equal(loop_watch_shared(s->loop, &s->listener), ROUTED_OK);
        assert_int_equal(pthread_create(&s->thread, NULL, sleep_and_listen, s), 0);
    }
    for (int i = 0; i < COUNT; i++)
        await_sleep(&sleepers[i]);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&bound, size), 0);
    unsigned clients = 0;
    for (int i = 0; i < COUNT; i++)
        loop_stop(sleepers[i].loop);
    for (int i = 0; i < COUNT; i++) {
        pthread_join(sleepers[i].thread, NULL);
        clients += sleepers[i].clients;
        loop_free(sleepers[i].loop);
        close(sleepers[i].listener.fd);
    }
    assert_int_equal(clients, 1);
    close(client);
    close(listener);
}

/* Both have events in one turn; whichever comes first forgets the other. */
static void a_forgotten_handle_hears_nothing_more(void **state)
{
    (void)state;
    struct end a;
    struct end b;
    open_pair(&a, &b);
    a.victim = &b;
    b.victim = &a;
    loop_watch(loop, &a.handle);
    loop_watch(loop, &b.handle);
    socket_write(a.handle.fd, SPAN("1"));
    socket_write(b.handle.fd, SPAN("1"));
    loop_turn(loop, PATIENCE_MS);
    loop_turn(loop, 0);
    assert_int_equal(a.calls + b.calls, 1);
    socket_close(a.handle.fd);
    socket_close(b.handle.fd);
}

static void a_bad_descriptor_is_an_error(void **state)
{
    (void)state;
    struct end e = {.handle = {.fd = -1, .on_ready = on_end_ready}};
    assert_int_equal(loop_watch(loop, &e.handle), ROUTED_ERROR_SYSTEM);
    loop_forget(loop, &e.handle);
}

/* ---- timers ---- */

struct alarm {
    struct loop_timer timer;
    unsigned fired;
    milliseconds at;
};

static void on_alarm(struct loop_timer *t)
{
    struct alarm *a = LIST_ITEM(t, struct alarm, timer);
    a->fired++;
    a->at = loop_now(loop);
}

static void timers_wake_the_loop(void **state)
{
    (void)state;
    struct alarm a = {0};
    struct alarm cleared = {0};
    loop_timer_init(&a.timer, on_alarm);
    loop_timer_init(&cleared.timer, on_alarm);
    loop_turn(loop, 0);
    milliseconds due = loop_now(loop) + 20;
    loop_timer_set(loop, &a.timer, due + 100000);
    loop_timer_set(loop, &a.timer, due);
    loop_timer_set(loop, &a.timer, due);
    loop_timer_set(loop, &cleared.timer, due);
    loop_timer_clear(loop, &cleared.timer);
    loop_timer_clear(loop, &cleared.timer);
    assert_true(loop_timer_is_set(&a.timer));
    while (!a.fired)
        loop_turn(loop, -1);
    assert_true(a.at >= due);
    assert_false(loop_timer_is_set(&a.timer));
    assert_int_equal(cleared.fired, 0);
}

static void a_turn_waits_as_long_as_it_may(void **state)
{
    (void)state;
    struct alarm a = {0};
    loop_timer_init(&a.timer, on_alarm);
    loop_turn(loop, 0);
    loop_timer_set(loop, &a.timer, loop_now(loop) + 3600000);
    microseconds before = loop_clock();
    loop_turn(loop, 10);
    assert_true(loop_clock() - before >= 9000);
    assert_true(loop_clock() - before < PATIENCE_MS * 1000);
    loop_timer_clear(loop, &a.timer);
}

/* ---- tasks ---- */

struct job {
    struct loop_task task;
    unsigned runs;
    struct job *next;
    struct job *victim;
};

static void on_job(struct loop_task *t)
{
    struct job *j = LIST_ITEM(t, struct job, task);
    j->runs++;
    if (j->next)
        loop_task_defer(loop, &j->next->task);
    if (j->victim)
        loop_task_cancel(&j->victim->task);
}

static void tasks_run_once_and_do_not_wait(void **state)
{
    (void)state;
    struct job j = {0};
    loop_task_init(&j.task, on_job);
    loop_task_defer(loop, &j.task);
    loop_task_defer(loop, &j.task);
    loop_turn(loop, -1);
    assert_int_equal(j.runs, 1);
    loop_turn(loop, 0);
    assert_int_equal(j.runs, 1);
    loop_task_defer(loop, &j.task);
    loop_task_cancel(&j.task);
    loop_task_cancel(&j.task);
    loop_turn(loop, 0);
    assert_int_equal(j.runs, 1);
}

static void tasks_of_tasks_run_in_the_next_turn(void **state)
{
    (void)state;
    struct job self = {0};
    loop_task_init(&self.task, on_job);
    self.next = &self;
    loop_task_defer(loop, &self.task);
    for (unsigned turn = 1; turn <= 3; turn++) {
        loop_turn(loop, -1);
        assert_int_equal(self.runs, turn);
    }
    loop_task_cancel(&self.task);
}

struct ordered {
    struct loop_task task;
    unsigned place;
};

static unsigned places;

static void note_order(struct loop_task *t)
{
    LIST_ITEM(t, struct ordered, task)->place = ++places;
}

static void last_tasks_run_behind_the_others_of_their_turn(void **state)
{
    struct ordered last = {0}, first = {0}, second = {0};
    (void)state;
    places = 0;
    loop_task_init(&last.task, note_order);
    loop_task_init(&first.task, note_order);
    loop_task_init(&second.task, note_order);
    loop_task_defer_last(loop, &last.task);
    loop_task_defer(loop, &first.task);
    loop_task_defer_last(loop, &last.task);
    loop_task_defer(loop, &second.task);
    loop_turn(loop, PATIENCE_MS); /* does not sleep */
    assert_int_equal(first.place, 1);
    assert_int_equal(second.place, 2);
    assert_int_equal(last.place, 3);
    loop_task_defer_last(loop, &last.task);
    loop_task_cancel(&last.task);
    loop_turn(loop, 0);
    assert_int_equal(places, 3);
}

static void tasks_may_cancel_tasks(void **state)
{
    (void)state;
    struct job first = {0};
    struct job second = {0};
    loop_task_init(&first.task, on_job);
    loop_task_init(&second.task, on_job);
    first.victim = &second;
    loop_task_defer(loop, &first.task);
    loop_task_defer(loop, &second.task);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(first.runs, 1);
    assert_int_equal(second.runs, 0);
}

/* ---- mailbox ---- */

#define SENDERS  4
#define MESSAGES 5000

struct letter {
    struct loop_message message;
    unsigned sender;
    unsigned number;
};

static struct letter letters[SENDERS][MESSAGES];
static unsigned expected[SENDERS];
static unsigned delivered;

static void on_letter(struct loop_message *m)
{
    struct letter *l = LIST_ITEM(m, struct letter, message);
    if (expected[l->sender]++ != l->number)
        fail_msg("sender %u: %u came out of order", l->sender, l->number);
    assert_true(loop_is_here(loop));
    delivered++;
}

static void *send_letters(void *argument)
{
    struct letter *mine = argument;
    for (unsigned i = 0; i < MESSAGES; i++)
        if (!loop_post(loop, &mine[i].message))
            return NULL;
    return argument;
}

static void letters_arrive_in_the_order_of_their_sender(void **state)
{
    (void)state;
    pthread_t threads[SENDERS];
    delivered = 0;
    memset(expected, 0, sizeof(expected));
    for (unsigned i = 0; i < SENDERS; i++) {
        for (unsigned j = 0; j < MESSAGES; j++)
            letters[i][j] = (struct letter){{NULL, on_letter}, i, j};
        assert_int_equal(pthread_create(&threads[i], NULL, send_letters, letters[i]), 0);
    }
    turn_until(&delivered, SENDERS * MESSAGES);
    for (unsigned i = 0; i < SENDERS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, letters[i]);
        assert_int_equal(expected[i], MESSAGES);
    }
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void the_bell_rings_only_for_the_first_letter(void **state)
{
    (void)state;
    delivered = 0;
    expected[0] = 0;
    for (unsigned j = 0; j < 3; j++)
        letters[0][j] = (struct letter){{NULL, on_letter}, 0, j};
    loop_turn(loop, 0);
    assert_false(is_readable(loop_descriptor(loop)));
    loop_post(loop, &letters[0][0].message);
    assert_true(is_readable(loop_descriptor(loop)));
    loop_post(loop, &letters[0][1].message);
    loop_post(loop, &letters[0][2].message);
    loop_turn(loop, -1);
    assert_int_equal(delivered, 3);
    loop_turn(loop, 0);
    assert_false(is_readable(loop_descriptor(loop)));
}

static void post_again(struct loop_message *m)
{
    if (++delivered < 3)
        assert_true(loop_post(loop, m));
}

static void a_letter_may_be_posted_by_its_delivery(void **state)
{
    (void)state;
    struct loop_message m = {NULL, post_again};
    delivered = 0;
    assert_true(loop_post(loop, &m));
    turn_until(&delivered, 3);
}

static void a_freed_loop_delivers_and_then_refuses(void **state)
{
    (void)state;
    struct loop *mine = loop_new();
    struct loop *before = loop;
    struct letter l = {{NULL, on_letter}, 0, 0};
    struct letter late = {{NULL, on_letter}, 0, 1};
    loop = mine;
    loop_turn(mine, 0);
    delivered = 0;
    expected[0] = 0;
    loop_retain(mine);
    assert_true(loop_post(mine, &l.message));
    loop_free(mine);
    assert_int_equal(delivered, 1);
    assert_false(loop_post(mine, &late.message));
    assert_int_equal(delivered, 1);
    loop_release(mine);
    loop = before;
}

/* Late posts race with the end of the loop: each is delivered or refused, none is lost. */
static atomic_uint refused;

static void *post_until_refused(void *argument)
{
    struct letter *mine = argument;
    for (unsigned i = 0; i < MESSAGES; i++)
        if (!loop_post(loop, &mine[i].message))
            atomic_fetch_add(&refused, 1);
    loop_release(loop);
    return NULL;
}

static void posts_race_with_the_end(void **state)
{
    (void)state;
    pthread_t thread;
    struct loop *before = loop;
    loop = loop_new();
    delivered = 0;
    expected[0] = 0;
    atomic_store(&refused, 0);
    for (unsigned j = 0; j < MESSAGES; j++)
        letters[0][j] = (struct letter){{NULL, on_letter}, 0, j};
    loop_retain(loop);
    assert_int_equal(pthread_create(&thread, NULL, post_until_refused, letters[0]), 0);
    turn_until(&delivered, 1);
    loop_free(loop);
    pthread_join(thread, NULL);
    assert_int_equal(delivered + atomic_load(&refused), MESSAGES);
    loop = before;
}

/* ---- life ---- */

static void *stop_loop(void *argument)
{
    loop_stop(argument);
    return NULL;
}

static void stop_ends_the_run(void **state)
{
    (void)state;
    struct loop *mine = loop_new();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_loop, mine), 0);
    loop_run(mine);
    loop_run(mine);
    pthread_join(thread, NULL);
    loop_free(mine);
    loop_free(NULL);
}

static void *ask_where(void *argument)
{
    *(bool *)argument = loop_is_here(loop);
    return NULL;
}

static void the_loop_knows_its_thread(void **state)
{
    (void)state;
    pthread_t thread;
    bool is_there = true;
    loop_turn(loop, 0);
    assert_true(loop_is_here(loop));
    assert_int_equal(pthread_create(&thread, NULL, ask_where, &is_there), 0);
    pthread_join(thread, NULL);
    assert_false(is_there);
}

static void the_clocks_move(void **state)
{
    (void)state;
    loop_turn(loop, 0);
    milliseconds before = loop_now(loop);
    assert_true(loop_wall_seconds(loop) > 1600000000);
    assert_true(before <= loop_clock() / 1000);
    while (loop_now(loop) == before)
        loop_turn(loop, 1);
    assert_true(loop_now(loop) > before);
}

static void without_memory_there_is_no_loop(void **state)
{
    (void)state;
    memory_fault_set(1);
    assert_null(loop_new());
    assert_true(memory_fault_fired());
    struct loop *none;
    memory_fault_set(1);
    assert_int_equal(loop_open(&none), ROUTED_ERROR_MEMORY);
    assert_null(none);
    memory_fault_set(0);
}

static void without_descriptors_there_is_no_loop(void **state)
{
    (void)state;
    struct rlimit before;
    struct loop *none;
    size_t held = memory_held();
    int lowest = dup(0);
    close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int spare = 0; spare < 2; spare++) {
        struct rlimit few = {.rlim_cur = (rlim_t)(lowest + spare), .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int error = loop_open(&none);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(error, ROUTED_ERROR_SYSTEM);
        int after = dup(0);
        close(after);
        assert_int_equal(after, lowest);
    }
    assert_int_equal(memory_held(), held);
}

/* ---- alarms ---- */

struct precise_bell {
    struct loop_alarm alarm;
    unsigned rings;
    nanoseconds rang_at;
    nanoseconds again; /* 0: no */
    struct precise_bell *other;
    nanoseconds other_due;
};

static void on_bell(struct loop_alarm *a)
{
    struct precise_bell *b = LIST_ITEM(a, struct precise_bell, alarm);
    b->rings++;
    b->rang_at = loop_now_precise(loop);
    if (b->again)
        loop_alarm_set(loop, a, b->again);
    if (b->other)
        loop_alarm_set(loop, &b->other->alarm, b->other_due);
}

static void an_alarm_rings_once_and_not_before(void **state)
{
    (void)state;
    struct precise_bell b = {.rings = 0};
    loop_alarm_init(&b.alarm, on_bell);
    loop_turn(loop, 0);
    nanoseconds due = loop_now_precise(loop) + 300000;
    loop_alarm_set(loop, &b.alarm, due);
    turn_until(&b.rings, 1);
    assert_true(b.rang_at >= due);
    loop_turn(loop, 0);
    assert_int_equal(b.rings, 1);
}

static void a_cleared_alarm_is_silent(void **state)
{
    (void)state;
    struct precise_bell b = {.rings = 0};
    loop_alarm_init(&b.alarm, on_bell);
    loop_alarm_set(loop, &b.alarm, 1);
    loop_alarm_clear(&b.alarm);
    loop_turn(loop, 0);
    loop_alarm_set(loop, &b.alarm, 1);
    loop_alarm_set(loop, &b.alarm, CLOCK_NEVER);
    loop_turn(loop, 0);
    assert_int_equal(b.rings, 0);
}

static void an_alarm_set_by_an_alarm_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct precise_bell b = {.again = 1};
    loop_alarm_init(&b.alarm, on_bell);
    loop_alarm_set(loop, &b.alarm, 1);
    loop_turn(loop, -1);
    assert_int_equal(b.rings, 1);
    loop_turn(loop, -1);
    assert_int_equal(b.rings, 2);
    loop_alarm_clear(&b.alarm);
}

static void an_alarm_may_move_one_that_is_due(void **state)
{
    (void)state;
    struct precise_bell second = {.rings = 0};
    struct precise_bell first = {.other = &second, .other_due = CLOCK_NEVER - 1};
    loop_alarm_init(&first.alarm, on_bell);
    loop_alarm_init(&second.alarm, on_bell);
    loop_alarm_set(loop, &first.alarm, 1);
    loop_alarm_set(loop, &second.alarm, 1);
    loop_turn(loop, 0);
    assert_int_equal(first.rings, 1);
    assert_int_equal(second.rings, 0);
    loop_alarm_set(loop, &second.alarm, 1);
    loop_turn(loop, 0);
    assert_int_equal(second.rings, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_are_told_once),
        cmocka_unit_test(room_for_output_is_told_on_demand),
        cmocka_unit_test(levels_are_told_until_paused),
        cmocka_unit_test(a_client_wakes_one_of_the_loops_that_share_a_listener),
        cmocka_unit_test(a_forgotten_handle_hears_nothing_more),
        cmocka_unit_test(a_bad_descriptor_is_an_error),
        cmocka_unit_test(timers_wake_the_loop),
        cmocka_unit_test(a_turn_waits_as_long_as_it_may),
        cmocka_unit_test(an_alarm_rings_once_and_not_before),
        cmocka_unit_test(a_cleared_alarm_is_silent),
        cmocka_unit_test(an_alarm_set_by_an_alarm_waits_for_the_next_turn),
        cmocka_unit_test(an_alarm_may_move_one_that_is_due),
        cmocka_unit_test(tasks_run_once_and_do_not_wait),
        cmocka_unit_test(tasks_of_tasks_run_in_the_next_turn),
        cmocka_unit_test(last_tasks_run_behind_the_others_of_their_turn),
        cmocka_unit_test(tasks_may_cancel_tasks),
        cmocka_unit_test(letters_arrive_in_the_order_of_their_sender),
        cmocka_unit_test(the_bell_rings_only_for_the_first_letter),
        cmocka_unit_test(a_letter_may_be_posted_by_its_delivery),
        cmocka_unit_test(a_freed_loop_delivers_and_then_refuses),
        cmocka_unit_test(posts_race_with_the_end),
        cmocka_unit_test(stop_ends_the_run),
        cmocka_unit_test(the_loop_knows_its_thread),
        cmocka_unit_test(the_clocks_move),
        cmocka_unit_test(without_memory_there_is_no_loop),
        cmocka_unit_test(without_descriptors_there_is_no_loop),
    };
    return cmocka_run_group_tests(tests, open_loop, close_loop);
}
