#include "bridge/stage.h"

#include "bridge/call.h"

/* ---- one request, one answer ---- */

static void test_get_is_one_frame_each_way(void **state)
{
    struct stage s;
    struct visit v;
    struct span payload;
    (void)state;
    stage_begin(&s);
    visit_arrive(&v, &s);
    assert_int_equal(peer_frame(&s.peers[0], 0, &payload), WIRE_REQUEST_SINGLE);
    assert_int_equal(peer_frame(&s.peers[0], 1, NULL), 0);
    assert_true(v.x.reached_application);
    assert_int_equal(stage_metric(&s, BRIDGE_OPEN), 1);
    peer_answer(&s.peers[0], WIRE_RESPONSE_SINGLE, 200, SPAN("hi"));
    stage_until(&s, v.has_end);
    assert_int_equal(v.status, 200);
    assert_int_equal(v.length, 2);
    assert_body(&v, "hi");
    assert_int_equal(stage_metric(&s, BRIDGE_IDLE), 1);
    visit_close(&v, ROUTED_OK);
    assert_int_equal(stage_metric(&s, BRIDGE_CANCELLED), 0);
    stage_close(&s);
}

static void test_short_content_is_gathered_and_holds_no_connection(void **state)
{
    struct stage s;
    struct visit v;
    struct span payload;
    (void)state;
    stage_begin(&s);
    visit_start(&v, &s, SPAN("POST"), 6);
    assert_int_equal(v.granted, 6);
    visit_deliver(&v, SPAN("abc"));
    stage_settle(&s);
    assert_int_equal(s.peer_count, 0);
    visit_deliver(&v, SPAN("def"));
    assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
    stage_until(&s, s.peer_count == 1 && peer_frame(&s.peers[0], 0, &payload));
    assert_int_equal(peer_frame(&s.peers[0], 0, &payload), WIRE_REQUEST_SINGLE);
    assert_memory_equal(payload.data + payload.size - 6, "abcdef", 6);
    peer_answer(&s.peers[0], WIRE_RESPONSE_SINGLE_LITERAL, 201, SPAN_EMPTY);
    stage_until(&s, v.has_end);
    assert_int_equal(v.status, 201);
    visit_close(&v, ROUTED_OK);
    stage_close(&s);
}

/* One below, on and above the size that is still gathered. */
static void test_gathering_ends_at_its_limit(void **state)
{
    static const int64_t lengths[] = {BRIDGE_GATHER_MAX - 1, BRIDGE_GATHER_MAX,
                                      BRIDGE_GATHER_MAX + 1};
    static uint8_t content[BRIDGE_GATHER_MAX + 1];
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct stage s;
        struct visit v;
        stage_begin(&s);
        visit_start(&v, &s, SPAN("PUT"), lengths[i]);
        visit_deliver(&v, span_of(content, (size_t)lengths[i]));
        assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
        stage_until(&s, s.peer_count == 1 && peer_frame(&s.peers[0], 0, NULL));
        assert_int_equal(peer_frame(&s.peers[0], 0, NULL),
                         i < 2 ? WIRE_REQUEST_SINGLE : WIRE_REQUEST_START);
        visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
        stage_close(&s);
    }
}

static void test_streams_both_ways_at_once(void **state)
{
    struct stage s;
    struct visit v;
    struct span payload;
    (void)state;
    stage_begin(&s);
    visit_start(&v, &s, SPAN("POST"), HTTP_LENGTH_UNKNOWN);
    assert_int_equal(v.granted, s.limits.window);
    visit_deliver(&v, SPAN("one"));
    stage_until(&s, s.peer_count == 1 && peer_frame(&s.peers[0], 1, &payload));
    assert_int_equal(peer_frame(&s.peers[0], 0, NULL), WIRE_REQUEST_START);
    assert_int_equal(peer_frame(&s.peers[0], 1, &payload), WIRE_REQUEST_CHUNK);
    assert_int_equal(payload.size, 4 + 3);
    assert_int_equal(v.granted, s.limits.window + 3);

    peer_answer(&s.peers[0], WIRE_RESPONSE_START, 200, SPAN_EMPTY);
    stage_until(&s, v.status == 200); /* the head does not wait for content */
    peer_chunk(&s.peers[0], WIRE_RESPONSE_CHUNK, SPAN("eins"));
    stage_until(&s, buffer_size(&v.body) == 4);

    visit_deliver(&v, SPAN("two"));
    assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
    stage_until(&s, peer_frame(&s.peers[0], 3, NULL) == WIRE_REQUEST_END);
    peer_chunk(&s.peers[0], WIRE_RESPONSE_CHUNK, SPAN_EMPTY);
    peer_chunk(&s.peers[0], WIRE_RESPONSE_CHUNK, SPAN("zwei"));
    peer_mark(&s.peers[0], WIRE_RESPONSE_END);
    stage_until(&s, v.has_end);
    assert_body(&v, "einszwei");
    assert_int_equal(stage_metric(&s, BRIDGE_IDLE), 1);
    visit_close(&v, ROUTED_OK);
    stage_close(&s);
}

