#include "ffi/host.h"

#include "base/memory.h"
#include <sys/un.h>

/* What a host sends, right and wrong, and what the client sees of it. */

/* ---- responses ---- */

static void test_a_streamed_response(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int client = connect_client(server);
    uint64_t id = exchange_of(server, client, GET("/"));
    assert_int_equal(send_start(server, id, 103), ROUTED_OK);
    expect_answer(client, "HTTP/1.1 103 ", "\r\n\r\n");
    assert_int_equal(send_start(server, id, 200), ROUTED_OK);
    assert_int_equal(send_chunk(server, id, "ab"), ROUTED_OK);
    assert_int_equal(send_chunk(server, id, ""), ROUTED_OK);
    assert_int_equal(send_chunk(server, id, "c"), ROUTED_OK);
    assert_int_equal(send_mark(server, id, 8), ROUTED_OK);
    expect_answer(client, "HTTP/1.1 200 OK\r\n", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    expect_closed(server, id, ROUTED_OK);
    close(client);
    stop_and_free(server);
}

static void test_head_has_no_content(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int client = connect_client(server);
    uint64_t id = exchange_of(server, client, "HEAD / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_int_equal(send_single(server, id, 200, "four"), ROUTED_OK);
    expect_closed(server, id, ROUTED_OK);
    id = exchange_of(server, client, "HEAD / HTTP/1.1\r\nhost: x\r\n\r\n");
    send_start(server, id, 200);
    send_chunk(server, id, "dropped");
    assert_int_equal(send_mark(server, id, 8), ROUTED_OK);
    expect_closed(server, id, ROUTED_OK);
    id = exchange_of(server, client, GET("/"));
    send_single(server, id, 200, "last");
    char text[2048];
    read_until(client, text, sizeof(text), "last");
    assert_null(strstr(text, "four"));
    assert_null(strstr(text, "dropped"));
    expect_closed(server, id, ROUTED_OK);
    close(client);
    stop_and_free(server);
}

static void test_again_and_writable(void **state)
{
    (void)state;
    static char block[60000];
    routed_ffi *server = start_queue();
    int client = connect_client(server);
    uint64_t id = exchange_of(server, client, GET("/"));
    assert_int_equal(send_start(server, id, 200), ROUTED_OK);
    uint64_t sent = 0;
    uint64_t received = 0;
    for (int stops = 0; stops < 3; stops++) {
        int error;
        while ((error = send_content(server, id, 7, block, sizeof(block))) == ROUTED_OK)
            sent += sizeof(block);
        assert_int_equal(error, ROUTED_ERROR_AGAIN);
        /* What is under way is bounded by windows, not by what the host would like to send. */
        assert_true(sent - received < 64 * sizeof(block) * 4);
        while (!is_readable(routed_ffi_descriptor(server))) {
            static char sink[65536];
            ssize_t count = recv(client, sink, sizeof(sink), 0);
            assert_true(count > 0);
            received += (uint64_t)count;
        }
        assert_true(expect_event(server, ROUTED_FFI_WRITABLE).exchange == id);
    }
    assert_int_equal(routed_ffi_abort(server, id), ROUTED_OK);
    expect_closed(server, id, ROUTED_ERROR_HANDLER);
    close(client);
    stop_and_free(server);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Many small payloads weigh more than their bytes. The client's socket is one of Unix: the kernel
 * takes little into it, and never gives the client up. */
static void test_tiny_payloads_are_bounded(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/routed_ffi_send_%d", (int)getpid());
    routed_limits limits;
    routed_limits_init(&limits);
    limits.window = 16384;
    limits.rate = limits.stall_timeout = ROUTED_NO_LIMIT; /* the client reads nothing, on purpose */
    routed_ffi *server = start_with((routed_ffi_options){.limits = &limits, .unix_path = path});
    int client = connect_unix(path);
    uint64_t id = exchange_of(server, client, GET("/"));
    size_t before = memory_held();
    send_start(server, id, 200);
    int error;
    uint64_t count = 0;
    while ((error = send_chunk(server, id, "x")) == ROUTED_OK && count < 10000000)
        count++;
    assert_int_equal(error, ROUTED_ERROR_AGAIN);
    /* Each byte is six in its chunk; what waits for the front counts with its own weight. */
    assert_true(memory_held() - before < 12 * limits.window);
    close(client);
    routed_ffi_free(server);
}

static void test_tunnel(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int client = client_asks(server, "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
                                     "upgrade: websocket\r\nsec-websocket-version: 13\r\n"
                                     "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    routed_ffi_event event = expect_event(server, ROUTED_FFI_REQUEST);
    uint64_t id = event.exchange;
    assert_int_equal(event.data[1], 11);
    struct payload p;
    put_head(&p, 14, 101, (const char *[]){"connection", "Upgrade", "upgrade", "websocket", NULL});
    assert_int_equal(send_payload(server, id, &p), ROUTED_OK);
    assert_int_equal(send_mark(server, id, 8), ROUTED_OK);
    expect_answer(client, "HTTP/1.1 101 ", "\r\n\r\n");
    write_text(client, "ping");
    event = expect_event(server, ROUTED_FFI_BODY);
    assert_memory_equal(event.data, "ping", 4);
    assert_int_equal(send_content(server, id, 9, "pong", 4), ROUTED_OK);
    expect_answer(client, "pong", "pong");
    shutdown(client, SHUT_WR);
    expect_event(server, ROUTED_FFI_END);
    assert_int_equal(send_mark(server, id, 10), ROUTED_OK);
    char rest[8];
    assert_int_equal(read_until(client, rest, sizeof(rest), NULL), 0);
    expect_closed(server, id, ROUTED_OK);
    close(client);
    stop_and_free(server);
}

static void test_batch(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int first = connect_client(server);
    int second = connect_client(server);
    uint64_t a = exchange_of(server, first, GET("/a"));
    uint64_t b = exchange_of(server, second, GET("/b"));
    struct payload p;
    struct payload all = {.size = 0};
    uint64_t sizes[3];
    put_head(&p, 12, 200, NULL);
    put_string(&p, "for a");
    put(&all, p.bytes, sizes[0] = p.size);
    put_head(&p, 12, 404, NULL);
    put_string(&p, "for b");
    put(&all, p.bytes, sizes[1] = p.size);
    put(&all, "\1\7", sizes[2] = 2);
    int32_t error = 1;
    assert_int_equal(
        routed_ffi_send_batch(server, (const uint64_t[]){a, b, 12345}, all.bytes, sizes, 3, &error),
        2);
    assert_int_equal(error, ROUTED_ERROR_CLOSED);
    expect_answer(first, "HTTP/1.1 200 ", "for a");
    expect_answer(second, "HTTP/1.1 404 ", "for b");
    assert_int_equal(routed_ffi_send_batch(server, NULL, NULL, NULL, 0, &error), 0);
    assert_int_equal(error, ROUTED_OK);
    close(first);
    close(second);
    routed_ffi_free(server);
}

/* ---- wrong answers ---- */

static void test_payloads_that_are_none(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int client = connect_client(server);
    uint64_t id = exchange_of(server, client, GET("/"));
    const uint8_t wrong[][2] = {{1, 0},  {1, 1},  {1, 3},  {1, 4},  {1, 5},
                                {1, 11}, {1, 13}, {1, 15}, {0, 12}, {2, 12}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(routed_ffi_send(server, id, wrong[i], 2), ROUTED_ERROR_BRIDGE_FRAME);
    assert_int_equal(routed_ffi_send(server, id, NULL, 0), ROUTED_ERROR_BRIDGE_FRAME);
    assert_int_equal(routed_ffi_send(server, id, wrong[0], 1), ROUTED_ERROR_BRIDGE_FRAME);
    assert_int_equal(routed_ffi_send(server, id, wrong[0], UINT64_MAX), ROUTED_ERROR_BRIDGE_FRAME);
    assert_int_equal(send_single(server, id, 200, "fine"), ROUTED_OK);
    expect_answer(client, "HTTP/1.1 200 ", "fine");
    close(client);
    routed_ffi_free(server);
}

static void answer_with(const void *payload, size_t size, const char *expected, int code)
{
    routed_ffi *server = start_queue();
    int client = connect_client(server);
    uint64_t id = exchange_of(server, client, GET("/"));
    assert_int_equal(routed_ffi_send(server, id, payload, size), ROUTED_OK);
    expect_answer(client, expected, "\r\n\r\n");
    expect_closed(server, id, code);
    close(client);
    stop_and_free(server);
}

static void test_payloads_that_only_the_front_can_judge(void **state)
{
    (void)state;
    struct payload p;
    const char *refused = "HTTP/1.1 502 ";
    answer_with("\1\14", 2, refused, ROUTED_ERROR_RESPONSE);                       /* no status */
    answer_with("\1\14\0\310\0\0\0\1", 8, refused, ROUTED_ERROR_RESPONSE);         /* no field */
    answer_with("\1\14\0\310\377\377\377\377", 8, refused, ROUTED_ERROR_RESPONSE); /* nor these */
    answer_with("\1\7\0\0\0\1x", 7, refused, ROUTED_ERROR_RESPONSE);               /* no head */
    answer_with("\1\10", 2, refused, ROUTED_ERROR_RESPONSE);
    answer_with("\1\11\0\0\0\1x", 7, refused, ROUTED_ERROR_RESPONSE); /* no tunnel */
    answer_with("\1\14\0\310\0\0\0\0\0\0\0\1xy", 14, refused, ROUTED_ERROR_RESPONSE);
    put_head(&p, 12, 200, (const char *[]){"x-a", "split\r\nx-b: 1", NULL});
    put_string(&p, "");
    answer_with(p.bytes, p.size, refused, ROUTED_ERROR_RESPONSE);
    put_head(&p, 12, 200, (const char *[]){"content-length", "7", NULL});
    put_string(&p, "short");
    answer_with(p.bytes, p.size, refused, ROUTED_ERROR_RESPONSE);
    put_head(&p, 14, 101, NULL); /* nobody asked */
    answer_with(p.bytes, p.size, refused, ROUTED_ERROR_RESPONSE);
}

static void test_abort(void **state)
{
    (void)state;
    char text[1024];
    routed_ffi *server = start_queue();
    int client = connect_client(server);
    uint64_t id = exchange_of(server, client, GET("/"));
    assert_int_equal(routed_ffi_abort(server, id), ROUTED_OK);
    expect_answer(client, "HTTP/1.1 500 ", "\r\n\r\n");
    expect_closed(server, id, ROUTED_ERROR_HANDLER);
    close(client);
    client = connect_client(server);
    id = exchange_of(server, client, GET("/"));
    send_start(server, id, 200);
    send_chunk(server, id, "half");
    assert_int_equal(routed_ffi_abort(server, id), ROUTED_OK);
    read_until(client, text, sizeof(text), NULL);
    assert_non_null(strstr(text, "half"));
    assert_null(strstr(text, "\r\n0\r\n"));
    expect_closed(server, id, ROUTED_ERROR_HANDLER);
    close(client);
    stop_and_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_streamed_response),
        cmocka_unit_test(test_head_has_no_content),
        cmocka_unit_test(test_again_and_writable),
        cmocka_unit_test(test_tiny_payloads_are_bounded),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_payloads_that_are_none),
        cmocka_unit_test(test_payloads_that_only_the_front_can_judge),
        cmocka_unit_test(test_abort),
    };
    return cmocka_run_group_tests_name("ffi/send", tests, NULL, NULL);
}
