#include "bridge/call.h"
#include "bridge/stage.h"

#include "io/doorbell.h"

/* Sends a request, answers it on the connection where it arrives, returns that. */
static unsigned serve_one(struct stage *s, struct span method)
{
    struct visit v;
    visit_start(&v, s, method, 0);
    size_t seen[STAGE_PEERS_MAX];
    for (unsigned i = 0; i < STAGE_PEERS_MAX; i++)
        seen[i] = i < s->peer_count ? buffer_size(&s->peers[i].in) : 0;
    unsigned peer = STAGE_PEERS_MAX;
    while (peer == STAGE_PEERS_MAX) {
        stage_turn(s, 1);
        for (unsigned i = 0; i < s->peer_count; i++)
            if (buffer_size(&s->peers[i].in) > seen[i])
                peer = i;
    }
    peer_answer(&s->peers[peer], WIRE_RESPONSE_SINGLE, 200, SPAN("ok"));
    visit_close_answered(&v);
    return peer;
}

static void test_last_in_is_first_out(void **state)
{
    struct stage s;
    struct visit v[3];
    (void)state;
    stage_begin(&s);
    visits_arrive(v, 3, &s);
    static const unsigned order[] = {1, 2, 0};
    for (int i = 0; i < 3; i++) {
        peer_answer(&s.peers[order[i]], WIRE_RESPONSE_SINGLE, 200, SPAN("ok"));
        stage_until(&s, stage_metric(&s, BRIDGE_IDLE) == (unsigned)i + 1);
    }
    for (int i = 0; i < 3; i++)
        visit_close(&v[i], ROUTED_OK);
    for (int i = 0; i < 3; i++)
        visit_start(&v[i], &s, SPAN("GET"), 0);
    assert_int_equal(stage_metric(&s, BRIDGE_REUSES), 3);
    visit_close(&v[1], ROUTED_ERROR_CLIENT_GONE); /* the second to be taken: peer 2 */
    stage_until(&s, s.peers[2].is_ended);
    assert_false(s.peers[0].is_ended || s.peers[1].is_ended);
    visit_close(&v[0], ROUTED_ERROR_CLIENT_GONE);
    stage_until(&s, s.peers[0].is_ended);
    visit_close(&v[2], ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

static void test_idle_lines_are_limited(void **state)
{
    struct stage s;
    struct visit v[4];
    (void)state;
    stage_prepare(&s, 1);
    s.limits.engine_idle_connections = 2;
    stage_open(&s);
    visits_arrive(v, 4, &s);
    for (int i = 0; i < 4; i++)
        peer_answer(&s.peers[i], WIRE_RESPONSE_SINGLE, 200, SPAN("ok"));
    for (int i = 0; i < 4; i++) {
        visit_close_answered(&v[i]);
    }
    assert_int_equal(stage_metric(&s, BRIDGE_IDLE), 2);
    assert_int_equal(stage_metric(&s, BRIDGE_LIMIT_IDLE), 2);
    assert_int_equal(stage_metric(&s, BRIDGE_OPEN), 2);
    stage_close(&s);
}

static void test_idle_lines_expire(void **state)
{
    struct stage s;
    (void)state;
    stage_prepare(&s, 1);
    s.limits.engine_idle_expiry = 20;
    stage_open(&s);
    serve_one(&s, SPAN("GET"));
    assert_int_equal(stage_metric(&s, BRIDGE_IDLE), 1);
    stage_until(&s, s.peers[0].is_ended);
    assert_int_equal(stage_metric(&s, BRIDGE_OPEN), 0);
    assert_int_equal(stage_metric(&s, BRIDGE_LIMIT_EXPIRY), 1);
    assert_int_equal(serve_one(&s, SPAN("GET")), 1);
    stage_close(&s);
}

static void test_line_closed_by_the_engine_is_not_used_again(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s);
    serve_one(&s, SPAN("GET"));
    peer_close(&s.peers[0]);
    stage_until(&s, stage_metric(&s, BRIDGE_IDLE) == 0);
    assert_int_equal(serve_one(&s, SPAN("POST")), 1);
    assert_int_equal(stage_metric(&s, BRIDGE_RETRIES), 0);
    stage_close(&s);
}

/* The engine closed while the loop was asleep, and a request comes before the loop could tell. */
static void visit_stale_line(struct visit *v, struct stage *s, struct span method)
{
    stage_begin(s);
    serve_one(s, SPAN("GET"));
    milliseconds end = loop_now(s->loop) + 150;
    stage_until(s, loop_now(s->loop) > end);
    peer_close(&s->peers[0]);
    visit_start(v, s, method, 0);
    stage_until(s, s->peer_count == 2 && peer_frame(&s->peers[1], 0, NULL));
}

/* The health check sees it. */
static void test_stale_line_is_found_out_before_use(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    visit_stale_line(&v, &s, SPAN("POST"));
    assert_int_equal(stage_metric(&s, BRIDGE_RETRIES), 0);
    visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

/* What can be repeated is not worth the question. */
static void test_stale_line_costs_a_request_that_can_be_repeated_nothing(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    visit_stale_line(&v, &s, SPAN("GET"));
    assert_int_equal(stage_metric(&s, BRIDGE_RETRIES), 1);
    peer_answer(&s.peers[1], WIRE_RESPONSE_SINGLE, 200, SPAN("ok"));
    stage_until(&s, v.has_end);
    assert_int_equal(v.status, 200);
    visit_close(&v, ROUTED_OK);
    stage_close(&s);
}

/* ---- bells ---- */

static bool is_rung(struct bell *b)
{
    return doorbell_wait(b->fd, 0);
}

/* As the loop of an engine that goes to sleep. */
static void sleep_again(struct bell *b)
{
    doorbell_silence(b->fd);
    bell_await(b);
}

static void stage_with_bells(struct stage *s)
{
    stage_prepare(s, 2);
    s->options.bells = bridge_endpoint_bells(s->endpoint);
    for (unsigned i = 0; i < 2; i++)
        bell_await(&s->options.bells[i]);
    stage_open(s);
}

static void test_engine_is_rung_when_a_turn_has_written_all(void **state)
{
    struct stage s;
    struct visit v[3];
    (void)state;
    stage_with_bells(&s);
    struct bell *bells = s.options.bells;
    for (int i = 0; i < 3; i++)
        visit_start(&v[i], &s, SPAN("GET"), 0);
    assert_false(is_rung(&bells[0]) || is_rung(&bells[1]));
    stage_turn(&s, 0); /* one turn, and all is there */
    assert_true(is_rung(&bells[0]) && is_rung(&bells[1]));
    assert_int_equal(s.peer_count, 3);
    for (int i = 0; i < 3; i++)
        assert_true(peer_frame(&s.peers[i], 0, NULL));
    for (int i = 0; i < 3; i++)
        visit_close(&v[i], ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

static void test_engine_is_rung_for_a_closed_line(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    stage_with_bells(&s);
    struct bell *bells = s.options.bells;
    visit_arrive(&v, &s);
    struct bell *rung = &bells[s.peers[0].engine], *other = &bells[1 - s.peers[0].engine];
    sleep_again(rung);
    visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
    stage_until(&s, s.peers[0].is_ended);
    assert_true(is_rung(rung));
    assert_false(is_rung(other));
    stage_close(&s);
}

static void test_engine_is_rung_by_the_end_of_the_front(void **state)
{
    struct stage s;
    (void)state;
    stage_with_bells(&s);
    struct bell *bells = s.options.bells;
    serve_one(&s, SPAN("GET"));
    unsigned engine = s.peers[0].engine;
    sleep_again(&bells[engine]);
    s.face.close(s.context);
    s.context = NULL;
    assert_true(is_rung(&bells[engine]));
    stage_close(&s);
}

/* ---- the rule of the one retry, row by row ---- */

enum stage_of_failure {
    UNREAD,  /* closed before the kernel took a byte */
    TAKEN,   /* closed after the frame was read */
    ANSWERED /* closed after one byte of an answer */
};

struct retry_row {
    const char *method;
    bool is_reused;
    int64_t length;
    enum stage_of_failure when;
    bool is_retried;
};

static const struct retry_row rows[] = {
    {"GET", true, 0, UNREAD, true},     {"GET", true, 0, TAKEN, true},
    {"GET", true, 0, ANSWERED, false},  {"GET", false, 0, TAKEN, false},
    {"GET", false, 0, ANSWERED, false}, {"DELETE", true, 0, TAKEN, true},
    {"OPTIONS", true, 0, TAKEN, true},  {"POST", true, 0, UNREAD, true},
    {"POST", true, 0, TAKEN, false},    {"PATCH", true, 0, TAKEN, false},
    {"POST", false, 0, TAKEN, false},   {"PUT", true, 3, UNREAD, false},
    {"PUT", true, 3, TAKEN, false},     {"PUT", true, HTTP_LENGTH_UNKNOWN, TAKEN, false},
    {"POST", true, 3, TAKEN, false},
};

static void run_row(const struct retry_row *row)
{
    struct stage s;
    struct visit v;
    stage_begin(&s);
    if (row->is_reused)
        serve_one(&s, SPAN("GET"));
    unsigned frames = row->is_reused ? 1 : 0;
    if (row->when == UNREAD)
        peer_close(&s.peers[0]); /* right before: no event has told it yet */
    visit_start(&v, &s, span_from(row->method), row->length);
    if (row->length != 0) {
        visit_deliver(&v, SPAN("abc"));
        assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
    }
    if (row->when != UNREAD) {
        unsigned last = row->length == HTTP_LENGTH_UNKNOWN ? frames + 2 : frames;
        stage_until(&s, s.peer_count == 1 && peer_frame(&s.peers[0], last, NULL));
        if (row->when == ANSWERED)
            peer_write(&s.peers[0], "\0", 1);
        peer_close(&s.peers[0]);
    }
    stage_until(&s, v.failure || s.peer_count == 2);
    if (row->is_retried != (v.failure == ROUTED_OK))
        fail_msg("%s, row %d", row->method, (int)(row - rows));
    assert_int_equal(stage_metric(&s, BRIDGE_RETRIES), row->is_retried);
    if (row->is_retried) {
        /* Once only. */
        stage_until(&s, peer_frame(&s.peers[1], 0, NULL) == WIRE_REQUEST_SINGLE);
        peer_close(&s.peers[1]);
        stage_until(&s, v.failure);
        stage_settle(&s);
        assert_int_equal(s.peer_count, 2);
    }
    assert_int_equal(v.failure, ROUTED_ERROR_BRIDGE_CLOSED);
    visit_close(&v, v.failure);
    stage_close(&s);
}

static void test_retry_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        run_row(&rows[i]);
}

/* A retry takes a fresh connection even where an idle one is at hand. */
static void test_retry_is_on_a_fresh_connection(void **state)
{
    struct stage s;
    struct visit v[2];
    (void)state;
    stage_begin(&s);
    visits_arrive(v, 2, &s);
    for (int i = 0; i < 2; i++) {
        peer_answer(&s.peers[i], WIRE_RESPONSE_SINGLE, 200, SPAN("ok"));
        visit_close_answered(&v[i]);
    }
    visit_start(&v[0], &s, SPAN("GET"), 0);
    stage_until(&s, peer_frame(&s.peers[1], 1, NULL));
    peer_close(&s.peers[1]);
    stage_until(&s, s.peer_count == 3 && peer_frame(&s.peers[2], 0, NULL));
    assert_int_equal(peer_frame(&s.peers[0], 1, NULL), 0);
    visit_close(&v[0], ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

/* ---- engines that end before they accept ---- */

struct left_row {
    const char *method;
    int64_t length;
    bool has_other; /* another engine is up */
    bool is_moved;
};

/* The first request comes to engine 0, which is up, accepts nothing and then goes down. */
static void run_left_row(const struct left_row *row)
{
    struct stage s;
    struct visit v;
    static atomic_uchar alive[2];
    stage_prepare(&s, 2);
    s.is_deaf = true;
    s.options.is_alive = alive;
    s.limits.queue_timeout = 100;
    atomic_store(&alive[0], 1);
    atomic_store(&alive[1], 0);
    stage_open(&s);
    visit_start(&v, &s, span_from(row->method), row->length);
    stage_settle(&s);
    assert_int_equal(stage_metric(&s, BRIDGE_OPEN), 1);
    atomic_store(&alive[1], row->has_other);
    atomic_store(&alive[0], 0);
    if (row->is_moved) {
        stage_until(&s, stage_metric(&s, BRIDGE_CONNECTS) == 2);
        s.is_deaf = false;
        stage_until(&s, s.peer_count == 2 && peer_frame(&s.peers[1], 0, NULL));
        assert_int_equal(s.peers[1].engine, 1);
        assert_int_equal(v.failure, ROUTED_OK);
        peer_answer(&s.peers[1], WIRE_RESPONSE_SINGLE, 200, SPAN("ok"));
        stage_until(&s, v.has_end);
    } else {
        visit_expect_failure(&v, ROUTED_ERROR_NO_ENGINE);
        assert_int_equal(stage_metric(&s, BRIDGE_CONNECTS), 1);
    }
    assert_int_equal(stage_metric(&s, BRIDGE_TIMEOUTS), 0);
    visit_close(&v, v.failure);
    stage_close(&s);
}

static void test_engine_that_ends_before_it_accepts(void **state)
{
    static const struct left_row left_rows[] = {
        {"GET", 0, true, true},
        {"GET", 0, false, false},
        {"POST", 0, true, false},
        {"PUT", 100000, true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(left_rows) / sizeof(left_rows[0]); i++)
        run_left_row(&left_rows[i]);
}

/* One that had accepted and answers is left alone, whatever the flag says. */
static void test_answer_of_an_engine_that_is_going_down(void **state)
{
    struct stage s;
    struct visit v;
    static atomic_uchar alive[1];
    (void)state;
    stage_prepare(&s, 1);
    s.options.is_alive = alive;
    atomic_store(&alive[0], 1);
    stage_open(&s);
    visit_arrive(&v, &s);
    peer_answer(&s.peers[0], WIRE_RESPONSE_START, 200, SPAN_EMPTY);
    stage_until(&s, v.status == 200);
    atomic_store(&alive[0], 0);
    milliseconds end = loop_now(s.loop) + 120; /* more than two looks */
    stage_until(&s, loop_now(s.loop) > end);
    assert_int_equal(v.failure, ROUTED_OK);
    peer_mark(&s.peers[0], WIRE_RESPONSE_END);
    visit_close_answered(&v);
    stage_close(&s);
}

/* ---- engines ---- */

static void test_fewest_in_flight_is_taken(void **state)
{
    struct stage s;
    struct visit v[6];
    unsigned count[3] = {0};
    (void)state;
    stage_prepare(&s, 3);
    stage_open(&s);
    for (int i = 0; i < 6; i++)
        visit_start(&v[i], &s, SPAN("GET"), 0);
    stage_until(&s, s.peer_count == 6);
    for (int i = 0; i < 6; i++)
        count[s.peers[i].engine]++;
    for (int i = 0; i < 3; i++)
        assert_int_equal(count[i], 2);
    for (int i = 0; i < 6; i++)
        visit_close(&v[i], ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

/* Engine addresses that a test makes and unmakes. */
static void listen_again(struct stage *s, struct socket_address *address, int *listener)
{
    struct socket_listen_options options = {0};
    *listener = socket_listen(address, &options);
    assert_true(*listener >= 0);
    (void)s;
}

static void with_dead_engine(struct stage *s, struct socket_address *address)
{
    struct socket_listen_options options = {0};
    stage_prepare(s, 1);
    assert_int_equal(socket_resolve("127.0.0.1", 0, address, 1), 1);
    int listener = socket_listen(address, &options);
    assert_true(listener >= 0);
    assert_int_equal(socket_local_address(listener, address), ROUTED_OK);
    socket_close(listener);
    s->options.engines = address;
}

static void test_queue_is_limited(void **state)
{
    struct stage s;
    struct socket_address address;
    struct visit v[5];
    (void)state;
    with_dead_engine(&s, &address);
    s.limits.queue_requests = 3;
    s.limits.queue_timeout = 500;
    stage_open(&s);
    for (int i = 0; i < 3; i++) {
        visit_start(&v[i], &s, SPAN("GET"), 0);
        stage_settle(&s); /* the attempt fails */
        assert_int_equal(v[i].failure, ROUTED_OK);
    }
    assert_int_equal(stage_metric(&s, BRIDGE_QUEUED), 3);
    visit_start(&v[3], &s, SPAN("GET"), 0);
    stage_settle(&s);
    assert_true(v[3].failure == ROUTED_ERROR_NO_ENGINE ||
                stage_metric(&s, BRIDGE_QUEUED) == 4); /* an attempt of its own is under way */
    visit_start(&v[4], &s, SPAN("GET"), 0);
    stage_settle(&s);
    assert_int_equal(v[4].failure, ROUTED_ERROR_NO_ENGINE);
    assert_true(stage_metric(&s, BRIDGE_LIMIT_QUEUE) >= 1);
    for (int i = 0; i < 3; i++) {
        stage_until(&s, v[i].failure);
        assert_int_equal(v[i].failure, ROUTED_ERROR_NO_ENGINE);
    }
    stage_until(&s, v[3].failure);
    assert_true(stage_metric(&s, BRIDGE_LIMIT_QUEUE_TIMEOUT) >= 3);
    assert_int_equal(stage_metric(&s, BRIDGE_QUEUED), 0);
    for (int i = 0; i < 5; i++)
        visit_close(&v[i], v[i].failure);
    stage_close(&s);
}

/* However long the back-off has become. */
static void test_while_requests_wait_an_engine_is_tried_every_50_ms(void **state)
{
    struct stage s;
    struct socket_address address;
    struct visit v[4];
    int listener, fd = -1;
    (void)state;
    with_dead_engine(&s, &address);
    stage_open(&s);
    for (int i = 0; i < 4; i++)
        visit_start(&v[i], &s, SPAN("GET"), 0);
    const struct bridge_client *client = s.context;
    const struct bridge_engine *engine = &client->pool.engines[0];
    stage_until(&s, engine->backoff >= 200 && engine->connecting == 0);
    assert_int_equal(stage_metric(&s, BRIDGE_QUEUED), 4);
    assert_true(loop_timer_is_set(&client->pool.retry));
    assert_true(client->pool.retry.due <= engine->tried_at + 50);
    listen_again(&s, &address, &listener);
    struct socket_address peer;
    stage_until(&s, stage_metric(&s, BRIDGE_QUEUED) == 0);
    fd = socket_accept(listener, &peer);
    assert_true(fd >= 0);
    socket_close(fd);
    socket_close(listener);
    for (int i = 0; i < 4; i++)
        visit_close(&v[i], ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

static void test_dead_engine_does_not_hinder_the_others(void **state)
{
    struct stage s;
    struct socket_address dead, both[2];
    (void)state;
    with_dead_engine(&s, &dead);
    both[0] = dead;
    both[1] = bridge_endpoint_addresses(s.endpoint)[0];
    s.options.engines = both;
    s.options.count = 2;
    stage_open(&s);
    for (int i = 0; i < 5; i++)
        serve_one(&s, SPAN("GET"));
    assert_true(stage_metric(&s, BRIDGE_CONNECT_FAILURES) >= 1);
    assert_int_equal(stage_metric(&s, BRIDGE_CONNECTS), 1);
    stage_close(&s);
}

static void test_connections_to_an_engine_are_limited(void **state)
{
    struct stage s;
    struct visit v[3];
    (void)state;
    stage_prepare(&s, 1);
    s.limits.engine_connections = 2;
    stage_open(&s);
    for (int i = 0; i < 3; i++)
        visit_start(&v[i], &s, SPAN("GET"), 0);
    stage_until(&s, s.peer_count == 2 && peer_frame(&s.peers[1], 0, NULL));
    stage_settle(&s);
    assert_int_equal(s.peer_count, 2);
    assert_int_equal(stage_metric(&s, BRIDGE_LIMIT_CONNECTIONS), 1);
    peer_answer(&s.peers[0], WIRE_RESPONSE_SINGLE, 200, SPAN("ok"));
    stage_until(&s, v[0].has_end && peer_frame(&s.peers[0], 1, NULL));
    peer_close(&s.peers[1]); /* room for a new one, but nobody waits */
    stage_until(&s, v[1].failure);
    for (int i = 0; i < 3; i++)
        visit_close(&v[i], ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

/* A retry that needs a fresh line takes the place of an idle one. */
static void test_retry_at_the_limit_of_connections(void **state)
{
    struct stage s;
    struct visit v[2];
    (void)state;
    stage_prepare(&s, 1);
    s.limits.engine_connections = 2;
    stage_open(&s);
    visits_arrive(v, 2, &s);
    for (int i = 0; i < 2; i++) {
        peer_answer(&s.peers[i], WIRE_RESPONSE_SINGLE, 200, SPAN("ok"));
        visit_close_answered(&v[i]);
    }
    for (int i = 0; i < 2; i++)
        visit_start(&v[i], &s, SPAN("GET"), 0);
    stage_until(&s, peer_frame(&s.peers[0], 1, NULL) && peer_frame(&s.peers[1], 1, NULL));
    peer_answer(&s.peers[0], WIRE_RESPONSE_SINGLE, 200, SPAN("ok"));
    stage_until(&s, v[0].has_end || v[1].has_end);
    peer_close(&s.peers[1]);
    stage_until(&s, s.peer_count == 3 && peer_frame(&s.peers[2], 0, NULL));
    for (int i = 0; i < 2; i++)
        visit_close(&v[i], ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

static void test_leaving_the_queue(void **state)
{
    struct stage s;
    struct socket_address address;
    struct visit v;
    (void)state;
    with_dead_engine(&s, &address);
    stage_open(&s);
    visit_start(&v, &s, SPAN("GET"), 0);
    stage_settle(&s);
    visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
    assert_int_equal(stage_metric(&s, BRIDGE_QUEUED), 0);
    assert_false(v.x.reached_application);
    stage_settle(&s);
    stage_close(&s);
}

static void test_shut_keeps_no_idle_lines(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s);
    serve_one(&s, SPAN("GET"));
    s.face.shut(s.context, s.loop);
    stage_until(&s, s.peers[0].is_ended);
    serve_one(&s, SPAN("GET"));
    stage_until(&s, s.peers[1].is_ended);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_in_is_first_out),
        cmocka_unit_test(test_idle_lines_are_limited),
        cmocka_unit_test(test_idle_lines_expire),
        cmocka_unit_test(test_line_closed_by_the_engine_is_not_used_again),
        cmocka_unit_test(test_stale_line_is_found_out_before_use),
        cmocka_unit_test(test_stale_line_costs_a_request_that_can_be_repeated_nothing),
        cmocka_unit_test(test_engine_is_rung_when_a_turn_has_written_all),
        cmocka_unit_test(test_engine_is_rung_for_a_closed_line),
        cmocka_unit_test(test_engine_is_rung_by_the_end_of_the_front),
        cmocka_unit_test(test_retry_rule),
        cmocka_unit_test(test_retry_is_on_a_fresh_connection),
        cmocka_unit_test(test_engine_that_ends_before_it_accepts),
        cmocka_unit_test(test_answer_of_an_engine_that_is_going_down),
        cmocka_unit_test(test_fewest_in_flight_is_taken),
        cmocka_unit_test(test_queue_is_limited),
        cmocka_unit_test(test_while_requests_wait_an_engine_is_tried_every_50_ms),
        cmocka_unit_test(test_dead_engine_does_not_hinder_the_others),
        cmocka_unit_test(test_connections_to_an_engine_are_limited),
        cmocka_unit_test(test_retry_at_the_limit_of_connections),
        cmocka_unit_test(test_leaving_the_queue),
        cmocka_unit_test(test_shut_keeps_no_idle_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