static void test_small_pieces_of_a_turn_become_one_chunk(void **state)
{
    struct stage s;
    struct visit v;
    struct span payload;
    (void)state;
    stage_begin(&s);
    visit_start(&v, &s, SPAN("POST"), HTTP_LENGTH_UNKNOWN);
    for (int i = 0; i < 100; i++)
        visit_deliver(&v, SPAN("x"));
    assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
    stage_until(&s, s.peer_count == 1 && peer_frame(&s.peers[0], 2, NULL));
    assert_int_equal(peer_frame(&s.peers[0], 1, &payload), WIRE_REQUEST_CHUNK);
    assert_int_equal(payload.size, 4 + 100);
    assert_int_equal(peer_frame(&s.peers[0], 2, NULL), WIRE_REQUEST_END);
    visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

static void test_large_content_leaves_in_chunks_of_64_kib(void **state)
{
    static uint8_t content[100000];
    struct stage s;
    struct visit v;
    struct span payload = SPAN_EMPTY;
    (void)state;
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)(i * 7);
    stage_begin(&s);
    visit_start(&v, &s, SPAN("POST"), sizeof(content));
    visit_deliver(&v, span_of(content, sizeof(content)));
    assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
    stage_until(&s, s.peer_count == 1 && peer_frame(&s.peers[0], 3, NULL));
    assert_int_equal(peer_frame(&s.peers[0], 1, &payload), WIRE_REQUEST_CHUNK);
    assert_int_equal(payload.size, 4 + WIRE_CHUNK_DATA_MAX);
    assert_memory_equal(payload.data + 4, content, WIRE_CHUNK_DATA_MAX);
    assert_int_equal(peer_frame(&s.peers[0], 2, &payload), WIRE_REQUEST_CHUNK);
    assert_int_equal(payload.size, 4 + sizeof(content) - WIRE_CHUNK_DATA_MAX);
    assert_memory_equal(payload.data + 4, content + WIRE_CHUNK_DATA_MAX, payload.size - 4);
    assert_int_equal(peer_frame(&s.peers[0], 3, NULL), WIRE_REQUEST_END);
    visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

static void test_interim_heads_are_passed_on_and_limited(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    stage_begin(&s);
    visit_arrive(&v, &s);
    for (int i = 0; i < EXCHANGE_INFORMS_MAX; i++)
        peer_answer(&s.peers[0], WIRE_RESPONSE_START, 103, SPAN_EMPTY);
    stage_until(&s, v.informs == EXCHANGE_INFORMS_MAX);
    assert_int_equal(v.failure, ROUTED_OK);
    peer_answer(&s.peers[0], WIRE_RESPONSE_START, 103, SPAN_EMPTY);
    visit_expect_failure(&v, ROUTED_ERROR_RESPONSE);
    stage_until(&s, s.peers[0].is_ended);
    visit_close(&v, v.failure);
    stage_close(&s);
}

static void test_backpressure_stops_the_reading(void **state)
{
    static uint8_t content[65536];
    struct stage s;
    struct visit v;
    (void)state;
    stage_prepare(&s, 1);
    s.limits.window = 1000;
    stage_open(&s);
    visit_init(&v, &s, SPAN("GET"), 0);
    v.is_thirsty = false;
    visit_open(&v);
    stage_until(&s, s.peer_count == 1);
    peer_answer(&s.peers[0], WIRE_RESPONSE_START, 200, SPAN_EMPTY);
    stage_until(&s, v.status == 200);
    size_t held = memory_held();
    /* As much as the engine can get rid of. */
    size_t sent = 0;
    for (int i = 0; i < 200; i++) {
        uint8_t prefix[WIRE_CHUNK_PREFIX_SIZE];
        wire_frame_chunk(prefix, WIRE_RESPONSE_CHUNK, 1000);
        struct span frame[2] = {span_of(prefix, sizeof(prefix)), span_of(content, 1000)};
        ssize_t moved = socket_write_spans(s.peers[0].fd, frame, 2);
        if (moved < 1010)
            break;
        sent += 1000;
        stage_turn(&s, 0);
    }
    assert_true(buffer_size(&v.body) <= 2000);
    assert_true(memory_held() - held < 200000);
    for (size_t before = 0; buffer_size(&v.body) < sent; before = buffer_size(&v.body)) {
        exchange_writable(&v.x, 5000);
        stage_until(&s, buffer_size(&v.body) > before);
    }
    visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
    stage_close(&s);
}

static void test_head_request_keeps_the_declared_length(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    stage_begin(&s);
    visit_start(&v, &s, SPAN("HEAD"), 0);
    stage_until(&s, s.peer_count == 1);
    struct buffer frame = BUFFER_EMPTY;
    struct http_response head = {.status = 200};
    assert_int_equal(wire_response_write(&frame, WIRE_RESPONSE_SINGLE, &head, 1234, 0), ROUTED_OK);
    peer_write(&s.peers[0], frame.data, buffer_size(&frame));
    buffer_release(&frame);
    stage_until(&s, v.has_end);
    assert_int_equal(v.length, 1234);
    assert_int_equal(buffer_size(&v.body), 0);
    visit_close(&v, ROUTED_OK);
    stage_close(&s);
}

/* ---- early and late ---- */

static void test_early_answer_ends_the_line(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    stage_begin(&s);
    visit_start(&v, &s, SPAN("POST"), HTTP_LENGTH_UNKNOWN);
    stage_until(&s, s.peer_count == 1 && peer_frame(&s.peers[0], 0, NULL));
    size_t granted = v.granted;
    peer_answer(&s.peers[0], WIRE_RESPONSE_SINGLE, 413, SPAN("no"));
    stage_until(&s, v.has_end);
    assert_int_equal(v.status, 413);
    stage_until(&s, s.peers[0].is_ended);
    visit_deliver(&v, SPAN("late"));
    stage_settle(&s);
    assert_int_equal(v.granted, granted);
    assert_int_equal(stage_metric(&s, BRIDGE_OPEN), 0);
    visit_close(&v, ROUTED_ERROR_CLOSED);
    stage_close(&s);
}

static void test_leaving_client_cancels_at_once(void **state)
{
    (void)state;
    for (int stage_of_answer = 0; stage_of_answer < 3; stage_of_answer++) {
        struct stage s;
        struct visit v;
        stage_begin(&s);
        visit_arrive(&v, &s);
        if (stage_of_answer > 0)
            peer_answer(&s.peers[0], WIRE_RESPONSE_START, 200, SPAN_EMPTY);
        if (stage_of_answer > 1)
            peer_chunk(&s.peers[0], WIRE_RESPONSE_CHUNK, SPAN("part"));
        stage_settle(&s);
        visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
        peer_read(&s.peers[0]); /* no turn in between */
        assert_true(s.peers[0].is_ended);
        assert_int_equal(stage_metric(&s, BRIDGE_CANCELLED), 1);
        assert_int_equal(stage_metric(&s, BRIDGE_OPEN), 0);
        stage_close(&s);
    }
}

/* ---- tunnels ---- */

static void ask_for_tunnel(struct stage *s, struct visit *v)
{
    stage_begin(s);
    visit_init(v, s, SPAN("GET"), 0);
    v->x.request.upgrade = HTTP_UPGRADE_WEBSOCKET;
    visit_open(v);
    stage_until(s, s->peer_count == 1 && peer_frame(&s->peers[0], 0, NULL));
}

static void open_tunnel(struct stage *s, struct visit *v)
{
    ask_for_tunnel(s, v);
    peer_answer(&s->peers[0], WIRE_RESPONSE_START, 101, SPAN_EMPTY);
    peer_mark(&s->peers[0], WIRE_RESPONSE_END);
    stage_until(s, v->status == 101);
    assert_true(v->x.is_tunnel);
    assert_int_equal(v->granted, s->limits.window);
}

static void test_tunnel_carries_both_ways_and_ends_by_halves(void **state)
{
    struct stage s;
    struct visit v;
    struct span payload;
    (void)state;
    open_tunnel(&s, &v);
    visit_deliver(&v, SPAN("ping"));
    stage_until(&s, peer_frame(&s.peers[0], 1, &payload) == WIRE_TUNNEL_CHUNK);
    assert_memory_equal(payload.data + 4, "ping", 4);
    peer_chunk(&s.peers[0], WIRE_TUNNEL_CHUNK, SPAN("pong"));
    stage_until(&s, buffer_size(&v.body) == 4);
    assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
    stage_until(&s, peer_frame(&s.peers[0], 2, NULL) == WIRE_TUNNEL_CLOSE);
    assert_false(s.peers[0].is_ended);
    peer_chunk(&s.peers[0], WIRE_TUNNEL_CHUNK, SPAN("last"));
    peer_mark(&s.peers[0], WIRE_TUNNEL_CLOSE);
    stage_until(&s, v.has_end);
    assert_body(&v, "ponglast");
    assert_true(exchange_is_complete(&v.x));
    visit_close(&v, ROUTED_OK);
    stage_until(&s, s.peers[0].is_ended); /* never pooled */
    assert_int_equal(stage_metric(&s, BRIDGE_IDLE), 0);
    stage_close(&s);
}

static void test_tunnel_cut_by_the_engine_is_seen(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    open_tunnel(&s, &v);
    peer_close(&s.peers[0]);
    visit_close_failed(&v, ROUTED_ERROR_BRIDGE_CLOSED);
    stage_close(&s);
}

/* Cut anywhere: the 101 alone is no answer, its end makes it one, and what follows is not lost. */
static void test_upgrade_byte_by_byte(void **state)
{
    uint8_t bytes[256];
    (void)state;
    for (int is_single = 0; is_single < 2; is_single++) {
        struct stage s;
        struct visit v;
        ask_for_tunnel(&s, &v);
        size_t size = frame_head(bytes, is_single ? WIRE_RESPONSE_SINGLE : WIRE_RESPONSE_START, 101,
                                 SPAN_EMPTY);
        if (!is_single) {
            wire_frame_mark(bytes + size, WIRE_RESPONSE_END);
            size += WIRE_PREFIX_SIZE;
        }
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(v.status, 0);
            assert_int_equal(v.granted, 0);
            peer_write(&s.peers[0], bytes + i, 1);
            stage_turn(&s, 0);
        }
        stage_until(&s, v.status == 101);
        assert_int_equal(v.granted, s.limits.window);
        peer_chunk(&s.peers[0], WIRE_TUNNEL_CHUNK, SPAN("x"));
        stage_until(&s, buffer_size(&v.body) == 1);
        visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
        stage_close(&s);
    }
}

