/* Children end with process_end: nothing of the test's own ending runs twice. */
#include "io/process.h"

#include "support/unit.h"
#include <poll.h>
#include <routed/error.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static int collect(struct process *p)
{
    int code = 0;
    struct pollfd ended = {.fd = p->exited, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, PATIENCE_MS), 1);
    assert_true(process_collect(p, &code));
    process_release(p);
    return code;
}

/* What the other side says until it ends, as a number; waits for each. */
static int echo_until_end(struct process *p)
{
    int sum = 0;
    int byte;
    while ((byte = process_await(p, PATIENCE_MS)) > 0) {
        sum += byte;
        process_tell(p, (char)(byte + 1));
    }
    return byte < 0 ? sum : 255;
}

static void both_sides_hear_each_other(void **state)
{
    (void)state;
    struct process p;
    int result = process_fork(&p);
    if (result == PROCESS_CHILD)
        process_end(p.exited >= 0 && p.pid == process_self() ? echo_until_end(&p) : 254);
    assert_int_equal(result, PROCESS_PARENT);
    assert_true(p.pid > 0 && p.pid != process_self());
    assert_int_equal(process_hear(&p), 0);
    process_tell(&p, 'A');
    assert_int_equal(process_await(&p, PATIENCE_MS), 'B');
    process_tell(&p, 20);
    assert_int_equal(process_await(&p, PATIENCE_MS), 21);
    process_tell(&p, (char)0xfe); /* a byte, not the end */
    assert_int_equal(process_await(&p, PATIENCE_MS), 0xff);
    assert_int_equal(process_hear(&p), 0);
    int code;
    assert_false(process_collect(&p, &code));
    close(p.channel); /* the end of our side ends the child's loop */
    p.channel = dup(0);
    assert_int_equal(collect(&p), (0xfe + 'A' + 20) % 256);
    assert_int_equal(p.channel, -1);
    assert_int_equal(p.exited, -1);
}

static void the_end_of_a_child_is_heard(void **state)
{
    (void)state;
    struct process p;
    if (process_fork(&p) == PROCESS_CHILD) {
        process_tell(&p, 'x');
        process_end(7);
    }
    process_await_exit(&p);
    assert_int_equal(process_hear(&p), 'x');
    assert_int_equal(process_hear(&p), -1);
    assert_int_equal(process_await(&p, PATIENCE_MS), -1);
    process_tell(&p, 'y'); /* to nobody: no signal */
    assert_int_equal(collect(&p), 7);
}

static void killed_children_tell_their_signal(void **state)
{
    (void)state;
    struct process p;
    if (process_fork(&p) == PROCESS_CHILD) {
        echo_until_end(&p);
        process_end(0);
    }
    process_kill(&p);
    process_await_exit(&p);
    assert_int_equal(collect(&p), -SIGKILL);
}

static void on_alarm(int number)
{
    (void)number;
}

/* The child disturbs the waiting parent until it has been heard to wait on. */
static void waiting_outlasts_signals(void **state)
{
    (void)state;
    struct process p;
    struct sigaction action = {.sa_handler = on_alarm};
    struct sigaction before;
    sigaction(SIGALRM, &action, &before);
    if (process_fork(&p) == PROCESS_CHILD) {
        for (int i = 0; i < 20; i++) {
            kill(getppid(), SIGALRM);
            process_await(&p, 2);
        }
        process_end(3);
    }
    process_await_exit(&p);
    int code = 0;
    assert_true(process_collect(&p, &code));
    assert_int_equal(code, 3);
    sigaction(SIGALRM, &before, NULL);
    process_release(&p);
}

static void the_signals_of_people_are_the_parents(void **state)
{
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
    struct process p;
    if (process_fork(&p) == PROCESS_CHILD) {
        process_tell(&p, 'r');
        process_end(echo_until_end(&p));
    }
    assert_int_equal(process_await(&p, PATIENCE_MS), 'r');
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        kill(p.pid, numbers[i]);
    process_tell(&p, 5);
    assert_int_equal(process_await(&p, PATIENCE_MS), 6);
    kill(p.pid, SIGALRM); /* all others have their default */
    assert_int_equal(collect(&p), -SIGALRM);
}

