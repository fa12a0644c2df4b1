/* What a turn reads of several sockets, without a thread: the kernel holds what was sent. */
#include "front/sockets.h"

#include "support/unit.h"
#include <netinet/in.h>
#include <routed/error.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOOD (FRONT_SOCKETS_SHARE + 40)

static struct loop *loop;
static struct front_sockets sockets;
static int sender;
static unsigned ready;
static uint8_t seen[2 * FLOOD]; /* first bytes */
static size_t seen_count;

static void on_ready(struct front_sockets *s, bool has_room)
{
    assert_ptr_equal(s, &sockets);
    assert_false(has_room);
    ready++;
}

static void on_datagram(void *user, const struct http3_datagram *d)
{
    assert_ptr_equal(user, &sockets);
    assert_true(seen_count < sizeof(seen));
    seen[seen_count++] = d->bytes.data[0];
}

static struct socket_address any_port(void)
{
    struct socket_address a = {.size = sizeof(struct sockaddr_in)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(a.storage, &in, sizeof(in));
    return a;
}

static int add_socket(void)
{
    static const struct datagram_options options = {.shared = false};
    struct socket_address a = any_port();
    struct datagram_socket s;
    assert_int_equal(datagram_open(&s, &a, &options), ROUTED_OK);
    return front_sockets_add(&sockets, &s);
}

static void send_to(unsigned which, uint8_t first)
{
    const struct socket_address *to = &sockets.items[which].socket.bound;
    assert_int_equal(
        sendto(sender, &first, 1, 0, (const struct sockaddr *)(const void *)to->storage, to->size),
        1);
}

static bool receive(void)
{
    seen_count = 0;
    return front_sockets_receive(&sockets, on_datagram, &sockets);
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(loop_open(&loop), ROUTED_OK);
    sockets = (struct front_sockets){.loop = loop, .on_ready = on_ready};
    assert_int_equal(front_sockets_init(&sockets), ROUTED_OK);
    sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ready = 0;
    return sender < 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(sender);
    front_sockets_close(&sockets);
    front_sockets_release(&sockets);
    loop_free(loop);
    return 0;
}

static void without_sockets_there_is_nothing(void **state)
{
    (void)state;
    assert_false(receive());
}

static void a_flooded_socket_leaves_the_others_their_turn(void **state)
{
    (void)state;
    assert_int_equal(add_socket(), ROUTED_OK);
    assert_int_equal(add_socket(), ROUTED_OK);
    for (unsigned i = 0; i < FLOOD; i++)
        send_to(0, 'f');
    send_to(1, 'a');
    loop_turn(loop, 0);
    assert_int_equal(ready, 2);

    assert_true(receive());
    assert_in_range(seen_count, FRONT_SOCKETS_SHARE, FLOOD - 1);
    assert_null(memchr(seen, 'a', seen_count));
    size_t flood = seen_count;

    assert_false(receive());
    assert_int_equal(seen[0], 'a');
    assert_int_equal(flood + seen_count, FLOOD + 1);
    assert_false(receive());
    assert_int_equal(seen_count, 0);
}

static void so_many_sockets_and_no_more(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FRONT_SOCKETS_MAX; i++)
        assert_int_equal(add_socket(), ROUTED_OK);
    assert_int_equal(add_socket(), ROUTED_ERROR_LIMIT);
    assert_int_equal(sockets.count, FRONT_SOCKETS_MAX);
    for (unsigned i = 0; i < FRONT_SOCKETS_MAX; i++)
        send_to(i, (uint8_t)i);
    loop_turn(loop, 0);
    assert_false(receive());
    assert_int_equal(seen_count, FRONT_SOCKETS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_sockets_there_is_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flooded_socket_leaves_the_others_their_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(so_many_sockets_and_no_more, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