/* An engine that has ended its direction may go; what the client still says is dropped. */
static void test_tunnel_outlives_an_engine_that_is_done(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    open_tunnel(&s, &v);
    peer_chunk(&s.peers[0], WIRE_TUNNEL_CHUNK, SPAN("bye"));
    peer_mark(&s.peers[0], WIRE_TUNNEL_CLOSE);
    peer_close(&s.peers[0]);
    stage_until(&s, v.has_end && stage_metric(&s, BRIDGE_OPEN) == 0);
    assert_body(&v, "bye");
    size_t granted = v.granted;
    visit_deliver(&v, SPAN("late"));
    assert_int_equal(v.granted, granted + 4);
    assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
    assert_int_equal(v.failure, ROUTED_OK);
    assert_true(exchange_is_complete(&v.x));
    visit_close(&v, ROUTED_OK);
    stage_close(&s);
}

static void test_upgrade_unasked_for_is_refused(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    stage_begin(&s);
    visit_arrive(&v, &s);
    peer_answer(&s.peers[0], WIRE_RESPONSE_SINGLE, 101, SPAN_EMPTY);
    visit_expect_failure(&v, ROUTED_ERROR_RESPONSE);
    assert_int_equal(v.status, 0);
    visit_close(&v, v.failure);
    stage_close(&s);
}

