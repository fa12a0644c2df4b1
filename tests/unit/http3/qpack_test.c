/* The client's dynamic table (RFC 9204): inserts, requests that come before them, what is told to
 * the client, and the bounds of all of it. */
#include "support/unit.h"

#include "peer.h"
#include <stdio.h>

/* Of the encoder stream: the capacity, and x-a: b. */
#define CAPACITY SPAN("\x3f\xe1\x1f")
#define INSERT                                                                                     \
    SPAN("\x43x-a\1"                                                                               \
         "b")
/* GET https://a.test/ */
#define LINES "\xd1\xd7\xc1\x50\6a.test"
/* The same with one field of the table: the first insert, or the second. */
#define NEEDS_ONE SPAN("\1\x0e\2\0" LINES "\x80")
#define NEEDS_TWO SPAN("\1\x0e\3\0" LINES "\x80")

static bool is_over(struct peer *p)
{
    return peer_wait(p) == SESSION_FINISHED;
}

static void insert(struct peer *p, struct span instruction)
{
    peer_bytes(p, PEER_ENCODER, instruction, false);
}

/* With a table that is empty. */
static void open_table(struct peer *p, const struct origin_script *script)
{
    peer_open(p, script);
    insert(p, CAPACITY);
}

static void expect_told(struct peer *p, struct span expected)
{
    struct span told = buffer_span(&p->table);
    if (!span_equals(told, expected))
        fail_msg("told %zu bytes, the first %02x", told.size, told.size ? told.data[0] : 0);
    buffer_clear(&p->table);
}

/* ---- inserts, and requests that use them ---- */

static void test_insert_before_request(void **state)
{
    (void)state;
    for (size_t split = 0; split < 3; split++) {
        struct peer p;
        open_table(&p, &origin_reads_then_answers);
        p.split = split;
        insert(&p, INSERT);
        peer_turn(&p);
        expect_told(&p, SPAN("\1")); /* Insert Count Increment */
        peer_bytes(&p, 0, NEEDS_ONE, true);
        peer_turn(&p);
        assert_true(origin_saw(&p.origin, "GET / a.test [host=a.test;x-a=b;] 0 []"));
        assert_int_equal(peer_answer(&p, 0)->status, 200);
        expect_told(&p, SPAN("\x80")); /* Section Acknowledgment */
        assert_int_equal(p.counts[HTTP3_TABLE_INSERTS], 1);
        assert_int_equal(p.counts[HTTP3_SECTIONS_BLOCKED], 0);
        peer_close(&p);
    }
}

static void test_request_before_insert(void **state)
{
    (void)state;
    for (size_t split = 0; split < 3; split++) {
        struct peer p;
        open_table(&p, &origin_reads_then_answers);
        p.split = split;
        peer_bytes(&p, 0, NEEDS_ONE, false);
        peer_data(&p, 0, 100, false);
        peer_fin(&p, 0);
        peer_turn(&p);
        assert_int_equal(p.origin.opened, 0);
        assert_int_equal(peer_wait(&p), SESSION_HEAD);
        expect_told(&p, SPAN(""));
        peer_get(&p, 4); /* waits for nobody */
        peer_turn(&p);
        assert_int_equal(peer_answer(&p, 4)->status, 200);
        insert(&p, INSERT);
        peer_turn(&p);
        assert_true(origin_saw(&p.origin, "[host=a.test;x-a=b;] 100 []"));
        assert_int_equal(peer_answer(&p, 0)->status, 200);
        expect_told(&p, SPAN("\x80"));
        assert_int_equal(p.counts[HTTP3_SECTIONS_BLOCKED], 1);
        peer_close(&p);
    }
}

/* Each goes on with the insert that it needs, whatever came first. */
static void test_order_of_those_who_wait(void **state)
{
    struct peer p;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    peer_bytes(&p, 0, NEEDS_TWO, true);
    peer_bytes(&p, 4, NEEDS_ONE, true);
    insert(&p, INSERT);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 0);
    assert_int_equal(peer_answer(&p, 4)->status, 200);
    insert(&p, SPAN("\0"));
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    expect_told(&p, SPAN("\x84\x80"));
    peer_close(&p);
}

