/* What connections hold: little, in proportion to what the client sent, and given back; and what
 * happens when there is no more. */
#include "http3/stage.h"

#include "http3/inside.h"

/* ---- without memory ---- */

/* A life with everything in it; whatever fails, fails. */
static void live(struct stage *s)
{
    if (http3_endpoint_new(&s->endpoint, &s->options) != ROUTED_OK)
        return;
    struct client *c = stage_client(s, NULL);
    stage_run(s, STAGE_SECOND / 5);
    if (c->is_done && c->result == 0) {
        client_get(c, "/20000");
        int64_t id = client_open_stream(c, true);
        client_write_head(c, id, 20, "/", false);
        client_write_content(c, id, SPAN("\0\x1f>]|"), true);
        stage_run(s, STAGE_SECOND / 5);
        s->behind_nat[0] = stage_address(2, 20000);
        if (c->result == 0) {
            ngtcp2_conn_initiate_key_update(c->conn, s->now);
            client_get(c, "/wait");
        }
        stage_run(s, STAGE_SECOND / 5);
        http3_endpoint_shut(s->endpoint);
    }
    stage_run(s, STAGE_SECOND / 5);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    bool has_fired = true;
    uint64_t nth = 0;
    while (has_fired) {
        nth += nth < 300 ? 1 : 7;
        struct stage *s = stage_new();
        size_t held = memory_held();
        s->options.retry_from = nth % 2 ? 0 : 100;
        memory_fault_set(nth);
        live(s);
        has_fired = memory_fault_fired();
        memory_fault_set(0);
        if (!has_fired)
            assert_int_equal(s->requests, 3); /* it was a whole life */
        if (s->endpoint)
            http3_endpoint_free(s->endpoint, ROUTED_ERROR_STOPPING);
        s->endpoint = NULL;
        assert_int_equal(memory_held(), held);
        stage_close(s);
    }
    assert_true(nth > 100);
}

/* ---- what is held ---- */

static void the_fixed_cost_is_as_documented(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    struct http3_connection *connection = s->fronts[0].connection;
    assert_true(connection->heap.held < HTTP3_CONNECTION_COST / 2);
    stage_get(s, c, 1000);
    stage_run(s, STAGE_SECOND);
    assert_true(connection->heap.held < HTTP3_CONNECTION_COST / 2);
    stage_close(s);
}

static void what_connections_held_is_given_back(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    stage_get(s, stage_connect(s, NULL), 10);
    http3_endpoint_free(s->endpoint, ROUTED_ERROR_STOPPING);
    size_t held = memory_held();
    stage_open(s);
    for (int i = 0; i < 100; i++) {
        struct client *c = stage_connect(s, NULL);
        stage_get(s, c, 10);
        http3_connection_close(s->fronts[i + 1].connection, ROUTED_OK);
        stage_run(s, 2 * STAGE_SECOND);
    }
    http3_endpoint_free(s->endpoint, ROUTED_ERROR_STOPPING);
    s->endpoint = NULL;
    assert_int_equal(memory_held(), held);
    stage_close(s);
}

/* Uploads on many streams, so that the client may have much on its way at once. */
static void widen(struct stage *s, struct client *c)
{
    uint8_t *bytes = malloc(400000);
    for (size_t k = 0; k < 400000; k++)
        bytes[k] = stage_byte(k);
    for (int i = 0; i < 10; i++) {
        int64_t id = client_open_stream(c, true);
        client_write_head(c, id, 20, "/", false);
        client_write_content(c, id, span_of(bytes, 400000), true);
    }
    free(bytes);
    stage_run(s, 30 * STAGE_SECOND);
}

/* A few bytes in each 8 KiB of many streams make ngtcp2 keep much for little. */
static void sparse_fragments_end_the_connection(void **state)
{
    (void)state;
    static const uint8_t zeros[60000];
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    struct http3_connection *connection = s->fronts[0].connection;
    widen(s, c);
    uint64_t start = connection->bytes_in;
    connection->bytes_in = 0; /* as if it had not earned any */
    for (int i = 0; i < 40 && connection->ending == HTTP3_STAYS; i++) {
        int64_t id = client_open_stream(c, true);
        uint8_t bytes[1500];
        struct stage_datagram d = {.to_server = true, .bytes = bytes};
        ngtcp2_path_storage path;
        ngtcp2_path_storage_zero(&path);
        client_write_head(c, id, 20, "/", false);
        client_write_content(c, id, span_of(zeros, sizeof(zeros)), false);
        for (int k = 0; (d.size = client_make(c, bytes, 300, &path.path, &d.ecn, s->now)); k++) {
            d.local = stage_seen(s, 0);
            d.remote = stage_address(1, STAGE_PORT);
            if (k % 27 == 26) /* the others are lost for good */
                stage_deliver_to_server(s, &d);
            if (connection->ending == HTTP3_STAYS)
                assert_true(connection->heap.held <= HTTP3_CONNECTION_COST + 65536 +
                                                         10 * connection->bytes_in +
                                                         connection->most_in_flight);
        }
    }
    assert_true(start > 4000000);
    assert_true(connection->most_in_flight < 16384);
    assert_true(connection->bytes_in < 60000);
    assert_true(connection->ending != HTTP3_STAYS);
    assert_int_equal(connection->error, ROUTED_ERROR_BUDGET);
    stage_close(s);
}

/* Half-open connections of a flood are bounded by number, and by size. */
static void a_flood_of_initials_is_bounded(void **state)
{
    (void)state;
    struct stage *s = stage_new();
    s->options.handshakes_max = 100;
    s->options.retry_from = 50;
    stage_open(s);
    uint8_t bytes[1200];
    uint64_t random = 99;
    size_t held = memory_held();
    for (int i = 0; i < 3000; i++) {
        static const uint8_t head[] = {0xc0, 0, 0, 0, 1, 8};
        for (size_t k = 0; k < sizeof(bytes); k++)
            bytes[k] = (uint8_t)unit_random(&random);
        memcpy(bytes, head, sizeof(head));
        bytes[14] = 0; /* source id */
        bytes[15] = 0; /* token */
        bytes[16] = 0x44;
        bytes[17] = 0x90; /* length: to the end */
        struct stage_datagram d = {.local = stage_address((unsigned)i, 5),
                                   .remote = stage_address(1, STAGE_PORT),
                                   .bytes = bytes,
                                   .size = sizeof(bytes)};
        stage_deliver_to_server(s, &d);
        assert_true(http3_endpoint_connections(s->endpoint) <= 100);
    }
    while (http3_endpoint_run(s->endpoint)) {
    }
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0); /* none of them is an Initial */
    assert_true(memory_held() < held + 65536);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(the_fixed_cost_is_as_documented),
        cmocka_unit_test(what_connections_held_is_given_back),
        cmocka_unit_test(sparse_fragments_end_the_connection),
        cmocka_unit_test(a_flood_of_initials_is_bounded),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
