/* Engines that lie: whatever comes, the one request gets a failure or a whole answer, its
 * connection is closed, and the next request is served. */
#include "bridge/stage.h"

struct lie {
    const char *name;
    const char *bytes;
    size_t size;
    int failure;
    uint16_t status; /* of the head that passed before */
};

#define LIE(name, bytes, failure, status)                                                          \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, failure, status                                            \
    }

#define START_200 "\0\0\0\x08\x01\x0e\0\xc8\0\0\0\0"
#define CHUNK_HI  "\0\0\0\x08\x01\x07\0\0\0\x02hi"
#define END       "\0\0\0\x02\x01\x08"
#define FRAME     ROUTED_ERROR_BRIDGE_FRAME

static const struct lie lies[] = {
    LIE("size 0", "\0\0\0\0", FRAME, 0),
    LIE("size 1", "\0\0\0\x01\x01", FRAME, 0),
    LIE("size 2^31", "\x80\0\0\0\x01\x0c", FRAME, 0),
    LIE("size 2^32-1", "\xff\xff\xff\xff\x01\x0c", FRAME, 0),
    LIE("size over the limit", "\x04\0\0\x01\x01\x0c", FRAME, 0),
    LIE("version 0", "\0\0\0\x02\0\x0c", FRAME, 0),
    LIE("version 2", "\0\0\0\x02\x02\x0c", FRAME, 0),
    LIE("type 0", "\0\0\0\x02\x01\0", FRAME, 0),
    LIE("type 15", "\0\0\0\x02\x01\x0f", FRAME, 0),
    LIE("type 255", "\0\0\0\x02\x01\xff", FRAME, 0),
    LIE("a request", "\0\0\0\x02\x01\x0b", FRAME, 0),
    LIE("a chunk first", CHUNK_HI, FRAME, 0),
    LIE("an end first", END, FRAME, 0),
    LIE("a tunnel chunk first", "\0\0\0\x06\x01\x09\0\0\0\0", FRAME, 0),
    LIE("status 99", "\0\0\0\x08\x01\x0e\0\x63\0\0\0\0", FRAME, 0),
    LIE("status 1000", "\0\0\0\x08\x01\x0e\x03\xe8\0\0\0\0", FRAME, 0),
    LIE("2^32-1 fields", "\0\0\0\x08\x01\x0e\0\xc8\xff\xff\xff\xff", FRAME, 0),
    LIE("field token 29", "\0\0\0\x0e\x01\x0e\0\xc8\0\0\0\x01\0\x1d\0\0\0\0", FRAME, 0),
    LIE("a value of 2^32-1", "\0\0\0\x0e\x01\x0e\0\xc8\0\0\0\x01\0\x06\xff\xff\xff\xff", FRAME, 0),
    LIE("bytes behind a head", "\0\0\0\x09\x01\x0e\0\xc8\0\0\0\0x", FRAME, 0),
    LIE("bytes behind content", "\0\0\0\x0d\x01\x0c\0\xc8\0\0\0\0\0\0\0\0x", FRAME, 0),
    LIE("content beyond the frame", "\0\0\0\x0c\x01\x0c\0\xc8\0\0\0\0\0\0\0\x01", FRAME, 0),
    LIE("head twice", START_200 START_200, FRAME, 200),
    LIE("request chunk in an answer", START_200 "\0\0\0\x06\x01\x04\0\0\0\0", FRAME, 200),
    LIE("chunk size beyond the frame", START_200 "\0\0\0\x06\x01\x07\0\0\0\x01", FRAME, 200),
    LIE("chunk size within the frame", START_200 "\0\0\0\x07\x01\x07\0\0\0\0x", FRAME, 200),
    LIE("an end with content", START_200 "\0\0\0\x03\x01\x08x", FRAME, 200),
    LIE("a single frame in an answer", START_200 "\0\0\0\x0c\x01\x0c\0\xc8\0\0\0\0\0\0\0\0", FRAME,
        200),
    LIE("101 unasked for", "\0\0\0\x08\x01\x0e\0\x65\0\0\0\0" END, ROUTED_ERROR_RESPONSE, 0),
    LIE("101 with a chunk", "\0\0\0\x08\x01\x0e\0\x65\0\0\0\0" CHUNK_HI, FRAME, 0),
    LIE("a split response",
        "\0\0\0\x16\x01\x0e\0\xc8\0\0\0\x01\0\x06\0\0\0\x08"
        "a\r\nx: y\n",
        ROUTED_ERROR_RESPONSE, 0),
    LIE("a field without a name", "\0\0\0\x12\x01\x0e\0\xc8\0\0\0\x01\xff\xff\0\0\0\0\0\0\0\0",
        ROUTED_ERROR_RESPONSE, 0),
    LIE("a length that is no number", "\0\0\0\x0f\x01\x0e\0\xc8\0\0\0\x01\0\x07\0\0\0\x01x",
        ROUTED_ERROR_RESPONSE, 0),
    LIE("two lengths",
        "\0\0\0\x16\x01\x0e\0\xc8\0\0\0\x02\0\x07\0\0\0\x01"
        "1\0\x07\0\0\0\x01"
        "1",
        ROUTED_ERROR_RESPONSE, 0),
    LIE("single content unlike its length",
        "\0\0\0\x14\x01\x0c\0\xc8\0\0\0\x01\0\x07\0\0\0\x01"
        "3\0\0\0\x01x",
        ROUTED_ERROR_RESPONSE, 0),
    LIE("content with 204", "\0\0\0\x0d\x01\x0c\0\xcc\0\0\0\0\0\0\0\x01x", ROUTED_ERROR_RESPONSE,
        204),
    LIE("more than the length",
        "\0\0\0\x0f\x01\x0e\0\xc8\0\0\0\x01\0\x07\0\0\0\x01"
        "1" CHUNK_HI,
        ROUTED_ERROR_RESPONSE, 200),
    LIE("less than the length",
        "\0\0\0\x0f\x01\x0e\0\xc8\0\0\0\x01\0\x07\0\0\0\x01"
        "3" CHUNK_HI END,
        ROUTED_ERROR_RESPONSE, 200),
};

