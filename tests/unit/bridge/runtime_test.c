/* The engine's side against fronts that say what a test tells them. */
#include "bridge/stage.h"

#include "bridge/application.h"
#include "bridge/runtime.h"

struct house {
    struct stage s; /* its peers are fronts here */
    struct play play;
    struct bridge_runtime *runtime;
};

static struct stage_peer *front_open(struct house *h)
{
    int fd = socket_connect(bridge_endpoint_addresses(h->s.endpoint));
    assert_true(fd >= 0);
    struct stage_peer *p = &h->s.peers[h->s.peer_count++];
    *p = (struct stage_peer){.fd = fd};
    return p;
}

/* Returns the first front. */
static struct stage_peer *house_open(struct house *h, enum play_kind kind)
{
    *h = (struct house){.play = {.kind = kind}};
    stage_prepare(&h->s, 1);
    h->s.engines = 0; /* the runtime accepts */
    struct bridge_runtime_options options = {.listener = bridge_endpoint_listener(h->s.endpoint, 0),
                                             .application = &play_application,
                                             .context = &h->play,
                                             .limits = &h->s.limits,
                                             .log = &h->s.log,
                                             .user = system_user()};
    h->runtime = bridge_runtime_open(h->s.loop, &options);
    assert_non_null(h->runtime);
    return front_open(h);
}

static void house_close(struct house *h)
{
    bridge_runtime_close(h->runtime);
    h->runtime = NULL;
    stage_close(&h->s);
}

static size_t ask(uint8_t *out, enum wire_type type, const char *method, int64_t length,
                  struct span content)
{
    struct buffer b = BUFFER_EMPTY;
    struct http_request r = {.method = span_from(method),
                             .scheme = SPAN("http"),
                             .authority = SPAN("a.test"),
                             .path = SPAN("/p"),
                             .protocol = HTTP_1_1,
                             .content_length = length};
    assert_int_equal(wire_request_write(&b, type, &r, NULL, (uint32_t)content.size), ROUTED_OK);
    assert_int_equal(buffer_append_span(&b, content), ROUTED_OK);
    size_t size = buffer_size(&b);
    memcpy(out, b.data, size);
    buffer_release(&b);
    return size;
}

static void front_ask(struct stage_peer *p, enum wire_type type, const char *method, int64_t length)
{
    uint8_t frame[1024];
    peer_write(p, frame, ask(frame, type, method, length, SPAN_EMPTY));
}

/* A front whose GET the application has and does not answer. */
static struct stage_peer *house_open_asked(struct house *h)
{
    struct stage_peer *p = house_open(h, PLAY_WAIT);
    front_ask(p, WIRE_REQUEST_SINGLE, "GET", 0);
    stage_until(&h->s, h->play.x);
    return p;
}

static void test_both_spellings_of_a_request(void **state)
{
    static const enum wire_type types[] = {WIRE_REQUEST_SINGLE, WIRE_REQUEST_SINGLE_LITERAL};
    struct house h;
    struct span payload;
    (void)state;
    struct stage_peer *p = house_open(&h, PLAY_GREET);
    for (unsigned i = 0; i < 2; i++) {
        front_ask(p, types[i], "GET", 0);
        stage_until(&h.s, peer_frame(p, i, &payload));
        assert_int_equal(peer_frame(p, i, &payload), WIRE_RESPONSE_SINGLE);
        assert_memory_equal(payload.data, "\0\xc8\0\0\0\0\0\0\0\x02hi", 12);
        stage_until(&h.s, h.play.closes == i + 1);
        assert_int_equal(h.play.last_error, ROUTED_OK);
    }
    assert_int_equal(bridge_runtime_connections(h.runtime), 1);
    house_close(&h);
}

/* It waited in the backlog until the front gave up: its request is not the application's. */
static void test_connection_that_was_given_up_is_not_served(void **state)
{
    struct house h;
    (void)state;
    struct stage_peer *left = house_open(&h, PLAY_GREET);
    front_ask(left, WIRE_REQUEST_SINGLE, "POST", 0);
    peer_close(left);
    struct stage_peer *p = front_open(&h);
    front_ask(p, WIRE_REQUEST_SINGLE, "GET", 0);
    stage_until(&h.s, peer_frame(p, 0, NULL) == WIRE_RESPONSE_SINGLE);
    stage_until(&h.s, h.play.closes == 1);
    assert_int_equal(h.play.requests, 1);
    assert_int_equal(bridge_runtime_connections(h.runtime), 1);
    house_close(&h);
}

