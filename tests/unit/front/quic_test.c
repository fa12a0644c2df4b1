/* HTTP/3 of a real front as far as it shows without a client of QUIC: its sockets, and what
 * belongs to no connection. tests/http3 has the clients. */
#include "front/client.h"
#include "tls/pki.h"

#include "base/memory.h"
#include "io/socket.h"
#include "tls/context.h"

#define DATAGRAM  1200 /* RFC 9000 section 14.1 */
#define LONG_FORM 0xC0

static struct tls_context *context;

static int set_up(void **state)
{
    if (pki_open_folder(state) != 0)
        return -1;
    pki_server("server", GNUTLS_PK_ECDSA, "localhost", NULL);
    struct tls_certificate_files files = {.certificate = pki_path("server.pem"),
                                          .key = pki_path("server-key.pem")};
    struct tls_context_options options = {.certificates = &files, .certificate_count = 1};
    struct failure why;
    return tls_context_new(&context, &options, NULL, &why);
}

static int tear_down(void **state)
{
    tls_context_release(context);
    return pki_close_folder(state);
}

static void prepare(struct front *f, unsigned workers)
{
    front_prepare(f);
    f->options.workers = workers;
    f->options.tls = context;
    f->options.has_http3 = true;
    f->options.is_advertised = true;
}

/* A datagram socket that is bound to a port of 127.0.0.1, 0: any. */
static int open_socket(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t size = sizeof(a);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    return ntohs(a.sin_port);
}

/* One whose port TCP could have: it may be that of somebody's connection. */
static int take_port(void)
{
    const struct socket_listen_options alone = {.backlog = 1};
    for (;;) {
        int fd = open_socket(0);
        struct socket_address a;
        assert_int_equal(socket_local_address(fd, &a), ROUTED_OK);
        int tcp = socket_listen(&a, &alone);
        if (tcp >= 0) {
            close(tcp);
            return fd;
        }
        close(fd);
    }
}

static void send_to(int fd, const struct front *f, const uint8_t *bytes, size_t size)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(front_server_secure_port(f->server)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(sendto(fd, bytes, size, 0, (struct sockaddr *)&a, sizeof(a)), size);
}

/* An Initial of a version that nobody has (RFC 9000 section 15). */
static void ask_for_version(int fd, const struct front *f)
{
    uint8_t bytes[DATAGRAM] = {LONG_FORM, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0};
    send_to(fd, f, bytes, sizeof(bytes));
}

static void expect_versions(int fd)
{
    uint8_t bytes[DATAGRAM];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    ssize_t size = recv(fd, bytes, sizeof(bytes), 0);
    assert_true(size > 5);
    assert_true(bytes[0] & 0x80);
    assert_memory_equal(bytes + 1, "\0\0\0\0", 4);
}

static void the_port_of_tls_answers_datagrams(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers += 2) {
        struct front f;
        prepare(&f, workers);
        front_serve(&f);
        int fd = open_socket(0);
        ask_for_version(fd, &f);
        expect_versions(fd);
        front_await_metric(&f, "quic.version_negotiations", 1);
        front_await_metric(&f, "quic.datagrams_in", 1);
        assert_int_equal(front_metric(&f, "quic.connections"), 0);
        close(fd);
        assert_int_equal(front_end(&f), ROUTED_OK);
    }
}

/* Each socket takes what the kernel gives it, whoever's it is. */
static void every_worker_has_a_socket(void **state)
{
    (void)state;
    struct front f;
    prepare(&f, 3);
    front_serve(&f);
    int fds[64];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = open_socket(0);
        ask_for_version(fds[i], &f);
    }
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        expect_versions(fds[i]);
        close(fds[i]);
    }
    front_await_metric(&f, "quic.datagrams_in", COUNT_OF(fds));
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void what_is_nobodys_is_dropped(void **state)
{
    (void)state;
    struct front f;
    prepare(&f, 2);
    front_serve(&f);
    int fd = open_socket(0);
    uint8_t bytes[DATAGRAM] = {0};
    for (size_t size = 1; size <= sizeof(bytes); size = size * 2 + 1)
        send_to(fd, &f, bytes, size);
    front_await_metric(&f, "quic.datagrams_dropped", 10);
    assert_int_equal(front_metric(&f, "quic.datagrams_out"), 0);
    close(fd);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void a_port_that_is_taken_is_told(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct front f;
        int other = take_port();
        prepare(&f, workers);
        f.options.secure_port = port_of(other);
        assert_int_equal(front_begin(&f), ROUTED_ERROR_ADDRESS_IN_USE);
        assert_non_null(strstr(f.why.text, " for HTTP/3 (UDP): "));
        close(other);
        front_serve(&f);
        assert_int_equal(front_end(&f), ROUTED_OK);
    }
}

static void the_system_chooses_a_port_for_both(void **state)
{
    (void)state;
    struct front f;
    prepare(&f, 2);
    f.options.host = "localhost";
    front_serve(&f);
    assert_true(front_server_secure_port(f.server) > 0);
    assert_int_equal(open_socket(front_server_secure_port(f.server)), -1);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

static void without_it_there_is_no_socket(void **state)
{
    (void)state;
    struct front f;
    prepare(&f, 1);
    f.options.has_http3 = false;
    front_serve(&f);
    int fd = open_socket(front_server_secure_port(f.server));
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(front_end(&f), ROUTED_OK);
}

/* False when no allocation was left to fail. */
static bool start_with_fault(uint64_t nth)
{
    struct front f;
    size_t held = memory_held();
    prepare(&f, 2);
    memory_fault_set(nth);
    int error = front_begin(&f);
    bool has_fired = memory_fault_fired();
    memory_fault_set(0);
    if (error)
        assert_int_equal(error, ROUTED_ERROR_MEMORY);
    else
        assert_int_equal(front_end(&f), ROUTED_OK);
    assert_int_equal(memory_held(), held);
    return has_fired;
}

static void every_allocation_of_a_start_may_fail(void **state)
{
    (void)state;
    uint64_t nth = 1;
    while (start_with_fault(nth))
        nth++;
    assert_true(nth > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_port_of_tls_answers_datagrams),
        cmocka_unit_test(every_worker_has_a_socket),
        cmocka_unit_test(what_is_nobodys_is_dropped),
        cmocka_unit_test(a_port_that_is_taken_is_told),
        cmocka_unit_test(the_system_chooses_a_port_for_both),
        cmocka_unit_test(without_it_there_is_no_socket),
        cmocka_unit_test(every_allocation_of_a_start_may_fail),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
