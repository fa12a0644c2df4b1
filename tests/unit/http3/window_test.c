/* What is sent and not acknowledged, and windows of uploads that grow: bounds and who shares them.
 */
#include "peer.h"
#include "support/unit.h"

static void send_much(struct origin *o, struct exchange *x)
{
    (void)o;
    origin_respond(x, 200, NULL);
    for (int i = 0; i < 10; i++)
        origin_send_size(x, 10000);
    exchange_end(x, NULL);
}

static const struct origin_script sends_much = {.on_end = send_much};

static uint64_t content_of(struct peer *p, int64_t streams)
{
    uint64_t content = 0;
    for (int64_t id = 0; id < 4 * streams; id += 4)
        content += peer_answer(p, id)->size;
    return content;
}

/* What is sent and not acknowledged is on the limit and not a byte beyond; nothing but content
 * waits, and with the acknowledgements all of it comes. */
static void test_unacknowledged_content(void **state)
{
    static const struct {
        size_t max, came;
    } cases[] = {{299999, 299999}, {300000, 300000}, {300001, 300000}, {1000, 1000}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        peer_init(&p, &sends_much);
        p.options.limits.unacknowledged_max = cases[i].max;
        p.keeps_acks = true;
        assert_true(peer_begin(&p));
        peer_greet(&p);
        for (int64_t id = 0; id < 12; id += 4)
            peer_get(&p, id);
        peer_turn(&p);
        assert_int_equal(content_of(&p, 3), cases[i].came);
        assert_int_equal(p.origin.limited, cases[i].came < 300000);
        for (int64_t id = 0; id < 12; id += 4)
            assert_int_equal(peer_answer(&p, id)->status, 200);
        for (int turn = 0; content_of(&p, 3) < 300000 && turn < 300000; turn++)
            for (int64_t id = 0; id < 12; id += 4) {
                peer_acknowledge(&p, id);
                peer_turn(&p);
            }
        assert_int_equal(content_of(&p, 3), 300000);
        assert_int_equal(p.origin.close_error, ROUTED_OK);
        assert_int_equal(p.origin.ended, 3);
        peer_close(&p);
    }
}

/* A stream that is gone leaves its place to others. */
static void test_unacknowledged_content_of_a_reset(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &sends_much);
    p.options.limits.unacknowledged_max = 100000;
    p.keeps_acks = true;
    assert_true(peer_begin(&p));
    peer_greet(&p);
    peer_get(&p, 0);
    peer_turn(&p);
    peer_get(&p, 4);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->size, 100000);
    assert_int_equal(peer_answer(&p, 4)->status, 200);
    assert_int_equal(peer_answer(&p, 4)->size, 0);
    http3_session_stream_closed(p.session, 0, NGHTTP3_H3_REQUEST_CANCELLED);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 4)->size, 100000);
    peer_close(&p);
}

/* ---- windows that grow ---- */

/* Brings `size` bytes in pieces of 10,000, `pause` milliseconds apart. */
static void bring(struct peer *p, int64_t id, size_t size, milliseconds pause)
{
    peer_request(p, id, "POST", "/", NULL, 0, false);
    for (size_t at = 0; at < size; at += 10000) {
        peer_data(p, id, 10000, false);
        p->now += pause;
    }
    peer_turn(p);
}

static const struct origin_script takes = {.on_request = origin_grant_all};

/* The window doubles while half of it passes in less than two round trips, up to the limit for all
 * together; then the limit is counted. */
static void test_windows_grow(void **state)
{
    static const struct {
        size_t max;
        uint64_t round_trip;
        uint64_t grown;
        bool is_limited;
    } cases[] = {
        {1000000, 0, 0, false},       /* not known */
        {1000000, 1000000, 0, false}, /* fast enough as it is */
        {1000000, 100000000, 1000000, true},
        {65536, 100000000, 65536, true},
        {196607, 100000000, 196607, true}, /* twice doubled, but for a byte */
        {196608, 100000000, 196608, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        peer_init(&p, &takes);
        p.options.limits.upload_growth = cases[i].max;
        p.origin.round_trip = cases[i].round_trip;
        assert_true(peer_begin(&p));
        peer_greet(&p);
        uint64_t before = p.sent;
        bring(&p, 0, 3000000, 1);
        assert_int_equal(peer_stream(&p, 0)->granted, p.sent - before + cases[i].grown);
        assert_int_equal(p.origin.limited > 0, cases[i].is_limited);
        peer_close(&p);
    }
}

/* Nothing is left for a second upload until the first is over. */
static void test_growth_is_shared(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &takes);
    p.options.limits.upload_growth = 100000;
    p.origin.round_trip = 100000000;
    assert_true(peer_begin(&p));
    peer_greet(&p);
    bring(&p, 0, 1000000, 1);
    uint64_t before = p.sent;
    bring(&p, 4, 1000000, 1);
    assert_int_equal(peer_stream(&p, 4)->granted, p.sent - before);
    peer_cancel(&p, 0);
    peer_turn(&p);
    before = p.sent;
    bring(&p, 8, 1000000, 1);
    assert_int_equal(peer_stream(&p, 8)->granted, p.sent - before + 100000);
    peer_close(&p);
}

static void grant_some(struct origin *o, struct exchange *x)
{
    (void)o;
    exchange_grant(x, 20000);
}

static const struct origin_script takes_some = {.on_request = grant_some};

/* Where the application is what sets the pace, the window stays. */
static void test_no_growth_for_what_waits(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &takes_some);
    p.origin.round_trip = 100000000;
    assert_true(peer_begin(&p));
    peer_greet(&p);
    bring(&p, 0, 60000, 0);
    for (int i = 0; i < 30; i++) {
        uint64_t before = peer_stream(&p, 0)->granted;
        exchange_grant(p.origin.exchange, 20000);
        peer_turn(&p);
        peer_data(&p, 0, 20000, false);
        peer_turn(&p);
        assert_in_range(peer_stream(&p, 0)->granted - before, 20000, 20010);
    }
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unacknowledged_content),
        cmocka_unit_test(test_unacknowledged_content_of_a_reset),
        cmocka_unit_test(test_windows_grow),
        cmocka_unit_test(test_growth_is_shared),
        cmocka_unit_test(test_no_growth_for_what_waits),
    };
    return cmocka_run_group_tests_name("http3 windows", tests, NULL, NULL);
}