/* ---- refusals ---- */

static void test_refusal_of_the_bridge_is_not_the_clients_fault(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    stage_begin(&s);
    visit_arrive(&v, &s);
    uint8_t frame[256];
    size_t size =
        frame_head(frame, WIRE_RESPONSE_SINGLE, 400, SPAN("invalid bridge request: truncated"));
    for (size_t i = 0; i < size && !v.failure; i++) {
        peer_write(&s.peers[0], frame + i, 1);
        stage_turn(&s, 0);
    }
    visit_expect_failure(&v, ROUTED_ERROR_RESPONSE);
    assert_int_equal(v.status, 0);
    assert_int_equal(buffer_size(&v.body), 0);
    visit_close(&v, v.failure);
    stage_close(&s);
}

static void test_other_bad_requests_are_the_applications_answer(void **state)
{
    static const char *contents[] = {"invalid bridge request; no", "invalid", "",
                                     "some other text that is long enough"};
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct stage s;
        struct visit v;
        uint8_t frame[256];
        const char *content = contents[i / 2];
        stage_begin(&s);
        visit_arrive(&v, &s);
        size_t size = frame_head(frame, WIRE_RESPONSE_SINGLE, 400, span_from(content));
        size_t step = i % 2 ? 1 : size; /* whole, and byte by byte */
        for (size_t at = 0; at < size; at += step) {
            peer_write(&s.peers[0], frame + at, step);
            stage_turn(&s, 0);
        }
        stage_until(&s, v.has_end);
        assert_int_equal(v.status, 400);
        assert_body(&v, content);
        visit_close(&v, ROUTED_OK);
        stage_close(&s);
    }
}