static void serve_another(struct stage *s)
{
    struct visit v;
    unsigned peer = s->peer_count;
    visit_arrive(&v, s);
    peer_answer(&s->peers[peer], WIRE_RESPONSE_SINGLE, 200, SPAN("honest"));
    stage_until(s, v.has_end);
    assert_body(&v, "honest");
    visit_close(&v, ROUTED_OK);
}

static void tell_lie(const struct lie *lie, bool byte_by_byte)
{
    struct stage s;
    struct visit v;
    stage_begin(&s);
    visit_arrive(&v, &s);
    if (byte_by_byte) {
        for (size_t i = 0; i < lie->size && !v.failure; i++) {
            peer_write(&s.peers[0], lie->bytes + i, 1);
            stage_turn(&s, 0);
        }
    } else {
        peer_write(&s.peers[0], lie->bytes, lie->size);
    }
    stage_until(&s, v.failure);
    stage_until(&s, s.peers[0].is_ended);
    if (v.failure != lie->failure || v.status != lie->status || v.has_end)
        fail_msg("%s: failure %d, status %d", lie->name, v.failure, v.status);
    assert_non_null(strstr(s.lines, "engine 0: "));
    visit_close(&v, v.failure);
    serve_another(&s);
    stage_close(&s);
}

static void test_lies_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        tell_lie(&lies[i], false);
}

static void test_lies_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        tell_lie(&lies[i], true);
}

/* Closed after each byte of an answer: before the head 502, after it a cut, never a clean end. */
static void test_closed_at_each_byte(void **state)
{
    static const char answer[] = START_200 CHUNK_HI END;
    (void)state;
    for (size_t size = 0; size < sizeof(answer) - 1; size++) {
        struct stage s;
        struct visit v;
        stage_begin(&s);
        visit_arrive(&v, &s);
        if (size)
            peer_write(&s.peers[0], answer, size);
        peer_close(&s.peers[0]);
        visit_expect_failure(&v, ROUTED_ERROR_BRIDGE_CLOSED);
        assert_int_equal(v.status, size < sizeof(START_200) - 1 ? 0 : 200);
        assert_false(v.has_end);
        assert_int_equal(stage_metric(&s, BRIDGE_RETRIES), 0); /* the connection was fresh */
        visit_close(&v, v.failure);
        serve_another(&s);
        stage_close(&s);
    }
}

