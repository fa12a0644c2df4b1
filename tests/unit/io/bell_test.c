/* A loop with a bell: what is quiet, what wakes it, and that nothing is lost in between. */
#include "io/bell.h"

#include "io/doorbell.h"
#include "io/loop.h"
#include "io/poller.h"
#include "io/socket.h"
#include "io/system.h"
#include "support/unit.h"
#include <poll.h>
#include <routed/error.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define MANY        300 /* more than one turn fetches */

static struct bell bell;
static struct loop *loop;

static int open_loop(void **state)
{
    (void)state;
    loop = loop_new();
    return loop && bell_open(&bell) == ROUTED_OK && loop_attend(loop, &bell) == ROUTED_OK ? 0 : -1;
}

static int close_loop(void **state)
{
    (void)state;
    loop_free(loop);
    bell_close(&bell);
    return 0;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* Whether a sleeping loop would be woken. */
static bool would_wake(void)
{
    return is_readable(loop_descriptor(loop));
}

struct end {
    struct loop_handle handle;
    int peer;
    unsigned calls;
    unsigned events;
};

static void on_end_ready(struct loop_handle *h, unsigned events)
{
    struct end *e = LIST_ITEM(h, struct end, handle);
    e->calls++;
    e->events |= events;
}

static void end_open(struct end *e, int (*watch)(struct loop *l, struct loop_handle *h))
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *e = (struct end){.handle = {.fd = fds[0], .on_ready = on_end_ready}, .peer = fds[1]};
    assert_int_equal(watch(loop, &e->handle), ROUTED_OK);
}

static void end_close(struct end *e)
{
    loop_forget(loop, &e->handle);
    socket_close(e->handle.fd);
    if (e->peer >= 0)
        socket_close(e->peer);
}

static void say(const struct end *e)
{
    assert_int_equal(write(e->peer, "x", 1), 1);
}

static void a_bell_rings_only_for_who_awaits_it(void **state)
{
    struct bell b;
    (void)state;
    assert_int_equal(bell_open(&b), ROUTED_OK);
    bell_ring(&b);
    assert_false(is_readable(b.fd));
    bell_await(&b);
    bell_ring(&b);
    assert_true(is_readable(b.fd));
    doorbell_silence(b.fd);
    bell_ring(&b); /* it was woken already */
    assert_false(is_readable(b.fd));
    bell_await(&b);
    bell_disregard(&b);
    bell_ring(&b);
    assert_false(is_readable(b.fd));
    bell_close(&b);
}

static void quiet_input_wakes_nobody(void **state)
{
    struct end e;
    (void)state;
    end_open(&e, loop_watch_input);
    loop_turn(loop, 0);
    say(&e);
    assert_false(would_wake());
    loop_turn(loop, 0);
    assert_int_equal(e.calls, 0); /* nobody rang */
    bell_ring(&bell);
    assert_false(would_wake()); /* nobody slept */
    loop_turn(loop, PATIENCE_MS);
    assert_int_equal(e.calls, 1);
    assert_int_equal(e.events, LOOP_READABLE);
    bell_ring(&bell);
    loop_turn(loop, 0);
    assert_int_equal(e.calls, 1);
    end_close(&e);
}

static void an_end_is_as_quiet_as_input(void **state)
{
    struct end e;
    (void)state;
    end_open(&e, loop_watch_input);
    loop_turn(loop, 0);
    socket_close(e.peer);
    e.peer = -1;
    assert_false(would_wake());
    bell_ring(&bell);
    loop_turn(loop, PATIENCE_MS);
    assert_true(e.events & LOOP_HALF_CLOSED);
    end_close(&e);
}

static void other_handles_wake_as_ever(void **state)
{
    int (*const watches[])(struct loop *, struct loop_handle *) = {loop_watch, loop_watch_level,
                                                                   loop_watch_shared};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct end e;
        end_open(&e, watches[i]);
        loop_turn(loop, 0);
        say(&e);
        assert_true(would_wake());
        loop_turn(loop, PATIENCE_MS);
        assert_true(e.events & LOOP_READABLE);
        end_close(&e);
    }
}

