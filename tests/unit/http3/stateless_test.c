/* Datagrams that belong to no connection: other versions, ids of connections that are gone or live
 * on another worker, and rubbish. */
#include "http3/stage.h"

#include "http3/identifier.h"

static void receive(struct stage *s, const uint8_t *bytes, size_t size)
{
    struct stage_datagram d = {.local = stage_address(9, 9),
                               .remote = stage_address(1, STAGE_PORT),
                               .bytes = malloc(size ? size : 1),
                               .size = size};
    memcpy(d.bytes, bytes, size);
    stage_deliver_to_server(s, &d);
    free(d.bytes);
    while (http3_endpoint_run(s->endpoint)) {
    }
}

static void unknown_version(uint8_t *out, size_t size)
{
    static const uint8_t head[] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 20, 1, 2};
    memset(out, 7, size);
    memcpy(out, head, sizeof(head));
    out[26] = 255; /* a long source id is told back all the same */
}

static uint8_t last[2048];
static size_t last_size;

static void keep_last(struct stage *s, const struct stage_datagram *d)
{
    (void)s;
    memcpy(last, d->bytes, d->size);
    last_size = d->size;
}

static void another_version_is_told_ours(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    uint8_t bytes[1200];
    unknown_version(bytes, sizeof(bytes));
    s->tap = keep_last;
    receive(s, bytes, sizeof(bytes) - 1);
    assert_int_equal(s->sent[0], 0);
    receive(s, bytes, sizeof(bytes));
    assert_int_equal(s->sent[0], 1);
    assert_int_equal(last_size, 1 + 4 + 1 + 255 + 1 + 20 + 3 * 4);
    assert_memory_equal(last + 1, "\0\0\0\0\xff", 5);
    assert_memory_equal(last + last_size - 8, "\0\0\0\1\x6b\x33\x43\xcf", 8);
    assert_int_equal(stage_count(s, HTTP3_VERSION_NEGOTIATIONS), 1);
    for (int i = 0; i < 2000; i++)
        receive(s, bytes, sizeof(bytes));
    assert_int_equal(stage_count(s, HTTP3_VERSION_NEGOTIATIONS), 1000);
    stage_set_now(s, s->now + STAGE_SECOND / 10);
    for (int i = 0; i < 2000; i++)
        receive(s, bytes, sizeof(bytes));
    assert_int_equal(stage_count(s, HTTP3_VERSION_NEGOTIATIONS), 1100);
    stage_close(s);
}

static void a_client_of_another_version_hears_it(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_client(s, &(struct client_wish){.version = 0x1a2a3a4a});
    stage_run(s, STAGE_SECOND);
    assert_int_equal(c->versions, 1);
    assert_int_equal(c->result, NGTCP2_ERR_RECV_VERSION_NEGOTIATION);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    stage_close(s);
}

static void version_2_is_spoken(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, &(struct client_wish){.version = NGTCP2_PROTO_VER_V2});
    assert_int_equal(ngtcp2_conn_get_negotiated_version(c->conn), NGTCP2_PROTO_VER_V2);
    stage_get(s, c, 1000);
    stage_close(s);
}

static void make_identifier(const struct stage *s, unsigned worker, uint8_t *out)
{
    struct http3_identifier_key key;
    ngtcp2_cid id;
    http3_identifier_key_init(&key, s->options.secret);
    assert_true(http3_identifier_make(&key, worker, &id));
    memcpy(out, id.data, id.datalen);
}

static void a_reset_is_smaller_than_its_reason(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    uint8_t bytes[100] = {0x40};
    make_identifier(s, s->options.worker, bytes + 1);
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        uint64_t before = s->bytes[0];
        receive(s, bytes, size);
        size_t answer = (size_t)(s->bytes[0] - before);
        assert_true(answer == 0 ? size <= 21 : size > 21 && answer < size && answer >= 21);
    }
    for (int i = 0; i < 200; i++)
        receive(s, bytes, 40);
    assert_int_equal(stage_count(s, HTTP3_STATELESS_RESETS), 100);
    stage_set_now(s, s->now + STAGE_SECOND / 10);
    for (int i = 0; i < 200; i++)
        receive(s, bytes, 40);
    assert_int_equal(stage_count(s, HTTP3_STATELESS_RESETS), 110);

    /* An id that was never ours gets none: nobody learns anything by guessing. */
    stage_set_now(s, s->now + STAGE_SECOND);
    bytes[3] ^= 1;
    receive(s, bytes, 40);
    assert_int_equal(stage_count(s, HTTP3_STATELESS_RESETS), 110);
    stage_close(s);
}