static void test_trailers_before_insert(void **state)
{
    struct peer p;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    peer_post(&p, 0);
    peer_data(&p, 0, 10, false);
    peer_bytes(&p, 0, SPAN("\1\3\2\0\x80"), true);
    peer_turn(&p);
    assert_int_equal(p.origin.content, 10);
    assert_int_equal(p.origin.complete, 0);
    assert_int_equal(peer_wait(&p), SESSION_BODY);
    insert(&p, INSERT);
    peer_turn(&p);
    assert_true(origin_saw(&p.origin, "10 [x-a=b;]"));
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    peer_close(&p);
}

/* A head that waits, and then trailers that wait for more. */
static void test_waiting_twice(void **state)
{
    struct peer p;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    p.split = 1;
    peer_bytes(&p, 0, NEEDS_ONE, false);
    peer_data(&p, 0, 10, false);
    peer_bytes(&p, 0, SPAN("\1\3\3\0\x80"), true);
    insert(&p, INSERT);
    assert_int_equal(p.origin.opened, 1);
    assert_int_equal(p.origin.complete, 0);
    insert(&p, SPAN("\0"));
    peer_turn(&p);
    assert_true(origin_saw(&p.origin, "[host=a.test;x-a=b;] 10 [x-a=b;]"));
    assert_int_equal(p.counts[HTTP3_SECTIONS_BLOCKED], 2);
    peer_close(&p);
}

/* What waits is not granted to its stream, and everything is in the end. */
static void test_window_of_those_who_wait(void **state)
{
    struct peer p;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    peer_bytes(&p, 0, NEEDS_ONE, false);
    peer_data(&p, 0, 1000, false);
    assert_int_equal(peer_stream(&p, 0)->granted, 4); /* two frames' bytes, and the prefix */
    assert_int_equal(p.granted, p.sent);
    insert(&p, INSERT);
    assert_int_equal(peer_stream(&p, 0)->granted, NEEDS_ONE.size + 1000 + 3);
    peer_fin(&p, 0);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    peer_close(&p);
}

/* The insert cannot be a replay when it comes after the handshake: nor then is the request. */
static void test_early_request_with_late_insert(void **state)
{
    struct peer p;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    http3_session_set_early(p.session, true);
    peer_bytes(&p, 0, NEEDS_ONE, true);
    http3_session_set_early(p.session, false);
    insert(&p, INSERT);
    peer_turn(&p);
    assert_true(origin_saw(&p.origin, "[host=a.test;x-a=b;]"));
    peer_close(&p);
}

/* ---- a client of nghttp3 with a small table ---- */

#define ROUNDS 2000

struct coder {
    struct peer p;
    nghttp3_qpack_encoder *encoder;
    struct buffer late; /* of the encoder stream */
    uint64_t random;
};

static void flush_inserts(struct coder *c)
{
    struct span inserts = buffer_span(&c->late);
    if (inserts.size)
        insert(&c->p, inserts);
    buffer_clear(&c->late);
}

/* What we say of the table must be right for nghttp3's encoder. */
static void tell_encoder(struct coder *c)
{
    struct span told = buffer_span(&c->p.table);
    if (told.size)
        assert_true(nghttp3_qpack_encoder_read_decoder(c->encoder, told.data, told.size) >= 0);
    buffer_clear(&c->p.table);
}