/* The other side reads without ringing. */
static void who_waits_for_room_is_not_quiet(void **state)
{
    static uint8_t block[65536];
    struct end e;
    (void)state;
    end_open(&e, loop_watch_input);
    while (write(e.handle.fd, block, sizeof(block)) > 0)
        ;
    loop_hear_output(loop, &e.handle, true);
    loop_turn(loop, 0);
    e.events = 0;
    while (read(e.peer, block, sizeof(block)) > 0)
        ;
    assert_true(would_wake());
    loop_turn(loop, PATIENCE_MS);
    assert_true(e.events & LOOP_WRITABLE);

    say(&e); /* comes in between, and is not lost */
    loop_hear_output(loop, &e.handle, false);
    e.events = 0;
    loop_turn(loop, PATIENCE_MS);
    assert_int_equal(e.events, LOOP_READABLE);
    say(&e);
    assert_false(would_wake());
    end_close(&e);
}

static void a_forgotten_quiet_handle_hears_nothing(void **state)
{
    struct end e;
    (void)state;
    end_open(&e, loop_watch_input);
    say(&e);
    loop_forget(loop, &e.handle);
    loop_turn(loop, 0);
    assert_int_equal(e.calls, 0);
    assert_int_equal(loop_watch_input(loop, &e.handle), ROUTED_OK);
    loop_turn(loop, 0);
    assert_int_equal(e.calls, 1);
    end_close(&e);
}

/* However many are quiet, one turn hears of a handle that is not, and in the end all are heard. */
static void many_quiet_handles_leave_room_for_others(void **state)
{
    static struct end quiet[MANY];
    struct end other;
    unsigned heard = 0;
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        end_open(&quiet[i], loop_watch_input);
        say(&quiet[i]);
    }
    end_open(&other, loop_watch);
    say(&other);
    loop_turn(loop, 0);
    assert_true(other.events & LOOP_READABLE);
    for (unsigned turn = 0; turn < 3; turn++)
        loop_turn(loop, 0);
    for (unsigned i = 0; i < MANY; i++) {
        heard += quiet[i].calls;
        end_close(&quiet[i]);
    }
    assert_int_equal(heard, MANY);
    end_close(&other);
}

/* ---- light sleep ---- */

static void hear_one_by_one(const struct end *e, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        unsigned before = e->calls;
        say(e);
        bell_ring(&bell);
        loop_turn(loop, PATIENCE_MS);
        assert_int_equal(e->calls, before + 1);
    }
}

static void sleep_lightly(const struct end *e)
{
    hear_one_by_one(e, POLLER_LIGHT_AFTER);
}

static void events_that_come_one_by_one_need_no_ring(void **state)
{
    struct end e;
    (void)state;
    end_open(&e, loop_watch_input);
    loop_turn(loop, 0);
    sleep_lightly(&e);
    for (unsigned i = 0; i < 3; i++) {
        unsigned before = e.calls;
        say(&e);
        loop_turn(loop, PATIENCE_MS);
        assert_int_equal(e.calls, before + 1);
        bell_ring(&bell); /* comes after what it tells of was heard */
        assert_false(is_readable(bell.fd));
        loop_turn(loop, 0);
        assert_int_equal(e.calls, before + 1);
    }
    end_close(&e);
}

static void one_event_less_sleeps_deeply(void **state)
{
    struct end e;
    (void)state;
    end_open(&e, loop_watch_input);
    loop_turn(loop, 0);
    hear_one_by_one(&e, POLLER_LIGHT_AFTER - 1);
    unsigned before = e.calls;
    say(&e);
    loop_turn(loop, 0);
    assert_int_equal(e.calls, before);
    end_close(&e);
}

/* Several for one ring: from then on the ring is waited for, and what came before it is heard. */
static void bunches_are_waited_for(void **state)
{
    struct end ends[3];
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        end_open(&ends[i], loop_watch_input);
    loop_turn(loop, 0);
    sleep_lightly(&ends[0]);
    unsigned before = ends[0].calls;
    for (unsigned i = 0; i < 3; i++)
        say(&ends[i]);
    loop_turn(loop, PATIENCE_MS);
    say(&ends[0]);
    bell_ring(&bell);
    loop_turn(loop, PATIENCE_MS);
    assert_int_equal(ends[0].calls, before + 2);
    say(&ends[0]);
    loop_turn(loop, 0);
    assert_int_equal(ends[0].calls, before + 2);
    bell_ring(&bell);
    loop_turn(loop, PATIENCE_MS);
    assert_int_equal(ends[0].calls, before + 3);
    for (unsigned i = 0; i < 3; i++)
        end_close(&ends[i]);
}

/* What came before the turn that ends the light sleep had looked, but after it had fetched, was
 * told of by a ring that it has seen. */
