#include "ffi/host.h"

#include <jansson.h>
#include <routed/serve.h>

/* ---- versions ---- */

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(routed_ffi_version(), ROUTED_FFI_VERSION);
    json_t *features = json_loads(routed_ffi_features(), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(features);
    assert_string_equal(json_string_value(json_object_get(features, "version")),
                        routed_ffi_version_text());
    assert_int_equal(json_integer_value(json_object_get(features, "ffi")), ROUTED_FFI_VERSION);
    assert_int_equal(json_integer_value(json_object_get(features, "bridge")), 1);
    assert_int_equal(json_array_size(json_object_get(features, "protocols")), 4);
    assert_int_equal(json_array_size(json_object_get(features, "modes")), 3);
    assert_int_equal(json_array_size(json_object_get(features, "tls")), 2);
    assert_int_equal(json_object_size(features), 6);
    json_decref(features);
}

/* ---- options ---- */

static void expect_refusal(const routed_ffi_options *options, int code, const char *text)
{
    char said[256];
    routed_ffi *server = (routed_ffi *)(uintptr_t)1;
    assert_int_equal(routed_ffi_start(options, &server), code);
    assert_null(server);
    routed_ffi_last_error(said, sizeof(said));
    if (!strstr(said, text))
        fail_msg("the text is \"%s\", not \"%s\"", said, text);
}

#define REFUSED(code, text, ...)                                                                   \
    expect_refusal(&(const routed_ffi_options){.size = sizeof(routed_ffi_options), __VA_ARGS__},   \
                   code, text)

static void test_switches_and_files_are_checked(void **state)
{
    (void)state;
    REFUSED(ROUTED_ERROR_FILE, "/nowhere/c.pem", .tls_certificate = "/nowhere/c.pem");
    REFUSED(ROUTED_ERROR_ARGUMENT, "tls_certificate is not set", .tls_key = "k.pem");
    REFUSED(ROUTED_ERROR_ARGUMENT, "http2 3 ", .http2 = 3);
    REFUSED(ROUTED_ERROR_ARGUMENT, "http3 3 ", .http3 = 3);
    REFUSED(ROUTED_ERROR_ARGUMENT, "HTTP/3 needs TLS", .http3 = 1);
    REFUSED(ROUTED_ERROR_ARGUMENT, "alt_svc 3 ", .alt_svc = 3);
    REFUSED(ROUTED_ERROR_ARGUMENT, "early_data 3 ", .early_data = 3);
    REFUSED(ROUTED_ERROR_UNSUPPORTED, "reserved", .reserved = 1);
    REFUSED(ROUTED_ERROR_ARGUMENT, "quic_secret needs HTTP/3", .quic_secret = "/nowhere");
}

static void test_values_out_of_range_are_refused(void **state)
{
    (void)state;
    routed_limits limits = {0};
    REFUSED(ROUTED_ERROR_ARGUMENT, "port: 65536 ", .port = 65536);
    REFUSED(ROUTED_ERROR_ARGUMENT, "bridge_port: 70000 ", .bridge_port = 70000);
    REFUSED(ROUTED_ERROR_ARGUMENT, "backlog: 4294967295 ", .backlog = UINT32_MAX);
    REFUSED(ROUTED_ERROR_ARGUMENT, "mode 2 ", .mode = 2);
    REFUSED(ROUTED_ERROR_ARGUMENT, "log_level 4 ", .log_level = 4);
    REFUSED(ROUTED_ERROR_ARGUMENT, "workers: 65 ", .workers = 65);
    REFUSED(ROUTED_ERROR_ARGUMENT, "exclude each other", .bridge_path = "/x", .bridge_port = 1);
    REFUSED(ROUTED_ERROR_ARGUMENT, "no bridge", .bridge_port = 1, .mode = ROUTED_FFI_NATIVE_DIRECT);
    REFUSED(ROUTED_ERROR_ARGUMENT, "limits.size", .limits = &limits);
}