static void encode_request(struct coder *c, int64_t id, unsigned number)
{
    char value[24];
    nghttp3_buf prefix, lines, inserts;
    struct buffer section = BUFFER_EMPTY, frame = BUFFER_EMPTY;
    int size = snprintf(value, sizeof(value), "v%u", number);
    const nghttp3_nv nva[] = {
        {(uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0},
        {(uint8_t *)":scheme", (uint8_t *)"https", 7, 5, 0},
        {(uint8_t *)":authority", (uint8_t *)"a.test", 10, 6, 0},
        {(uint8_t *)":path", (uint8_t *)"/", 5, 1, 0},
        {(uint8_t *)"x-a", (uint8_t *)value, 3, (size_t)size, NGHTTP3_NV_FLAG_TRY_INDEX}};
    uint8_t room[24];
    prefix = (nghttp3_buf){.begin = room, .pos = room, .last = room, .end = room + sizeof(room)};
    nghttp3_buf_init(&lines);
    nghttp3_buf_init(&inserts);
    assert_int_equal(
        nghttp3_qpack_encoder_encode(c->encoder, &prefix, &lines, &inserts, id, nva, 5), 0);
    buffer_append(&section, prefix.pos, nghttp3_buf_len(&prefix));
    buffer_append(&section, lines.pos, nghttp3_buf_len(&lines));
    buffer_append(&c->late, inserts.pos, nghttp3_buf_len(&inserts));
    nghttp3_buf_free(&lines, nghttp3_mem_default());
    nghttp3_buf_free(&inserts, nghttp3_mem_default());
    peer_put_frame(&frame, HTTP3_FRAME_HEADERS, buffer_span(&section));
    peer_send_buffer(&c->p, id, &frame, true);
    buffer_release(&section);
}

static void test_foreign_encoder(void **state)
{
    static struct coder c;
    (void)state;
    c = (struct coder){.random = 7};
    peer_open(&c.p, &origin_reads_then_answers);
    /* Its table is as large as ours may be: nghttp3 counts by its own limit. */
    assert_int_equal(nghttp3_qpack_encoder_new(&c.encoder, 4096, nghttp3_mem_default()), 0);
    nghttp3_qpack_encoder_set_max_dtable_capacity(c.encoder, 300);
    nghttp3_qpack_encoder_set_max_blocked_streams(c.encoder, 16);
    for (int64_t id = 0; id < 4 * ROUNDS; id += 4) {
        unsigned number = (unsigned)(unit_random(&c.random) % 20);
        char seen[64];
        c.p.split = unit_random(&c.random) % 5;
        encode_request(&c, id, number);
        if (unit_random(&c.random) % 4 == 0) {
            flush_inserts(&c);
            peer_turn(&c.p);
            tell_encoder(&c);
            snprintf(seen, sizeof(seen), "GET / a.test [host=a.test;x-a=v%u;]", number);
            assert_true(origin_saw(&c.p.origin, seen));
            buffer_clear(&c.p.origin.view);
        }
    }
    flush_inserts(&c);
    peer_turn(&c.p);
    assert_int_equal(c.p.failure, 0);
    assert_int_equal(c.p.origin.complete, ROUNDS);
    assert_in_range(c.p.counts[HTTP3_TABLE_INSERTS], 300, ROUNDS);
    assert_in_range(c.p.counts[HTTP3_SECTIONS_BLOCKED], 100, ROUNDS);
    nghttp3_qpack_encoder_del(c.encoder);
    buffer_release(&c.late);
    peer_close(&c.p);
}

/* ---- bounds ---- */

static void test_blocked_streams(void **state)
{
    (void)state;
    for (unsigned count = 15; count <= 17; count++) {
        struct peer p;
        open_table(&p, &origin_reads_then_answers);
        for (unsigned i = 0; i < count; i++)
            peer_bytes(&p, 4 * (int64_t)i, NEEDS_ONE, true);
        assert_int_equal(p.counts[HTTP3_SECTIONS_BLOCKED], count);
        assert_int_equal(p.counts[HTTP3_SECTIONS_OVER], count > 16);
        assert_int_equal(is_over(&p), count > 16);
        assert_int_equal(p.origin.opened, 0);
        if (count > 16) {
            assert_int_equal(peer_code(&p), NGHTTP3_QPACK_DECOMPRESSION_FAILED);
        } else {
            insert(&p, INSERT);
            peer_turn(&p);
            assert_int_equal(p.origin.complete, count);
        }
        peer_close(&p);
    }
}

/* RFC 9204 section 2.1.2: with none allowed the first is one too many. */
static void test_no_blocked_streams(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &origin_reads_then_answers);
    p.options.limits.blocked_max = 0;
    assert_true(peer_begin(&p));
    peer_greet(&p);
    insert(&p, CAPACITY);
    insert(&p, INSERT);
    peer_bytes(&p, 0, NEEDS_ONE, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    peer_bytes(&p, 4, NEEDS_TWO, true);
    assert_int_equal(peer_code(&p), NGHTTP3_QPACK_DECOMPRESSION_FAILED);
    peer_close(&p);
}

/* A place is free again when its stream goes on, or is reset. */
static void test_places_of_those_who_wait(void **state)
{
    struct peer p;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    for (int64_t id = 0; id < 64; id += 4)
        peer_bytes(&p, id, NEEDS_ONE, true);
    for (int64_t id = 0; id < 20; id += 4)
        peer_cancel(&p, id);
    peer_turn(&p);
    expect_told(&p, SPAN("\x40\x44\x48\x4c\x50"));
    for (int64_t id = 64; id < 84; id += 4)
        peer_bytes(&p, id, NEEDS_ONE, true);
    assert_false(is_over(&p));
    insert(&p, INSERT);
    for (int64_t id = 84; id < 148; id += 4)
        peer_bytes(&p, id, NEEDS_TWO, true);
    peer_turn(&p);
    assert_false(is_over(&p));
    assert_int_equal(p.origin.complete, 16);
    peer_close(&p);
}

static void test_head_time(void **state)
{
    struct peer p;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    peer_bytes(&p, 0, NEEDS_ONE, true);
    peer_turn(&p);
    assert_int_equal(peer_wait(&p), SESSION_HEAD);
    peer_fail(&p, ROUTED_ERROR_REQUEST_TIMEOUT);
    assert_true(is_over(&p));
    assert_int_equal(p.origin.refused, 2); /* the request, and the connection */
    assert_int_equal(p.origin.opened, 0);
    peer_close(&p);
}

static void test_table_size(void **state)
{
    static const struct {
        struct span capacity;
        uint64_t code;
    } sizes[] = {
        {SPAN("\x3f\xe0\x1f"), NGHTTP3_H3_NO_ERROR},                /* 4095 */
        {SPAN("\x3f\xe1\x1f"), NGHTTP3_H3_NO_ERROR},                /* 4096 */
        {SPAN("\x3f\xe2\x1f"), NGHTTP3_QPACK_ENCODER_STREAM_ERROR}, /* 4097 */
    };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct peer p;
        peer_open(&p, &origin_reads_then_answers);
        insert(&p, sizes[i].capacity);
        assert_int_equal(peer_code(&p), sizes[i].code);
        assert_int_equal(p.counts[HTTP3_TABLE_ERRORS], i == 2);
        peer_close(&p);
    }
}

