#include "io/system.h"

#include "support/folder.h"
#include <fcntl.h>
#include <routed/error.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void logs_are_appended(void **state)
{
    (void)state;
    const char *path = folder_path("log");
    struct stat status;
    mode_t mask = umask(0);
    int first = system_log_open(path);
    umask(mask);
    int second = system_log_open(path);
    assert_true(first >= 0 && second >= 0);
    assert_int_equal(fcntl(first, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(system_log_write(first, SPAN("a\n")), 2);
    assert_int_equal(system_log_write(second, SPAN("b\n")), 2);
    assert_int_equal(system_log_write(first, SPAN("c\n")), 2);
    folder_expect_file("log", "a\nb\nc\n");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    system_close(first);
    system_close(second);
    assert_int_equal(unlink(path), 0);
}

static void a_descriptor_is_replaced_in_place(void **state)
{
    (void)state;
    int fd = system_log_open(folder_path("log"));
    system_log_write(fd, SPAN("old\n"));
    int fresh = system_log_open(folder_path("other"));
    system_replace(fresh, fd);
    assert_int_equal(fcntl(fresh, F_GETFD), -1);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    system_log_write(fd, SPAN("new\n"));
    folder_expect_file("log", "old\n");
    folder_expect_file("other", "new\n");
    system_close(fd);
    unlink(folder_path("log"));
    unlink(folder_path("other"));
}

static void what_cannot_be_a_log_is_told(void **state)
{
    (void)state;
    const char *path = folder_path("log");
    assert_int_equal(system_log_open(folder), ROUTED_ERROR_FILE);
    assert_int_equal(system_log_open("/nonexistent/log"), ROUTED_ERROR_FILE);
    assert_int_equal(system_log_open(""), ROUTED_ERROR_FILE);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(system_log_open(path), ROUTED_ERROR_FILE); /* nobody reads it */
    unlink(path);
    if (geteuid() != 0) {
        close(open(path, O_CREAT | O_WRONLY, 0400));
        assert_int_equal(system_log_open(path), ROUTED_ERROR_PERMISSION);
        unlink(path);
    }
}

static void a_full_pipe_does_not_block(void **state)
{
    (void)state;
    const char *path = folder_path("log");
    static uint8_t bytes[1 << 16];
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    int fd = system_log_open(path);
    assert_true(fd >= 0);
    for (int i = 0; i < 1000 && system_log_write(fd, span_of(bytes, sizeof(bytes))) > 0; i++)
        ;
    assert_int_equal(system_log_write(fd, SPAN("x")), -1);
    system_close(fd);
    close(reader);
    unlink(path);
}

struct finding {
    bool is_blocked[NSIG];
    char name[16];
};

static void *look_around(void *argument)
{
    struct finding *found = argument;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int i = 1; i < NSIG; i++)
        found->is_blocked[i] = sigismember(&mask, i) == 1;
    return argument;
}

static void threads_take_no_signals(void **state)
{
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGCHLD, SIGALRM};
    struct finding found = {0};
    pthread_t thread;
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(system_thread_start(&thread, "a-name-too-long-", look_around, &found),
                     ROUTED_OK);
    void *result;
    pthread_join(thread, &result);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_ptr_equal(result, &found);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        assert_true(found.is_blocked[numbers[i]]);
        assert_int_equal(sigismember(&after, numbers[i]), sigismember(&before, numbers[i]));
    }
}

static void the_system_answers(void **state)
{
    (void)state;
    assert_true(system_random() != system_random());
    assert_true(system_cores() >= 1);
    assert_int_equal(system_user(), geteuid());
    assert_true(system_descriptors_max() > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_are_appended),
        cmocka_unit_test(a_descriptor_is_replaced_in_place),
        cmocka_unit_test(what_cannot_be_a_log_is_told),
        cmocka_unit_test(a_full_pipe_does_not_block),
        cmocka_unit_test(threads_take_no_signals),
        cmocka_unit_test(the_system_answers),
    };
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
