/* Frames, transport parameters and TLS messages that RFC 9000 and RFC 9001 forbid, each with the
 * code that it must be answered with, and floods of what they allow. The client's packets are
 * rewritten before they are sealed. */
#include "http3/stage.h"

enum {
    FLOW_CONTROL_ERROR = 0x03,
    STREAM_LIMIT_ERROR = 0x04,
    STREAM_STATE_ERROR = 0x05,
    FINAL_SIZE_ERROR = 0x06,
    FRAME_ENCODING_ERROR = 0x07,
    TRANSPORT_PARAMETER_ERROR = 0x08,
    CONNECTION_ID_LIMIT_ERROR = 0x09,
    PROTOCOL_VIOLATION = 0x0a,
    CRYPTO_BUFFER_EXCEEDED = 0x0d,
    KEY_UPDATE_ERROR = 0x0e,
    CRYPTO_ERROR = 0x100,
    H3_EXCESSIVE_LOAD = 0x107
};

static struct span injected;

/* The frames take the place of what the first large enough 1-RTT packet says. */
static void inject(uint8_t *frames, size_t size, bool is_long)
{
    if (is_long || injected.size == 0 || size < injected.size)
        return;
    memset(frames, 0, size); /* PADDING */
    memcpy(frames, injected.data, injected.size);
    injected = SPAN_EMPTY;
}

static void send_frames(struct stage *s, struct client *c, struct span frames)
{
    static const uint8_t zeros[1100];
    int64_t id = client_open_stream(c, true);
    assert_true(id >= 0);
    client_write(c, id, span_of(zeros, sizeof(zeros)), false);
    injected = frames;
    client_alter = inject;
    stage_run(s, 5 * STAGE_TRANSIT);
    client_alter = NULL;
    assert_int_equal(injected.size, 0);
}

struct rule {
    const char *name;
    struct span frames;
    uint64_t code;
};