static void the_last_look_of_light_sleep_is_not_the_last(void **state)
{
    struct end ends[3];
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        end_open(&ends[i], loop_watch_input);
    loop_turn(loop, 0);
    sleep_lightly(&ends[0]);
    for (unsigned i = 0; i < 3; i++)
        say(&ends[i]);
    bell_ring(&bell);
    loop_turn(loop, PATIENCE_MS);
    unsigned before = ends[0].calls;
    say(&ends[0]); /* without a ring */
    loop_turn(loop, 0);
    assert_int_equal(ends[0].calls, before + 1);
    for (unsigned i = 0; i < 3; i++)
        end_close(&ends[i]);
}

static void others_wake_from_light_sleep(void **state)
{
    struct end quiet, other;
    (void)state;
    end_open(&quiet, loop_watch_input);
    end_open(&other, loop_watch_level);
    loop_turn(loop, 0);
    sleep_lightly(&quiet);
    say(&other);
    loop_turn(loop, PATIENCE_MS);
    assert_int_equal(other.events, LOOP_READABLE);
    end_close(&other);
    end_close(&quiet);
}

/* ---- a loop that sleeps while another thread writes and rings ---- */

#define ROUNDS 20000

static struct end busy, bunched[3];
static atomic_uint answered;

static void *write_and_ring(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (write(busy.peer, "x", 1) != 1)
            return NULL;
        bell_ring(&bell);
        while (atomic_load(&answered) <= i)
            ;
    }
    return NULL;
}

/* The writer waits for each answer, so a ring that is lost would leave both waiting. */
static void no_ring_is_lost(void **state)
{
    pthread_t writer;
    char byte;
    (void)state;
    atomic_store(&answered, 0);
    end_open(&busy, loop_watch_input);
    assert_int_equal(system_thread_start(&writer, "writer", write_and_ring, NULL), ROUTED_OK);
    for (unsigned i = 0; i < ROUNDS;) {
        microseconds before = loop_clock();
        loop_turn(loop, PATIENCE_MS);
        assert_true(loop_clock() - before < PATIENCE_MS * 1000);
        while (read(busy.handle.fd, &byte, 1) == 1) {
            i++;
            atomic_fetch_add(&answered, 1);
        }
    }
    pthread_join(writer, NULL);
    end_close(&busy);
}

/* The same for bunches: one ring for each, so that deep and light sleep take turns. */
static void *write_in_bunches(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < ROUNDS;) {
        unsigned bunch = i % 100 < 50 || i + 3 > ROUNDS ? 1 : 1 + i % 3;
        for (unsigned k = 0; k < bunch; k++)
            if (write(bunched[k].peer, "x", 1) != 1)
                return NULL;
        bell_ring(&bell);
        i += bunch;
        while (atomic_load(&answered) < i)
            ;
    }
    return NULL;
}

static void no_ring_is_lost_between_light_and_deep(void **state)
{
    pthread_t writer;
    char byte;
    (void)state;
    atomic_store(&answered, 0);
    for (unsigned k = 0; k < 3; k++)
        end_open(&bunched[k], loop_watch_input);
    assert_int_equal(system_thread_start(&writer, "writer", write_in_bunches, NULL), ROUTED_OK);
    while (atomic_load(&answered) < ROUNDS) {
        microseconds before = loop_clock();
        loop_turn(loop, PATIENCE_MS);
        assert_true(loop_clock() - before < PATIENCE_MS * 1000);
        for (unsigned k = 0; k < 3; k++)
            while (read(bunched[k].handle.fd, &byte, 1) == 1)
                atomic_fetch_add(&answered, 1);
    }
    pthread_join(writer, NULL);
    for (unsigned k = 0; k < 3; k++)
        end_close(&bunched[k]);
}

#define with_loop(test) cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_loop(a_bell_rings_only_for_who_awaits_it),
        with_loop(quiet_input_wakes_nobody),
        with_loop(an_end_is_as_quiet_as_input),
        with_loop(other_handles_wake_as_ever),
        with_loop(who_waits_for_room_is_not_quiet),
        with_loop(a_forgotten_quiet_handle_hears_nothing),
        with_loop(many_quiet_handles_leave_room_for_others),
        with_loop(events_that_come_one_by_one_need_no_ring),
        with_loop(one_event_less_sleeps_deeply),
        with_loop(bunches_are_waited_for),
        with_loop(the_last_look_of_light_sleep_is_not_the_last),
        with_loop(others_wake_from_light_sleep),
        with_loop(no_ring_is_lost),
        with_loop(no_ring_is_lost_between_light_and_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