/* ---- time ---- */

static void test_engine_that_does_not_answer(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    stage_prepare(&s, 1);
    s.limits.engine_answer_timeout = 30;
    stage_open(&s);
    visit_start(&v, &s, SPAN("GET"), 0);
    visit_expect_failure(&v, ROUTED_ERROR_ENGINE_TIMEOUT);
    assert_int_equal(stage_metric(&s, BRIDGE_LIMIT_ANSWER), 1);
    stage_until(&s, s.peers[0].is_ended); /* its late answer has nowhere to go */
    visit_close(&v, v.failure);
    stage_close(&s);
}

static void test_engine_that_stops_within_an_answer(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    stage_prepare(&s, 1);
    s.limits.engine_idle_timeout = 30;
    stage_open(&s);
    visit_arrive(&v, &s);
    peer_answer(&s.peers[0], WIRE_RESPONSE_START, 200, SPAN_EMPTY);
    stage_until(&s, v.failure);
    assert_int_equal(v.status, 200);
    assert_int_equal(v.failure, ROUTED_ERROR_ENGINE_TIMEOUT);
    assert_int_equal(stage_metric(&s, BRIDGE_LIMIT_STALL), 1);
    visit_close(&v, v.failure);
    stage_close(&s);
}

static void test_whole_exchange_has_a_limit_of_its_own(void **state)
{
    struct stage s;
    struct visit v;
    (void)state;
    stage_prepare(&s, 1);
    s.limits.engine_total_timeout = 40;
    stage_open(&s);
    visit_arrive(&v, &s);
    peer_answer(&s.peers[0], WIRE_RESPONSE_START, 200, SPAN_EMPTY);
    while (!v.failure) {
        peer_chunk(&s.peers[0], WIRE_RESPONSE_CHUNK, SPAN("x"));
        stage_turn(&s, 2);
    }
    assert_int_equal(v.failure, ROUTED_ERROR_ENGINE_TIMEOUT);
    assert_int_equal(stage_metric(&s, BRIDGE_LIMIT_TOTAL), 1);
    visit_close(&v, v.failure);
    stage_close(&s);
}

