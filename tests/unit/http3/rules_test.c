/* What HTTP/3 and QPACK want to be answered with a connection error, each with its code (RFC 9114,
 * RFC 9204), and what must be tolerated. */
#include "peer.h"
#include "support/unit.h"

/* ---- connection errors ---- */

/* What a client sends once everything is set up: bytes of one stream. */
struct rule {
    const char *what;
    int64_t stream;
    struct span bytes;
    bool ends;
    uint64_t code;
};

/* HEADERS with GET https://a.test/ */
#define HEAD "\1\x0d\0\0\xd1\xd7\xc1\x50\6a.test"
/* The same with content-length: 2, POST */
#define POST                                                                                       \
    "\1\x10\0\0\xd4\xd7\xc1\x50\6a.test\x54\1"                                                     \
    "2"

static void expect_code(const struct rule *r, size_t split, uint32_t table)
{
    struct peer p;
    peer_init(&p, &origin_waits);
    p.options.limits.table_max = table;
    assert_true(peer_begin(&p));
    peer_greet(&p);
    p.split = split;
    peer_bytes(&p, r->stream, r->bytes, r->ends);
    if (peer_code(&p) != r->code || peer_wait(&p) != SESSION_FINISHED || !p.failure)
        fail_msg("%s (%zu): code %llx, wait %d", r->what, split, (unsigned long long)peer_code(&p),
                 peer_wait(&p));
    assert_int_equal(p.origin.opened, p.origin.closed);
    assert_int_equal(p.origin.complete, 0);
    peer_close(&p);
}