/* Streams: 0 is a request of the client's, 3 the server's control stream. */
static const struct rule rules[] = {
    {"unknown frame", SPAN("\x3f"), FRAME_ENCODING_ERROR},
    {"a long form of a type", SPAN("\x40\x01\x01"), FRAME_ENCODING_ERROR},
    {"cut frame", SPAN("\x06"), FRAME_ENCODING_ERROR},
    {"RESET_STREAM of a stream of ours", SPAN("\x04\x03\x00\x00"), PROTOCOL_VIOLATION},
    {"RESET_STREAM of a stream not yet there", SPAN("\x04\x42\x00\x00\x00"), STREAM_LIMIT_ERROR},
    {"STOP_SENDING for a stream of the client's", SPAN("\x05\x02\x00"), STREAM_STATE_ERROR},
    {"STOP_SENDING for a stream not yet there", SPAN("\x05\x01\x00"), STREAM_STATE_ERROR},
    {"NEW_TOKEN from a client", SPAN("\x07\x01x"), PROTOCOL_VIOLATION},
    {"STREAM on a stream of ours", SPAN("\x0a\x03\x01x"), STREAM_STATE_ERROR},
    {"STREAM beyond the streams", SPAN("\x0a\x42\x00\x01x"), STREAM_LIMIT_ERROR},
    {"STREAM beyond the window", SPAN("\x0e\x04\x80\x01\x00\x00\x01x"), FLOW_CONTROL_ERROR},
    {"STREAM beyond 2^62", SPAN("\x0e\x04\xff\xff\xff\xff\xff\xff\xff\xff\x01x"),
     FLOW_CONTROL_ERROR},
    {"final size that shrinks", SPAN("\x0e\x04\x05\x01x\x0b\x04\x01x"), FINAL_SIZE_ERROR},
    {"final size that moves", SPAN("\x0f\x04\x05\x01x\x0f\x04\x06\x01x"), FINAL_SIZE_ERROR},
    {"RESET_STREAM with another final size", SPAN("\x0f\x04\x05\x01x\x04\x04\x00\x05"),
     FINAL_SIZE_ERROR},
    {"MAX_STREAM_DATA for a stream not yet there", SPAN("\x11\x01\x00"), STREAM_STATE_ERROR},
    {"MAX_STREAM_DATA for a stream that only receives", SPAN("\x11\x02\x00"), STREAM_STATE_ERROR},
    {"MAX_STREAMS beyond 2^60", SPAN("\x12\xd0\0\0\0\0\0\0\1"), FRAME_ENCODING_ERROR},
    {"MAX_STREAMS beyond 2^60, one direction", SPAN("\x13\xd0\0\0\0\0\0\0\1"),
     FRAME_ENCODING_ERROR},
    {"STREAMS_BLOCKED beyond 2^60", SPAN("\x16\xd0\0\0\0\0\0\0\1"), FRAME_ENCODING_ERROR},
    {"NEW_CONNECTION_ID that retires itself",
     SPAN("\x18\x09\x0a\x04"
          "aaaa"
          "tokentokentokent"),
     FRAME_ENCODING_ERROR},
    {"NEW_CONNECTION_ID of no length",
     SPAN("\x18\x09\x00\x00"
          "tokentokentokent"),
     FRAME_ENCODING_ERROR},
    {"NEW_CONNECTION_ID of 21 bytes",
     SPAN("\x18\x09\x00\x15"
          "aaaaaaaaaaaaaaaaaaaaa"
          "tokentokentokent"),
     FRAME_ENCODING_ERROR},
    {"NEW_CONNECTION_ID, one number for two",
     SPAN("\x18\x05\x05\x04"
          "aaaa"
          "tokentokentokent\x18\x05\x05\x04"
          "bbbb"
          "tokentokentokent"),
     PROTOCOL_VIOLATION},
    {"NEW_CONNECTION_ID beyond the limit",
     SPAN("\x18\x20\x00\x04"
          "aaaa"
          "tokentokentokena\x18\x21\x00\x04"
          "bbbb"
          "tokentokentokenb"
          "\x18\x22\x00\x04"
          "cccc"
          "tokentokentokenc\x18\x23\x00\x04"
          "dddd"
          "tokentokentokend"),
     CONNECTION_ID_LIMIT_ERROR},
    {"RETIRE_CONNECTION_ID never given", SPAN("\x19\x40\x63"), PROTOCOL_VIOLATION},
    {"PATH_RESPONSE cut",
     SPAN("\x1b"
          "123"),
     FRAME_ENCODING_ERROR},
    {"HANDSHAKE_DONE from a client", SPAN("\x1e"), PROTOCOL_VIOLATION},
    {"ACK of what was never sent", SPAN("\x02\x7f\xff\x00\x00\x00"), PROTOCOL_VIOLATION},
    {"ACK with a range below zero", SPAN("\x02\x00\x00\x01\x00\x05\x05"), FRAME_ENCODING_ERROR},
    {"CRYPTO far ahead", SPAN("\x06\x80\x10\x00\x00\x01x"), CRYPTO_BUFFER_EXCEEDED},
    {"TLS KeyUpdate", SPAN("\x06\x00\x05\x18\x00\x00\x01\x00"), CRYPTO_ERROR + 10},
    {"CONNECTION_CLOSE cut", SPAN("\x1c\x00"), FRAME_ENCODING_ERROR},
};

static bool is_padded_into_sense(const struct rule *rule)
{
    /* PADDING after them would complete them. */
    return strstr(rule->name, "cut") != NULL;
}

static void forbidden_frames_have_their_codes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        if (is_padded_into_sense(&rules[i]))
            continue;
        struct stage *s = stage_start();
        struct client *c = stage_connect(s, NULL);
        stage_get(s, c, 1);
        send_frames(s, c, rules[i].frames);
        stage_run(s, STAGE_SECOND);
        stage_expect_code(c, rules[i].code);
        assert_int_equal(s->closed, 1);
        stage_close(s);
    }
}

/* A frame that the packet ends in the middle of: the last bytes of it are written. */
static struct span tail;

static void inject_at_end(uint8_t *frames, size_t size, bool is_long)
{
    if (is_long || tail.size == 0 || size < 1000)
        return;
    memset(frames, 0, size);
    memcpy(frames + size - tail.size, tail.data, tail.size);
    tail = SPAN_EMPTY;
}

static void cut_frames_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        if (!is_padded_into_sense(&rules[i]))
            continue;
        static const uint8_t zeros[1100];
        struct stage *s = stage_start();
        struct client *c = stage_connect(s, NULL);
        client_write(c, client_open_stream(c, true), span_of(zeros, sizeof(zeros)), false);
        tail = rules[i].frames;
        client_alter = inject_at_end;
        stage_run(s, STAGE_SECOND);
        client_alter = NULL;
        stage_expect_code(c, rules[i].code);
        stage_close(s);
    }
}

/* ---- transport parameters ---- */

static void bend_exponent(ngtcp2_transport_params *p)
{
    p->ack_delay_exponent = 21;
}

static void bend_payload(ngtcp2_transport_params *p)
{
    p->max_udp_payload_size = 1199;
}

