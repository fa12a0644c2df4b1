/* Supervised engine processes: what they do when something in the chain is killed. */
#include "serve/served.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* ---- what the log says, in this process ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_lines[4096];

static void on_log(void *user, int level, const char *line)
{
    (void)user;
    (void)level;
    pthread_mutex_lock(&log_lock);
    size_t used = strlen(log_lines);
    snprintf(log_lines + used, sizeof(log_lines) - used, "%s\n", line);
    pthread_mutex_unlock(&log_lock);
}

static bool log_says(const char *text)
{
    pthread_mutex_lock(&log_lock);
    bool found = strstr(log_lines, text);
    pthread_mutex_unlock(&log_lock);
    return found;
}

/* ---- what the processes do, seen by all of them ---- */

struct seen {
    atomic_uint started;
    atomic_uint stopped;
    atomic_int fail_from; /* engine_started fails once so many have started; 0: never */
    atomic_int processes[64];
};

static struct seen *seen;

static int on_started(void *user, uint32_t number)
{
    (void)number;
    assert_ptr_equal(user, seen);
    unsigned before = atomic_fetch_add(&seen->started, 1);
    atomic_store(&seen->processes[before % 64], getpid());
    int limit = atomic_load(&seen->fail_from);
    return limit && (int)before + 1 >= limit ? ROUTED_ERROR_FILE : ROUTED_OK;
}

static void on_stopped(void *user, uint32_t number)
{
    (void)user;
    (void)number;
    atomic_fetch_add(&seen->stopped, 1);
}

static int set_up(void **state)
{
    (void)state;
    seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    log_lines[0] = '\0';
    return seen == MAP_FAILED;
}

/* As /proc has it: 'S' when it waits for something; 0 when it is gone. */
static char state_of(int pid)
{
    char path[32];
    char text[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] ? name_end[2] : 0;
}

/* Orphans stay zombies where nobody collects them. */
static bool is_running(int pid)
{
    char now = state_of(pid);
    return now && now != 'Z' && now != 'X';
}

static bool is_soon_gone(int pid)
{
    uint64_t deadline = now_ms() + PATIENCE;
    while (is_running(pid) && now_ms() < deadline)
        sched_yield();
    return !is_running(pid);
}

/* None of the engine processes outlives its server. */
static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < atomic_load(&seen->started); i++)
        if (!is_soon_gone(atomic_load(&seen->processes[i])))
            return -1;
    return munmap(seen, sizeof(*seen));
}

static routed_serve_options process_options(unsigned engines)
{
    routed_serve_options options = options_of(ROUTED_MODE_PROCESSES);
    options.engines = engines;
    options.engine_started = on_started;
    options.engine_stopped = on_stopped;
    options.engine_user = seen;
    options.log = on_log;
    return options;
}

/* The supervisor is the only child of this process. */
static int supervisor(void)
{
    char text[64] = "";
    FILE *f = fopen("/proc/thread-self/children", "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    int pid = atoi(text);
    assert_true(pid > 0);
    return pid;
}

/* ---- tests ---- */

static void test_engines_start_and_stop(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    routed_serve_options options = process_options(3);
    routed_server *server = serve_engine(engine, &options);
    assert_int_equal(atomic_load(&seen->started), 3);
    expect_hello(server);
    assert_int_not_equal(process_of(server), getpid());
    routed_server_stop(server, ROUTED_NO_LIMIT);
    assert_int_equal(routed_server_wait(server), ROUTED_OK);
    assert_int_equal(atomic_load(&seen->stopped), 3);
    routed_server_free(server);
    routed_engine_free(engine);
}

static void test_engine_started_that_fails_fails_the_start(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    unsigned descriptors = count_entries("/proc/self/fd");
    routed_server *server;
    routed_serve_options options = process_options(2);
    atomic_store(&seen->fail_from, 2);
    assert_int_equal(routed_serve(engine, &options, &server), ROUTED_ERROR_NO_ENGINE);
    assert_null(server);
    assert_string_equal(routed_last_error(), "engine_started failed in an engine process");
    assert_int_equal(count_entries("/proc/self/fd"), descriptors);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    routed_engine_free(engine);
}

static int die(void *user, uint32_t number)
{
    (void)user;
    (void)number;
    raise(SIGKILL);
    return ROUTED_OK;
}

static void test_an_engine_that_dies_at_once_fails_the_start(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    routed_server *server;
    routed_serve_options options = process_options(1);
    options.engine_started = die;
    assert_int_equal(routed_serve(engine, &options, &server), ROUTED_ERROR_NO_ENGINE);
    assert_string_equal(routed_last_error(), "an engine process ended before it was ready");
    routed_engine_free(engine);
}

static void test_a_killed_engine_comes_back(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    routed_serve_options options = process_options(1);
    routed_server *server = serve_engine(engine, &options);
    int first = process_of(server);
    assert_int_equal(kill(first, SIGKILL), 0);
    int second;
    uint64_t deadline = now_ms() + PATIENCE;
    do
        second = process_of(server);
    while ((second == 0 || second == first) && now_ms() < deadline);
    assert_int_not_equal(second, 0);
    assert_int_not_equal(second, first);
    assert_int_equal(atomic_load(&seen->started), 2);
    expect_hello(server);
    routed_server_free(server);
    routed_engine_free(engine);
}

/* Closes the socket to the supervisor, as an application does that closes all it does not know. */
static int close_channel(routed_exchange *x, void *user)
{
    (void)user;
    for (int fd = 3; fd < 1024; fd++) {
        struct ucred made_by;
        socklen_t size = sizeof(made_by);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &made_by, &size) == 0 &&
            made_by.pid == getppid())
            close(fd);
    }
    return routed_response_text(x, "closed");
}

