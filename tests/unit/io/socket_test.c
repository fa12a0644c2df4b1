#include "io/socket.h"

#include "support/folder.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <routed/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static void await(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

static int listen_on(struct socket_address *a, const struct socket_listen_options *options)
{
    int fd = socket_listen(a, options);
    assert_true(fd >= 0);
    assert_int_equal(socket_local_address(fd, a), ROUTED_OK);
    return fd;
}

struct pair {
    int listener;
    int client;
    int server;
    struct socket_address peer;
};

static struct pair connect_pair(int listener, const struct socket_address *a)
{
    struct pair p = {.listener = listener};
    p.client = socket_connect(a);
    assert_true(p.client >= 0);
    await(p.client, POLLOUT);
    assert_int_equal(socket_connect_result(p.client), ROUTED_OK);
    await(listener, POLLIN);
    p.server = socket_accept(listener, &p.peer);
    assert_true(p.server >= 0);
    return p;
}

static void close_pair(struct pair *p)
{
    socket_close(p->client);
    socket_close(p->server);
    socket_close(p->listener);
}

/* Of 127.0.0.1 and a port that is free. */
static int listen_on_loopback(struct socket_address *a, const struct socket_listen_options *options)
{
    assert_int_equal(socket_resolve("127.0.0.1", 0, a, 1), 1);
    return listen_on(a, options);
}

static struct pair loopback_pair(const struct socket_listen_options *options)
{
    struct socket_address a;
    int listener = listen_on_loopback(&a, options);
    return connect_pair(listener, &a);
}

