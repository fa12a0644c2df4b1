/* Long paths: what a transfer takes is counted in round trips, by the stage's clock. */
#include "http3/stage.h"

#define ROUND_TRIP (2 * STAGE_TRANSIT)
#define SIZE       16000000

static uint64_t round_trip(void *host)
{
    const struct stage_front *f = host;
    return http3_connection_round_trip(f->connection);
}

static struct stage *open_far(void)
{
    struct stage *s = stage_new();
    s->round_trip = round_trip;
    s->options.session.response_window = 262144;
    s->options.session.limits.stream_window = 262144;
    return s;
}

/* With windows that hold up nothing. */
static struct client *connect_far(struct stage *s)
{
    stage_open(s);
    return stage_connect(s, &(struct client_wish){.window = 1 << 24});
}

static unsigned trips_until(struct stage *s, struct client *c, int64_t id)
{
    nanoseconds before = s->now;
    while (!client_stream(c, id)->is_closed && s->now < before + 200 * ROUND_TRIP && c->result == 0)
        stage_run(s, ROUND_TRIP);
    assert_true(client_stream(c, id)->is_closed);
    return (unsigned)((s->now - before) / ROUND_TRIP);
}

/* Ten packets, then twice as many with each round trip: eight until there are 4 MiB on their way,
 * 64 if the application's 256 KiB were the pace. */
static void a_download_takes_the_path(void **state)
{
    (void)state;
    struct stage *s = open_far();
    struct client *c = connect_far(s);
    int64_t id = client_get(c, "/16000000");
    assert_in_range(trips_until(s, c, id), 8, 20);
    stage_expect_content(c, id, SIZE);
    stage_close(s);
}

/* Not more than ten packets and what the handshake earned at first, then no more than twice as much
 * in each round trip (RFC 9002 section 7.3.1), and not all at one moment (section 7.7). An eighth
 * is for round trips that are not cut where flights begin. */
static bool first_is_done(struct stage *s)
{
    return s->clients[0].is_done;
}

static void a_flight_begins_small_and_is_paced(void **state)
{
    static const nanoseconds step = ROUND_TRIP / 20;
    (void)state;
    struct stage *s = open_far();
    stage_open(s);
    struct client *c = stage_client(s, &(struct client_wish){.window = 1 << 24});
    uint64_t latest = 20000;
    assert_true(stage_run_until(s, STAGE_SECOND, first_is_done));
    client_get(c, "/16000000");
    stage_run(s, STAGE_TRANSIT);
    for (int trip = 0; trip < 6; trip++) {
        uint64_t before = s->bytes[0], most = 0;
        for (int i = 0; i < 20; i++) {
            uint64_t sent = s->bytes[0];
            stage_run(s, step);
            most = s->bytes[0] - sent > most ? s->bytes[0] - sent : most;
        }
        uint64_t flight = s->bytes[0] - before;
        assert_in_range(flight, trip ? latest : 10000, 2 * latest + latest / 8 + 3000);
        if (trip > 2)
            assert_true(most < flight / 2);
        latest = flight;
    }
    stage_close(s);
}

static uint64_t most_in_flight;

static void note_flight(struct stage *s, const struct stage_datagram *d)
{
    uint64_t flying = 0;
    for (size_t i = 0; i < s->flying_count; i++)
        flying += s->flying[i]->to_server ? 0 : s->flying[i]->size;
    if (!d->to_server && flying > most_in_flight)
        most_in_flight = flying;
}

/* And with less on its way where the limit says so. */
static void a_download_keeps_to_the_limit(void **state)
{
    (void)state;
    struct stage *s = open_far();
    s->options.session.limits.unacknowledged_max = 500000;
    struct client *c = connect_far(s);
    s->tap = note_flight;
    most_in_flight = 0;
    int64_t id = client_get(c, "/16000000");
    assert_in_range(trips_until(s, c, id), SIZE / 500000, 60);
    stage_expect_content(c, id, SIZE);
    assert_in_range(most_in_flight, 250000, 550000);
    stage_close(s);
}

static int64_t upload(struct client *c)
{
    uint8_t *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = stage_byte(i);
    int64_t id = client_open_stream(c, true);
    client_write_head(c, id, 20, "/", false);
    client_write_content(c, id, span_of(bytes, SIZE), true);
    free(bytes);
    return id;
}

/* 64 round trips if windows stayed as they begin. */
static void an_upload_takes_the_path(void **state)
{
    (void)state;
    struct stage *s = open_far();
    struct client *c = connect_far(s);
    int64_t id = upload(c);
    assert_in_range(trips_until(s, c, id), 8, 24);
    assert_int_equal(s->content, SIZE);
    stage_close(s);
}

static void an_upload_without_growth(void **state)
{
    (void)state;
    struct stage *s = open_far();
    s->options.session.limits.upload_growth = 0;
    struct client *c = connect_far(s);
    int64_t id = upload(c);
    assert_in_range(trips_until(s, c, id), SIZE / 262144, 100);
    assert_int_equal(s->content, SIZE);
    stage_close(s);
}

static enum stage_fate only_small(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    (void)nth;
    return !d->to_server && d->size > *(const size_t *)s->user ? STAGE_LOST : STAGE_PASSES;
}

/* Large datagrams vanish from some moment on, and nothing says so (RFC 8899 section 4.3). */
static void a_black_hole_in_the_middle(void **state)
{
    static const size_t sizes[] = {1200, 1250, 1400};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct stage *s = open_far();
        struct client *c = connect_far(s);
        int64_t id = client_get(c, "/16000000");
        stage_run(s, 7 * ROUND_TRIP);
        assert_in_range(s->largest, 1401, 1500);
        assert_false(client_stream(c, id)->came_to_end);
        s->user = (void *)(uintptr_t)&sizes[i];
        s->fate = only_small;
        assert_in_range(trips_until(s, c, id), 0, 80);
        stage_expect_content(c, id, SIZE);
        stage_close(s);
    }
}

static enum stage_fate none(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    (void)s;
    (void)d;
    (void)nth;
    return STAGE_LOST;
}

/* Ten minutes after, large ones are tried again. */
static void large_datagrams_come_back(void **state)
{
    (void)state;
    struct stage *s = open_far();
    struct client *c = connect_far(s);
    stage_get(s, c, 300000);
    int64_t id = client_get(c, "/1000000");
    stage_run(s, ROUND_TRIP);
    s->fate = none;
    stage_run(s, 10 * ROUND_TRIP);
    s->fate = NULL;
    s->largest = 0;
    trips_until(s, c, id);
    stage_expect_content(c, id, 1000000);
    assert_int_equal(s->largest, 1200);
    for (int i = 0; i < 60; i++) { /* before the connection is idle for too long */
        stage_get(s, c, 10);
        client_forget_closed(c);
        stage_run(s, 10 * STAGE_SECOND);
    }
    s->largest = 0;
    stage_get(s, c, 300000);
    assert_in_range(s->largest, 1401, 1500);
    assert_int_equal(c->result, 0);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_download_takes_the_path),
        cmocka_unit_test(a_flight_begins_small_and_is_paced),
        cmocka_unit_test(a_download_keeps_to_the_limit),
        cmocka_unit_test(an_upload_takes_the_path),
        cmocka_unit_test(an_upload_without_growth),
        cmocka_unit_test(a_black_hole_in_the_middle),
        cmocka_unit_test(large_datagrams_come_back),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
