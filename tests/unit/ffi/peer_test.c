/* The host as a bridge peer: a script that listens on its own socket. */
#include "ffi/host.h"

#include <sys/un.h>

static void read_exactly(int fd, void *out, size_t size)
{
    uint8_t *at = out;
    while (size) {
        ssize_t count = recv(fd, at, size, 0);
        assert_true(count > 0);
        at += count;
        size -= (size_t)count;
    }
}

/* One frame; returns the type of its payload. */
static uint8_t read_frame(int fd, struct payload *p)
{
    uint8_t size[4];
    read_exactly(fd, size, sizeof(size));
    p->size = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
    assert_in_range(p->size, 2, sizeof(p->bytes));
    read_exactly(fd, p->bytes, p->size);
    assert_int_equal(p->bytes[0], 1);
    return p->bytes[1];
}

static void write_frame(int fd, const struct payload *p)
{
    struct payload frame = {.size = 0};
    put_number(&frame, (uint32_t)p->size, 4);
    put(&frame, p->bytes, p->size);
    assert_int_equal(send(fd, frame.bytes, frame.size, MSG_NOSIGNAL), (ssize_t)frame.size);
}

static int accept_front(int listener)
{
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    struct timeval patience = {.tv_sec = PATIENCE / 1000};
    assert_int_equal(poll(&ready, 1, PATIENCE), 1);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

static int listen_tcp(uint32_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static int listen_unix(struct sockaddr_un *at)
{
    static char folder[] = "/tmp/routed_ffi_peer_XXXXXX";
    assert_non_null(mkdtemp(folder));
    at->sun_family = AF_UNIX;
    snprintf(at->sun_path, sizeof(at->sun_path), "%s/engine", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)at, sizeof(*at)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void remove_unix(struct sockaddr_un *at)
{
    unlink(at->sun_path);
    *strrchr(at->sun_path, '/') = '\0';
    rmdir(at->sun_path);
}

/* Two exchanges on one connection, the second with content in a stream. */
static void play(routed_ffi *server, int listener)
{
    struct payload p;
    routed_ffi_event event;
    assert_int_equal(routed_ffi_descriptor(server), -1);
    assert_int_equal(routed_ffi_poll(server, &event, 1, 0), ROUTED_ERROR_STATE);
    int client = client_asks(server, GET("/one"));
    int front = accept_front(listener);
    assert_int_equal(read_frame(front, &p), 11);
    put_head(&p, 12, 200, NULL);
    put_string(&p, "first");
    write_frame(front, &p);
    expect_answer(client, "HTTP/1.1 200 ", "first");
    write_text(client, "POST /two HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
                       "5\r\nhello\r\n0\r\n\r\n");
    uint8_t type = read_frame(front, &p);
    assert_true(type == 13 || type == 11);
    while (type != 5 && type != 11)
        type = read_frame(front, &p);
    put_head(&p, 12, 201, NULL);
    put_string(&p, "second");
    write_frame(front, &p);
    expect_answer(client, "HTTP/1.1 201 ", "second");
    close(front);
    close(client);
}

static void test_peer_on_a_port(void **state)
{
    (void)state;
    uint32_t port;
    int listener = listen_tcp(&port);
    routed_ffi *server = start_with((routed_ffi_options){.bridge_port = port});
    play(server, listener);
    routed_ffi_stop(server, ROUTED_NO_LIMIT);
    assert_int_equal(routed_ffi_wait(server), ROUTED_OK);
    routed_ffi_free(server);
    close(listener);
}

static void test_peer_on_a_path(void **state)
{
    (void)state;
    struct sockaddr_un at = {0};
    int listener = listen_unix(&at);
    routed_ffi *server = start_with((routed_ffi_options){.bridge_path = at.sun_path});
    play(server, listener);
    routed_ffi_free(server);
    close(listener);
    remove_unix(&at);
}

/* A client that leaves is told by closing the connection. */
static void test_peer_hears_that_the_client_left(void **state)
{
    (void)state;
    uint32_t port;
    struct payload p;
    uint8_t byte;
    int listener = listen_tcp(&port);
    routed_ffi *server = start_with((routed_ffi_options){.bridge_port = port});
    int client = client_asks(server, GET("/"));
    int front = accept_front(listener);
    read_frame(front, &p);
    close(client);
    assert_int_equal(recv(front, &byte, 1, 0), 0);
    close(front);
    routed_ffi_free(server);
    close(listener);
}

static void test_peer_that_breaks_the_protocol(void **state)
{
    (void)state;
    uint32_t port;
    struct payload p;
    int listener = listen_tcp(&port);
    routed_ffi *server = start_with((routed_ffi_options){.bridge_port = port});
    int client = client_asks(server, GET("/"));
    int front = accept_front(listener);
    read_frame(front, &p);
    p = (struct payload){.bytes = {9, 9}, .size = 2};
    write_frame(front, &p);
    expect_answer(client, "HTTP/1.1 502 ", "\r\n\r\n");
    close(front);
    close(client);
    routed_ffi_free(server);
    close(listener);
}

/* The server starts all the same: its peer may come later. */
static void test_peer_that_is_not_there(void **state)
{
    (void)state;
    routed_limits limits;
    routed_limits_init(&limits);
    limits.queue_timeout = 20;
    routed_ffi *server = start_with(
        (routed_ffi_options){.bridge_path = "/tmp/routed_ffi_nobody", .limits = &limits});
    int client = client_asks(server, GET("/"));
    expect_answer(client, "HTTP/1.1 503 ", "\r\n\r\n");
    close(client);
    routed_ffi_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_on_a_port),
        cmocka_unit_test(test_peer_on_a_path),
        cmocka_unit_test(test_peer_hears_that_the_client_left),
        cmocka_unit_test(test_peer_that_breaks_the_protocol),
        cmocka_unit_test(test_peer_that_is_not_there),
    };
    return cmocka_run_group_tests_name("ffi/peer", tests, NULL, NULL);
}