/* An entry of the largest size fits, one byte more does not. */
static void test_entry_size(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        struct peer p;
        peer_open(&p, &origin_reads_then_answers);
        insert(&p, over ? SPAN("\x3f\4") : SPAN("\x3f\5")); /* 35, 36 */
        insert(&p, INSERT);
        assert_int_equal(peer_code(&p),
                         over ? NGHTTP3_QPACK_ENCODER_STREAM_ERROR : NGHTTP3_H3_NO_ERROR);
        peer_close(&p);
    }
}

/* A byte for an insert; a request pays for a hundred, the others are glitches. */
static void test_flood_of_inserts(void **state)
{
    struct peer p;
    unsigned count = 0;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    insert(&p, INSERT);
    for (; count < 100000 && !is_over(&p); count++) {
        insert(&p, SPAN("\0"));
        peer_turn(&p);
        buffer_clear(&p.table);
    }
    assert_int_equal(count, 100 - 1 + 10000 + 1);
    assert_int_equal(peer_code(&p), NGHTTP3_H3_EXCESSIVE_LOAD);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_HTTP2_GLITCHES);
    peer_close(&p);
}

static void test_inserts_of_a_busy_client(void **state)
{
    static const uint8_t duplicates[100];
    struct peer p;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    insert(&p, INSERT);
    for (int64_t id = 0; id < 4000; id += 4) {
        peer_get(&p, id);
        insert(&p, span_of(duplicates, sizeof(duplicates)));
        peer_turn(&p);
        buffer_clear(&p.table);
    }
    assert_int_equal(p.failure, 0);
    assert_int_equal(p.counts[HTTP3_TABLE_INSERTS], 100001);
    peer_close(&p);
}

/* ---- bombs ---- */

/* Whatever the table makes of a byte: ten times what came, and the fixed costs. */
static void expect_bounded(struct peer *p, size_t before)
{
    buffer_release(&p->origin.view);
    buffer_release(&p->control);
    buffer_release(&p->table);
    size_t held = memory_held() - before;
    size_t allowed = 10 * (size_t)p->sent + 65536 + 32768 + (size_t)p->origin.most_open * 5120;
    if (held > allowed)
        fail_msg("%zu held for %zu sent", held, (size_t)p->sent);
}

