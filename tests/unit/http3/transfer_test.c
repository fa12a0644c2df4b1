/* Bytes over a network that loses, doubles, delays and breaks datagrams, and a socket that is full
 * now and then. */
#include "http3/stage.h"

static unsigned percent(struct stage *s)
{
    return (unsigned)(unit_random(&s->random) >> 32) % 100;
}

static enum stage_fate lossy(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    (void)d;
    (void)nth;
    return percent(s) < 10 ? STAGE_LOST : STAGE_PASSES;
}

static enum stage_fate messy(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    unsigned p = percent(s);
    (void)d;
    (void)nth;
    return p < 3    ? STAGE_LOST
           : p < 8  ? STAGE_DOUBLED
           : p < 20 ? STAGE_LATE
           : p < 23 ? STAGE_BROKEN
                    : STAGE_PASSES;
}

static void upload(struct stage *s, struct client *c, size_t size)
{
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = stage_byte(i);
    int64_t id = client_open_stream(c, true);
    client_write_head(c, id, 20, "/", false);
    client_write_content(c, id, span_of(bytes, size), true);
    free(bytes);
    nanoseconds end = s->now + 600 * STAGE_SECOND;
    uint64_t before = s->content;
    while (!client_stream(c, id)->is_closed && s->now < end && c->result == 0)
        stage_run(s, STAGE_TRANSIT);
    stage_expect_content(c, id, 4);
    assert_int_equal(s->content - before, size);
}

static void run_over(enum stage_fate (*fate)(struct stage *, const struct stage_datagram *,
                                             unsigned),
                     uint64_t seed)
{
    struct stage *s = stage_start();
    s->random ^= seed * 0x9e3779b97f4a7c15u;
    s->fate = fate;
    struct client *c = stage_client(s, NULL);
    for (int i = 0; i < 30 && !c->is_done; i++)
        stage_run(s, STAGE_SECOND);
    assert_true(c->is_done);
    stage_get(s, c, 300000);
    upload(s, c, 300000);
    assert_int_equal(c->result, 0);
    stage_close(s);
}

static void transfers_survive_the_network(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        run_over(lossy, seed);
        run_over(messy, seed);
    }
}

static void losses_are_counted(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    stage_get(s, c, 100000);
    assert_int_equal(stage_count(s, HTTP3_PACKETS_LOST), 0);
    s->fate = lossy;
    stage_get(s, c, 300000);
    stage_run(s, STAGE_SECOND);
    assert_true(stage_count(s, HTTP3_PACKETS_LOST) > 5);
    stage_close(s);
}

static void many_streams_share_the_connection(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    int64_t ids[40];
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        ids[i] = client_get(c, "/50000");
    stage_run(s, 30 * STAGE_SECOND);
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        stage_expect_content(c, ids[i], 50000);
    assert_int_equal(s->ends, COUNT_OF(ids));
    assert_int_equal(s->end_error, ROUTED_OK);
    stage_close(s);
}

static void no_connection(ngtcp2_transport_params *parameters)
{
    parameters->initial_max_data = 0;
}

/* A client that takes no more of what we send can still send us what the application takes. */
static void a_full_window_holds_up_no_content(void **state)
{
    static uint8_t content[600000];
    (void)state;
    struct stage *s = stage_new();
    s->takes_anything = true;
    stage_open(s);
    struct client *c = stage_connect(s, &(struct client_wish){.bend = no_connection});
    int64_t id = client_open_stream(c, true);
    client_write_head(c, id, 20, "/later", false);
    client_write_content(c, id, span_of(content, sizeof(content)), true);
    stage_run(s, STAGE_SECOND);
    assert_int_equal(s->content, 0); /* nobody wants it yet */
    exchange_grant(s->later, SIZE_MAX / 4);
    stage_run(s, 1);
    assert_true(s->content > 0); /* without waiting for a datagram */
    stage_run(s, 10 * STAGE_SECOND);
    assert_int_equal(s->content, sizeof(content));
    assert_int_equal(c->result, 0);
    stage_close(s);
}

/* Nor does it keep its connection by leaving no room for GOAWAY. */
static void a_full_window_delays_no_end(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, &(struct client_wish){.bend = no_connection});
    struct session *session = http3_connection_session(s->fronts[0].connection);
    session->ops->shut(session);
    http3_connection_wake(s->fronts[0].connection);
    stage_run(s, STAGE_SECOND);
    assert_int_equal(s->closed, 1);
    assert_int_equal(c->result, NGTCP2_ERR_DRAINING);
    stage_close(s);
}

/* More requests than may be open at once come one after the other: MAX_STREAMS follows. */
static void streams_are_given_back(void **state)
{
    (void)state;
    struct stage *s = stage_new();
    s->options.session.limits.streams_max = 4;
    stage_open(s);
    struct client *c = stage_connect(s, NULL);
    for (int i = 0; i < 30; i++) {
        stage_get(s, c, 10);
        stage_run(s, STAGE_SECOND / 10);
    }
    for (int i = 0; i < 4; i++)
        client_get(c, "/wait");
    assert_int_equal(client_open_stream(c, true), -1);
    stage_close(s);
}

static void small_windows_only_slow_down(void **state)
{
    (void)state;
    struct stage *s = stage_new();
    s->options.session.limits.stream_window = 2000;
    s->options.session.limits.connection_window = 3000;
    stage_open(s);
    struct client *c = stage_connect(s, &(struct client_wish){.window = 1500});
    stage_get(s, c, 50000);
    upload(s, c, 50000);
    stage_close(s);
}

