#include "io/datagram.h"

#include "base/memory.h"
#include "support/unit.h"
#include <poll.h>
#include <routed/error.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PATIENCE_MS 10000
#define BYTES_MAX   262144

/* All that came, in order. */
struct got {
    unsigned count;
    size_t sizes[512];
    size_t total;
    uint8_t bytes[BYTES_MAX];
    struct socket_address local;
    struct socket_address remote;
    uint8_t ecn;
};

static struct got got;
static uint8_t pattern[BYTES_MAX];
static struct datagram_inbox *inbox;

static int set_up(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)unit_random(&seed);
    inbox = datagram_inbox_new();
    return inbox ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    datagram_inbox_free(inbox);
    return 0;
}

static void on_datagram(void *user, const struct datagram *d)
{
    struct got *g = user;
    assert_true(g->count < COUNT_OF(g->sizes) && g->total + d->bytes.size <= sizeof(g->bytes));
    g->sizes[g->count++] = d->bytes.size;
    memcpy(g->bytes + g->total, d->bytes.data, d->bytes.size);
    g->total += d->bytes.size;
    g->local = d->local;
    g->remote = d->remote;
    g->ecn = d->ecn;
}

static struct socket_address loopback(const char *host)
{
    struct socket_address a;
    assert_int_equal(socket_resolve(host, 0, &a, 1), 1);
    return a;
}

static struct datagram_socket open_on(const char *host, bool plain)
{
    struct datagram_socket s;
    struct socket_address a = loopback(host);
    struct datagram_options options = {.plain = plain};
    assert_int_equal(datagram_open(&s, &a, &options), ROUTED_OK);
    assert_true(socket_address_port(&s.bound) > 0);
    return s;
}

static void receive_all(struct datagram_socket *s, size_t total)
{
    memset(&got, 0, sizeof(got));
    while (got.total < total) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        bool is_drained;
        datagram_receive(s, inbox, on_datagram, &got, &is_drained);
    }
}

static struct datagram_batch batch_of(const struct datagram_socket *to, size_t size, size_t segment)
{
    return (struct datagram_batch){
        .remote = &to->bound, .bytes = span_of(pattern, size), .segment = segment};
}

static void expect_text(const struct socket_address *a, const char *text)
{
    char written[SOCKET_TEXT_MAX];
    assert_span(span_of(written, socket_address_text(a, written)), text);
}

/* Whatever the kernel joins and splits, what is sent is what comes. */
static void pass_batch(bool sender_is_plain, bool receiver_is_plain, size_t size, size_t segment)
{
    struct datagram_socket from = open_on("127.0.0.1", sender_is_plain);
    struct datagram_socket to = open_on("127.0.0.1", receiver_is_plain);
    struct datagram_batch batch = batch_of(&to, size, segment);
    assert_int_equal(datagram_send(&from, &batch), size);
    receive_all(&to, size);
    assert_int_equal(got.total, size);
    assert_memory_equal(got.bytes, pattern, size);
    assert_int_equal(got.count, (size + segment - 1) / segment);
    for (unsigned i = 0; i + 1 < got.count; i++)
        assert_int_equal(got.sizes[i], segment);
    datagram_close(&from);
    datagram_close(&to);
}

static void batches_arrive_as_they_were_sent(void **state)
{
    (void)state;
    static const struct {
        size_t size, segment;
    } batches[] = {{1, 1200},      {1200, 1200},      {1201, 1200},          {12000, 1200},
                   {12001, 1200},  {64 * 1000, 1000}, {65 * 1000 + 7, 1000}, {100000, 1200},
                   {90000, 60000}, {300, 1}};
    for (size_t i = 0; i < COUNT_OF(batches); i++)
        for (int way = 0; way < 4; way++)
            pass_batch(way & 1, way & 2, batches[i].size, batches[i].segment);
}