/* A cookie of 4,000 bytes, a byte for each mention. */
static void test_bomb_of_references(void **state)
{
    static uint8_t value[4000];
    (void)state;
    for (unsigned mentions = 1; mentions <= 60; mentions += 7) {
        struct peer p;
        struct buffer cookie = BUFFER_EMPTY, request = BUFFER_EMPTY;
        size_t before = memory_held();
        memset(value, 'c', sizeof(value));
        buffer_append(&cookie, "\xc5\x7f\xa1\x1e", 4); /* a value of 4,000 bytes */
        buffer_append(&cookie, value, sizeof(value));
        peer_number(&request, HTTP3_FRAME_HEADERS);
        peer_number(&request, 13 + mentions);
        buffer_append(&request, "\2\0" LINES, 13);
        for (unsigned i = 0; i < mentions; i++)
            buffer_append(&request, "\x80", 1);
        open_table(&p, &origin_waits);
        p.is_blind = true;
        insert(&p, buffer_span(&cookie));
        buffer_release(&cookie);
        for (int64_t id = 0; id < 400; id += 4) {
            peer_bytes(&p, id, buffer_span(&request), true);
            peer_turn(&p);
            assert_false(is_over(&p));
        }
        buffer_release(&request);
        expect_bounded(&p, before);
        peer_close(&p);
        assert_int_equal(memory_held(), before);
    }
}

/* The least entries there are, as many as fit, again and again. */
static void test_bomb_of_entries(void **state)
{
    struct peer p;
    static const uint8_t duplicates[2000];
    (void)state;
    size_t before = memory_held();
    open_table(&p, &origin_waits);
    insert(&p, SPAN("\x40\0"));
    insert(&p, span_of(duplicates, sizeof(duplicates)));
    assert_false(is_over(&p));
    assert_int_equal(p.counts[HTTP3_TABLE_INSERTS], 2001);
    expect_bounded(&p, before);
    peer_close(&p);
}

/* An insert whose value is announced and does not come. */
static void test_bomb_of_promises(void **state)
{
    struct peer p;
    (void)state;
    size_t before = memory_held();
    open_table(&p, &origin_waits);
    insert(&p, SPAN("\xc5\xff\x81\xf7\2")); /* 48,000 in Huffman code: room for twice that */
    assert_true(is_over(&p));
    assert_int_equal(peer_code(&p), NGHTTP3_H3_EXCESSIVE_LOAD);
    peer_close(&p);
    assert_int_equal(memory_held(), before);
}

/* What those who wait have sent is held, and nothing more. */
static void test_memory_of_those_who_wait(void **state)
{
    struct peer p;
    (void)state;
    size_t before = memory_held();
    open_table(&p, &origin_waits);
    for (int64_t id = 0; id < 64; id += 4) {
        peer_bytes(&p, id, NEEDS_ONE, false);
        for (int i = 0; i < 40; i++)
            peer_data(&p, id, 1000, false);
        assert_int_equal(peer_stream(&p, id)->granted, 4);
    }
    assert_false(is_over(&p));
    expect_bounded(&p, before);
    for (int64_t id = 0; id < 64; id += 4)
        peer_cancel(&p, id);
    peer_turn(&p);
    assert_true(memory_held() - before < 65536 + 32768 + 16 * 5120);
    peer_close(&p);
    assert_int_equal(memory_held(), before);
}

/* ---- what the client is told ---- */

static void test_cancellation(void **state)
{
    struct peer p;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    peer_bytes(&p, 0, SPAN("\1\x0e"), false); /* half a request */
    peer_cancel(&p, 0);
    peer_check(&p, http3_session_stream_reset(p.session, 4, 0)); /* none at all */
    peer_get(&p, 8);                                             /* a whole one */
    peer_turn(&p);
    expect_told(&p, SPAN("\x40\x44"));
    peer_get(&p, 12);
    peer_cancel(&p, 12); /* which is read */
    peer_turn(&p);
    expect_told(&p, SPAN(""));
    assert_int_equal(p.failure, 0);
    peer_close(&p);
}

static void answer_at_once(struct origin *o, struct exchange *x)
{
    (void)o;
    origin_answer_ok(x);
}

/* Nobody reads on: a section that may still be under way will not be acknowledged. */
static void test_cancellation_after_an_early_answer(void **state)
{
    static const struct origin_script hasty = {.on_request = answer_at_once};
    struct peer p;
    (void)state;
    open_table(&p, &hasty);
    peer_post(&p, 0);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 200);
    assert_true(peer_answer(&p, 0)->is_stopped);
    expect_told(&p, SPAN("\x40"));
    peer_close(&p);
}

/* A section that is too large is not decoded to its end; that is told once, and its trailers are
 * not acknowledged after it. */