static void test_streamed_request_byte_by_byte(void **state)
{
    struct house h;
    uint8_t bytes[1024];
    (void)state;
    struct stage_peer *p = house_open(&h, PLAY_WAIT);
    size_t size = ask(bytes, WIRE_REQUEST_START, "POST", HTTP_LENGTH_UNKNOWN, SPAN_EMPTY);
    wire_frame_chunk(bytes + size, WIRE_REQUEST_CHUNK, 3);
    memcpy(bytes + size + WIRE_CHUNK_PREFIX_SIZE, "abc", 3);
    size += WIRE_CHUNK_PREFIX_SIZE + 3;
    wire_frame_mark(bytes + size, WIRE_REQUEST_END);
    size += WIRE_PREFIX_SIZE;
    for (size_t i = 0; i < size; i++) {
        peer_write(p, bytes + i, 1);
        stage_turn(&h.s, 1);
        if (h.play.x && h.play.x->request_credit == 0)
            exchange_grant(h.play.x, 1);
    }
    stage_until(&h.s, h.play.ends == 1);
    assert_int_equal(h.play.content, 3);
    assert_string_equal(h.play.method, "POST");
    play_respond(h.play.x, 204);
    exchange_end(h.play.x, NULL);
    stage_until(&h.s, peer_frame(p, 0, NULL) == WIRE_RESPONSE_SINGLE);
    house_close(&h);
}

/* A single frame where everything came in one turn, start, chunks and end where it did not. */
static void test_form_of_the_answer(void **state)
{
    struct house h;
    (void)state;
    struct stage_peer *p = house_open_asked(&h);
    play_respond(h.play.x, 200);
    stage_until(&h.s, peer_frame(p, 0, NULL));
    assert_int_equal(peer_frame(p, 0, NULL), WIRE_RESPONSE_START);
    exchange_send(h.play.x, slice_static(SPAN("a")));
    exchange_send(h.play.x, slice_static(SPAN("b")));
    stage_until(&h.s, peer_frame(p, 1, NULL));
    assert_int_equal(peer_frame(p, 1, NULL), WIRE_RESPONSE_CHUNK);
    exchange_end(h.play.x, NULL);
    stage_until(&h.s, peer_frame(p, 2, NULL));
    assert_int_equal(peer_frame(p, 2, NULL), WIRE_RESPONSE_END);
    stage_until(&h.s, !h.play.x);

    front_ask(p, WIRE_REQUEST_SINGLE, "GET", 0);
    stage_until(&h.s, h.play.x);
    play_respond(h.play.x, 200);
    exchange_send(h.play.x, slice_static(SPAN("one ")));
    exchange_send(h.play.x, slice_static(SPAN("two ")));
    exchange_send(h.play.x, slice_static(SPAN("three")));
    exchange_end(h.play.x, NULL);
    struct span payload;
    stage_until(&h.s, peer_frame(p, 3, &payload));
    assert_int_equal(peer_frame(p, 3, &payload), WIRE_RESPONSE_SINGLE);
    assert_memory_equal(payload.data + payload.size - 13, "one two three", 13);
    house_close(&h);
}

/* More pieces, or more bytes, than are held back. */
static void test_large_answers_of_one_turn_are_streamed(void **state)
{
    static uint8_t content[40000];
    (void)state;
    for (int many = 0; many < 2; many++) {
        struct house h;
        struct stage_peer *p = house_open_asked(&h);
        play_respond(h.play.x, 200);
        for (int i = 0; i < (many ? 100 : 2); i++)
            exchange_send(h.play.x, slice_static(span_of(content, many ? 10 : sizeof(content))));
        exchange_end(h.play.x, NULL);
        stage_until(&h.s, h.play.closes);
        stage_until(&h.s, buffer_size(&p->in) > (many ? 1000u : 80000u));
        assert_int_equal(peer_frame(p, 0, NULL), WIRE_RESPONSE_START);
        house_close(&h);
    }
}

static void test_interim_heads_come_before(void **state)
{
    struct house h;
    struct http_response early = {.status = 103};
    struct span payload;
    (void)state;
    struct stage_peer *p = house_open_asked(&h);
    assert_int_equal(exchange_inform(h.play.x, &early), ROUTED_OK);
    play_respond(h.play.x, 200);
    exchange_end(h.play.x, NULL);
    stage_until(&h.s, peer_frame(p, 1, &payload));
    assert_int_equal(peer_frame(p, 0, &payload), WIRE_RESPONSE_START);
    assert_memory_equal(payload.data, "\0\x67", 2);
    assert_int_equal(peer_frame(p, 1, NULL), WIRE_RESPONSE_SINGLE);
    house_close(&h);
}