static void nothing_to_receive_is_told(void **state)
{
    (void)state;
    struct datagram_socket s = open_on("127.0.0.1", false);
    bool is_drained = false;
    assert_int_equal(datagram_receive(&s, inbox, on_datagram, &got, &is_drained), 0);
    assert_true(is_drained);
    datagram_close(&s);
}

/* Who receives in turns has to see them, or a flood of them is without end. */
static void empty_datagrams_are_counted(void **state)
{
    (void)state;
    struct datagram_socket from = open_on("127.0.0.1", true), to = open_on("127.0.0.1", true);
    const struct sockaddr *address = (const struct sockaddr *)(const void *)to.bound.storage;
    unsigned count = 0;
    memset(&got, 0, sizeof(got));
    for (int i = 0; i < 3; i++)
        assert_int_equal(sendto(from.fd, "", 0, 0, address, to.bound.size), 0);
    while (count < 3) {
        struct pollfd p = {.fd = to.fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        bool is_drained;
        unsigned came = datagram_receive(&to, inbox, on_datagram, &got, &is_drained);
        assert_true(came > 0);
        count += came;
    }
    assert_int_equal(got.count, 0);
    datagram_close(&from);
    datagram_close(&to);
}

static void addresses_are_told(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct datagram_socket from = open_on(hosts[i], false), to = open_on(hosts[i], false);
        struct datagram_batch batch = batch_of(&to, 10, 10);
        assert_int_equal(datagram_send(&from, &batch), 10);
        receive_all(&to, 10);
        assert_int_equal(got.local.size, to.bound.size);
        assert_memory_equal(got.local.storage, to.bound.storage, to.bound.size);
        assert_int_equal(got.remote.size, from.bound.size);
        assert_memory_equal(got.remote.storage, from.bound.storage, from.bound.size);
        datagram_close(&from);
        datagram_close(&to);
    }
}

/* On a socket of every address, a reply must leave from where the datagram went. */
static void a_reply_leaves_from_where_the_datagram_went(void **state)
{
    (void)state;
    struct datagram_socket any = open_on("any", false);
    uint16_t port = socket_address_port(&any.bound);
    static const char *const hosts[] = {"127.0.0.1", "127.0.0.2", "::1"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct datagram_socket client = open_on(hosts[i][0] == ':' ? "::1" : "127.0.0.1", false);
        struct socket_address there = loopback(hosts[i]);
        socket_address_set_port(&there, port);
        struct datagram_batch batch = {
            .remote = &there, .bytes = span_of(pattern, 20), .segment = 20, .ecn = 2};
        assert_int_equal(datagram_send(&client, &batch), 20);
        receive_all(&any, 20);
        expect_text(&got.local, hosts[i]);
        assert_int_equal(socket_address_port(&got.local), port);
        assert_int_equal(got.ecn, 2);
        struct socket_address local = got.local, remote = got.remote;
        struct datagram_batch reply = {.local = &local,
                                       .remote = &remote,
                                       .bytes = span_of(pattern, 5000),
                                       .segment = 1000,
                                       .ecn = 1};
        assert_int_equal(datagram_send(&any, &reply), 5000);
        receive_all(&client, 5000);
        expect_text(&got.remote, hosts[i]);
        assert_int_equal(got.count, 5);
        assert_int_equal(got.ecn, 1);
        datagram_close(&client);
    }
    datagram_close(&any);
}

/* Larger than a datagram can be: lost, and the next one goes. */
static void what_does_not_fit_is_lost(void **state)
{
    (void)state;
    struct datagram_socket from = open_on("127.0.0.1", false), to = open_on("127.0.0.1", false);
    bool before = from.has_segments;
    struct datagram_batch large = batch_of(&to, 65535 + 100, 65535);
    assert_int_equal(datagram_send(&from, &large), 65535 + 100);
    struct datagram_batch small = batch_of(&to, 30, 30);
    assert_int_equal(datagram_send(&from, &small), 30);
    receive_all(&to, 130);
    assert_int_equal(got.sizes[0], 100);
    assert_int_equal(got.sizes[1], 30);
    assert_int_equal(from.has_segments, before);
    datagram_close(&from);
    datagram_close(&to);
}

