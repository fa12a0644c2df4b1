/* Start and stop of a real front: what can go wrong, and what is left behind. */
#include "base/memory.h"
#include "front/client.h"
#include "support/folder.h"
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

/* Another server of the process may still be closing the connection with which it was asked
 * whether it lives. */
static void assert_nothing_stays(size_t held, unsigned descriptors)
{
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    while ((memory_held() > held || open_descriptors() > descriptors) && loop_clock() < end)
        sched_yield();
    assert_true(memory_held() <= held);
    assert_true(open_descriptors() <= descriptors);
}

/* The start fails with that code and a text that names the place; nothing stays. */
static void assert_start_fails(struct front *f, int code, const char *place)
{
    size_t held = memory_held();
    unsigned descriptors = open_descriptors();
    assert_int_equal(front_begin(f), code);
    assert_null(f->server);
    assert_int_equal(f->why.code, code);
    if (!strstr(f->why.text, place))
        fail_msg("\"%s\" does not name %s", f->why.text, place);
    assert_int_equal(front_server_start(&f->options, &f->server, NULL), code);
    assert_nothing_stays(held, descriptors);
}

static void an_address_in_use_is_told(void **state)
{
    (void)state;
    static const unsigned workers[] = {1, 4};
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 2; j++) {
            struct front first;
            struct front second;
            char place[32];
            front_prepare(&first);
            first.options.workers = workers[i];
            front_serve(&first);
            front_prepare(&second);
            second.options.workers = workers[j];
            second.options.port = front_server_port(first.server);
            snprintf(place, sizeof(place), "127.0.0.1:%u", second.options.port);
            assert_start_fails(&second, ROUTED_ERROR_ADDRESS_IN_USE, place);
            assert_int_equal(front_end(&first), ROUTED_OK);
            front_serve(&second); /* and is free again at once */
            assert_int_equal(front_end(&second), ROUTED_OK);
        }
}

static void an_address_may_be_shared_on_purpose(void **state)
{
    (void)state;
    struct front first;
    struct front second;
    front_prepare(&first);
    first.options.shared = true;
    front_serve(&first);
    front_prepare(&second);
    second.options.shared = true;
    second.options.port = front_server_port(first.server);
    front_serve(&second);
    assert_int_equal(front_end(&first), ROUTED_OK);
    close(client_connect_served(&second));
    assert_int_equal(front_end(&second), ROUTED_OK);
}

static void options_that_cannot_be_are_told(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.options.host = "256.1.1.1";
    assert_start_fails(&f, ROUTED_ERROR_ADDRESS_UNKNOWN, "256.1.1.1");
    front_prepare(&f);
    f.options.host = "192.0.2.1";
    assert_start_fails(&f, ROUTED_ERROR_ADDRESS_UNKNOWN, "192.0.2.1");
    front_prepare(&f);
    f.options.access_log = folder;
    assert_start_fails(&f, ROUTED_ERROR_FILE, folder);
    front_prepare(&f);
    f.options.workers = 65;
    assert_start_fails(&f, ROUTED_ERROR_ARGUMENT, "65");
    front_prepare(&f);
    f.options.unix_path = "/nonexistent/socket";
    assert_start_fails(&f, ROUTED_ERROR_ADDRESS_UNKNOWN, "/nonexistent/socket");
    front_prepare(&f);
    f.options.unix_path = folder;
    assert_start_fails(&f, ROUTED_ERROR_FILE, folder);
}