static void a_full_socket_keeps_what_is_left(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    uint64_t lost = stage_count(s, HTTP3_PACKETS_LOST);
    int64_t id = client_get(c, "/500000");
    for (int i = 0; i < 3000 && !client_stream(c, id)->is_closed; i++) {
        s->socket_room = (size_t)i % 3;
        stage_run(s, STAGE_TRANSIT / 2);
        if (s->socket_room == 0)
            assert_false(http3_endpoint_run(s->endpoint));
        s->socket_room = SIZE_MAX;
        http3_endpoint_writable(s->endpoint);
    }
    stage_expect_content(c, id, 500000);
    assert_int_equal(stage_count(s, HTTP3_PACKETS_LOST), lost);
    stage_close(s);
}

static bool second_is_done(struct stage *s)
{
    return s->clients[1].is_done;
}

/* The front has to know of its session from the beginning, for its timers run all the same. */
static void a_full_socket_hides_no_session(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *first = stage_connect(s, NULL);
    stage_client(s, NULL);
    stage_run(s, 3 * STAGE_TRANSIT / 2);
    client_get(first, "/100000");
    assert_true(stage_run_until(s, STAGE_SECOND, second_is_done));
    s->socket_room = 0;
    stage_run(s, 2 * STAGE_TRANSIT);
    assert_int_equal(s->opened, 2);
    assert_true(s->fronts[1].turns > 0);
    s->socket_room = SIZE_MAX;
    http3_endpoint_writable(s->endpoint);
    stage_get(s, &s->clients[1], 1000);
    stage_close(s);
}

static void datagrams_leave_together(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    stage_get(s, stage_connect(s, NULL), 2000000);
    stage_run(s, STAGE_SECOND);
    assert_true(s->joined_most >= 8);
    assert_int_equal(stage_count(s, HTTP3_BATCHES_OUT), s->batches);
    assert_int_equal(stage_count(s, HTTP3_DATAGRAMS_OUT), s->sent[0]);
    assert_int_equal(stage_count(s, HTTP3_BYTES_OUT), s->bytes[0]);
    assert_int_equal(stage_count(s, HTTP3_DATAGRAMS_IN), s->sent[1]);
    assert_int_equal(stage_count(s, HTTP3_BYTES_IN), s->bytes[1]);
    assert_true(s->marked > s->sent[0] / 2); /* ECN was found to work */
    stage_close(s);
}

/* Each way takes STAGE_TRANSIT, and an acknowledgement may wait for 25 ms. */
static void round_trips_are_counted_when_connections_end(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    stage_get(s, c, 10000);
    stage_run(s, STAGE_SECOND);
    nanoseconds trip = http3_connection_round_trip(s->fronts[0].connection);
    assert_in_range(trip, 2 * STAGE_TRANSIT, 4 * STAGE_TRANSIT);
    assert_true(s->fronts[0].turns > 0);
    assert_int_equal(stage_count(s, HTTP3_RTT_COUNT), 0);
    http3_connection_close(s->fronts[0].connection, ROUTED_OK);
    stage_run(s, STAGE_SECOND);
    assert_int_equal(stage_count(s, HTTP3_RTT_COUNT), 1);
    assert_int_equal(stage_count(s, HTTP3_RTT_SUM), trip / NGTCP2_MICROSECONDS);
    assert_in_range(stage_count(s, HTTP3_RTT_MIN_SUM), 2 * STAGE_TRANSIT / NGTCP2_MICROSECONDS,
                    trip / NGTCP2_MICROSECONDS);
    static const unsigned bounds[HTTP3_RTT_BOUNDS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    for (unsigned i = 0; i < HTTP3_RTT_BOUNDS; i++)
        assert_int_equal(stage_count(s, HTTP3_RTT_LE_1MS + i),
                         trip <= bounds[i] * NGTCP2_MILLISECONDS);
    stage_close(s);
}

/* Who never was there has no round trip. */
static void failed_handshakes_have_no_round_trip(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    stage_client(s, &(struct client_wish){.alpn = "h2"});
    stage_run(s, STAGE_SECOND);
    assert_int_equal(stage_count(s, HTTP3_HANDSHAKES_FAILED), 1);
    assert_int_equal(stage_count(s, HTTP3_RTT_COUNT), 0);
    assert_int_equal(stage_count(s, HTTP3_RTT_LE_1S), 0);
    stage_close(s);
}

static uint64_t sent_before;

static bool has_sent(struct stage *s)
{
    return stage_count(s, HTTP3_DATAGRAMS_OUT) > sent_before;
}

/* The answer brings the acknowledgement, and neither that nor its pace is a reason to wake. */
static void an_answer_is_one_datagram_and_then_there_is_rest(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    stage_get(s, c, 10);
    stage_run(s, STAGE_SECOND);
    sent_before = stage_count(s, HTTP3_DATAGRAMS_OUT);
    client_get(c, "/10");
    assert_true(stage_run_until(s, STAGE_SECOND, has_sent));
    assert_int_equal(stage_count(s, HTTP3_DATAGRAMS_OUT), sent_before + 1);
    assert_true(http3_endpoint_deadline(s->endpoint) >= s->now + 2 * STAGE_TRANSIT);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transfers_survive_the_network),
        cmocka_unit_test(losses_are_counted),
        cmocka_unit_test(many_streams_share_the_connection),
        cmocka_unit_test(streams_are_given_back),
        cmocka_unit_test(small_windows_only_slow_down),
        cmocka_unit_test(a_full_window_holds_up_no_content),
        cmocka_unit_test(a_full_window_delays_no_end),
        cmocka_unit_test(a_full_socket_keeps_what_is_left),
        cmocka_unit_test(a_full_socket_hides_no_session),
        cmocka_unit_test(datagrams_leave_together),
        cmocka_unit_test(round_trips_are_counted_when_connections_end),
        cmocka_unit_test(failed_handshakes_have_no_round_trip),
        cmocka_unit_test(an_answer_is_one_datagram_and_then_there_is_rest),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