/* What comes after a whole answer is nobody's: the line is not used again. */
static void test_bytes_after_the_end(void **state)
{
    static const char *const tails[] = {END, CHUNK_HI, START_200, "\1"};
    static const size_t sizes[] = {sizeof(END) - 1, sizeof(CHUNK_HI) - 1, sizeof(START_200) - 1, 1};
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct stage s;
        struct visit v;
        char bytes[128];
        bool is_late = i % 2;
        size_t size = sizes[i / 2];
        stage_begin(&s);
        visit_arrive(&v, &s);
        memcpy(bytes, START_200 END, sizeof(START_200 END) - 1);
        memcpy(bytes + sizeof(START_200 END) - 1, tails[i / 2], size);
        peer_write(&s.peers[0], bytes, sizeof(START_200 END) - 1 + (is_late ? 0 : size));
        stage_until(&s, v.has_end);
        if (is_late)
            peer_write(&s.peers[0], tails[i / 2], size);
        visit_close(&v, ROUTED_OK);
        stage_settle(&s);
        if (!is_late || size > 1) /* a part of a frame is found at the next use */
            stage_until(&s, s.peers[0].is_ended);
        serve_another(&s);
        stage_close(&s);
    }
}

/* Frames that cost the front time and give nothing are a limited pleasure. */
static void test_flood_of_empty_chunks(void **state)
{
    static uint8_t flood[10 * 1000];
    struct stage s;
    struct visit v;
    (void)state;
    for (size_t at = 0; at < sizeof(flood); at += WIRE_CHUNK_PREFIX_SIZE)
        wire_frame_chunk(flood + at, WIRE_RESPONSE_CHUNK, 0);
    stage_begin(&s);
    visit_arrive(&v, &s);
    peer_answer(&s.peers[0], WIRE_RESPONSE_START, 200, SPAN_EMPTY);
    size_t sent = 0;
    while (!v.failure) {
        size_t skip = sent % sizeof(flood);
        ssize_t moved = socket_write(s.peers[0].fd, span_of(flood + skip, sizeof(flood) - skip));
        sent += moved > 0 ? (size_t)moved : 0;
        assert_true(sent < 10 * 1000 * 1000);
        stage_turn(&s, 0);
    }
    assert_int_equal(v.failure, ROUTED_ERROR_BRIDGE_FRAME);
    visit_close(&v, v.failure);
    stage_close(&s);
}

/* One-byte chunks are odd and legal. */
static void test_answer_of_tiny_chunks(void **state)
{
    static uint8_t tiny[11 * 1000];
    struct stage s;
    struct visit v;
    (void)state;
    for (size_t at = 0; at < sizeof(tiny); at += 11) {
        wire_frame_chunk(tiny + at, WIRE_RESPONSE_CHUNK, 1);
        tiny[at + 10] = 'x';
    }
    stage_begin(&s);
    visit_arrive(&v, &s);
    peer_answer(&s.peers[0], WIRE_RESPONSE_START, 200, SPAN_EMPTY);
    for (size_t sent = 0; sent < 200 * sizeof(tiny);) {
        size_t skip = sent % sizeof(tiny);
        ssize_t moved = socket_write(s.peers[0].fd, span_of(tiny + skip, sizeof(tiny) - skip));
        sent += moved > 0 ? (size_t)moved : 0;
        stage_turn(&s, 0);
        assert_int_equal(v.failure, ROUTED_OK);
    }
    stage_until(&s, buffer_size(&v.body) == 200 * 1000);
    peer_mark(&s.peers[0], WIRE_RESPONSE_END);
    visit_close_answered(&v);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lies_whole),
        cmocka_unit_test(test_lies_byte_by_byte),
        cmocka_unit_test(test_closed_at_each_byte),
        cmocka_unit_test(test_bytes_after_the_end),
        cmocka_unit_test(test_flood_of_empty_chunks),
        cmocka_unit_test(test_answer_of_tiny_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
