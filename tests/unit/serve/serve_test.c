#include "serve/served.h"

#include <jansson.h>
#include <sched.h>
#include <signal.h>

static const int modes[] = {ROUTED_MODE_BRIDGE, ROUTED_MODE_PROCESSES, ROUTED_MODE_IN_PROCESS,
                            ROUTED_MODE_NATIVE_DIRECT};
#define MODES (sizeof(modes) / sizeof(modes[0]))

/* ---- options ---- */

static void expect_refusal(routed_engine *engine, const routed_serve_options *options, int code,
                           const char *text)
{
    routed_server *server = (routed_server *)(uintptr_t)1;
    assert_int_equal(routed_serve(engine, options, &server), code);
    assert_null(server);
    if (!strstr(routed_last_error(), text))
        fail_msg("the text is \"%s\", not \"%s\"", routed_last_error(), text);
}

#define REFUSED(code, text, member, value)                                                         \
    do {                                                                                           \
        routed_serve_options refused = options_of(ROUTED_MODE_BRIDGE);                             \
        refused.member = value;                                                                    \
        expect_refusal(engine, &refused, code, text);                                              \
    } while (0)

static void test_options_are_checked(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    REFUSED(ROUTED_ERROR_ARGUMENT, "mode 4 ", mode, 4);
    REFUSED(ROUTED_ERROR_ARGUMENT, "mode -1 ", mode, -1);
    REFUSED(ROUTED_ERROR_ARGUMENT, "bridge 2 ", bridge, 2);
    REFUSED(ROUTED_ERROR_ARGUMENT, "engines: 65 ", engines, 65);
    REFUSED(ROUTED_ERROR_ARGUMENT, "workers: 65 ", workers, 65);
    REFUSED(ROUTED_ERROR_ARGUMENT, "backlog: 4294967295 ", backlog, UINT32_MAX);
    REFUSED(ROUTED_ERROR_ARGUMENT, "log_level 4 ", log_level, 4);
    static const routed_limits without_size;
    REFUSED(ROUTED_ERROR_ARGUMENT, "limits.size", limits, &without_size);
    REFUSED(ROUTED_ERROR_ARGUMENT, "no port for TLS", tls_certificate, "x");
    REFUSED(ROUTED_ERROR_ARGUMENT, "tls_certificate is not set", tls_key, "x");
    REFUSED(ROUTED_ERROR_ARGUMENT, "TLS needs tls_certificate", secure_port, 0);
    REFUSED(ROUTED_ERROR_ARGUMENT, "http2 3 ", http2, 3);
    REFUSED(ROUTED_ERROR_ARGUMENT, "HTTP/3 needs TLS", http3, ROUTED_SWITCH_ON);
    REFUSED(ROUTED_ERROR_ARGUMENT, "http3 3 ", http3, 3);
    REFUSED(ROUTED_ERROR_ARGUMENT, "alt_svc -1 ", alt_svc, -1);
    REFUSED(ROUTED_ERROR_ARGUMENT, "early_data 3 ", early_data, 3);
    REFUSED(ROUTED_ERROR_ARGUMENT, "http3_process 3 ", http3_process, 3);
    REFUSED(ROUTED_ERROR_ARGUMENT, "http3_process needs ROUTED_MODE_PROCESSES", http3_process,
            ROUTED_SWITCH_ON);
    REFUSED(ROUTED_ERROR_ARGUMENT, "quic_secret needs HTTP/3", quic_secret, "/nowhere");
#ifdef ROUTED_QLOG
    REFUSED(ROUTED_ERROR_ARGUMENT, "qlog needs HTTP/3", qlog, "/nowhere");
#else
    REFUSED(ROUTED_ERROR_UNSUPPORTED, "built without qlog", qlog, "/nowhere");
#endif
    routed_serve_options without_tls = options_of(ROUTED_MODE_PROCESSES);
    without_tls.http3_process = ROUTED_SWITCH_ON;
    expect_refusal(engine, &without_tls, ROUTED_ERROR_ARGUMENT, "http3_process needs HTTP/3");
    REFUSED(ROUTED_ERROR_ADDRESS_UNKNOWN, "nowhere.invalid", host, "nowhere.invalid");
    REFUSED(ROUTED_ERROR_FILE, "access log /nowhere/x", access_log, "/nowhere/x");
    expect_refusal(NULL, NULL, ROUTED_ERROR_ARGUMENT, "needs an engine");
    assert_int_equal(routed_serve(engine, NULL, NULL), ROUTED_ERROR_ARGUMENT);
    routed_engine_free(engine);
}