static void test_what_the_system_refuses_is_told(void **state)
{
    (void)state;
    char path[200];
    memset(path, 'p', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    REFUSED(ROUTED_ERROR_ADDRESS_UNKNOWN, "bridge /ppp", .bridge_path = path);
    REFUSED(ROUTED_ERROR_FILE, "log /nowhere/at/all", .log = "/nowhere/at/all");
    REFUSED(ROUTED_ERROR_FILE, "access log /nowhere/at/all", .access_log = "/nowhere/at/all");
    routed_ffi *other = start_queue();
    REFUSED(ROUTED_ERROR_ADDRESS_IN_USE, "address is in use", .port = routed_ffi_port(other));
    routed_ffi_free(other);
}

/* ---- the size of the options ---- */

static void test_a_size_that_is_none_is_refused(void **state)
{
    (void)state;
    expect_refusal(&(const routed_ffi_options){.size = 0}, ROUTED_ERROR_ARGUMENT, "is not set");
    expect_refusal(&(const routed_ffi_options){.size = 12}, ROUTED_ERROR_ARGUMENT, "size");
    expect_refusal(&(const routed_ffi_options){.size = UINT64_MAX - 7}, ROUTED_ERROR_ARGUMENT,
                   "size");
}

static void test_an_older_host_gets_defaults(void **state)
{
    (void)state;
    routed_ffi *server;
    routed_ffi_options options = {.size = offsetof(routed_ffi_options, bridge_path),
                                  .workers = 1,
                                  .bridge_port = 70000,
                                  .http2 = 1};
    assert_int_equal(routed_ffi_start(&options, &server), ROUTED_OK);
    assert_true(routed_ffi_descriptor(server) >= 0);
    routed_ffi_free(server);
    options.size = sizeof(options.size);
    assert_int_equal(routed_ffi_start(&options, &server), ROUTED_OK);
    routed_ffi_free(server);
    assert_int_equal(routed_ffi_start(NULL, &server), ROUTED_OK);
    routed_ffi_free(server);
}

static void test_a_newer_host_may_not_ask_for_more(void **state)
{
    (void)state;
    struct {
        routed_ffi_options options;
        uint64_t later;
    } newer = {.options = {.size = sizeof(newer), .workers = 1}};
    routed_ffi *server;
    assert_int_equal(routed_ffi_start(&newer.options, &server), ROUTED_OK);
    routed_ffi_free(server);
    newer.later = 1;
    expect_refusal(&newer.options, ROUTED_ERROR_UNSUPPORTED, "does not know");
}

/* ---- the last error ---- */

static void *fail_elsewhere(void *argument)
{
    (void)argument;
    assert_int_equal(routed_ffi_last_error(NULL, 0), 0);
    REFUSED(ROUTED_ERROR_ARGUMENT, "http2 3 ", .http2 = 3);
    return NULL;
}

static void test_the_last_error_belongs_to_the_thread(void **state)
{
    (void)state;
    pthread_t other;
    char text[64] = "";
    REFUSED(ROUTED_ERROR_ARGUMENT, "http2 3 ", .http2 = 3);
    pthread_create(&other, NULL, fail_elsewhere, NULL);
    pthread_join(other, NULL);
    assert_int_equal(routed_ffi_last_error(text, sizeof(text)), strlen("http2 3 is not known"));
    assert_string_equal(text, "http2 3 is not known");
    assert_string_equal(routed_last_error(), text);
    routed_ffi_free(start_queue());
    assert_int_equal(routed_ffi_last_error(text, sizeof(text)), 0);
    assert_string_equal(text, "");
}

static void test_the_last_error_is_cut_to_whole_characters(void **state)
{
    (void)state;
    char text[16];
    REFUSED(ROUTED_ERROR_FILE, "log /\xC3\xA4\xC3\xA4/x", .log = "/\xC3\xA4\xC3\xA4/x");
    memset(text, '#', sizeof(text));
    assert_true(routed_ffi_last_error(text, 1) > 10);
    assert_string_equal(text, "");
    assert_int_equal(text[1], '#');
    routed_ffi_last_error(text, 7);
    assert_string_equal(text, "log /");
    routed_ffi_last_error(text, 8);
    assert_string_equal(text, "log /\xC3\xA4");
    assert_int_equal(text[8], '#');
    assert_int_equal(routed_ffi_start(NULL, NULL), ROUTED_ERROR_ARGUMENT);
}

/* ---- life ---- */

static void test_start_port_stop_wait(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    assert_in_range(routed_ffi_port(server), 1, 65535);
    close(connect_client(server));
    routed_ffi_stop(server, ROUTED_NO_LIMIT);
    assert_int_equal(routed_ffi_wait(server), ROUTED_OK);
    assert_int_equal(routed_ffi_wait(server), ROUTED_OK);
    routed_ffi_free(server);
    routed_ffi_free(NULL);
}

static void test_the_drain_ends_by_its_deadline_or_by_force(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int client = client_asks(server, GET("/"));
    expect_request(server);
    routed_ffi_stop(server, 1);
    assert_int_equal(routed_ffi_wait(server), ROUTED_ERROR_TIMEOUT);
    close(client);
    routed_ffi_free(server);

    server = start_queue();
    client = client_asks(server, GET("/"));
    uint64_t id = expect_request(server);
    routed_ffi_stop(server, ROUTED_NO_LIMIT);
    routed_ffi_stop(server, ROUTED_NO_LIMIT);
    expect_closed(server, id, ROUTED_ERROR_STOPPING);
    expect_event(server, ROUTED_FFI_STOPPED);
    assert_int_equal(routed_ffi_wait(server), ROUTED_ERROR_CLOSED);
    close(client);
    routed_ffi_free(server);
}

static void test_native_direct(void **state)
{
    (void)state;
    char text[1024];
    routed_ffi *server = start_with((routed_ffi_options){.mode = ROUTED_FFI_NATIVE_DIRECT});
    routed_ffi_event event;
    assert_int_equal(routed_ffi_descriptor(server), -1);
    assert_int_equal(routed_ffi_poll(server, &event, 1, 0), ROUTED_ERROR_STATE);
    assert_int_equal(send_single(server, 1, 200, ""), ROUTED_ERROR_STATE);
    assert_int_equal(routed_ffi_grant(server, 1, 1), ROUTED_ERROR_STATE);
    assert_int_equal(routed_ffi_abort(server, 1), ROUTED_ERROR_STATE);
    int client = client_asks(server, "POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
                                     "content-length: 3\r\n\r\nabc");
    read_until(client, text, sizeof(text), NULL);
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    assert_string_equal(body + 4, "{\"ok\":true,\"label\":\"routed_ffi_native_direct\"}");
    close(client);
    routed_ffi_free(server);
}

static void test_log_lines_go_to_the_file(void **state)
{
    (void)state;
    char path[] = "/tmp/routed_ffi_log_XXXXXX";
    char text[512] = "";
    close(mkstemp(path));
    /* Nothing listens on the path: the first request says so in the log. */
    routed_ffi *server = start_with(
        (routed_ffi_options){.log = path, .bridge_path = "/tmp/routed_ffi_nobody", .limits = NULL});
    int client = client_asks(server, GET("/"));
    uint64_t deadline = now_ms() + PATIENCE;
    while (!strstr(text, "warning: engine 0: no connection") && now_ms() < deadline) {
        FILE *f = fopen(path, "r");
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
    }
    assert_non_null(strstr(text, "warning: engine 0: no connection"));
    close(client);
    routed_ffi_free(server);
    unlink(path);
}

/* ---- numbers ---- */

static void test_numbers(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    routed_metric metrics[256];
    char text[16384];
    char little[8];
    uint64_t count = routed_ffi_metrics(server, metrics, 256);
    assert_in_range(count, 10, 256);
    assert_int_equal(routed_ffi_metrics(server, NULL, 0), count);
    uint64_t size = routed_ffi_metrics_json(server, text, sizeof(text));
    assert_int_equal(size, strlen(text));
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_int_equal(json_object_size(json), count);
    for (uint64_t i = 0; i < count; i++)
        assert_true(json_is_integer(json_object_get(json, metrics[i].name)));
    json_decref(json);
    assert_true(routed_ffi_metrics_json(server, little, sizeof(little)) > sizeof(little));
    assert_int_equal(strlen(little), sizeof(little) - 1);
    assert_true(routed_ffi_metrics_json(server, NULL, 0) > 0);
    routed_ffi_reopen_log(server);
    routed_ffi_free(server);
}

/* A host that did not look at what routed_ffi_start said must not fall over it. */
static void test_a_server_that_is_none(void **state)
{
    (void)state;
    char text[8] = "before";
    int32_t error = ROUTED_OK;
    routed_ffi_event event;
    const uint8_t payload[2] = {1, 8};
    const uint64_t exchange = 1, size = sizeof(payload);
    assert_int_equal(routed_ffi_port(NULL), 0);
    assert_int_equal(routed_ffi_descriptor(NULL), -1);
    assert_int_equal(routed_ffi_poll(NULL, &event, 1, 0), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_ffi_send(NULL, 1, payload, size), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_ffi_send_batch(NULL, &exchange, payload, &size, 1, &error), 0);
    assert_int_equal(error, ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_ffi_grant(NULL, 1, 1), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_ffi_abort(NULL, 1), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_ffi_metrics(NULL, NULL, 0), 0);
    assert_int_equal(routed_ffi_metrics_json(NULL, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    routed_ffi_reload(NULL);
    routed_ffi_reopen_log(NULL);
    routed_ffi_stop(NULL, 0);
    assert_int_equal(routed_ffi_wait(NULL), ROUTED_ERROR_ARGUMENT);
}

static void test_arguments_that_are_null(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    const uint64_t exchange = 1, size = 2;
    int32_t error = ROUTED_OK;
    assert_int_equal(routed_ffi_send(server, 1, NULL, 2), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_ffi_send_batch(server, &exchange, NULL, &size, 1, &error), 0);
    assert_int_equal(error, ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_ffi_send_batch(server, NULL, NULL, NULL, 1, NULL), 0);
    assert_int_equal(routed_ffi_send_batch(server, NULL, NULL, NULL, 0, &error), 0);
    assert_int_equal(error, ROUTED_OK);
    assert_int_equal(routed_ffi_poll(server, NULL, 1, 0), ROUTED_ERROR_ARGUMENT);
    routed_ffi_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_switches_and_files_are_checked),
        cmocka_unit_test(test_values_out_of_range_are_refused),
        cmocka_unit_test(test_what_the_system_refuses_is_told),
        cmocka_unit_test(test_a_size_that_is_none_is_refused),
        cmocka_unit_test(test_an_older_host_gets_defaults),
        cmocka_unit_test(test_a_newer_host_may_not_ask_for_more),
        cmocka_unit_test(test_the_last_error_belongs_to_the_thread),
        cmocka_unit_test(test_the_last_error_is_cut_to_whole_characters),
        cmocka_unit_test(test_start_port_stop_wait),
        cmocka_unit_test(test_the_drain_ends_by_its_deadline_or_by_force),
        cmocka_unit_test(test_a_server_that_is_none),
        cmocka_unit_test(test_arguments_that_are_null),
        cmocka_unit_test(test_native_direct),
        cmocka_unit_test(test_log_lines_go_to_the_file),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests_name("ffi/start", tests, NULL, NULL);
}