static void bend_streams(ngtcp2_transport_params *p)
{
    p->initial_max_streams_bidi = ((uint64_t)1 << 60) + 1;
}

static void bend_side_streams(ngtcp2_transport_params *p)
{
    p->initial_max_streams_uni = ((uint64_t)1 << 60) + 1;
}

static void bent_parameters_are_refused(void **state)
{
    (void)state;
    static void (*const bends[])(ngtcp2_transport_params *) = {bend_exponent, bend_payload,
                                                               bend_streams, bend_side_streams};
    for (size_t i = 0; i < COUNT_OF(bends); i++) {
        struct stage *s = stage_start();
        struct client *c = stage_client(s, &(struct client_wish){.bend = bends[i]});
        stage_run(s, STAGE_SECOND);
        stage_expect_code(c, TRANSPORT_PARAMETER_ERROR);
        assert_int_equal(stage_count(s, HTTP3_HANDSHAKES_FAILED), 1);
        stage_close(s);
    }
}

/* Bytes of the ClientHello that are found are replaced by others of the same number. */
static struct span wanted, replacement;
static bool is_replaced;

static void replace(uint8_t *frames, size_t size, bool is_long)
{
    for (size_t i = 0; is_long && i + wanted.size <= size; i++)
        if (memcmp(frames + i, wanted.data, wanted.size) == 0) {
            memcpy(frames + i, replacement.data, replacement.size);
            is_replaced = true;
            return;
        }
}

/* One handshake with other bytes in its ClientHello; false when they were not found. With
 * `is_before_id` the client's connection id follows them: two bytes alone occur in keys, too. */
static bool is_hello_refused(struct span from, bool is_before_id, struct span to, uint64_t code)
{
    struct stage *s = stage_start();
    struct client *c = stage_client(s, NULL);
    uint8_t bytes[8 + NGTCP2_MAX_CIDLEN];
    ngtcp2_cid id = {0};
    if (is_before_id)
        assert_int_equal(ngtcp2_conn_get_scid(c->conn, &id), 1);
    memcpy(bytes, from.data, from.size);
    memcpy(bytes + from.size, id.data, id.datalen);
    wanted = span_of(bytes, from.size + id.datalen);
    replacement = to;
    is_replaced = false;
    client_alter = replace;
    stage_run(s, STAGE_SECOND);
    client_alter = NULL;
    if (is_replaced) {
        stage_expect_code(c, code);
        assert_int_equal(s->opened, 0);
    }
    stage_close(s);
    return is_replaced;
}

/* Newer versions of ngtcp2 cut a ClientHello into frames at random places. */
static void expect_refused_hello(struct span from, bool is_before_id, struct span to, uint64_t code)
{
    int tries = 0;
    while (!is_hello_refused(from, is_before_id, to, code))
        assert_true(++tries < 100);
}

static void parameters_of_servers_are_refused(void **state)
{
    (void)state;
    /* initial_source_connection_id (0x0f, 8 bytes) becomes what only servers send, or is gone. */
    static const uint8_t ids[] = {0x00, 0x02, 0x0d, 0x10, 0x1b};
    for (size_t i = 0; i < sizeof(ids); i++) {
        const uint8_t to[] = {ids[i], 0x08};
        expect_refused_hello(SPAN("\x0f\x08"), true, span_of(to, 2), TRANSPORT_PARAMETER_ERROR);
    }
    expect_refused_hello(SPAN("\x0f\x08"), true, SPAN("\x0f\x3f"), TRANSPORT_PARAMETER_ERROR);
    /* The extension itself: quic_transport_parameters becomes one that nobody knows. */
    expect_refused_hello(SPAN("\x00\x39\x00"), false, SPAN("\x7a\x7a\x00"), CRYPTO_ERROR + 109);
}

/* The second half of a ClientHello that came before the first has to prove its address, and that is
 * no handshake that failed. */
static void a_hello_without_its_beginning_gets_a_retry(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    wanted = SPAN("\x06\x00"); /* CRYPTO at offset 0 */
    replacement = SPAN("\x06\x01");
    client_alter = replace;
    struct client *c = stage_client(s, NULL);
    stage_run(s, STAGE_TRANSIT / 2);
    client_alter = NULL;
    stage_run(s, STAGE_SECOND);
    assert_true(c->is_done);
    assert_int_equal(c->retries, 1);
    assert_int_equal(stage_count(s, HTTP3_RETRIES), 1);
    assert_int_equal(stage_count(s, HTTP3_HANDSHAKES_FAILED), 0);
    assert_int_equal(stage_count(s, HTTP3_HANDSHAKES), 1);
    stage_close(s);
}