static void test_sizes_of_options(void **state)
{
    (void)state;
    struct {
        routed_serve_options options;
        uint64_t later;
    } newer = {.options = options_of(ROUTED_MODE_NATIVE_DIRECT)};
    newer.options.size = 0;
    expect_refusal(NULL, &newer.options, ROUTED_ERROR_ARGUMENT, "routed_serve_options_init");
    newer.options.size = 12;
    expect_refusal(NULL, &newer.options, ROUTED_ERROR_ARGUMENT, "size");
    newer.options.size = SIZE_MAX - 7;
    expect_refusal(NULL, &newer.options, ROUTED_ERROR_ARGUMENT, "size");
    newer.options.size = sizeof(newer);
    routed_server_free(serve_engine(NULL, &newer.options));
    newer.later = 1;
    expect_refusal(NULL, &newer.options, ROUTED_ERROR_UNSUPPORTED, "does not know");
    newer.options.size = offsetof(routed_serve_options, http3);
    newer.options.http3 = 1;
    routed_server_free(serve_engine(NULL, &newer.options));
}

static void test_address_in_use(void **state)
{
    (void)state;
    char text[64];
    routed_serve_options options = options_of(ROUTED_MODE_NATIVE_DIRECT);
    routed_server *first = serve_engine(NULL, &options);
    options.port = routed_server_port(first);
    snprintf(text, sizeof(text), "listen on 127.0.0.1:%u: the address is in use", options.port);
    expect_refusal(NULL, &options, ROUTED_ERROR_ADDRESS_IN_USE, text);
    /* In processes mode the engines run already when that is noticed. */
    routed_engine *engine = new_engine();
    options.mode = ROUTED_MODE_PROCESSES;
    expect_refusal(engine, &options, ROUTED_ERROR_ADDRESS_IN_USE, text);
    routed_server_free(first);
    routed_server_free(serve_engine(engine, &options));
    routed_engine_free(engine);
}

/* ---- life ---- */

/* Nothing is left behind: no descriptor, no thread, no child. */
static void start_serve_stop(int mode, int bridge)
{
    routed_engine *engine = new_engine();
    routed_serve_options options = options_of(mode);
    options.bridge = bridge;
    unsigned descriptors = count_entries("/proc/self/fd");
    unsigned threads = count_threads();
    routed_server *server = serve_engine(engine, &options);
    int client = ask(server, GET("/"));
    expect_answer(client, "HTTP/1.1 200 ", mode == ROUTED_MODE_NATIVE_DIRECT ? "direct" : "hello");
    close(client);
    routed_server_stop(server, ROUTED_NO_LIMIT);
    assert_int_equal(routed_server_wait(server), ROUTED_OK);
    assert_int_equal(routed_server_wait(server), ROUTED_OK);
    assert_int_equal(count_threads(), threads);
    routed_server_free(server);
    assert_int_equal(count_entries("/proc/self/fd"), descriptors);
    routed_engine_free(engine);
}

static void test_every_mode_starts_serves_and_leaves_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODES; i++)
        start_serve_stop(modes[i], ROUTED_BRIDGE_UNIX);
    start_serve_stop(ROUTED_MODE_BRIDGE, ROUTED_BRIDGE_TCP);
    start_serve_stop(ROUTED_MODE_PROCESSES, ROUTED_BRIDGE_TCP);
}

static void test_failed_starts_leave_nothing(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    unsigned descriptors = count_entries("/proc/self/fd");
    unsigned threads = count_threads();
    for (size_t i = 0; i < MODES; i++) {
        routed_serve_options options = options_of(modes[i]);
        options.host = "nowhere.invalid";
        expect_refusal(engine, &options, ROUTED_ERROR_ADDRESS_UNKNOWN, "nowhere.invalid");
        assert_int_equal(count_entries("/proc/self/fd"), descriptors);
        assert_int_equal(count_threads(), threads);
    }
    routed_engine_free(engine);
}

/* A client whose request has reached the application, which never answers. */
static int ask_in_vain(const routed_server *server)
{
    int client = ask(server, GET("/hang"));
    uint64_t deadline = now_ms() + PATIENCE;
    while (number_of(server, "exchanges.open") == 0 && now_ms() < deadline)
        sched_yield();
    assert_int_equal(number_of(server, "exchanges.open"), 1);
    return client;
}

static void test_free_without_stop_cuts(void **state)
{
    (void)state;
    char text[64];
    routed_engine *engine = new_engine();
    for (size_t i = 0; i < 3; i++) {
        routed_serve_options options = options_of(modes[i]);
        routed_server *server = serve_engine(engine, &options);
        int client = ask_in_vain(server);
        routed_server_free(server);
        assert_int_equal(read_until(client, text, sizeof(text), NULL), 0);
        close(client);
    }
    routed_server_free(NULL);
    routed_engine_free(engine);
}