/* No timer of the engine runs while the client is slow: with its upload, or with its download. */
static void test_slow_client_is_not_the_engines_fault(void **state)
{
    struct stage s;
    struct visit up, down;
    (void)state;
    stage_prepare(&s, 1);
    s.limits.engine_answer_timeout = s.limits.engine_idle_timeout = 200;
    s.limits.window = 4;
    stage_open(&s);
    visit_start(&up, &s, SPAN("POST"), HTTP_LENGTH_UNKNOWN);
    visit_init(&down, &s, SPAN("GET"), 0);
    down.is_thirsty = false;
    visit_open(&down);
    stage_until(&s, s.peer_count == 2 && peer_frame(&s.peers[1], 0, NULL));
    peer_answer(&s.peers[1], WIRE_RESPONSE_START, 200, SPAN_EMPTY);
    peer_chunk(&s.peers[1], WIRE_RESPONSE_CHUNK, SPAN("1234"));
    peer_chunk(&s.peers[1], WIRE_RESPONSE_CHUNK, SPAN("5678"));
    stage_until(&s, buffer_size(&down.body) == 4);
    milliseconds end = loop_now(s.loop) + 2 * s.limits.engine_idle_timeout;
    stage_until(&s, loop_now(s.loop) > end);
    assert_int_equal(up.failure, ROUTED_OK);
    assert_int_equal(down.failure, ROUTED_OK);
    exchange_writable(&down.x, 100);
    stage_until(&s, buffer_size(&down.body) == 8);
    stage_until(&s, down.failure); /* now it is the engine's turn */
    visit_close(&up, ROUTED_ERROR_CLIENT_GONE);
    visit_close(&down, down.failure);
    stage_close(&s);
}

/* An engine that does not read keeps neither memory nor the client for ever. */
static void test_engine_that_does_not_read(void **state)
{
    static uint8_t content[65536];
    struct stage s;
    struct visit v;
    (void)state;
    stage_prepare(&s, 1);
    s.limits.engine_idle_timeout = 50;
    s.is_deaf = true;
    stage_open(&s);
    size_t held = memory_held();
    visit_start(&v, &s, SPAN("POST"), HTTP_LENGTH_UNKNOWN);
    size_t delivered = 0;
    while (!v.failure) {
        assert_true(delivered < (1 << 24));
        if (v.x.request_credit > 0) {
            size_t size = sizeof(content);
            if (size > (uint64_t)v.x.request_credit)
                size = (size_t)v.x.request_credit;
            visit_deliver(&v, span_of(content, size));
            delivered += size;
        }
        stage_turn(&s, 1);
        assert_true(memory_held() - held < 2 * s.limits.window + 100000);
    }
    assert_int_equal(v.failure, ROUTED_ERROR_ENGINE_TIMEOUT);
    visit_close(&v, v.failure);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_is_one_frame_each_way),
        cmocka_unit_test(test_short_content_is_gathered_and_holds_no_connection),
        cmocka_unit_test(test_gathering_ends_at_its_limit),
        cmocka_unit_test(test_streams_both_ways_at_once),
        cmocka_unit_test(test_small_pieces_of_a_turn_become_one_chunk),
        cmocka_unit_test(test_large_content_leaves_in_chunks_of_64_kib),
        cmocka_unit_test(test_interim_heads_are_passed_on_and_limited),
        cmocka_unit_test(test_backpressure_stops_the_reading),
        cmocka_unit_test(test_head_request_keeps_the_declared_length),
        cmocka_unit_test(test_early_answer_ends_the_line),
        cmocka_unit_test(test_leaving_client_cancels_at_once),
        cmocka_unit_test(test_tunnel_carries_both_ways_and_ends_by_halves),
        cmocka_unit_test(test_tunnel_cut_by_the_engine_is_seen),
        cmocka_unit_test(test_upgrade_byte_by_byte),
        cmocka_unit_test(test_tunnel_outlives_an_engine_that_is_done),
        cmocka_unit_test(test_upgrade_unasked_for_is_refused),
        cmocka_unit_test(test_refusal_of_the_bridge_is_not_the_clients_fault),
        cmocka_unit_test(test_other_bad_requests_are_the_applications_answer),
        cmocka_unit_test(test_engine_that_does_not_answer),
        cmocka_unit_test(test_engine_that_stops_within_an_answer),
        cmocka_unit_test(test_whole_exchange_has_a_limit_of_its_own),
        cmocka_unit_test(test_slow_client_is_not_the_engines_fault),
        cmocka_unit_test(test_engine_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
