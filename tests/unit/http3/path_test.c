/* Clients that change their address (RFC 9000 section 9), with and without knowing it. */
#include "http3/stage.h"

static bool peer_is(const struct stage *s, const struct http3_address *address)
{
    return stage_same(http3_connection_peer(s->fronts[0].connection), address);
}

static void a_new_nat_binding_is_validated(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    struct http3_address first = stage_seen(s, 0), second = stage_address(2, 20000);
    assert_true(peer_is(s, &first));
    s->behind_nat[0] = second;
    stage_get(s, c, 100000);
    assert_true(peer_is(s, &second));
    assert_int_equal(stage_count(s, HTTP3_MIGRATIONS), 1);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 1);
    stage_close(s);
}

static enum stage_fate lose_to_victim(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    struct http3_address victim = stage_address(66, 666);
    (void)s;
    (void)nth;
    return !d->to_server && stage_same(&d->remote, &victim) ? STAGE_LOST : STAGE_PASSES;
}

static uint64_t to_victim;

static void count_to_victim(struct stage *s, const struct stage_datagram *d)
{
    struct http3_address victim = stage_address(66, 666);
    (void)s;
    if (!d->to_server && stage_same(&d->remote, &victim))
        to_victim += d->size;
}

/* It never answers there: what is told is the address before, and little is sent. */
static void an_address_of_a_victim_is_not_believed(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    struct http3_address first = stage_seen(s, 0);
    int64_t id = client_get(c, "/1000000");
    s->behind_nat[0] = stage_address(66, 666);
    s->fate = lose_to_victim;
    s->tap = count_to_victim;
    uint64_t before = s->bytes[1];
    to_victim = 0;
    for (int i = 0; i < 20; i++) {
        stage_run(s, STAGE_TRANSIT);
        assert_true(peer_is(s, &first));
        assert_true(to_victim <= 3 * (s->bytes[1] - before));
    }
    /* It was a spoofed one: the true client goes on where it was. */
    s->behind_nat[0].size = 0;
    stage_run(s, 20 * STAGE_SECOND);
    stage_expect_content(c, id, 1000000);
    assert_true(peer_is(s, &first));
    assert_int_equal(stage_count(s, HTTP3_MIGRATIONS), 0);
    stage_close(s);
}

static void move(struct stage *s, struct client *c, uint16_t port)
{
    struct http3_address to = stage_address(5, port);
    memcpy(&c->path.local_addrbuf, to.storage, to.size);
    assert_int_equal(ngtcp2_conn_initiate_migration(c->conn, &c->path.path, s->now), 0);
}

static void a_client_migrates(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    for (uint16_t i = 0; i < 3; i++) {
        struct http3_address to = stage_address(5, (uint16_t)(5000 + i));
        const ngtcp2_cid *before = ngtcp2_conn_get_dcid(c->conn);
        ngtcp2_cid old = *before;
        move(s, c, (uint16_t)(5000 + i));
        stage_run(s, STAGE_SECOND);
        assert_int_equal(c->paths, i + 1);
        assert_false(ngtcp2_cid_eq(&old, ngtcp2_conn_get_dcid(c->conn)));
        stage_get(s, c, 10000);
        assert_true(peer_is(s, &to));
        assert_int_equal(stage_count(s, HTTP3_MIGRATIONS), i + 1);
    }
    stage_close(s);
}

/* Ping-pong between ports: the budget of moves is used up, then datagrams from new places are
 * dropped; the connection lives on. */
static void moves_are_limited(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    uint64_t dropped = stage_count(s, HTTP3_DATAGRAMS_DROPPED);
    /* Whoever has nothing to say is not seen to move. */
    ngtcp2_conn_set_keep_alive_timeout(c->conn, STAGE_TRANSIT);
    for (uint16_t i = 0; i < 400; i++) { /* 25 a second */
        s->behind_nat[0] = stage_address(2, (uint16_t)(20000 + i));
        if (i % 10 == 0)
            client_get(c, "/1");
        stage_run(s, 4 * STAGE_TRANSIT);
    }
    ngtcp2_conn_set_keep_alive_timeout(c->conn, UINT64_MAX);
    assert_true(stage_count(s, HTTP3_DATAGRAMS_DROPPED) > dropped);
    stage_run(s, 40 * STAGE_SECOND);
    assert_int_equal(s->requests, 40);
    assert_true(stage_first_answered(s));
    stage_close(s);
}

static void path_mtu_is_found(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    stage_get(s, c, 1000000);
    assert_true(s->largest > 1400);
    stage_close(s);
}

static enum stage_fate swallow_large(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    (void)s;
    (void)nth;
    return d->size > 1300 ? STAGE_LOST : STAGE_PASSES;
}

static void a_black_hole_for_large_datagrams_does_no_harm(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    s->fate = swallow_large;
    struct client *c = stage_connect(s, NULL);
    stage_get(s, c, 1000000);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_nat_binding_is_validated),
        cmocka_unit_test(an_address_of_a_victim_is_not_believed),
        cmocka_unit_test(a_client_migrates),
        cmocka_unit_test(moves_are_limited),
        cmocka_unit_test(path_mtu_is_found),
        cmocka_unit_test(a_black_hole_for_large_datagrams_does_no_harm),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