static void the_most_workers_serve(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.options.workers = 64;
    front_serve(&f);
    for (int i = 0; i < 20; i++) {
        close(client_connect_served(&f));
    }
    front_await_metric(&f, "connections.open", 0);
    assert_int_equal(front_metric(&f, "requests"), 20);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void localhost_is_one_port_on_two_addresses(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.options.host = "localhost";
    f.options.workers = 2;
    front_serve(&f);
    close(client_connect_served(&f)); /* over IPv4 */
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_port = htons(front_server_port(f.server)),
                             .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int v6 = socket(AF_INET6, SOCK_STREAM, 0);
    if (v6 >= 0 && connect(v6, (struct sockaddr *)&a, sizeof(a)) == 0)
        assert_int_equal(client_get(v6), 200);
    close(v6);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

/* ---- Unix sockets ---- */

static void a_unix_listener_serves_alone(void **state)
{
    (void)state;
    const char *path = folder_path("file");
    struct front f;
    front_prepare(&f);
    f.options.host = "";
    f.options.unix_path = path;
    f.options.workers = 3;
    f.limits.connections_per_address = 1; /* Unix clients have no address */
    front_serve(&f);
    assert_int_equal(front_server_port(f.server), 0);
    int clients[5];
    for (int i = 0; i < 5; i++) {
        clients[i] = client_connect_unix(path);
        assert_true(clients[i] >= 0);
        assert_int_equal(client_get(clients[i]), 200);
    }
    struct front second;
    front_prepare(&second);
    second.options.unix_path = path;
    assert_start_fails(&second, ROUTED_ERROR_ADDRESS_IN_USE, path);
    assert_int_equal(access(path, F_OK), 0);
    for (int i = 0; i < 5; i++)
        close(clients[i]);
    assert_int_equal(front_end(&f), ROUTED_OK);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_stale_socket_file_is_replaced(void **state)
{
    (void)state;
    const char *path = folder_path("file");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    close(fd);
    struct front f;
    front_prepare(&f);
    f.options.unix_path = path;
    front_serve(&f);
    int client = client_connect_unix(path);
    assert_int_equal(client_get(client), 200);
    close(client);
    close(client_connect_served(&f));
    assert_int_equal(front_end(&f), ROUTED_OK);
}

/* ---- faces ---- */

struct play {
    atomic_int opens;
    atomic_int shuts;
    atomic_int closes;
    atomic_int requests;
    int fail_at; /* this open fails */
};

static struct play play;
static char context_of_play;

static int open_play(void *state, struct loop *l, const routed_limits *limits,
                     const struct log *log, void **context)
{
    struct play *p = state;
    (void)limits;
    (void)log;
    assert_non_null(l);
    *context = &context_of_play;
    return atomic_fetch_add(&p->opens, 1) + 1 == p->fail_at ? ROUTED_ERROR_NO_ENGINE : ROUTED_OK;
}

static void shut_play(void *context, struct loop *l)
{
    assert_ptr_equal(context, &context_of_play);
    assert_non_null(l);
    atomic_fetch_add(&play.shuts, 1);
}

static void close_play(void *context)
{
    assert_ptr_equal(context, &context_of_play);
    atomic_fetch_add(&play.closes, 1);
}

static void prepare_play(struct front *f, unsigned workers, int fail_at)
{
    front_prepare(f);
    f->options.workers = workers;
    memset(&play, 0, sizeof(play));
    play.fail_at = fail_at;
    f->options.face.open = open_play;
    f->options.face.shut = shut_play;
    f->options.face.close = close_play;
    f->options.face.state = &play;
}

static void each_worker_opens_and_closes_its_face(void **state)
{
    (void)state;
    struct front f;
    prepare_play(&f, 3, 0);
    front_serve(&f);
    assert_int_equal(atomic_load(&play.opens), 3);
    assert_int_equal(front_end(&f), ROUTED_OK);
    assert_int_equal(atomic_load(&play.shuts), 3);
    assert_int_equal(atomic_load(&play.closes), 3);
}

/* What was opened is shut and closed; what was not is neither. */
static void a_face_that_does_not_open_ends_the_start(void **state)
{
    (void)state;
    for (int fail_at = 1; fail_at <= 3; fail_at++) {
        struct front f;
        prepare_play(&f, 3, fail_at);
        assert_int_equal(front_begin(&f), ROUTED_ERROR_NO_ENGINE);
        assert_int_equal(atomic_load(&play.opens), 3);
        assert_int_equal(atomic_load(&play.shuts), 2);
        assert_int_equal(atomic_load(&play.closes), 2);
    }
}

/* ---- stopping ---- */

static void an_idle_front_stops_at_once(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.options.workers = 2;
    front_serve(&f);
    int idle = client_connect_served(&f);
    int fresh = client_connect(&f);
    front_await_metric(&f, "connections.open", 2);
    assert_int_equal(front_end(&f), ROUTED_OK);
    assert_int_equal(client_await_end(idle), CLIENT_ENDED);
    assert_int_equal(client_await_end(fresh), CLIENT_ENDED);
    close(idle);
    close(fresh);
}

#define POST_HEAD "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"

static int begin_post(struct front *f)
{
    int busy = client_connect(f);
    assert_true(client_write(busy, POST_HEAD));
    front_await_metric(f, "exchanges.open", 1);
    return busy;
}

static void requests_in_flight_are_finished(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    front_serve(&f);
    int busy = begin_post(&f);
    uint16_t port = front_server_port(f.server);
    front_server_stop(f.server, ROUTED_NO_LIMIT);
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    int late;
    while ((late = client_connect_port(port)) >= 0 && loop_clock() < end)
        close(late); /* until nobody listens any more */
    assert_int_equal(late, -1);
    assert_true(client_write(busy, "abc"));
    struct client_text t = {0};
    while (client_read(busy, &t) == CLIENT_MORE)
        ;
    assert_true(client_has(&t, "HTTP/1.1 200 "));
    assert_true(client_has(&t, "connection: close\r\n"));
    assert_true(client_has(&t, CLIENT_CONTENT));
    close(busy);
    assert_int_equal(front_server_wait(f.server), ROUTED_OK);
    front_server_free(f.server);
}

/* ---- a worker that is kept from its loop ---- */

static struct {
    const struct exchange_application *answers;
    atomic_bool is_held;
    atomic_bool is_released;
} hold;

static void hold_first_request(struct exchange *x, void *context)
{
    if (!atomic_exchange(&hold.is_held, true)) {
        microseconds end = loop_clock() + PATIENCE_MS * 1000;
        while (!atomic_load(&hold.is_released) && loop_clock() < end)
            sched_yield();
    }
    hold.answers->on_request(x, context);
}

/* More than one turn accepts, so that some are still in the kernel's queue when the stop comes. */
static void clients_that_have_connected_are_answered(void **state)
{
    enum {
        COUNT = 150
    };
    (void)state;
    struct front f;
    int clients[COUNT];
    front_prepare(&f);
    struct exchange_application application = *f.options.face.application;
    hold.answers = f.options.face.application;
    atomic_store(&hold.is_held, false);
    atomic_store(&hold.is_released, false);
    application.on_request = hold_first_request;
    f.options.face.application = &application;
    front_serve(&f);
    for (int i = 0; i < COUNT; i++) {
        clients[i] = client_connect(&f);
        assert_true(client_write(clients[i], CLIENT_GET));
        microseconds end = loop_clock() + PATIENCE_MS * 1000;
        while (!atomic_load(&hold.is_held) && loop_clock() < end)
            sched_yield();
    }
    front_server_stop(f.server, ROUTED_NO_LIMIT);
    atomic_store(&hold.is_released, true);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(client_status(clients[i]), 200);
        close(clients[i]);
    }
    assert_int_equal(front_server_wait(f.server), ROUTED_OK);
    front_server_free(f.server);
}

static void after_the_drain_time_requests_are_cut(void **state)
{
    (void)state;
    for (int by_option = 0; by_option < 2; by_option++) {
        struct front f;
        front_prepare(&f);
        f.limits.drain_timeout = by_option ? 30 : 3600000;
        front_serve(&f);
        int busy = begin_post(&f);
        front_server_stop(f.server, by_option ? ROUTED_NO_LIMIT : 30);
        assert_int_equal(front_server_wait(f.server), ROUTED_ERROR_TIMEOUT);
        assert_int_equal(front_metric(&f, "limit.drain_timeout"), 1);
        assert_int_equal(front_metric(&f, "exchanges.open"), 0);
        assert_int_not_equal(client_await_end(busy), CLIENT_MORE);
        front_server_free(f.server);
        close(busy);
    }
}

static void a_second_stop_cuts_now(void **state)
{
    (void)state;
    struct front f;
    front_prepare(&f);
    f.limits.drain_timeout = 3600000;
    front_serve(&f);
    int busy = begin_post(&f);
    front_server_stop(f.server, ROUTED_NO_LIMIT);
    front_server_stop(f.server, 0);
    front_server_stop(f.server, 0);
    assert_int_equal(front_server_wait(f.server), ROUTED_ERROR_CLOSED);
    assert_int_not_equal(client_await_end(busy), CLIENT_MORE);
    assert_int_equal(front_metric(&f, "limit.drain_timeout"), 0);
    front_server_free(f.server);
    close(busy);
}

static struct front_server *signalled;

static void on_signal(int number)
{
    (void)number;
    front_server_stop(signalled, ROUTED_NO_LIMIT);
}

static void a_signal_handler_may_stop(void **state)
{
    (void)state;
    struct front f;
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction before;
    front_prepare(&f);
    f.options.workers = 2;
    front_serve(&f);
    signalled = f.server;
    sigaction(SIGTERM, &action, &before);
    kill(getpid(), SIGTERM);
    assert_int_equal(front_server_wait(f.server), ROUTED_OK);
    sigaction(SIGTERM, &before, NULL);
    front_server_free(f.server);
}

/* ---- numbers and lines ---- */

static atomic_bool is_done;

static void visit_nothing(void *user, const struct metric_name *name, uint64_t value)
{
    (void)value;
    if (name->name)
        ++*(unsigned *)user;
}

static void *read_metrics(void *argument)
{
    unsigned *visits = argument;
    do
        front_server_metrics(signalled, visit_nothing, visits);
    while (!atomic_load(&is_done));
    return NULL;
}

static void numbers_are_readable_while_serving(void **state)
{
    (void)state;
    struct front f;
    pthread_t thread;
    unsigned visits = 0;
    front_prepare(&f);
    f.options.workers = 2;
    front_serve(&f);
    signalled = f.server;
    atomic_store(&is_done, false);
    assert_int_equal(pthread_create(&thread, NULL, read_metrics, &visits), 0);
    for (int i = 0; i < 20; i++) {
        int client = client_connect_served(&f);
        assert_int_equal(client_get(client), 200);
        close(client);
    }
    front_server_stop(f.server, ROUTED_NO_LIMIT);
    assert_int_equal(front_server_wait(f.server), ROUTED_OK);
    atomic_store(&is_done, true);
    pthread_join(thread, NULL);
    assert_true(visits > 0);
    assert_int_equal(front_metric(&f, "requests"), 40);
    assert_int_equal(front_metric(&f, "responses.2xx"), 40);
    assert_int_equal(front_metric(&f, "connections.accepted"), 20);
    assert_int_equal(front_metric(&f, "connections.open"), 0);
    assert_int_equal(front_metric(&f, "exchanges.open"), 0);
    assert_true(front_metric(&f, "memory.held") > 0);
    front_server_free(f.server);
}

static void each_request_is_one_line(void **state)
{
    (void)state;
    const char *path = folder_path("file");
    struct front f;
    front_prepare(&f);
    f.options.access_log = path;
    front_serve(&f);
    int client = client_connect(&f);
    assert_true(client_write(client, "GET /one HTTP/1.1\r\nhost: x\r\nx-request-id: mine\r\n\r\n"));
    assert_int_equal(client_status(client), 200);
    assert_true(
        client_write(client, "POST /two HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab"));
    assert_int_equal(client_status(client), 200);
    assert_true(client_write(client, "GET /three\x01 HTTP/1.1\r\nhost: x\r\n\r\n"));
    assert_int_equal(client_status(client), 400);
    close(client);
    assert_int_equal(front_end(&f), ROUTED_OK);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[8193];
    static const int statuses[] = {200, 200, 400};
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(fgets(line, sizeof(line), file));
        json_t *read = json_loads(line, 0, NULL);
        assert_non_null(read);
        assert_int_equal(json_integer_value(json_object_get(read, "status")), statuses[i]);
        assert_string_equal(json_string_value(json_object_get(read, "peer")), "127.0.0.1");
        if (i == 0)
            assert_string_equal(json_string_value(json_object_get(read, "request_id")), "mine");
        if (i == 1) {
            assert_int_equal(json_integer_value(json_object_get(read, "bytes_in")), 2);
            assert_int_equal(json_string_length(json_object_get(read, "request_id")), 32);
        }
        json_decref(read);
    }
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_in_use_is_told),
        cmocka_unit_test(an_address_may_be_shared_on_purpose),
        cmocka_unit_test(options_that_cannot_be_are_told),
        cmocka_unit_test(the_most_workers_serve),
        cmocka_unit_test(localhost_is_one_port_on_two_addresses),
        cmocka_unit_test(a_unix_listener_serves_alone),
        cmocka_unit_test(a_stale_socket_file_is_replaced),
        cmocka_unit_test(each_worker_opens_and_closes_its_face),
        cmocka_unit_test(a_face_that_does_not_open_ends_the_start),
        cmocka_unit_test(an_idle_front_stops_at_once),
        cmocka_unit_test(requests_in_flight_are_finished),
        cmocka_unit_test(clients_that_have_connected_are_answered),
        cmocka_unit_test(after_the_drain_time_requests_are_cut),
        cmocka_unit_test(a_second_stop_cuts_now),
        cmocka_unit_test(a_signal_handler_may_stop),
        cmocka_unit_test(numbers_are_readable_while_serving),
        cmocka_unit_test(each_request_is_one_line),
    };
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