static void test_connection_errors(void **state)
{
    static const struct rule rules[] = {
        {"DATA before HEADERS", 0, SPAN("\0\1x"), false, 0x105},
        {"DATA after trailers", 0, SPAN(HEAD "\1\2\0\0\0\1x"), false, 0x105},
        {"HEADERS after trailers", 0, SPAN(HEAD "\1\2\0\0\1\2\0\0"), false, 0x105},
        {"CANCEL_PUSH on a request", 0, SPAN(HEAD "\3\1\0"), false, 0x105},
        {"SETTINGS on a request", 0, SPAN("\4\0"), false, 0x105},
        {"PUSH_PROMISE on a request", 0, SPAN(HEAD "\5\3\0\0\0"), false, 0x105},
        {"GOAWAY on a request", 0, SPAN(HEAD "\7\1\0"), false, 0x105},
        {"MAX_PUSH_ID on a request", 0, SPAN(HEAD "\x0d\1\0"), false, 0x105},
        {"PRIORITY_UPDATE on a request", 0, SPAN("\x80\x0f\7\0\1\0"), false, 0x105},
        {"PRIORITY_UPDATE of a push on a request", 0, SPAN("\x80\x0f\7\1\1\0"), false, 0x105},
        {"PRIORITY of HTTP/2 on a request", 0, SPAN("\2\0"), false, 0x105},
        {"PING of HTTP/2 on a request", 0, SPAN("\6\0"), false, 0x105},
        {"WINDOW_UPDATE of HTTP/2 on a request", 0, SPAN("\x08\0"), false, 0x105},
        {"CONTINUATION of HTTP/2 on a request", 0, SPAN("\x09\0"), false, 0x105},
        {"end inside a frame type", 0, SPAN(HEAD "\x40"), true, 0x106},
        {"end inside a frame length", 0, SPAN(HEAD "\0\x40"), true, 0x106},
        {"end inside HEADERS", 0, SPAN("\1\x0c\0\0\xd1"), true, 0x106},
        {"end inside DATA", 0, SPAN(HEAD "\0\5ab"), true, 0x106},
        {"end inside an unknown frame", 0, SPAN(HEAD "\x21\5ab"), true, 0x106},
        {"the longest DATA and the end", 0,
         SPAN(HEAD "\0\xff\xff\xff\xff\xff\xff\xff\xff"
                   "ab"),
         true, 0x106},
        {"no static entry 99", 0, SPAN("\1\4\0\0\xff\x24"), false, 0x200},
        {"dynamic entry", 0, SPAN("\1\3\0\0\x80"), false, 0x200},
        {"insert count that is no number of inserts", 0, SPAN("\1\4\xff\2\0\xc1"), false, 0x200},
        {"post-base entry", 0, SPAN("\1\3\0\0\x10"), false, 0x200},
        {"dynamic name", 0, SPAN("\1\5\0\0\x40\1x"), false, 0x200},
        {"post-base name", 0, SPAN("\1\5\0\0\0\1x"), false, 0x200},
        {"negative base", 0, SPAN("\1\3\0\x80\xc1"), false, 0x200},
        {"section that ends in a line", 0, SPAN("\1\4\0\0\x51\5"), false, 0x200},
        {"empty section", 0, SPAN("\1\0"), false, 0x200},
        {"integer that never ends", 0,
         SPAN("\1\x0e\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false, 0x200},
        {"padding that is no Huffman code", 0, SPAN("\1\5\0\0\x51\x81\0"), false, 0x200},
        {"trailers with a dynamic entry", 0, SPAN(HEAD "\1\3\0\0\x80"), false, 0x200},
        {"second control stream", 14, SPAN("\0"), false, 0x103},
        {"second encoder stream", 14, SPAN("\2"), false, 0x103},
        {"second decoder stream", 14, SPAN("\3"), false, 0x103},
        {"push stream", 14, SPAN("\1"), false, 0x103},
        {"end of control", 2, SPAN_EMPTY, true, 0x104},
        {"end of control with a frame", 2, SPAN("\x21\0"), true, 0x104},
        {"end of encoder", 6, SPAN_EMPTY, true, 0x104},
        {"end of decoder", 10, SPAN_EMPTY, true, 0x104},
        {"second SETTINGS", 2, SPAN("\4\0"), false, 0x105},
        {"DATA on control", 2, SPAN("\0\0"), false, 0x105},
        {"HEADERS on control", 2, SPAN("\1\2\0\0"), false, 0x105},
        {"PUSH_PROMISE on control", 2, SPAN("\5\3\0\0\0"), false, 0x105},
        {"PING of HTTP/2 on control", 2, SPAN("\6\0"), false, 0x105},
        {"CANCEL_PUSH on control", 2, SPAN("\3\1\0"), false, 0x108},
        {"GOAWAY with more behind", 2, SPAN("\7\4\0\0\0\0"), false, 0x106},
        {"long MAX_PUSH_ID", 2, SPAN("\x0d\x0a\0\0\0\0\0\0\0\0\0\0"), false, 0x106},
        {"half a MAX_PUSH_ID", 2, SPAN("\x0d\1\x40"), false, 0x106},
        {"empty GOAWAY", 2, SPAN("\7\0"), false, 0x106},
        {"long GOAWAY", 2, SPAN("\7\2\0\0"), false, 0x106},
        {"empty MAX_PUSH_ID", 2, SPAN("\x0d\0"), false, 0x106},
        {"smaller MAX_PUSH_ID", 2, SPAN("\x0d\1\5\x0d\1\4"), false, 0x108},
        {"larger GOAWAY", 2, SPAN("\7\1\4\7\1\x08"), false, 0x108},
        {"empty PRIORITY_UPDATE", 2, SPAN("\x80\x0f\7\0\0"), false, 0x106},
        {"cut PRIORITY_UPDATE", 2, SPAN("\x80\x0f\7\0\1\x40"), false, 0x106},
        {"PRIORITY_UPDATE that says nothing", 2, SPAN("\x80\x0f\7\0\2\0?"), false, 0x101},
        {"PRIORITY_UPDATE beyond the streams", 2, SPAN("\x80\x0f\7\0\2\x41\x94"), false, 0x108},
        {"PRIORITY_UPDATE of no request", 2, SPAN("\x80\x0f\7\0\1\2"), false, 0x108},
        {"PRIORITY_UPDATE of a push", 2, SPAN("\x80\x0f\7\1\1\0"), false, 0x108},
        {"insert", 6,
         SPAN("\x41"
              "a\1b"),
         false, 0x201},
        {"duplicate of nothing", 6, SPAN("\0"), false, 0x201},
        {"insert count increment 0", 10, SPAN("\0"), false, 0x202},
        {"insert count increment 1", 10, SPAN("\1"), false, 0x202},
        {"acknowledgement of nothing", 10, SPAN("\x80"), false, 0x202},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        for (size_t split = 0; split < 2; split++) {
            expect_code(&rules[i], split, 4096);
            expect_code(&rules[i], split, 0);
        }
}

/* Capacity 4096. */
#define TABLE "\x3f\xe1\x1f"

static void test_errors_of_the_table(void **state)
{
    static const struct rule rules[] = {
        {"insert count too far ahead", 0, SPAN("\1\3\x82\0\xc1"), false, 0x200},
        {"insert count without a line", 0, SPAN("\1\2\2\0"), false, 0x200},
        {"base below zero", 0, SPAN("\1\3\2\x81\xc1"), false, 0x200},
        {"table larger than allowed", 6, SPAN("\x3f\xe2\x1f"), false, 0x201},
        {"integer that never ends", 6, SPAN("\x3f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false,
         0x201},
        {"no static name 99", 6, SPAN(TABLE "\xff\x24\1x"), false, 0x201},
        {"no dynamic name", 6, SPAN(TABLE "\x80\1x"), false, 0x201},
        {"duplicate of nothing", 6, SPAN(TABLE "\0"), false, 0x201},
        {"insert that does not fit", 6,
         SPAN("\x3f\2\x41"
              "a\1b"),
         false, 0x201},
        {"name that is too long", 6, SPAN(TABLE "\x5f\xe2\1"), false, 0x201},
        {"value that is too long", 6, SPAN(TABLE "\xc1\x7f\xff\xff\3"), false, 0x201},
        {"padding that is no Huffman code", 6, SPAN(TABLE "\xc1\x81\0"), false, 0x201},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        for (size_t split = 0; split < 2; split++)
            expect_code(&rules[i], split, 4096);
}

/* RFC 9204 section 3.2.3: with no table offered, none may be made, nor asked for. */
static void test_errors_without_a_table(void **state)
{
    static const struct rule rules[] = {
        {"insert count", 0, SPAN("\1\3\2\0\xc1"), false, 0x200},
        {"a table", 6, SPAN("\x21"), false, 0x201},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        for (size_t split = 0; split < 2; split++)
            expect_code(&rules[i], split, 0);
}

/* The first bytes of the client's control stream. */
static void expect_settings_code(const char *what, struct span frames, uint64_t code)
{
    struct peer p;
    struct buffer b = BUFFER_EMPTY;
    peer_init(&p, &origin_waits);
    assert_true(peer_begin(&p));
    buffer_append(&b, "\0", 1);
    buffer_append_span(&b, frames);
    peer_send_buffer(&p, PEER_CONTROL, &b, false);
    if (peer_code(&p) != code || (peer_wait(&p) == SESSION_FINISHED) != (code != 0x100))
        fail_msg("%s: %llx", what, (unsigned long long)peer_code(&p));
    peer_close(&p);
}

static void test_settings(void **state)
{
    (void)state;
    expect_settings_code("none", SPAN("\x0d\1\0"), 0x10a);
    expect_settings_code("empty", SPAN("\4\0"), 0x100);
    expect_settings_code("of HTTP/2: enable push", SPAN("\4\2\2\0"), 0x109);
    expect_settings_code("of HTTP/2: streams", SPAN("\4\2\3\1"), 0x109);
    expect_settings_code("of HTTP/2: window", SPAN("\4\2\4\1"), 0x109);
    expect_settings_code("of HTTP/2: frame", SPAN("\4\2\5\1"), 0x109);
    expect_settings_code("half an entry", SPAN("\4\1\1"), 0x106);
    expect_settings_code("unknown", SPAN("\4\2\x21\5"), 0x100);
    /* What a client says of the extended CONNECT has no meaning (RFC 8441 section 3), and newer
     * versions of nghttp3 overlook a value that is not allowed. */
    expect_settings_code("connect protocol 1", SPAN("\4\2\x08\1"), 0x100);
    expect_settings_code("datagram 2", SPAN("\4\2\x33\2"), 0x109);
}

static void test_resets_of_critical_streams(void **state)
{
    static const int64_t ids[] = {PEER_CONTROL, PEER_ENCODER, PEER_DECODER, 3, 7, 11};
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        int error = ids[i] & 1 ? http3_session_stream_stopped(p.session, ids[i], 0)
                               : http3_session_stream_reset(p.session, ids[i], 0);
        assert_int_equal(error, ROUTED_ERROR_FRAMING);
        assert_int_equal(peer_code(&p), NGHTTP3_H3_CLOSED_CRITICAL_STREAM);
        assert_int_equal(peer_wait(&p), SESSION_FINISHED);
        peer_close(&p);
    }
}

static void test_too_few_streams(void **state)
{
    (void)state;
    for (unsigned count = 0; count <= 3; count++) {
        struct peer p;
        peer_init(&p, &origin_waits);
        p.sides_max = count;
        assert_true(peer_begin(&p));
        assert_int_equal(http3_session_start(p.session) == ROUTED_OK, count == 3);
        assert_int_equal(peer_code(&p), count == 3 ? 0x100 : NGHTTP3_H3_GENERAL_PROTOCOL_ERROR);
        peer_close(&p);
    }
}

/* ---- what concerns one request alone ---- */

static void expect_reset(const char *what, struct span bytes, bool ends, uint64_t code)
{
    for (size_t split = 0; split < 2; split++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        p.split = split;
        peer_bytes(&p, 0, bytes, ends);
        peer_turn(&p);
        if (peer_answer(&p, 0)->reset_code != code || p.failure)
            fail_msg("%s: %llx, connection %d", what,
                     (unsigned long long)peer_answer(&p, 0)->reset_code, p.failure);
        assert_int_equal(p.origin.complete, 0);
        assert_int_equal(p.origin.opened, p.origin.closed);
        assert_int_equal(p.origin.opened + p.origin.refused, 1);
        assert_int_equal(p.granted, p.sent);
        peer_get(&p, 4); /* the connection goes on */
        assert_int_equal(p.origin.open, 1);
        peer_close(&p);
    }
}

static void test_stream_errors(void **state)
{
    (void)state;
    expect_reset("nothing", SPAN_EMPTY, true, NGHTTP3_H3_REQUEST_INCOMPLETE);
    expect_reset("only grease", SPAN("\x21\1x"), true, NGHTTP3_H3_REQUEST_INCOMPLETE);
    expect_reset("no pseudo-fields", SPAN("\1\2\0\0"), false, NGHTTP3_H3_MESSAGE_ERROR);
    expect_reset(":status", SPAN("\1\x0e\0\0\xd1\xd7\xc1\x50\6a.test\xd9"), true,
                 NGHTTP3_H3_MESSAGE_ERROR);
    expect_reset(":path twice", SPAN("\1\x0e\0\0\xd1\xd7\xc1\x50\6a.test\xc1"), true,
                 NGHTTP3_H3_MESSAGE_ERROR);
    expect_reset("no :path", SPAN("\1\x0c\0\0\xd1\xd7\x50\6a.test"), true,
                 NGHTTP3_H3_MESSAGE_ERROR);
    expect_reset(":path late", SPAN("\1\x0e\0\0\xd1\xd7\x50\6a.test\xdd\xc1"), true,
                 NGHTTP3_H3_MESSAGE_ERROR);
    expect_reset("less than declared", SPAN(POST "\0\1x"), true, NGHTTP3_H3_MESSAGE_ERROR);
    expect_reset("more than declared", SPAN(POST "\0\3xyz"), true, NGHTTP3_H3_MESSAGE_ERROR);
    expect_reset("much more than declared", SPAN(POST "\0\xff\xff\xff\xff\xff\xff\xff\xff"), false,
                 NGHTTP3_H3_MESSAGE_ERROR);
    expect_reset("more in a second frame", SPAN(POST "\0\2xy\0\1z"), false,
                 NGHTTP3_H3_MESSAGE_ERROR);
    expect_reset("nothing of what was declared", SPAN(POST), true, NGHTTP3_H3_MESSAGE_ERROR);
}

/* CONNECT takes nothing but DATA (RFC 9114 section 4.4). */
static void test_trailers_in_a_tunnel(void **state)
{
    struct peer p;
    const struct peer_line lines[] = {
        PEER_LINE(":method", "CONNECT"), PEER_LINE(":protocol", "websocket"),
        PEER_LINE(":scheme", "https"), PEER_LINE(":path", "/"), PEER_LINE(":authority", "a.test")};
    const struct peer_line trailer[] = {PEER_LINE("x-a", "b")};
    (void)state;
    peer_open(&p, &origin_waits);
    peer_head(&p, 0, lines, 5, false);
    assert_int_equal(p.origin.open, 1);
    peer_head(&p, 0, trailer, 1, false);
    assert_int_equal(peer_code(&p), NGHTTP3_H3_FRAME_UNEXPECTED);
    peer_close(&p);
}

/* ---- what is odd and legal ---- */

static void test_tolerated(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_bytes(&p, 0, SPAN("\x21\3abc" HEAD "\x40\x21\0\0\0\0\2ok\x21\1x\1\2\0\0\x21\0"), true);
    peer_bytes(&p, PEER_CONTROL, SPAN("\x21\0\x40\x5f\2ab\x0d\1\5\x0d\1\5\7\1\5\7\1\0"), false);
    peer_bytes(&p, PEER_ENCODER, SPAN("\x20"), false); /* a table of 0 bytes */
    peer_bytes(&p, PEER_DECODER, SPAN("\x40"), false); /* cancels what was never there */
    peer_turn(&p);
    assert_int_equal(p.failure, ROUTED_OK);
    assert_int_equal(p.origin.complete, 1);
    assert_int_equal(p.origin.content, 2);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    assert_int_equal(p.granted, p.sent);
    peer_close(&p);
}

/* nghttp3 1.8 ends the process when the frame is cut behind the stream's number. */
static void test_priority_updates_in_pieces(void **state)
{
    const struct span frame = SPAN("\x80\x0f\7\0\4\0u=1");
    (void)state;
    for (size_t cut = 1; cut < frame.size; cut++) {
        struct peer p;
        peer_open(&p, &origin_reads_then_answers);
        peer_bytes(&p, PEER_CONTROL, span_part(frame, 0, cut), false);
        peer_bytes(&p, PEER_CONTROL, span_after(frame, cut), false);
        peer_get(&p, 0);
        peer_turn(&p);
        assert_int_equal(peer_answer(&p, 0)->status, 200);
        assert_int_equal(p.failure, ROUTED_OK);
        peer_close(&p);
    }
}

/* What is told of requests that are over is forgotten. */
static void test_priority_updates_of_the_past(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    for (int64_t id = 0; id < 200; id += 4)
        peer_get(&p, id);
    peer_turn(&p);
    size_t before = memory_held();
    for (uint64_t id = 0; id < 200; id += 4) {
        struct buffer b = BUFFER_EMPTY;
        peer_number(&b, id);
        buffer_append_text(&b, "u=1");
        peer_frame(&p, PEER_CONTROL, HTTP3_FRAME_PRIORITY_UPDATE, buffer_span(&b), false);
        buffer_release(&b);
    }
    assert_int_equal(memory_held(), before);
    assert_int_equal(p.failure, ROUTED_OK);
    peer_close(&p);
}

/* A request may overtake the client's SETTINGS. */
static void test_request_before_settings(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &origin_reads_then_answers);
    assert_true(peer_begin(&p));
    peer_get(&p, 0);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    assert_int_equal(peer_wait(&p), SESSION_HEAD);
    peer_greet(&p);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

static void expect_settings(uint32_t table, struct span expected)
{
    struct peer p;
    peer_init(&p, &origin_waits);
    p.options.limits.table_max = table;
    assert_true(peer_begin(&p));
    peer_greet(&p);
    struct span bytes = buffer_span(&p.control), payload;
    struct http3_frames frames = {0};
    assert_int_equal(bytes.data[0], 0);
    bytes = span_after(bytes, 1);
    assert_int_equal(http3_frames_next(&frames, &bytes, &payload), HTTP3_PART_HEAD);
    assert_int_equal(frames.type, HTTP3_FRAME_SETTINGS);
    assert_int_equal(http3_frames_next(&frames, &bytes, &payload), HTTP3_PART_PAYLOAD);
    assert_int_equal(bytes.size, 0);
    assert_int_equal(payload.size, expected.size);
    assert_memory_equal(payload.data, expected.data, expected.size);
    peer_close(&p);
}

/* What the session says of itself. */
static void test_our_settings(void **state)
{
    (void)state;
    expect_settings(4096, SPAN("\6\x80\0\x80\0\1\x50\0\7\x10\x08\1"));
    expect_settings(0, SPAN("\6\x80\0\x80\0\1\0\7\0\x08\1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection_errors),
        cmocka_unit_test(test_errors_of_the_table),
        cmocka_unit_test(test_errors_without_a_table),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_resets_of_critical_streams),
        cmocka_unit_test(test_too_few_streams),
        cmocka_unit_test(test_stream_errors),
        cmocka_unit_test(test_trailers_in_a_tunnel),
        cmocka_unit_test(test_tolerated),
        cmocka_unit_test(test_priority_updates_in_pieces),
        cmocka_unit_test(test_priority_updates_of_the_past),
        cmocka_unit_test(test_request_before_settings),
        cmocka_unit_test(test_our_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