/* Nobody listens any more: the system says so on a later call, which must not look like the end. */
static void a_refused_datagram_harms_nothing(void **state)
{
    (void)state;
    struct datagram_socket from = open_on("127.0.0.1", false), gone = open_on("127.0.0.1", false);
    struct datagram_socket to = open_on("127.0.0.1", false);
    struct datagram_batch lost = batch_of(&gone, 30, 30), kept = batch_of(&to, 40, 40);
    datagram_close(&gone);
    for (int i = 0; i < 3; i++)
        assert_int_equal(datagram_send(&from, &lost), 30);
    assert_int_equal(datagram_send(&from, &kept), 40);
    receive_all(&to, 40);
    datagram_close(&from);
    datagram_close(&to);
}

static void an_address_is_taken_once_unless_shared(void **state)
{
    (void)state;
    struct datagram_socket first, second;
    struct socket_address a = loopback("127.0.0.1");
    struct datagram_options alone = {.shared = false}, shared = {.shared = true};
    assert_int_equal(datagram_open(&first, &a, &alone), ROUTED_OK);
    assert_int_equal(datagram_open(&second, &first.bound, &alone), ROUTED_ERROR_ADDRESS_IN_USE);
    assert_int_equal(datagram_open(&second, &first.bound, &shared), ROUTED_ERROR_ADDRESS_IN_USE);
    datagram_close(&first);
    assert_int_equal(datagram_open(&first, &a, &shared), ROUTED_OK);
    assert_int_equal(datagram_open(&second, &first.bound, &shared), ROUTED_OK);
    datagram_close(&first);
    datagram_close(&second);
}

static void an_unknown_address_is_an_error(void **state)
{
    (void)state;
    struct datagram_socket s;
    struct socket_address a = loopback("192.0.2.1"); /* RFC 5737: nobody's */
    struct datagram_options options = {.shared = false};
    assert_int_equal(datagram_open(&s, &a, &options), ROUTED_ERROR_ADDRESS_UNKNOWN);
}

static void without_memory_there_is_no_inbox(void **state)
{
    (void)state;
    memory_fault_set(1);
    assert_null(datagram_inbox_new());
    memory_fault_set(0);
    datagram_inbox_free(NULL);
}

static void a_descriptor_becomes_the_same_socket(void **state)
{
    (void)state;
    struct socket_address a = loopback("127.0.0.1");
    struct datagram_options options = {.plain = false};
    struct datagram_socket s, same;
    assert_int_equal(datagram_open(&s, &a, &options), ROUTED_OK);
    assert_int_equal(datagram_adopt(&same, socket_duplicate(s.fd)), ROUTED_OK);
    assert_int_equal(same.bound.size, s.bound.size);
    assert_memory_equal(same.bound.storage, s.bound.storage, s.bound.size);
    assert_int_equal(same.has_segments, s.has_segments);
    datagram_close(&same);
    datagram_close(&s);
    assert_int_not_equal(datagram_adopt(&same, -1), ROUTED_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_arrive_as_they_were_sent),
        cmocka_unit_test(nothing_to_receive_is_told),
        cmocka_unit_test(empty_datagrams_are_counted),
        cmocka_unit_test(addresses_are_told),
        cmocka_unit_test(a_reply_leaves_from_where_the_datagram_went),
        cmocka_unit_test(what_does_not_fit_is_lost),
        cmocka_unit_test(a_refused_datagram_harms_nothing),
        cmocka_unit_test(an_address_is_taken_once_unless_shared),
        cmocka_unit_test(an_unknown_address_is_an_error),
        cmocka_unit_test(a_descriptor_becomes_the_same_socket),
        cmocka_unit_test(without_memory_there_is_no_inbox),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