/* ---- floods of what is allowed ---- */

static void path_challenges_earn_few_answers(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    uint8_t frames[900];
    for (size_t i = 0; i < sizeof(frames); i += 9)
        memcpy(frames + i,
               "\x1a"
               "challeng",
               9);
    size_t held = memory_held();
    uint64_t before[2] = {s->bytes[0], s->bytes[1]};
    for (int i = 0; i < 40; i++)
        send_frames(s, c, span_of(frames, sizeof(frames)));
    assert_int_equal(c->result, 0);
    /* Each answer fills a datagram (RFC 9000 section 8.2.2): four for one that came. */
    assert_true(s->bytes[0] - before[0] <= 4 * (s->bytes[1] - before[1]) + 5000);
    assert_true(memory_held() < held + 65536);
    stage_get(s, c, 1000);
    stage_close(s);
}

/* The client does not count the ids that it gets: what ngtcp2 would not do, others may. A PING
 * takes the place of each, so that it is acknowledged. */
static void overlook_ids(uint8_t *frames, size_t size)
{
    for (size_t i = 0; i + 36 <= size; i++) {
        size_t number = frames[i + 1] & 0x40 ? 2 : 1;
        if (frames[i] != 0x18 || frames[i + 1 + number] != 0 || frames[i + 2 + number] != 16)
            continue;
        memset(frames + i, 0, 35 + number);
        frames[i] = 0x01;
    }
}

static void retired_ids_have_a_budget(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    unsigned round = 0;
    client_overlook = overlook_ids;
    for (; round < 90 && c->result == 0; round++) {
        uint8_t frames[32];
        size_t size = 0;
        for (unsigned i = 0; i < 6; i++) { /* all but one that is in use */
            unsigned number = 1 + round * 6 + i;
            frames[size++] = 0x19;
            frames[size++] = (uint8_t)(0x40 | number >> 8);
            frames[size++] = (uint8_t)number;
        }
        send_frames(s, c, span_of(frames, size));
        stage_run(s, STAGE_SECOND / 5); /* so that others take their place */
    }
    client_overlook = NULL;
    stage_expect_code(c, H3_EXCESSIVE_LOAD);
    assert_in_range(round, 20, 60);
    stage_close(s);
}

/* NEW_CONNECTION_ID that retires all before, again and again, while nothing that we send is
 * acknowledged. */
static void ids_that_push_others_out_are_limited(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    struct http3_connection *connection = s->fronts[0].connection;
    size_t held = memory_held();
    (void)connection;
    for (uint8_t i = 10; i < 60 && c->result == 0; i++) {
        uint8_t frame[24] = {0x18, i, i, 4, 'i', 'd', 0, i};
        memcpy(frame + 8, "tokentokentoken", 15);
        frame[23] = i;
        c->is_deaf = true;
        send_frames(s, c, span_of(frame, sizeof(frame)));
        assert_true(memory_held() < held + 65536);
        if (s->closed)
            break;
    }
    assert_int_equal(s->closed, 1);
    stage_close(s);
}

static void streams_that_churn_have_a_budget(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    unsigned requests = 0;
    while (requests < 3000 && c->result == 0) {
        int64_t ids[50];
        for (size_t i = 0; i < COUNT_OF(ids); i++)
            ids[i] = client_get(c, "/wait");
        stage_run(s, 2 * STAGE_TRANSIT + 1);
        for (size_t i = 0; i < COUNT_OF(ids) && c->result == 0; i++)
            ngtcp2_conn_shutdown_stream(c->conn, 0, ids[i], 0x10c);
        stage_run(s, 5 * STAGE_TRANSIT);
        client_forget_closed(c);
        requests += COUNT_OF(ids);
    }
    assert_in_range(requests, 500, 1300);
    assert_int_equal(c->result, NGTCP2_ERR_DRAINING); /* GOAWAY came before */
    assert_int_equal(s->closed, 1);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forbidden_frames_have_their_codes),
        cmocka_unit_test(cut_frames_are_refused),
        cmocka_unit_test(bent_parameters_are_refused),
        cmocka_unit_test(parameters_of_servers_are_refused),
        cmocka_unit_test(a_hello_without_its_beginning_gets_a_retry),
        cmocka_unit_test(path_challenges_earn_few_answers),
        cmocka_unit_test(retired_ids_have_a_budget),
        cmocka_unit_test(ids_that_push_others_out_are_limited),
        cmocka_unit_test(streams_that_churn_have_a_budget),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