static void test_what_wait_tells(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    for (size_t i = 0; i < 3; i++) {
        for (int forced = 0; forced < 2; forced++) {
            routed_serve_options options = options_of(modes[i]);
            routed_server *server = serve_engine(engine, &options);
            int client = ask_in_vain(server);
            routed_server_stop(server, forced ? ROUTED_NO_LIMIT : 1);
            if (forced)
                routed_server_stop(server, ROUTED_NO_LIMIT);
            int outcome = forced ? ROUTED_ERROR_CLOSED : ROUTED_ERROR_TIMEOUT;
            assert_int_equal(routed_server_wait(server), outcome);
            routed_server_stop(server, 0);
            assert_int_equal(routed_server_wait(server), outcome);
            close(client);
            routed_server_free(server);
        }
    }
    assert_int_equal(routed_server_wait(NULL), ROUTED_ERROR_ARGUMENT);
    routed_engine_free(engine);
}

static void test_two_servers_with_one_engine(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    routed_serve_options options = options_of(ROUTED_MODE_BRIDGE);
    routed_server *first = serve_engine(engine, &options);
    options.mode = ROUTED_MODE_IN_PROCESS;
    routed_server *second = serve_engine(engine, &options);
    assert_int_not_equal(routed_server_port(first), routed_server_port(second));
    expect_hello(first);
    expect_hello(second);
    routed_server_free(first);
    expect_hello(second);
    routed_server_free(second);
    routed_engine_free(engine);
}

static void test_a_server_on_a_unix_socket_only(void **state)
{
    (void)state;
    routed_serve_options options = options_of(ROUTED_MODE_NATIVE_DIRECT);
    char path[64];
    snprintf(path, sizeof(path), "/tmp/routed_serve_test_%d", (int)getpid());
    options.host = "";
    options.unix_path = path;
    routed_server *server = serve_engine(NULL, &options);
    assert_int_equal(routed_server_port(server), 0);
    assert_int_equal(routed_server_port(NULL), 0);
    assert_int_equal(access(path, F_OK), 0);
    routed_server_free(server);
    assert_int_equal(access(path, F_OK), -1);
}

/* ---- signals ---- */

static routed_server *signalled;

static void on_signal(int number)
{
    (void)number;
    int before = errno = 4711;
    routed_server_stop(signalled, ROUTED_NO_LIMIT);
    routed_server_reopen_log(signalled);
    if (errno != before)
        _exit(99);
}

static void test_stop_from_a_signal_handler(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    for (size_t i = 0; i < MODES; i++) {
        routed_serve_options options = options_of(modes[i]);
        signalled = serve_engine(engine, &options);
        raise(SIGUSR1);
        assert_int_equal(routed_server_wait(signalled), ROUTED_OK);
        raise(SIGUSR1);
        routed_server_free(signalled);
    }
    routed_engine_free(engine);
}

static void *stop_soon(void *argument)
{
    routed_server_stop(argument, ROUTED_NO_LIMIT);
    return NULL;
}

/* Threads that stop at the same time, while one waits: none may find the engines gone. */
static void test_stops_race(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    for (int round = 0; round < 30; round++) {
        routed_serve_options options = options_of(ROUTED_MODE_BRIDGE);
        routed_server *server = serve_engine(engine, &options);
        pthread_t threads[3];
        for (int i = 0; i < 3; i++)
            pthread_create(&threads[i], NULL, stop_soon, server);
        routed_server_wait(server);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        routed_server_free(server);
    }
    routed_engine_free(engine);
}

/* ---- numbers ---- */

static void test_numbers(void **state)
{
    (void)state;
    routed_engine *engine = new_engine();
    for (size_t i = 0; i < MODES; i++) {
        routed_serve_options options = options_of(modes[i]);
        routed_server *server = serve_engine(engine, &options);
        routed_metric metrics[256];
        char text[16384];
        size_t count = routed_server_metrics(server, metrics, 256);
        assert_in_range(count, 10, 256);
        assert_int_equal(routed_server_metrics(server, metrics, 3), count);
        size_t size = routed_server_metrics_json(server, text, sizeof(text));
        assert_int_equal(size, strlen(text));
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(json);
        assert_int_equal(json_object_size(json), count);
        json_decref(json);
        routed_server_free(server);
    }
    char nothing[4] = "abc";
    assert_int_equal(routed_server_metrics(NULL, NULL, 0), 0);
    assert_int_equal(routed_server_metrics_json(NULL, nothing, sizeof(nothing)), 0);
    assert_string_equal(nothing, "");
    routed_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_sizes_of_options),
        cmocka_unit_test(test_address_in_use),
        cmocka_unit_test(test_every_mode_starts_serves_and_leaves_nothing),
        cmocka_unit_test(test_failed_starts_leave_nothing),
        cmocka_unit_test(test_free_without_stop_cuts),
        cmocka_unit_test(test_what_wait_tells),
        cmocka_unit_test(test_two_servers_with_one_engine),
        cmocka_unit_test(test_a_server_on_a_unix_socket_only),
        cmocka_unit_test(test_stop_from_a_signal_handler),
        cmocka_unit_test(test_stops_race),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests_name("serve/serve", tests, NULL, NULL);
}