static void test_cancellation_of_a_refused_section(void **state)
{
    static uint8_t bytes[70000];
    struct peer p;
    struct buffer head = BUFFER_EMPTY;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    insert(&p, INSERT);
    peer_turn(&p);
    buffer_clear(&p.table);
    peer_number(&head, HTTP3_FRAME_HEADERS);
    peer_number(&head, 32769);
    buffer_append(&head, bytes, 32769);
    peer_send_buffer(&p, 0, &head, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 0)->status, 431);
    expect_told(&p, SPAN("\x40"));
    peer_number(&head, HTTP3_FRAME_HEADERS);
    peer_number(&head, 2 + 3 + 300);
    buffer_append(&head, "\2\0\x27\xa5\2", 5); /* a name of 300 bytes */
    buffer_append(&head, bytes, 300);
    peer_send_buffer(&p, 4, &head, false);
    peer_bytes(&p, 4, SPAN("\1\3\2\0\x80"), true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 4)->status, 431);
    assert_int_equal(p.origin.refused_error, ROUTED_ERROR_FIELD_TOO_LARGE);
    expect_told(&p, SPAN("\x44"));
    peer_bytes(&p, 8, NEEDS_ONE, true); /* the table is as it was */
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, 8)->status, 200);
    expect_told(&p, SPAN("\x88"));
    peer_close(&p);
}

/* Nobody who has no table can be told anything. */
static void test_silence_without_a_table(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &origin_reads_then_answers);
    p.options.limits.table_max = 0;
    assert_true(peer_begin(&p));
    peer_greet(&p);
    peer_bytes(&p, 0, SPAN("\1\x0e"), false);
    peer_cancel(&p, 0);
    peer_turn(&p);
    expect_told(&p, SPAN(""));
    assert_int_equal(p.table_sent, 1);
    peer_close(&p);
}

/* A window of a byte at a time, and acknowledgements of any size. */
static void test_instructions_in_pieces(void **state)
{
    struct peer p;
    struct buffer told = BUFFER_EMPTY;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    p.keeps_acks = true;
    p.table_window = 1;
    insert(&p, INSERT);
    for (int64_t id = 0; id < 400; id += 4) {
        peer_bytes(&p, id, NEEDS_ONE, true);
        peer_turn(&p);
        peer_acknowledge(&p, id);
        peer_turn(&p);
    }
    assert_int_equal(p.table_sent, 1);
    while (p.table_sent == p.table_window) {
        p.table_window++;
        http3_session_unblocked(p.session, PEER_OUR_TABLE);
        peer_turn(&p);
        if (p.table_sent % 7 == 0)
            peer_acknowledge_table(&p);
    }
    peer_acknowledge_table(&p);
    buffer_append(&told, "", 0);
    for (unsigned id = 0; id < 400; id += 4) {
        uint8_t rest = (uint8_t)(id - 127);
        uint8_t acknowledgement[] = {0xff, (uint8_t)(rest | 0x80), (uint8_t)((id - 127) >> 7)};
        if (id < 127)
            buffer_append(&told, (uint8_t[]){(uint8_t)(0x80 | id)}, 1);
        else if (id - 127 < 128)
            buffer_append(&told, (uint8_t[]){0xff, rest}, 2);
        else
            buffer_append(&told, acknowledgement, 3);
    }
    expect_told(&p, buffer_span(&told));
    assert_int_equal(p.failure, 0);
    assert_int_equal(p.origin.complete, 100);
    buffer_release(&told);
    peer_close(&p);
}

/* It takes no instructions: what it is owed does not grow for ever. */
static void test_deaf_client(void **state)
{
    struct peer p;
    int64_t id = 0;
    (void)state;
    open_table(&p, &origin_reads_then_answers);
    p.table_window = 1;
    insert(&p, INSERT);
    for (; id < 40000 && !is_over(&p); id += 4) {
        peer_bytes(&p, id, NEEDS_ONE, true);
        peer_turn(&p);
    }
    assert_in_range(id, 400, 8000);
    assert_int_equal(p.table_sent, 1);
    peer_close(&p);
}

/* ---- answers ---- */