/* ---- requests that cannot be understood ---- */

static void assert_refused(struct house *h, struct stage_peer *p, unsigned n)
{
    struct span payload;
    stage_until(&h->s, peer_frame(p, n, &payload));
    assert_int_equal(peer_frame(p, n, &payload), WIRE_RESPONSE_SINGLE);
    assert_memory_equal(payload.data, "\x01\x90\0\0\0\0", 6);
    assert_memory_equal(payload.data + 10, "invalid bridge request: ", 24);
    assert_int_equal(wire_bytes_read_u32(payload.data + 6), payload.size - 10);
}

static void test_wrong_meaning_keeps_the_connection(void **state)
{
    struct house h;
    uint8_t frame[1024];
    (void)state;
    struct stage_peer *p = house_open(&h, PLAY_GREET);
    peer_write(p, frame, ask(frame, WIRE_REQUEST_SINGLE, "G T", 4, SPAN("body")));
    assert_refused(&h, p, 0);
    front_ask(p, WIRE_REQUEST_START, "G T", HTTP_LENGTH_UNKNOWN);
    peer_chunk(p, WIRE_REQUEST_CHUNK, SPAN("dropped"));
    peer_mark(p, WIRE_REQUEST_END);
    assert_refused(&h, p, 1);
    front_ask(p, WIRE_REQUEST_SINGLE, "GET", 0);
    stage_until(&h.s, peer_frame(p, 2, NULL));
    assert_int_equal(h.play.requests, 1);
    assert_false(p->is_ended);
    house_close(&h);
}

struct noise {
    const char *bytes;
    size_t size;
    bool is_answered;
};

#define NOISE(bytes)                                                                               \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, true                                                             \
    }

static void test_wrong_frames_close_the_connection(void **state)
{
    static const struct noise noises[] = {
        NOISE("GET / HTTP/1.1\r\n\r\n"),
        NOISE("\0\0\0\0"),
        NOISE("\xff\xff\xff\xff"),
        NOISE("\0\0\0\x02\x02\x0b"),
        NOISE("\0\0\0\x02\x01\x0f"),
        NOISE("\0\0\0\x02\x01\x0c"),
        NOISE("\0\0\0\x02\x01\x05"),
        NOISE("\0\0\0\x06\x01\x09\0\0\0\0"),
        NOISE("\0\0\0\x06\x01\x0b\xff\xff\xff\xff"),
        NOISE("\0\0\0\x1e\x01\x0b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof(noises) / sizeof(noises[0]); i++) {
        struct house h;
        struct stage_peer *p = house_open(&h, PLAY_GREET);
        struct stage_peer *other = front_open(&h);
        peer_write(p, noises[i].bytes, noises[i].size);
        assert_refused(&h, p, 0);
        stage_until(&h.s, p->is_ended);
        assert_int_equal(h.play.requests, 0);
        assert_non_null(strstr(h.s.lines, "bridge: "));
        front_ask(other, WIRE_REQUEST_SINGLE, "GET", 0); /* nothing else is touched */
        stage_until(&h.s, peer_frame(other, 0, NULL));
        house_close(&h);
    }
}

static void test_request_out_of_turn(void **state)
{
    struct house h;
    (void)state;
    struct stage_peer *p = house_open_asked(&h);
    front_ask(p, WIRE_REQUEST_SINGLE, "GET", 0);
    stage_until(&h.s, p->is_ended);
    assert_int_equal(h.play.requests, 1);
    assert_int_equal(h.play.last_error, ROUTED_ERROR_BRIDGE_FRAME);
    house_close(&h);
}

static void test_content_unlike_its_length(void **state)
{
    static const char *const contents[] = {"abc", "abcdef"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct house h;
        struct stage_peer *p = house_open(&h, PLAY_WAIT);
        front_ask(p, WIRE_REQUEST_START, "POST", 5);
        stage_until(&h.s, h.play.x);
        exchange_grant(h.play.x, 100);
        peer_chunk(p, WIRE_REQUEST_CHUNK, span_from(contents[i]));
        peer_mark(p, WIRE_REQUEST_END);
        stage_until(&h.s, h.play.closes == 1);
        assert_int_equal(h.play.last_error, i ? ROUTED_ERROR_FRAMING : ROUTED_ERROR_TRUNCATED);
        assert_int_equal(h.play.ends, 0);
        stage_until(&h.s, p->is_ended);
        house_close(&h);
    }
}

static void test_early_answer_drops_the_rest_of_the_request(void **state)
{
    static uint8_t content[60000];
    struct house h;
    (void)state;
    struct stage_peer *p = house_open(&h, PLAY_GREET);
    front_ask(p, WIRE_REQUEST_START, "POST", HTTP_LENGTH_UNKNOWN);
    stage_until(&h.s, peer_frame(p, 0, NULL) == WIRE_RESPONSE_SINGLE);
    stage_until(&h.s, h.play.closes == 1);
    assert_int_equal(h.play.last_error, ROUTED_OK);
    for (int i = 0; i < 20; i++) {
        peer_chunk(p, WIRE_REQUEST_CHUNK, span_of(content, sizeof(content)));
        stage_turn(&h.s, 1);
    }
    peer_mark(p, WIRE_REQUEST_END);
    front_ask(p, WIRE_REQUEST_SINGLE, "GET", 0); /* still in step */
    stage_until(&h.s, peer_frame(p, 1, NULL) == WIRE_RESPONSE_SINGLE);
    assert_int_equal(h.play.requests, 2);
    house_close(&h);
}

/* ---- the front leaves ---- */

static void test_front_that_closes_cancels(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        struct house h;
        struct stage_peer *p = house_open_asked(&h);
        if (half)
            socket_end(p->fd);
        else
            peer_close(p);
        stage_until(&h.s, h.play.closes == 1);
        assert_int_equal(h.play.last_error, ROUTED_ERROR_CLIENT_GONE);
        stage_until(&h.s, bridge_runtime_connections(h.runtime) == 0);
        house_close(&h);
    }
}