/* The middle process ends; its child must go with it, and tells by the end of its channel. */
static void children_die_with_their_parent(void **state)
{
    (void)state;
    struct process middle;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    if (process_fork(&middle) == PROCESS_CHILD) {
        struct process leaf;
        int32_t parent = process_self();
        close(pipe_ends[0]);
        if (process_fork(&leaf) == PROCESS_CHILD) {
            process_die_with_parent(parent);
            process_tell(&leaf, 'r');
            for (;;)
                pause();
        }
        process_end(process_await(&leaf, PATIENCE_MS) == 'r' ? 0 : 1);
    }
    close(pipe_ends[1]);
    assert_int_equal(collect(&middle), 0);
    /* The leaf holds the last writing end. */
    struct pollfd ended = {.fd = pipe_ends[0], .events = POLLIN};
    assert_int_equal(poll(&ended, 1, PATIENCE_MS), 1);
    assert_true(ended.revents & POLLHUP);
    close(pipe_ends[0]);
}

/* A host may collect every child that it has, also those that are not its own. */
static void a_child_that_somebody_else_collected_is_not_mistaken(void **state)
{
    (void)state;
    struct process p;
    int code = 1;
    int result = process_fork(&p);
    if (result == PROCESS_CHILD)
        process_end(7);
    assert_int_equal(result, PROCESS_PARENT);
    assert_int_equal(waitpid(p.pid, NULL, 0), p.pid);
    process_await_exit(&p);
    process_kill(&p);
    assert_true(process_collect(&p, &code));
    assert_int_equal(code, 0);
    process_release(&p);
}

static void memory_that_is_detached_keeps_no_writes(void **state)
{
    (void)state;
    struct process p;
    atomic_uchar *flags = process_shared_new(2);
    int result = process_fork(&p);
    if (result == PROCESS_CHILD) {
        while (process_await(&p, 10000) != 'w')
            ;
        atomic_store(&flags[1], 9);
        process_end(0);
    }
    assert_int_equal(result, PROCESS_PARENT);
    atomic_store(&flags[0], 1);
    process_shared_detach((void *)flags, 2);
    assert_int_equal(atomic_load(&flags[0]), 0);
    process_tell(&p, 'w');
    assert_int_equal(collect(&p), 0);
    assert_int_equal(atomic_load(&flags[1]), 0);
    process_release(&p);
    process_shared_free((void *)flags, 2);
}

static void memory_is_shared_with_children(void **state)
{
    (void)state;
    struct process p;
    atomic_int *number = process_shared_new(sizeof(*number));
    assert_non_null(number);
    assert_int_equal(atomic_load(number), 0);
    if (process_fork(&p) == PROCESS_CHILD) {
        atomic_store(number, 42);
        process_end(0);
    }
    assert_int_equal(collect(&p), 0);
    assert_int_equal(atomic_load(number), 42);
    process_shared_free(number, sizeof(*number));
    process_shared_free(NULL, 1);
}

/* A pipe's end travels to the child, which writes its number into it; a byte alone brings none. */
static void descriptors_are_given(void **state)
{
    (void)state;
    struct process p;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int result = process_fork(&p);
    if (result == PROCESS_CHILD) {
        struct process_gift gift;
        process_await(&p, PATIENCE_MS); /* the byte before */
        close(ends[1]);
        struct pollfd ready = {.fd = p.channel, .events = POLLIN};
        poll(&ready, 1, PATIENCE_MS);
        int byte = process_hear_gift(&p, &gift);
        if (byte == 'G' && gift.fd >= 0 && write(gift.fd, &gift.number, 1) == 1)
            process_tell(&p, 'Y');
        poll(&ready, 1, PATIENCE_MS);
        byte = process_hear_gift(&p, &gift);
        process_end(byte == 'N' && gift.fd == -1 && process_hear_gift(&p, &gift) == 0 ? 3 : 1);
    }
    assert_int_equal(result, PROCESS_PARENT);
    process_tell(&p, 'A');
    assert_int_equal(process_give(&p, 'G', 200, ends[1]), ROUTED_OK);
    close(ends[1]);
    uint8_t number = 0;
    assert_int_equal(read(ends[0], &number, 1), 1);
    assert_int_equal(number, 200);
    close(ends[0]);
    assert_int_equal(process_await(&p, PATIENCE_MS), 'Y');
    process_tell(&p, 'N');
    process_await_exit(&p);
    assert_int_equal(process_give(&p, 'G', 0, 0), ROUTED_ERROR_SYSTEM);
    assert_int_equal(collect(&p), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_hear_each_other),
        cmocka_unit_test(descriptors_are_given),
        cmocka_unit_test(the_end_of_a_child_is_heard),
        cmocka_unit_test(killed_children_tell_their_signal),
        cmocka_unit_test(waiting_outlasts_signals),
        cmocka_unit_test(the_signals_of_people_are_the_parents),
        cmocka_unit_test(children_die_with_their_parent),
        cmocka_unit_test(memory_is_shared_with_children),
        cmocka_unit_test(memory_that_is_detached_keeps_no_writes),
        cmocka_unit_test(a_child_that_somebody_else_collected_is_not_mistaken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
