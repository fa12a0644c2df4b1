/* What a kept connection costs: memory while it is idle, and what a request adds. */
#include "base/memory.h"
#include "front/client.h"
#include <linux/tcp.h>

#define IDLE_MAX 1024 /* bytes of our own for an idle connection of HTTP/1 */

static struct front front;

static int start(void **state)
{
    (void)state;
    front_prepare(&front);
    front_serve(&front);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return front_end(&front);
}

/* ---- memory ---- */

#define BROWSER                                                                                    \
    "GET /some/path?with=a&query=string HTTP/1.1\r\nhost: www.example.com\r\n"                     \
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"       \
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"                  \
    "accept-language: en-US,en;q=0.5\r\naccept-encoding: gzip, deflate, br, zstd\r\n"              \
    "connection: keep-alive\r\nupgrade-insecure-requests: 1\r\ncookie: a=b; c=d; e=f\r\n\r\n"

static void get(int fd, const char *request)
{
    assert_true(client_write(fd, request));
    assert_int_equal(client_status(fd), 200);
}

static void await_idle(uint64_t count)
{
    front_await_metric(&front, "connections.idle", count);
}

static void an_idle_connection_is_small(void **state)
{
    enum {
        COUNT = 200
    };
    int first = client_connect(&front), clients[COUNT];
    (void)state;
    get(first, BROWSER);
    await_idle(1);
    size_t held = memory_held();
    for (int i = 0; i < COUNT; i++) {
        clients[i] = client_connect(&front);
        get(clients[i], BROWSER);
    }
    await_idle(COUNT + 1);
    size_t each = (memory_held() - held) / COUNT;
    if (each > IDLE_MAX)
        fail_msg("an idle connection holds %zu bytes", each);
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
    close(first);
}

static void a_kept_connection_allocates_nothing(void **state)
{
    int client = client_connect(&front);
    (void)state;
    get(client, BROWSER);
    get(client, BROWSER);
    memory_fault_set(1);
    for (int i = 0; i < 100; i++)
        get(client, BROWSER);
    assert_false(memory_fault_fired());
    memory_fault_set(0);
    close(client);
}

/* ---- writes ---- */

/* Without Nagle's algorithm each small write is a segment of its own. */
static uint32_t segments_received(int fd)
{
    struct tcp_info told = {0};
    socklen_t size = sizeof(told);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &told, &size), 0);
    return told.tcpi_data_segs_in;
}

static unsigned count_answers(const struct client_text *t)
{
    static const char begin[] = "HTTP/1.1 200 OK\r\n";
    const char *end = t->bytes + t->size, *at = t->bytes;
    unsigned count = 0;
    while ((at = memmem(at, (size_t)(end - at), begin, sizeof(begin) - 1))) {
        at += sizeof(begin) - 1;
        count++;
    }
    return count;
}

static void the_answers_of_one_read_leave_in_one_write(void **state)
{
    enum {
        DEPTH = 16
    };
    char requests[DEPTH * sizeof(CLIENT_GET)] = "";
    int client = client_connect(&front);
    struct client_text t = {0};
    (void)state;
    for (size_t i = 0; i < DEPTH; i++)
        memcpy(requests + i * (sizeof(CLIENT_GET) - 1), CLIENT_GET, sizeof(CLIENT_GET));
    get(client, CLIENT_GET);
    uint32_t before = segments_received(client);
    assert_true(client_write(client, requests));
    while (count_answers(&t) < DEPTH)
        assert_int_equal(client_read(client, &t), CLIENT_MORE);
    assert_int_equal(segments_received(client) - before, 1);
    close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_idle_connection_is_small, start, finish),
        cmocka_unit_test_setup_teardown(a_kept_connection_allocates_nothing, start, finish),
        cmocka_unit_test_setup_teardown(the_answers_of_one_read_leave_in_one_write, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