/* Two fields that recur, one of them among `variety`, and one that is secret. */
static void answer_with_fields(struct origin *o, struct exchange *x)
{
    unsigned variety = *(const unsigned *)o->user;
    char value[24];
    int size = snprintf(value, sizeof(value), "value-%u", o->opened % variety);
    struct field items[] = {{SPAN("server"), SPAN("routed"), FIELD_SERVER},
                            {SPAN("x-a"), span_of(value, (size_t)size), FIELD_OTHER},
                            {SPAN("set-cookie"), SPAN("secret"), FIELD_SET_COOKIE}};
    const struct http_response head = {.status = 200, .fields = {items, 3, 3}};
    exchange_respond(x, &head);
    exchange_end(x, NULL);
}

static const struct origin_script answers_with_fields = {.on_request = answer_with_fields};

static void open_with_answer_table(struct peer *p, uint32_t capacity, uint32_t blocked)
{
    peer_init(p, &answers_with_fields);
    p->answer_table = capacity;
    p->answer_blocked = blocked;
    assert_true(peer_begin(p));
    peer_greet(p);
}

/* Asks and compares; the bytes of the answer. */
static uint64_t ask(struct peer *p, int64_t id)
{
    char expected[80];
    unsigned variety = *(const unsigned *)p->origin.user;
    peer_get(p, id);
    peer_turn(p);
    snprintf(expected, sizeof(expected), "server=routed;x-a=value-%u;set-cookie=secret;",
             p->origin.opened % variety);
    assert_string_equal(peer_answer(p, id)->fields, expected);
    assert_int_equal(peer_answer(p, id)->status, 200);
    return peer_stream(p, id)->sent;
}

static void test_answers_that_recur(void **state)
{
    struct peer p;
    unsigned variety = 1;
    (void)state;
    open_with_answer_table(&p, 4096, 16);
    p.origin.user = &variety;
    uint64_t first = ask(&p, 0);
    assert_int_equal(p.counts[HTTP3_ANSWER_INSERTS], 1); /* :status, which the static table has */
    uint64_t second = ask(&p, 4);
    assert_true(second < first);
    assert_int_equal(p.counts[HTTP3_ANSWER_INSERTS], 3);
    uint64_t bytes = p.insert_bytes;
    assert_int_equal(ask(&p, 8), second);
    assert_int_equal(p.insert_bytes, bytes);
    peer_close(&p);
}

/* Whatever the client's table is, and however much recurs: what it decodes is what was sent. Its
 * size decides how insert counts are written (RFC 9204 section 4.5.1.1). */
static void test_tables_of_any_size(void **state)
{
    static const uint32_t sizes[] = {1,   31,   32,   33,    64,    100,
                                     256, 1000, 4096, 16384, 65536, 1 << 30};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (unsigned variety = 1; variety <= 400; variety += 133) {
            struct peer p;
            open_with_answer_table(&p, sizes[i], 16);
            p.origin.user = &variety;
            for (int64_t id = 0; id < 4 * 700; id += 4) {
                ask(&p, id);
                if (id % 12 == 0) /* so that it is seen twice */
                    p.origin.opened--;
            }
            assert_int_equal(p.failure, 0);
            assert_in_range(p.counts[HTTP3_ANSWER_INSERTS], 0, 65);
            if (sizes[i] > 1000)
                assert_true(p.counts[HTTP3_ANSWER_INSERTS] >= (variety < 64 ? 3 : 64));
            assert_true(p.counts[HTTP3_ANSWER_TABLES_FULL] <= 1);
            peer_close(&p);
        }
}

/* Inserts that are late hold up no more answers than the client allows. */
static void test_answers_that_must_not_wait(void **state)
{
    struct peer p;
    unsigned variety = 3;
    (void)state;
    open_with_answer_table(&p, 4096, 0);
    p.origin.user = &variety;
    p.keeps_inserts = true;
    for (int64_t id = 0; id < 400; id += 4)
        ask(&p, id); /* the peer aborts on an answer that waits */
    assert_true(buffer_size(&p.inserts) > 10);
    uint64_t before = ask(&p, 400);
    p.keeps_inserts = false;
    peer_turn(&p);
    assert_true(ask(&p, 404) < before);
    peer_close(&p);
}