/* No descriptor beyond `last` from now on; returns what was allowed before. */
static struct rlimit allow_descriptors(int last)
{
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = {.rlim_cur = (rlim_t)last + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    return before;
}

static void expect_read(int fd, const char *text)
{
    uint8_t bytes[64];
    await(fd, POLLIN);
    ssize_t count = socket_read(fd, bytes, sizeof(bytes));
    assert_int_equal(count, strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void talk(const char *host, const char *peer_text)
{
    struct socket_address a;
    struct socket_listen_options options = {0};
    assert_int_equal(socket_resolve(host, 0, &a, 1), 1);
    int listener = listen_on(&a, &options);
    assert_true(socket_address_port(&a) > 0);
    struct socket_address none;
    assert_int_equal(socket_accept(listener, &none), SOCKET_AGAIN);
    struct pair p = connect_pair(listener, &a);
    char text[SOCKET_TEXT_MAX];
    size_t size = socket_address_text(&p.peer, text);
    assert_span(span_of(text, size), peer_text);
    assert_true(socket_address_port(&p.peer) > 0);
    assert_false(socket_address_is_unix(&p.peer));
    uint8_t byte;
    assert_int_equal(socket_read(p.server, &byte, 1), SOCKET_AGAIN);
    assert_int_equal(socket_write(p.client, SPAN("ping")), 4);
    expect_read(p.server, "ping");
    struct span spans[] = {SPAN("po"), SPAN_EMPTY, SPAN("ng")};
    assert_int_equal(socket_write_spans(p.server, spans, 3), 4);
    expect_read(p.client, "pong");
    close_pair(&p);
}

static void tcp_over_ipv4(void **state)
{
    (void)state;
    talk("127.0.0.1", "127.0.0.1");
}

static bool has_v6(void)
{
    struct socket_address a;
    struct socket_listen_options options = {0};
    socket_resolve("::1", 0, &a, 1);
    int fd = socket_listen(&a, &options);
    if (fd >= 0)
        socket_close(fd);
    return fd >= 0;
}

static void tcp_over_ipv6(void **state)
{
    (void)state;
    if (!has_v6())
        skip();
    talk("::1", "::1");
}

/* One socket for every interface; IPv4 clients are told by their IPv4 address. */
static void any_takes_both_families(void **state)
{
    (void)state;
    static const char *const names[] = {"any", "", "*"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct socket_address a;
        struct socket_address v4;
        struct socket_listen_options options = {0};
        assert_int_equal(socket_resolve(names[i], 0, &a, 4), 1);
        int listener = listen_on(&a, &options);
        socket_resolve("127.0.0.1", socket_address_port(&a), &v4, 1);
        struct pair p = connect_pair(listener, &v4);
        char text[SOCKET_TEXT_MAX];
        assert_span(span_of(text, socket_address_text(&p.peer, text)), "127.0.0.1");
        assert_true(socket_address_key(&p.peer, 1) == socket_address_key(&v4, 1));
        close_pair(&p);
    }
}

static void v6_only_means_it(void **state)
{
    (void)state;
    if (!has_v6())
        skip();
    struct socket_address a;
    struct socket_address v4;
    struct socket_listen_options options = {.v6_only = true};
    socket_resolve("::", 0, &a, 1);
    int listener = listen_on(&a, &options);
    socket_resolve("127.0.0.1", socket_address_port(&a), &v4, 1);
    int client = socket_connect(&v4);
    if (client >= 0) {
        await(client, POLLOUT);
        assert_int_not_equal(socket_connect_result(client), ROUTED_OK);
        socket_close(client);
    }
    socket_close(listener);
}

/* ---- addresses ---- */

static void localhost_is_both_loopbacks(void **state)
{
    (void)state;
    struct socket_address a[3];
    char text[SOCKET_TEXT_MAX];
    assert_int_equal(socket_resolve("localhost", 8080, a, 3), 2);
    assert_span(span_of(text, socket_address_text(&a[0], text)), "127.0.0.1");
    assert_span(span_of(text, socket_address_text(&a[1], text)), "::1");
    assert_int_equal(socket_address_port(&a[0]), 8080);
    assert_int_equal(socket_address_port(&a[1]), 8080);
    assert_int_equal(socket_resolve("localhost", 1, a, 1), 1);
}

static void numbers_are_read_and_nonsense_is_not(void **state)
{
    (void)state;
    static const char *const bad[] = {"1.2.3.4.5", "300.1.1.1", ":::", "a b", "-", "[::1]"};
    static const char *const good[] = {"1.2.3.4", "2001:db8::5", "255.255.255.255"};
    struct socket_address a;
    char text[SOCKET_TEXT_MAX];
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(socket_resolve(bad[i], 1, &a, 1), ROUTED_ERROR_ADDRESS_UNKNOWN);
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(socket_resolve(good[i], 65535, &a, 1), 1);
        assert_span(span_of(text, socket_address_text(&a, text)), good[i]);
        assert_int_equal(socket_address_port(&a), 65535);
    }
}

static void unix_paths_have_a_length(void **state)
{
    (void)state;
    char text[SOCKET_TEXT_MAX];
    char large[109];
    struct socket_address a;
    memset(large, 'p', sizeof(large));
    large[108] = '\0';
    assert_int_equal(socket_address_unix(large, &a), ROUTED_ERROR_ADDRESS_UNKNOWN);
    large[107] = '\0';
    assert_int_equal(socket_address_unix(large, &a), ROUTED_OK);
    assert_true(socket_address_is_unix(&a));
    assert_int_equal(socket_address_port(&a), 0);
    assert_true(socket_address_key(&a, 5) == 0);
    assert_span(span_of(text, socket_address_text(&a, text)), "unix");
    assert_int_equal(socket_address_unix("", &a), ROUTED_ERROR_ADDRESS_UNKNOWN);
}

static uint64_t key_of(const char *host, uint16_t port, uint64_t seed)
{
    struct socket_address a;
    assert_int_equal(socket_resolve(host, port, &a, 1), 1);
    return socket_address_key(&a, seed);
}

static void keys_are_of_clients_not_of_ports(void **state)
{
    (void)state;
    assert_true(key_of("10.0.0.1", 1, 7) == key_of("10.0.0.1", 2, 7));
    assert_true(key_of("10.0.0.1", 1, 7) != key_of("10.0.0.2", 1, 7));
    assert_true(key_of("10.0.0.1", 1, 7) != key_of("10.0.0.1", 1, 8));
    assert_true(key_of("::ffff:10.0.0.1", 1, 7) == key_of("10.0.0.1", 1, 7));
    assert_true(key_of("2001:db8:1:2::1", 1, 7) == key_of("2001:db8:1:2:ffff::9", 1, 7));
    assert_true(key_of("2001:db8:1:2::1", 1, 7) != key_of("2001:db8:1:3::1", 1, 7));
    /* The bytes of 10.0.0.1 and its family, as a prefix. */
    assert_true(key_of("a00:1:200::", 1, 7) != key_of("10.0.0.1", 1, 7));
}

/* Neighbours must not share buckets: the low bits of the key choose one. */
static void keys_of_neighbours_are_spread(void **state)
{
    (void)state;
    unsigned counts[64] = {0};
    for (unsigned i = 0; i < 6400; i++) {
        char host[32];
        snprintf(host, sizeof(host), "10.1.%u.%u", i / 256, i % 256);
        uint64_t key = key_of(host, 1, 12345);
        assert_true(key != 0);
        counts[key % 64]++;
    }
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        assert_in_range(counts[i], 50, 160);
}

/* ---- listening ---- */

static void an_address_is_used_once(void **state)
{
    (void)state;
    struct socket_address a;
    struct socket_listen_options options = {0};
    struct socket_listen_options shared = {.shared = true};
    int first = listen_on_loopback(&a, &options);
    assert_int_equal(socket_listen(&a, &options), ROUTED_ERROR_ADDRESS_IN_USE);
    assert_int_equal(socket_listen(&a, &shared), ROUTED_ERROR_ADDRESS_IN_USE);
    socket_close(first);
    first = listen_on(&a, &shared);
    int second = socket_listen(&a, &shared);
    assert_true(second >= 0);
    socket_close(first);
    socket_close(second);
}

static void a_port_can_be_used_again_at_once(void **state)
{
    (void)state;
    struct socket_address a;
    struct socket_listen_options options = {0};
    int listener = listen_on_loopback(&a, &options);
    struct pair p = connect_pair(listener, &a);
    socket_close(p.server); /* leaves TIME_WAIT on the listener's port */
    socket_close(listener);
    listener = socket_listen(&a, &options);
    assert_true(listener >= 0);
    socket_close(listener);
    socket_close(p.client);
}

static void addresses_of_others_are_unknown(void **state)
{
    (void)state;
    struct socket_address a;
    struct socket_listen_options options = {0};
    socket_resolve("192.0.2.1", 0, &a, 1);
    assert_int_equal(socket_listen(&a, &options), ROUTED_ERROR_ADDRESS_UNKNOWN);
    socket_address_unix("/nonexistent/folder/socket", &a);
    assert_int_equal(socket_listen(&a, &options), ROUTED_ERROR_ADDRESS_UNKNOWN);
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static void accepted_sockets_inherit_what_matters(void **state)
{
    (void)state;
    struct pair p = loopback_pair(&(struct socket_listen_options){.dead_after = 45000});
    assert_int_equal(option_of(p.server, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(p.client, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(p.server, IPPROTO_TCP, TCP_USER_TIMEOUT), 45000);
    assert_int_equal(option_of(p.server, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(p.server, IPPROTO_TCP, TCP_KEEPIDLE), 45);
    close_pair(&p);
}

static void without_descriptors_clients_wait(void **state)
{
    (void)state;
    struct socket_address a;
    struct socket_listen_options options = {0};
    int listener = listen_on_loopback(&a, &options);
    int client = socket_connect(&a);
    await(listener, POLLIN);
    struct rlimit before = allow_descriptors(client);
    struct socket_address peer;
    int without = socket_accept(listener, &peer);
    int connected = socket_connect(&a);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(without, SOCKET_EXHAUSTED);
    assert_true(connected < 0);
    int server = socket_accept(listener, &peer);
    assert_true(server >= 0);
    socket_close(server);
    socket_close(client);
    socket_close(listener);
}

/* ---- Unix sockets ---- */

static void unix_sockets_know_their_peer(void **state)
{
    (void)state;
    const char *path = folder_path("socket");
    struct socket_address a;
    struct socket_listen_options options = {0};
    uint32_t uid;
    int32_t pid;
    assert_int_equal(socket_address_unix(path, &a), ROUTED_OK);
    int listener = socket_listen(&a, &options);
    assert_true(listener >= 0);
    struct pair p = connect_pair(listener, &a);
    assert_true(socket_address_is_unix(&p.peer));
    assert_true(socket_peer_credentials(p.server, &uid, &pid));
    assert_int_equal(uid, geteuid());
    assert_int_equal(pid, getpid());
    assert_false(socket_peer_credentials(-1, &uid, &pid));
    close_pair(&p);
    socket_unlink(path);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_full_backlog_is_told(void **state)
{
    (void)state;
    const char *path = folder_path("socket");
    struct socket_address a;
    struct socket_listen_options options = {.backlog = 1};
    int clients[16];
    int count = 0;
    socket_address_unix(path, &a);
    int listener = socket_listen(&a, &options);
    while (count < 16 && (clients[count] = socket_connect(&a)) >= 0)
        count++;
    assert_int_equal(clients[count], ROUTED_ERROR_AGAIN);
    assert_int_equal(socket_unlink_stale(path), ROUTED_ERROR_ADDRESS_IN_USE);
    while (count)
        socket_close(clients[--count]);
    socket_close(listener);
    socket_unlink(path);
}

static void only_files_that_nobody_listens_on_are_removed(void **state)
{
    (void)state;
    const char *path = folder_path("socket");
    struct socket_address a;
    struct socket_listen_options options = {0};
    socket_address_unix(path, &a);
    assert_int_equal(socket_unlink_stale(path), ROUTED_OK); /* nothing there */
    int listener = socket_listen(&a, &options);
    assert_int_equal(socket_unlink_stale(path), ROUTED_ERROR_ADDRESS_IN_USE);
    socket_close(listener);
    assert_int_equal(socket_listen(&a, &options), ROUTED_ERROR_ADDRESS_IN_USE);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(socket_unlink_stale(path), ROUTED_OK);
    assert_int_equal(access(path, F_OK), -1);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(socket_unlink_stale(path), ROUTED_ERROR_FILE);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    assert_int_equal(symlink("/nonexistent", path), 0);
    assert_int_equal(socket_unlink_stale(path), ROUTED_ERROR_FILE);
    unlink(path);
}

/* A log daemon's socket is alive although nobody can connect a stream to it. */
static void living_sockets_of_another_kind_stay(void **state)
{
    (void)state;
    const char *path = folder_path("socket");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    strcpy(un.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(socket_unlink_stale(path), ROUTED_ERROR_ADDRESS_IN_USE);
    assert_int_equal(access(path, F_OK), 0);
    close(fd);
    unlink(path);
}

static void a_living_socket_stays_when_descriptors_run_out(void **state)
{
    (void)state;
    const char *path = folder_path("socket");
    struct socket_address a;
    struct socket_listen_options options = {0};
    socket_address_unix(path, &a);
    int listener = socket_listen(&a, &options);
    struct rlimit before = allow_descriptors(listener);
    int result = socket_unlink_stale(path);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(result < 0);
    assert_int_equal(access(path, F_OK), 0);
    socket_close(listener);
    socket_unlink(path);
}

/* ---- endings ---- */

static void connecting_to_nobody_fails(void **state)
{
    (void)state;
    struct socket_address a;
    struct socket_listen_options options = {0};
    socket_close(listen_on_loopback(&a, &options));
    int client = socket_connect(&a);
    if (client >= 0) {
        await(client, POLLOUT);
        assert_int_equal(socket_connect_result(client), ROUTED_ERROR_SYSTEM);
        socket_close(client);
    }
    socket_address_unix(folder_path("socket"), &a);
    assert_int_equal(socket_connect(&a), ROUTED_ERROR_ADDRESS_UNKNOWN);
}

static void half_a_close_leaves_the_other_half(void **state)
{
    (void)state;
    uint8_t byte;
    struct pair p = loopback_pair(&(struct socket_listen_options){0});
    assert_false(socket_has_input(p.server));
    socket_write(p.client, SPAN("last"));
    await(p.server, POLLIN);
    assert_true(socket_has_input(p.server));
    socket_end(p.client);
    expect_read(p.server, "last");
    await(p.server, POLLRDHUP);
    assert_true(socket_has_input(p.server));
    assert_int_equal(socket_read(p.server, &byte, 1), 0);
    assert_int_equal(socket_write(p.server, SPAN("answer")), 6);
    expect_read(p.client, "answer");
    close_pair(&p);
}

/* Writing to a dead socket is a result, not a signal. */
static void resets_are_told(void **state)
{
    (void)state;
    uint8_t byte;
    struct pair p = loopback_pair(&(struct socket_listen_options){0});
    socket_reset_on_close(p.client);
    socket_close(p.client);
    await(p.server, POLLIN);
    assert_int_equal(socket_read(p.server, &byte, 1), SOCKET_DEAD);
    struct span two[] = {SPAN("x"), SPAN("y")};
    assert_int_equal(socket_write(p.server, SPAN("x")), SOCKET_DEAD);
    assert_int_equal(socket_write_spans(p.server, two, 2), SOCKET_DEAD);
    socket_close(p.server);
    socket_close(p.listener);
}

static void a_full_socket_says_again(void **state)
{
    (void)state;
    static uint8_t bytes[65536];
    struct span spans[SOCKET_GATHER + 10];
    struct pair p = loopback_pair(&(struct socket_listen_options){0});
    for (size_t i = 0; i < COUNT_OF(spans); i++)
        spans[i] = span_of(bytes, 1);
    assert_int_equal(socket_write_spans(p.client, spans, COUNT_OF(spans)), SOCKET_GATHER);
    ssize_t count;
    while ((count = socket_write(p.client, span_of(bytes, sizeof(bytes)))) > 0)
        ;
    assert_int_equal(count, SOCKET_AGAIN);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_over_ipv4),
        cmocka_unit_test(tcp_over_ipv6),
        cmocka_unit_test(any_takes_both_families),
        cmocka_unit_test(v6_only_means_it),
        cmocka_unit_test(localhost_is_both_loopbacks),
        cmocka_unit_test(numbers_are_read_and_nonsense_is_not),
        cmocka_unit_test(unix_paths_have_a_length),
        cmocka_unit_test(keys_are_of_clients_not_of_ports),
        cmocka_unit_test(keys_of_neighbours_are_spread),
        cmocka_unit_test(an_address_is_used_once),
        cmocka_unit_test(a_port_can_be_used_again_at_once),
        cmocka_unit_test(addresses_of_others_are_unknown),
        cmocka_unit_test(accepted_sockets_inherit_what_matters),
        cmocka_unit_test(without_descriptors_clients_wait),
        cmocka_unit_test(unix_sockets_know_their_peer),
        cmocka_unit_test(a_full_backlog_is_told),
        cmocka_unit_test(only_files_that_nobody_listens_on_are_removed),
        cmocka_unit_test(living_sockets_of_another_kind_stay),
        cmocka_unit_test(a_living_socket_stays_when_descriptors_run_out),
        cmocka_unit_test(connecting_to_nobody_fails),
        cmocka_unit_test(half_a_close_leaves_the_other_half),
        cmocka_unit_test(resets_are_told),
        cmocka_unit_test(a_full_socket_says_again),
    };
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