static void test_front_that_does_not_read_is_waited_for(void **state)
{
    static uint8_t content[16384];
    struct house h;
    (void)state;
    struct stage_peer *p = house_open(&h, PLAY_WAIT);
    p->is_ended = true; /* not read by the turns */
    front_ask(p, WIRE_REQUEST_SINGLE, "GET", 0);
    stage_until(&h.s, h.play.x);
    play_respond(h.play.x, 200);
    size_t held = memory_held(), sent = 0;
    for (int idle = 0; idle < 20; idle++) {
        while (exchange_can_send(h.play.x)) {
            assert_int_equal(
                exchange_send(h.play.x, slice_static(span_of(content, sizeof(content)))),
                ROUTED_OK);
            sent += sizeof(content);
            idle = 0;
            assert_true(sent < 10 * 1024 * 1024);
        }
        loop_turn(h.s.loop, 0);
    }
    assert_true(memory_held() - held < h.s.limits.window);
    exchange_end(h.play.x, NULL);
    p->is_ended = false;
    stage_until(&h.s, h.play.closes == 1);
    stage_until(&h.s, buffer_size(&p->in) >= sent);
    assert_int_equal(h.play.last_error, ROUTED_OK);
    house_close(&h);
}

static void test_accepting_goes_on_after_exhaustion(void **state)
{
    struct house h;
    (void)state;
    struct stage_peer *p = house_open(&h, PLAY_GREET);
    memory_fault_set(1); /* the connection cannot be made */
    stage_until(&h.s, memory_fault_fired());
    memory_fault_set(0);
    stage_until(&h.s, p->is_ended);
    struct stage_peer *second = front_open(&h);
    front_ask(second, WIRE_REQUEST_SINGLE, "GET", 0);
    stage_until(&h.s, peer_frame(second, 0, NULL));
    house_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_spellings_of_a_request),
        cmocka_unit_test(test_connection_that_was_given_up_is_not_served),
        cmocka_unit_test(test_streamed_request_byte_by_byte),
        cmocka_unit_test(test_form_of_the_answer),
        cmocka_unit_test(test_large_answers_of_one_turn_are_streamed),
        cmocka_unit_test(test_interim_heads_come_before),
        cmocka_unit_test(test_wrong_meaning_keeps_the_connection),
        cmocka_unit_test(test_wrong_frames_close_the_connection),
        cmocka_unit_test(test_request_out_of_turn),
        cmocka_unit_test(test_content_unlike_its_length),
        cmocka_unit_test(test_early_answer_drops_the_rest_of_the_request),
        cmocka_unit_test(test_front_that_closes_cancels),
        cmocka_unit_test(test_front_that_does_not_read_is_waited_for),
        cmocka_unit_test(test_accepting_goes_on_after_exhaustion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