static void test_an_engine_that_closes_its_channel_keeps_nobody_busy(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    assert_int_equal(routed_engine_route(engine, "GET", "/close", close_channel, NULL, NULL),
                     ROUTED_OK);
    routed_serve_options options = process_options(1);
    routed_server *server = serve_engine(engine, &options);
    int client = ask(server, GET("/close"));
    expect_answer(client, "HTTP/1.1 200 ", "closed");
    close(client);
    int first = process_of(server);
    uint64_t deadline = now_ms() + PATIENCE;
    while (state_of(supervisor()) != 'S' && now_ms() < deadline)
        sched_yield();
    assert_int_equal(state_of(supervisor()), 'S');
    assert_int_equal(kill(first, SIGKILL), 0);
    while (atomic_load(&seen->started) < 2 && now_ms() < deadline)
        sched_yield();
    expect_hello(server);
    routed_server_free(server);
    routed_engine_free(engine);
}

static int status_of(const routed_server *server)
{
    char text[64];
    int client = ask(server, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    read_until(client, text, 14, NULL);
    close(client);
    return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
}

/* Nobody can fork new engines then: the server goes on, and says 503. */
static void test_without_a_supervisor_requests_get_503(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    routed_serve_options options = process_options(2);
    const routed_limits limits = {.size = sizeof(limits), .queue_timeout = 100};
    options.limits = &limits;
    unsigned threads = count_threads();
    routed_server *server = serve_engine(engine, &options);
    expect_hello(server);
    /* An engine has it, and it is not repeated elsewhere, since that could run it twice. */
    int waiting = ask(server, "POST /hint HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    expect_answer(waiting, "HTTP/1.1 103 ", "\r\n\r\n");
    uint64_t deadline = now_ms() + PATIENCE;
    assert_int_equal(kill(supervisor(), SIGKILL), 0);
    expect_answer(waiting, "HTTP/1.1 502 ", "\r\n\r\n");
    close(waiting);
    while (!log_says("the supervisor of the engines") && now_ms() < deadline)
        sched_yield();
    assert_true(log_says("requests get 503"));
    for (int i = 0; i < 5; i++) {
        uint64_t asked_at = now_ms();
        assert_int_equal(status_of(server), 503);
        assert_true(now_ms() - asked_at < 5000);
    }
    routed_server_stop(server, ROUTED_NO_LIMIT);
    assert_int_equal(routed_server_wait(server), ROUTED_OK);
    routed_server_free(server);
    assert_int_equal(count_threads(), threads);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    routed_engine_free(engine);
}

/* A host with a handler for SIGCHLD that collects every child. */
static void test_a_host_that_collects_every_child(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    routed_serve_options options = process_options(1);
    const routed_limits limits = {.size = sizeof(limits), .queue_timeout = 50};
    options.limits = &limits;
    routed_server *server = serve_engine(engine, &options);
    int pid = supervisor();
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(-1, NULL, 0), pid);
    routed_server_stop(server, ROUTED_NO_LIMIT);
    routed_server_wait(server);
    routed_server_free(server);
    signal(SIGCHLD, SIG_IGN);
    server = serve_engine(engine, &options);
    expect_hello(server);
    routed_server_free(server);
    signal(SIGCHLD, SIG_DFL);
    routed_engine_free(engine);
}

static void test_an_engine_that_cannot_be_stopped_is_killed(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    routed_serve_options options = process_options(1);
    routed_server *server = serve_engine(engine, &options);
    int pid = process_of(server);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    routed_server_free(server);
    assert_false(is_running(pid));
    routed_engine_free(engine);
}

/* The copy of a host has the channel to the supervisor, too: that it is open says nothing. */
static void test_a_host_that_forked_a_copy_is_killed(void **state)
{
    (void)state;
    int copies[2];
    int copy = 0;
    assert_int_equal(pipe(copies), 0);
    int host = fork();
    if (host == 0) {
        routed_serve_options options = process_options(2);
        serve_engine(new_engine(), &options);
        copy = fork();
        if (copy == 0)
            for (;;)
                pause();
        if (write(copies[1], &copy, sizeof(copy)) != sizeof(copy))
            _exit(1);
        raise(SIGKILL);
    }
    assert_int_equal(read(copies[0], &copy, sizeof(copy)), sizeof(copy));
    assert_int_equal(waitpid(host, NULL, 0), host);
    assert_int_equal(atomic_load(&seen->started), 2);
    bool are_gone = is_soon_gone(atomic_load(&seen->processes[0])) &&
                    is_soon_gone(atomic_load(&seen->processes[1]));
    assert_true(is_running(copy));
    kill(copy, SIGKILL);
    assert_true(are_gone);
    close(copies[0]);
    close(copies[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_engines_start_and_stop),
        TEST(test_engine_started_that_fails_fails_the_start),
        TEST(test_an_engine_that_dies_at_once_fails_the_start),
        TEST(test_a_killed_engine_comes_back),
        TEST(test_an_engine_that_closes_its_channel_keeps_nobody_busy),
        TEST(test_without_a_supervisor_requests_get_503),
        TEST(test_a_host_that_collects_every_child),
        TEST(test_an_engine_that_cannot_be_stopped_is_killed),
        TEST(test_a_host_that_forked_a_copy_is_killed),
    };
    return cmocka_run_group_tests_name("serve/processes", tests, NULL, NULL);
}
