#include "bridge/stage.h"

#include "bridge/application.h"
#include "bridge/runtime.h"
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static unsigned count_entries(const char *base)
{
    unsigned count = 0;
    DIR *directory = opendir(base);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strncmp(entry->d_name, "routed-", 7) == 0;
    closedir(directory);
    return count;
}

static const char *path_of(const struct socket_address *address)
{
    struct sockaddr_un un;
    static char path[sizeof(un.sun_path)];
    memcpy(&un, address->storage, sizeof(un));
    memcpy(path, un.sun_path, sizeof(path));
    return path;
}

/* Nobody but the owner could use the socket, and nobody can find it. */
static void test_socket_is_private_and_has_no_name(void **state)
{
    char base[] = "/tmp/endpoint-test-XXXXXX";
    struct bridge_endpoint *e;
    struct bridge_endpoint_options options = {.count = 3};
    struct stat status;
    (void)state;
    assert_non_null(mkdtemp(base));
    assert_int_equal(setenv("XDG_RUNTIME_DIR", base, 1), 0);
    assert_int_equal(bridge_endpoint_open(&e, &options), ROUTED_OK);
    assert_int_equal(bridge_endpoint_count(e), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(stat(path_of(&bridge_endpoint_addresses(e)[i]), &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(status.st_nlink, 0);
    }
    assert_int_equal(count_entries(base), 0);
    unsetenv("XDG_RUNTIME_DIR");
    rmdir(base);

    struct socket_address peer;
    int front = socket_connect(&bridge_endpoint_addresses(e)[1]);
    assert_true(front >= 0);
    assert_int_equal(socket_accept(bridge_endpoint_listener(e, 0), &peer), SOCKET_AGAIN);
    int engine = socket_accept(bridge_endpoint_listener(e, 1), &peer);
    assert_true(engine >= 0);
    socket_close(front);
    socket_close(engine);
    bridge_endpoint_close(e);
}

static void test_nothing_is_left_after_a_kill(void **state)
{
    char base[] = "/tmp/endpoint-test-XXXXXX";
    int ready[2];
    char byte;
    (void)state;
    assert_non_null(mkdtemp(base));
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct bridge_endpoint *e;
        struct bridge_endpoint_options options = {.count = 2};
        setenv("XDG_RUNTIME_DIR", base, 1);
        if (bridge_endpoint_open(&e, &options) != ROUTED_OK)
            _exit(1);
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(rmdir(base), 0); /* it was empty */
}

/* The addresses are good in a forked process: a front of its own, an engine of its own. */
static void test_forked_process_connects(void **state)
{
    struct bridge_endpoint *e;
    struct bridge_endpoint_options options = {.count = 1};
    int status;
    (void)state;
    assert_int_equal(bridge_endpoint_open(&e, &options), ROUTED_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(socket_connect(&bridge_endpoint_addresses(e)[0]) >= 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    bridge_endpoint_close(e);
}

static void test_tcp_is_loopback_only(void **state)
{
    struct bridge_endpoint *e;
    struct bridge_endpoint_options options = {.count = 2, .is_tcp = true};
    char text[SOCKET_TEXT_MAX];
    (void)state;
    assert_int_equal(bridge_endpoint_open(&e, &options), ROUTED_OK);
    for (unsigned i = 0; i < 2; i++) {
        const struct socket_address *address = &bridge_endpoint_addresses(e)[i];
        assert_int_equal(socket_address_text(address, text), 9);
        assert_memory_equal(text, "127.0.0.1", 9);
        assert_int_not_equal(socket_address_port(address), 0);
        assert_null(bridge_endpoint_bell(e, i));
    }
    bridge_endpoint_ring(e); /* harmless */
    bridge_endpoint_close(e);
}

static void test_count_of_nothing(void **state)
{
    struct bridge_endpoint *e;
    struct bridge_endpoint_options options = {0};
    (void)state;
    assert_int_equal(bridge_endpoint_open(&e, &options), ROUTED_ERROR_ARGUMENT);
    bridge_endpoint_close(NULL);
}

/* ---- who may speak ---- */

/* Runs as another user where the test may; otherwise the expected user is another one. */
static uint32_t become_other(void)
{
    if (geteuid() != 0)
        return geteuid() + 1;
    assert_int_equal(seteuid(NOBODY), 0);
    return 0;
}

static void become_self(void)
{
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

static void test_engine_of_another_user_is_refused(void **state)
{
    char base[] = "/tmp/endpoint-test-XXXXXX";
    char path[64];
    struct stage s;
    struct visit v;
    struct socket_address address;
    struct socket_listen_options listen_options = {0};
    (void)state;
    assert_non_null(mkdtemp(base));
    assert_int_equal(chmod(base, 0777), 0);
    snprintf(path, sizeof(path), "%s/s", base);
    assert_int_equal(socket_address_unix(path, &address), ROUTED_OK);
    stage_prepare(&s, 1);
    s.options.user = become_other();
    int listener = socket_listen(&address, &listen_options);
    become_self();
    assert_true(listener >= 0);
    s.options.engines = &address;
    s.limits.queue_timeout = 30;
    stage_open(&s);
    visit_start(&v, &s, SPAN("GET"), 0);
    visit_expect_failure(&v, ROUTED_ERROR_NO_ENGINE);
    assert_false(v.x.reached_application);
    assert_non_null(strstr(s.lines, "permission"));
    visit_close(&v, v.failure);
    socket_close(listener);
    stage_close(&s);
    unlink(path);
    rmdir(base);
}

/* A front that connects as another user is not let in. */
static void refuse_front(const struct socket_address *address, int listener)
{
    struct stage s;
    struct play play = {.kind = PLAY_GREET};
    uint8_t byte;
    stage_prepare(&s, 1);
    uint32_t expected = become_other();
    int front = socket_connect(address);
    become_self();
    assert_true(front >= 0);
    struct bridge_runtime_options options = {.listener = listener,
                                             .application = &play_application,
                                             .context = &play,
                                             .limits = &s.limits,
                                             .log = &s.log,
                                             .user = expected};
    struct bridge_runtime *runtime = bridge_runtime_open(s.loop, &options);
    assert_non_null(runtime);
    stage_until(&s, socket_read(front, &byte, 1) == 0);
    assert_int_equal(bridge_runtime_connections(runtime), 0);
    assert_non_null(strstr(s.lines, "refused"));
    assert_null(strstr(s.lines, "unknown"));
    bridge_runtime_close(runtime);
    socket_close(front);
    stage_close(&s);
}

static void test_front_of_another_user_is_refused(void **state)
{
    char base[] = "/tmp/endpoint-test-XXXXXX";
    char path[64];
    struct socket_address address;
    struct socket_listen_options options = {0};
    (void)state;
    assert_non_null(mkdtemp(base));
    assert_int_equal(chmod(base, 0777), 0);
    snprintf(path, sizeof(path), "%s/s", base);
    assert_int_equal(socket_address_unix(path, &address), ROUTED_OK);
    int listener = socket_listen(&address, &options);
    assert_true(listener >= 0);
    assert_int_equal(chmod(path, 0666), 0);
    refuse_front(&address, listener);
    socket_close(listener);
    unlink(path);
    rmdir(base);
}

static void test_front_of_another_user_is_refused_over_tcp(void **state)
{
    struct bridge_endpoint *e;
    struct bridge_endpoint_options options = {.count = 1, .is_tcp = true};
    (void)state;
    assert_int_equal(bridge_endpoint_open(&e, &options), ROUTED_OK);
    refuse_front(&bridge_endpoint_addresses(e)[0], bridge_endpoint_listener(e, 0));
    bridge_endpoint_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket_is_private_and_has_no_name),
        cmocka_unit_test(test_nothing_is_left_after_a_kill),
        cmocka_unit_test(test_forked_process_connects),
        cmocka_unit_test(test_tcp_is_loopback_only),
        cmocka_unit_test(test_count_of_nothing),
        cmocka_unit_test(test_engine_of_another_user_is_refused),
        cmocka_unit_test(test_front_of_another_user_is_refused),
        cmocka_unit_test(test_front_of_another_user_is_refused_over_tcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