static void a_client_of_the_process_before_is_reset(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    s->socket_room = 0; /* it dies without a word */
    http3_endpoint_free(s->endpoint, ROUTED_ERROR_STOPPING);
    s->socket_room = SIZE_MAX;
    stage_open(s);
    client_get(c, "/1");
    stage_run(s, STAGE_SECOND);
    assert_true(c->was_reset);
    assert_int_equal(stage_count(s, HTTP3_STATELESS_RESETS), 1);
    stage_close(s);
}

static void ids_of_other_workers_are_forwarded(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    for (unsigned worker = 0; worker < 6; worker++) {
        uint8_t bytes[1200] = {0x40};
        unsigned before = s->forwarded;
        make_identifier(s, worker, bytes + 1);
        receive(s, bytes, 60);
        bool is_other = worker != s->options.worker && worker < s->options.workers;
        assert_int_equal(s->forwarded - before, is_other);
        if (is_other)
            assert_int_equal(s->forwarded_to, worker);
        /* A worker that is no more has left clients behind. */
        assert_int_equal(stage_count(s, HTTP3_STATELESS_RESETS),
                         (worker >= 1) + (worker >= 4) + (worker >= 5));
    }
    assert_int_equal(stage_count(s, HTTP3_DATAGRAMS_FORWARDED), 3);
    stage_close(s);
}

/* By the worker whose socket it came to. */
static void a_datagram_is_counted_once(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    uint8_t bytes[1200] = {0x40};
    make_identifier(s, s->options.worker, bytes + 1);
    struct http3_datagram d = {.local = stage_address(1, STAGE_PORT),
                               .remote = stage_address(2, 10000),
                               .bytes = span_of(bytes, 60)};
    http3_endpoint_take(s->endpoint, &d);
    assert_int_equal(stage_count(s, HTTP3_DATAGRAMS_IN), 0);
    assert_int_equal(stage_count(s, HTTP3_BYTES_IN), 0);
    assert_int_equal(stage_count(s, HTTP3_STATELESS_RESETS), 1); /* it was read */
    http3_endpoint_receive(s->endpoint, &d);
    assert_int_equal(stage_count(s, HTTP3_DATAGRAMS_IN), 1);
    assert_int_equal(stage_count(s, HTTP3_BYTES_IN), 60);
    stage_close(s);
}

static void long_headers_of_other_workers_are_forwarded(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    uint8_t bytes[1200] = {0xe0, 0, 0, 0, 1, HTTP3_IDENTIFIER_SIZE}; /* Handshake */
    make_identifier(s, 2, bytes + 6);
    receive(s, bytes, sizeof(bytes));
    assert_int_equal(s->forwarded, 1);
    assert_int_equal(s->forwarded_to, 2);
    stage_close(s);
}

static void rubbish_is_dropped(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    uint64_t random = 12345;
    uint8_t bytes[1500];
    for (int i = 0; i < 20000; i++) {
        size_t size = unit_random(&random) % sizeof(bytes);
        for (size_t k = 0; k < size; k++)
            bytes[k] = (uint8_t)unit_random(&random);
        if (i % 3 == 0 && size > 5)
            memcpy(bytes, i % 2 ? "\xc0\0\0\0\1" : "\xe0\0\0\0\1", 5);
        uint64_t before = s->bytes[0];
        receive(s, bytes, size);
        assert_true(s->bytes[0] - before <= size);
    }
    stage_run(s, 20 * STAGE_SECOND);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    stage_close(s);
}

static void odd_addresses_are_dropped(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    uint8_t bytes[1200];
    unknown_version(bytes, sizeof(bytes));
    for (unsigned i = 0; i < 3; i++) {
        struct stage_datagram d = {.local = stage_address(9, 9),
                                   .remote = stage_address(1, STAGE_PORT),
                                   .bytes = bytes,
                                   .size = sizeof(bytes)};
        if (i == 0)
            d.local.size = 0;
        if (i == 1)
            d.local.size = 2;
        if (i == 2)
            d.local.storage[0] = 1; /* AF_UNIX */
        stage_deliver_to_server(s, &d);
    }
    assert_int_equal(stage_count(s, HTTP3_DATAGRAMS_DROPPED), 3);
    assert_int_equal(s->sent[0], 0);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_version_is_told_ours),
        cmocka_unit_test(a_client_of_another_version_hears_it),
        cmocka_unit_test(version_2_is_spoken),
        cmocka_unit_test(a_reset_is_smaller_than_its_reason),
        cmocka_unit_test(a_client_of_the_process_before_is_reset),
        cmocka_unit_test(ids_of_other_workers_are_forwarded),
        cmocka_unit_test(a_datagram_is_counted_once),
        cmocka_unit_test(long_headers_of_other_workers_are_forwarded),
        cmocka_unit_test(rubbish_is_dropped),
        cmocka_unit_test(odd_addresses_are_dropped),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
