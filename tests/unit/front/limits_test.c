/* The limits of connections, on a real front. */
#include "base/memory.h"
#include "front/client.h"
#include <sys/resource.h>
#include <sys/wait.h>

/* The next request, or what there is of it, is too slow: `metric` counts it. */
static void expect_too_slow(struct front *f, int client, const char *request, const char *metric)
{
    assert_true(client_write(client, request));
    assert_int_equal(client_status(client), 408);
    assert_int_equal(client_await_end(client), CLIENT_ENDED);
    close(client);
    front_await_metric(f, "connections.open", 0);
    static const char *const all[] = {"limit.header_timeout", "limit.stall_timeout", "limit.rate"};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (front_metric(f, all[i]) != (strcmp(all[i], metric) == 0))
            fail_msg("%s is %d", all[i], (int)front_metric(f, all[i]));
}

static void a_slow_head_is_408(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.header_timeout = 30;
    front_serve(&f);
    expect_too_slow(&f, client_connect_served(&f), "GET / HT", "limit.header_timeout");
    assert_int_equal(front_metric(&f, "requests.refused"), 1);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void an_idle_connection_is_closed(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.idle_timeout = 500;
    front_serve(&f);
    int fresh = client_connect(&f);
    int used = client_connect_served(&f);
    assert_int_equal(client_await_end(used), CLIENT_ENDED);
    assert_int_equal(client_await_end(fresh), CLIENT_ENDED);
    close(used);
    close(fresh);
    front_await_metric(&f, "connections.open", 0);
    assert_int_equal(front_metric(&f, "limit.idle_timeout"), 2);
    assert_int_equal(front_metric(&f, "connections.idle"), 0);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

#define POST_PART "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc"

static void stalled_content_is_408(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.stall_timeout = 40;
    front_serve(&f);
    expect_too_slow(&f, client_connect(&f), POST_PART, "limit.stall_timeout");
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void slow_content_is_408(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.rate = 1000000;
    f.limits.rate_grace = 40;
    front_serve(&f);
    expect_too_slow(&f, client_connect(&f), POST_PART, "limit.rate");
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void the_oldest_idle_connection_makes_room(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.connections = 2;
    front_serve(&f);
    int first = client_connect_served(&f);
    int second = client_connect_served(&f);
    assert_int_equal(client_get(first), 200); /* now second is idle longest */
    assert_int_equal(front_metric(&f, "connections.evicted"), 0);
    int third = client_connect_served(&f);
    assert_int_not_equal(client_await_end(second), CLIENT_MORE);
    assert_int_equal(client_get(first), 200);
    assert_int_equal(front_metric(&f, "connections.evicted"), 1);
    assert_int_equal(front_metric(&f, "connections.open"), 2);
    assert_int_equal(front_metric(&f, "limit.connections"), 1);
    close(first);
    close(second);
    close(third);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

/* One that stays idle gives its memory back, serves again, and is the first to go. */
static void resting_connections_hold_little_and_go_first(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.connections = 2;
    front_serve(&f);
    int resting = client_connect_served(&f);
    uint64_t busy = front_metric(&f, "memory.held");
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    while (front_metric(&f, "memory.held") >= busy && loop_clock() < end)
        poll(NULL, 0, 1);
    assert_true(front_metric(&f, "memory.held") < busy);
    assert_int_equal(client_get(resting), 200);
    while (front_metric(&f, "memory.held") >= busy && loop_clock() < end)
        poll(NULL, 0, 1);
    int second = client_connect_served(&f);
    int third = client_connect_served(&f);
    assert_int_not_equal(client_await_end(resting), CLIENT_MORE);
    assert_int_equal(client_get(second), 200);
    assert_int_equal(front_metric(&f, "connections.evicted"), 1);
    close(resting);
    close(second);
    close(third);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

#define POST_HEAD "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"

/* Busy ones are not closed: the next client waits and comes in when one has left. */
static void without_an_idle_one_clients_wait(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.connections = 1;
    front_serve(&f);
    int busy = client_connect(&f);
    assert_true(client_write(busy, POST_HEAD));
    front_await_metric(&f, "exchanges.open", 1);
    int waiting = client_connect(&f);
    assert_true(client_write(waiting, CLIENT_GET));
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    while (front_metric(&f, "limit.connections") == 0 && loop_clock() < end)
        poll(NULL, 0, 1);
    assert_int_equal(front_metric(&f, "connections.open"), 1);
    assert_true(client_write(busy, "abc"));
    assert_int_equal(client_status(busy), 200);
    close(busy);
    assert_int_equal(client_status(waiting), 200);
    close(waiting);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

/* Whichever worker a client comes to, and whichever has the idle connections. */
static void an_idle_connection_of_another_worker_makes_room(void **state)
{
    enum {
        LIMIT = 4,
        COUNT = 40
    };
    (void)state;
    struct front f;
    int clients[COUNT];
    front_prepare(&f);
    f.options.workers = 8;
    f.limits.connections = LIMIT;
    front_serve(&f);
    for (int i = 0; i < COUNT; i++) {
        clients[i] = client_connect_served(&f);
    }
    assert_true(front_metric(&f, "connections.open") <= LIMIT);
    assert_int_equal(front_metric(&f, "connections.evicted"), COUNT - LIMIT);
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void an_address_has_so_many_connections(void **state)
{
    (void)state;
    struct front f;
    int clients[3];
    front_prepare(&f);
    f.limits.connections_per_address = 3;
    front_serve(&f);
    for (int i = 0; i < 3; i++) {
        clients[i] = client_connect_served(&f);
    }
    assert_int_equal(front_metric(&f, "limit.connections_per_address"), 0);
    int more = client_connect(&f);
    assert_int_not_equal(client_await_end(more), CLIENT_MORE);
    close(more);
    assert_int_equal(front_metric(&f, "limit.connections_per_address"), 1);
    close(clients[0]);
    front_await_metric(&f, "connections.open", 2);
    clients[0] = client_connect(&f);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(client_get(clients[i]), 200);
        close(clients[i]);
    }
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void a_connection_has_so_many_requests(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.requests_per_connection = 3;
    front_serve(&f);
    int client = client_connect_served(&f);
    assert_int_equal(client_get(client), 200);
    assert_int_equal(front_metric(&f, "limit.requests_per_connection"), 0);
    assert_true(client_write(client, CLIENT_GET));
    struct client_text t = {0};
    while (client_read(client, &t) == CLIENT_MORE)
        ;
    assert_true(client_has(&t, "HTTP/1.1 200 "));
    assert_true(client_has(&t, "connection: close\r\n"));
    assert_int_equal(front_metric(&f, "limit.requests_per_connection"), 1);
    close(client);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void a_connection_has_its_time(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.connection_lifetime = 500;
    f.limits.requests_per_connection = ROUTED_NO_LIMIT; /* a fast machine gets there first */
    front_serve(&f);
    int idle = client_connect_served(&f);
    assert_int_equal(client_await_end(idle), CLIENT_ENDED);
    close(idle);
    front_await_metric(&f, "limit.connection_lifetime", 1);
    /* One that is busy the whole time ends with its next request. */
    int busy = client_connect(&f);
    int status = 200;
    unsigned served = 0;
    while (status == 200) {
        status = client_get(busy);
        served += status == 200;
    }
    assert_true(served > 0);
    close(busy);
    assert_int_equal(front_metric(&f, "limit.connection_lifetime"), 2);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

/* The memory is the process's: the test takes what the front then lacks. */
static void short_of_memory_requests_are_503(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.memory = 64 << 20;
    front_serve(&f);
    int client = client_connect_served(&f);
    void *most = memory_new((size_t)(64 << 20) / 100 * 90);
    assert_non_null(most);
    struct client_text t = {0};
    assert_true(client_write(client, CLIENT_GET));
    while (!client_has(&t, "Service Unavailable\n"))
        assert_int_equal(client_read(client, &t), CLIENT_MORE);
    assert_true(client_has(&t, "HTTP/1.1 503 "));
    assert_true(client_has(&t, "retry-after: 1\r\n"));
    assert_int_equal(front_metric(&f, "limit.memory"), 1);
    memory_free(most);
    assert_int_equal(client_get(client), 200);
    close(client);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void out_of_memory_nobody_is_accepted(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.memory = 64 << 20;
    front_serve(&f);
    int idle = client_connect_served(&f);
    void *most = memory_new((size_t)(64 << 20) / 100 * 97);
    assert_non_null(most);
    int late = client_connect(&f);
    assert_true(client_write(late, CLIENT_GET));
    assert_int_not_equal(client_await_end(idle), CLIENT_MORE); /* closed to gain room */
    front_await_metric(&f, "connections.open", 0);
    assert_int_equal(front_metric(&f, "connections.accepted"), 1);
    memory_free(most);
    assert_int_equal(client_status(late), 200);
    close(late);
    close(idle);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

/* ---- descriptors ---- */

static rlim_t lowest_free_descriptor(void)
{
    int fd = dup(0);
    close(fd);
    return (rlim_t)fd;
}

/* In a child, whose limit of descriptors is its own. 0: all went well. */
static int exhaust_descriptors(void)
{
    struct front f;
    struct rlimit limit;
    front_prepare(&f);
    if (front_begin(&f))
        return 1;
    /* Two clients exist before the limit: their sockets are there, the front's are not. */
    int idle = client_connect(&f);
    if (client_get(idle) != 200)
        return 2;
    int late = socket(AF_INET, SOCK_STREAM, 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = lowest_free_descriptor();
    setrlimit(RLIMIT_NOFILE, &limit);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(front_server_port(f.server)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(late, (struct sockaddr *)&a, sizeof(a)) != 0)
        return 3;
    if (client_get(late) != 200) /* the idle one gave its descriptor */
        return 4;
    if (client_await_end(idle) == CLIENT_MORE || front_metric(&f, "accept.failures") == 0)
        return 5;
    /* A busy one does not: the next client waits, and the front sleeps meanwhile. */
    if (!client_write(late, POST_HEAD))
        return 6;
    front_await_metric(&f, "exchanges.open", 1);
    close(idle);
    int waiting = socket(AF_INET, SOCK_STREAM, 0);
    uint64_t failures = front_metric(&f, "accept.failures");
    if (connect(waiting, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        !client_write(waiting, CLIENT_GET))
        return 7;
    microseconds start = loop_clock();
    while (front_metric(&f, "accept.failures") < failures + 3)
        poll(NULL, 0, 1);
    if (loop_clock() - start < 100000)
        return 8;
    limit.rlim_cur = before;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (client_status(waiting) != 200 || !client_write(late, "abc") || client_status(late) != 200)
        return 9;
    return front_end(&f) == ROUTED_OK ? 0 : 10;
}

static void without_descriptors_idle_connections_go(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(exhaust_descriptors());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- a connection that cannot be made ---- */

/* Its place is given back: with room for one, the next client is served. */
static void a_failed_connection_leaves_no_count(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.connections_per_address = 1;
    f.limits.connections = 1;
    front_serve(&f);
    for (uint64_t nth = 1; nth <= 2; nth++) {
        memory_fault_set(nth);
        int client = client_connect(&f);
        assert_int_not_equal(client_await_end(client), CLIENT_MORE);
        assert_true(memory_fault_fired());
        memory_fault_set(0);
        close(client);
    }
    int client = client_connect_served(&f);
    close(client);
    assert_int_equal(front_metric(&f, "accept.failures"), 2);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_descriptors_idle_connections_go),
        cmocka_unit_test(a_slow_head_is_408),
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(stalled_content_is_408),
        cmocka_unit_test(slow_content_is_408),
        cmocka_unit_test(the_oldest_idle_connection_makes_room),
        cmocka_unit_test(resting_connections_hold_little_and_go_first),
        cmocka_unit_test(without_an_idle_one_clients_wait),
        cmocka_unit_test(an_idle_connection_of_another_worker_makes_room),
        cmocka_unit_test(an_address_has_so_many_connections),
        cmocka_unit_test(a_connection_has_so_many_requests),
        cmocka_unit_test(a_connection_has_its_time),
        cmocka_unit_test(short_of_memory_requests_are_503),
        cmocka_unit_test(out_of_memory_nobody_is_accepted),
        cmocka_unit_test(a_failed_connection_leaves_no_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