/* No insert before all of SETTINGS is there, and none where the table is not wanted. */
static void test_answers_without_a_table(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 3; way++) {
        struct peer p;
        unsigned variety = 1;
        peer_init(&p, &answers_with_fields);
        p.origin.user = &variety;
        if (way == 0)
            p.options.limits.answer_table_max = 0;
        p.answer_table = way < 2 ? 4096 : 0;
        p.keeps_inserts = way == 1; /* a decoder with a table comes with the whole SETTINGS */
        assert_true(peer_begin(&p));
        peer_check(&p, http3_session_start(p.session));
        if (way == 1) /* a setting of the table, and half of the next */
            peer_bytes(&p, PEER_CONTROL, SPAN("\0\4\5\1\x50\0\7"), false);
        else
            peer_greet(&p);
        for (int64_t id = 0; id < 40; id += 4)
            ask(&p, id);
        assert_true(p.insert_bytes <= 4); /* the type, and perhaps a capacity */
        assert_int_equal(p.counts[HTTP3_ANSWER_INSERTS], 0);
        peer_close(&p);
    }
}

/* Its memory is bounded where the client never acknowledges a section. */
static void test_sections_that_nobody_acknowledges(void **state)
{
    struct peer p;
    unsigned variety = 3;
    (void)state;
    size_t before = memory_held();
    open_with_answer_table(&p, 4096, 100);
    p.origin.user = &variety;
    p.is_blind = true;
    for (int64_t id = 0; id < 40000; id += 4) {
        peer_get(&p, id);
        peer_turn(&p);
        buffer_clear(&p.table);
    }
    expect_bounded(&p, before);
    peer_close(&p);
    assert_int_equal(memory_held(), before);
}

/* ---- without memory ---- */

static void live(struct peer *p)
{
    if (!peer_begin(p))
        return;
    peer_greet(p);
    insert(p, CAPACITY);
    peer_bytes(p, 0, NEEDS_ONE, false);
    peer_data(p, 0, 1000, true);
    peer_bytes(p, 4, NEEDS_ONE, false);
    peer_cancel(p, 4);
    insert(p, INSERT);
    peer_turn(p);
    peer_bytes(p, 8, NEEDS_TWO, true);
    insert(p, INSERT);
    peer_turn(p);
}

static void test_any_allocation_may_fail(void **state)
{
    bool has_fired = true;
    (void)state;
    for (uint64_t nth = 1; has_fired; nth++) {
        struct peer p;
        size_t before = memory_held();
        peer_init(&p, &origin_reads_then_answers);
        p.is_blind = true;
        p.keeps_inserts = true;
        p.answer_table = 4096;
        memory_fault_set(nth);
        live(&p);
        has_fired = memory_fault_fired();
        memory_fault_set(0);
        if (!has_fired)
            assert_int_equal(p.origin.complete, 2);
        assert_int_equal(p.origin.opened, p.origin.closed + p.origin.open);
        peer_close(&p);
        assert_int_equal(memory_held(), before);
        assert_true(nth < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_insert_before_request),
        cmocka_unit_test(test_request_before_insert),
        cmocka_unit_test(test_order_of_those_who_wait),
        cmocka_unit_test(test_trailers_before_insert),
        cmocka_unit_test(test_waiting_twice),
        cmocka_unit_test(test_window_of_those_who_wait),
        cmocka_unit_test(test_early_request_with_late_insert),
        cmocka_unit_test(test_foreign_encoder),
        cmocka_unit_test(test_blocked_streams),
        cmocka_unit_test(test_no_blocked_streams),
        cmocka_unit_test(test_places_of_those_who_wait),
        cmocka_unit_test(test_head_time),
        cmocka_unit_test(test_table_size),
        cmocka_unit_test(test_entry_size),
        cmocka_unit_test(test_flood_of_inserts),
        cmocka_unit_test(test_inserts_of_a_busy_client),
        cmocka_unit_test(test_bomb_of_references),
        cmocka_unit_test(test_bomb_of_entries),
        cmocka_unit_test(test_bomb_of_promises),
        cmocka_unit_test(test_memory_of_those_who_wait),
        cmocka_unit_test(test_cancellation),
        cmocka_unit_test(test_cancellation_after_an_early_answer),
        cmocka_unit_test(test_cancellation_of_a_refused_section),
        cmocka_unit_test(test_silence_without_a_table),
        cmocka_unit_test(test_instructions_in_pieces),
        cmocka_unit_test(test_deaf_client),
        cmocka_unit_test(test_answers_that_recur),
        cmocka_unit_test(test_tables_of_any_size),
        cmocka_unit_test(test_answers_that_must_not_wait),
        cmocka_unit_test(test_answers_without_a_table),
        cmocka_unit_test(test_sections_that_nobody_acknowledges),
        cmocka_unit_test(test_any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
