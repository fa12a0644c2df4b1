/* After the handshake: record sizes, gathering, ends, and what a hostile peer may send. */
#include "tls/client.h"

#include "base/memory.h"

static struct tls_certificate_files files;
static struct tls_context *context;
static uint8_t pattern[1 << 20];

static const char *const versions[] = {CLIENT_MODERN, CLIENT_TLS12};
static const size_t overheads[] = {17, 24};

static int open_context(void **state)
{
    if (pki_open_folder(state))
        return -1;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 7 + i / 255);
    pki_server("server", GNUTLS_PK_ECDSA, "a.example", NULL);
    files = (struct tls_certificate_files){.certificate = pki_path("server.pem"),
                                           .key = pki_path("server-key.pem")};
    context = client_context(
        &(struct tls_context_options){.certificates = &files, .certificate_count = 1});
    return 0;
}

static int close_context(void **state)
{
    tls_context_release(context);
    return pki_close_folder(state);
}

static void open_client(struct client *c, const char *priorities)
{
    client_connect(c, context, &(struct client_wish){.priorities = priorities});
    client_settle(c);
}

/* The plain sizes of the records in the output. */
static size_t record_sizes(const struct client *c, size_t overhead, size_t *sizes, size_t max)
{
    struct span out = tls_session_output(c->server);
    size_t count = 0;
    while (out.size) {
        assert_true(out.size > 5 && count < max);
        assert_int_equal(out.data[0], 23);
        size_t size = (size_t)out.data[3] << 8 | out.data[4];
        sizes[count++] = size - overhead;
        out = span_after(out, size + 5);
    }
    return count;
}

static void read_pattern(struct client *c, size_t from, size_t size)
{
    static uint8_t got[TLS_RECORD_MAX];
    while (size) {
        ssize_t count = client_read(c, got, sizeof(got));
        assert_true(count > 0 && (size_t)count <= size);
        assert_memory_equal(got, pattern + from, (size_t)count);
        from += (size_t)count;
        size -= (size_t)count;
    }
}

static void test_record_sizes(void **state)
{
    (void)state;
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct client c;
        size_t sizes[64];
        open_client(&c, versions[v]);
        size_t size = TLS_FLIGHT_RECORDS * TLS_FLIGHT_RECORD + 2 * TLS_RECORD_MAX + 5;
        struct span whole = span_of(pattern, size);
        tls_session_start_flight(c.server);
        assert_int_equal(tls_session_seal(c.server, &whole, 1), size);
        size_t count = record_sizes(&c, overheads[v], sizes, 64);
        assert_int_equal(count, TLS_FLIGHT_RECORDS + 3);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(sizes[i], i < TLS_FLIGHT_RECORDS ? TLS_FLIGHT_RECORD
                                       : i + 1 < count        ? TLS_RECORD_MAX
                                                              : 5);
        read_pattern(&c, 0, size);
        /* Without a new flight they stay large. */
        assert_int_equal(tls_session_seal(c.server, &whole, 1), size);
        assert_int_equal(record_sizes(&c, overheads[v], sizes, 64), 3);
        read_pattern(&c, 0, size);
        client_close(&c);
    }
}

/* A peer that asks for small records gets them, and everything. */
static void test_small_peers(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct client c;
        size_t sizes[64];
        struct span whole = span_of(pattern, 20000);
        client_open(&c, context, &(struct client_wish){.priorities = versions[i % 2]});
        if (i / 2)
            pki_ok(gnutls_record_set_max_recv_size(c.tls, 1024));
        else
            pki_ok(gnutls_record_set_max_size(c.tls, 1024));
        assert_int_equal(client_shake(&c), ROUTED_OK);
        client_settle(&c);
        assert_int_equal(tls_session_seal(c.server, &whole, 1), 20000);
        size_t count = record_sizes(&c, overheads[i % 2], sizes, 64);
        assert_true(count >= 20);
        for (size_t j = 0; j < count; j++)
            assert_true(sizes[j] <= 1024);
        read_pattern(&c, 0, 20000);
        client_close(&c);
    }
}

/* With the first bytes, and to be written with them; once. */
static void test_ticket(void **state)
{
    (void)state;
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct client c;
        size_t sizes[4];
        uint8_t got[8];
        bool is_modern = v == 0;
        client_connect(&c, context, &(struct client_wish){.priorities = versions[v]});
        assert_int_equal(tls_session_output(c.server).size, 0);
        assert_int_equal(tls_session_seal(c.server, &SPAN_EMPTY, 1), 0);
        assert_int_equal(tls_session_output(c.server).size, 0);
        assert_int_equal(tls_session_seal(c.server, &SPAN("answer"), 1), 6);
        assert_int_equal(record_sizes(&c, overheads[v], sizes, 4), is_modern ? 2 : 1);
        assert_int_equal(sizes[is_modern], 6);
        assert_int_equal(client_read(&c, got, sizeof(got)), 6);
        assert_true(gnutls_session_get_flags(c.tls) & GNUTLS_SFLAGS_SESSION_TICKET);
        assert_int_equal(tls_session_seal(c.server, &SPAN("answer"), 1), 6);
        assert_int_equal(record_sizes(&c, overheads[v], sizes, 4), 1);
        client_close(&c);

        client_connect(&c, context, &(struct client_wish){.priorities = versions[v]});
        tls_session_close(c.server);
        assert_true(tls_session_output(c.server).size < 40); /* close_notify alone */
        client_close(&c);
    }
}

static void test_gathering(void **state)
{
    (void)state;
    struct client c;
    struct span spans[100];
    size_t sizes[64];
    open_client(&c, NULL);
    for (size_t i = 0; i < 100; i++)
        spans[i] = span_of(pattern + 10 * i, 10);
    spans[50].size = 0;
    assert_int_equal(tls_session_seal(c.server, spans, 50), 500);
    assert_int_equal(record_sizes(&c, 17, sizes, 64), 1);
    read_pattern(&c, 0, 500);
    assert_int_equal(tls_session_seal(c.server, spans + 51, 49), 490);
    assert_int_equal(record_sizes(&c, 17, sizes, 64), 1);
    read_pattern(&c, 510, 490);
    assert_int_equal(tls_session_seal(c.server, spans + 50, 1), 0);
    assert_int_equal(tls_session_seal(c.server, spans, 0), 0);
    assert_int_equal(tls_session_output(c.server).size, 0);

    /* Small, large, small: filled up from one span to the next. */
    for (size_t i = 0; i < 10; i++) /* behind the flight */
        assert_int_equal(tls_session_seal(c.server, spans, 1), 10);
    for (size_t i = 0; i < 10; i++)
        read_pattern(&c, 0, 10);
    spans[0] = span_of(pattern, 100);
    spans[1] = span_of(pattern + 100, 40000);
    spans[2] = SPAN_EMPTY;
    spans[3] = span_of(pattern + 40100, 100);
    assert_int_equal(tls_session_seal(c.server, spans, 4), 40200);
    assert_int_equal(record_sizes(&c, 17, sizes, 64), 3);
    assert_int_equal(sizes[0], TLS_RECORD_MAX);
    assert_int_equal(sizes[1], TLS_RECORD_MAX);
    read_pattern(&c, 0, 40200);
    client_close(&c);
}

static void test_output_is_bounded(void **state)
{
    (void)state;
    struct client c;
    size_t rounds = 0;
    open_client(&c, NULL);
    for (size_t done = 0; done < sizeof(pattern); rounds++) {
        struct span rest = span_of(pattern + done, sizeof(pattern) - done);
        ssize_t taken = tls_session_seal(c.server, &rest, 1);
        assert_true(taken > 0);
        size_t size = tls_session_output(c.server).size;
        assert_true(size < TLS_OUTPUT_MAX + TLS_RECORD_MAX + 64);
        if (size >= TLS_OUTPUT_MAX)
            assert_int_equal(tls_session_seal(c.server, &rest, 1), 0);
        read_pattern(&c, done, (size_t)taken);
        done += (size_t)taken;
    }
    assert_in_range(rounds, 4, 5);
    client_close(&c);
}

static void test_memory_goes_back(void **state)
{
    (void)state;
    struct client c;
    struct span large = span_of(pattern, 100000);
    open_client(&c, NULL);
    tls_session_rest(c.server);
    size_t rested = memory_held() - c.to_client.capacity;
    assert_int_equal(tls_session_seal(c.server, &large, 1), large.size);
    tls_session_rest(c.server);
    assert_true(memory_held() > rested + large.size);
    read_pattern(&c, 0, large.size);
    tls_session_rest(c.server);
    assert_true(memory_held() - c.to_client.capacity - c.to_server.capacity < rested + 1024);
    client_close(&c);
}

static void test_opening(void **state)
{
    (void)state;
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct client c;
        uint8_t got[1000];
        open_client(&c, versions[v]);
        /* Several records in one call, one record in several calls. */
        for (size_t i = 0; i < 5; i++)
            client_write(&c, pattern + 100 * i, 100);
        assert_int_equal(client_open_all(&c, got, 450), 450);
        assert_memory_equal(got, pattern, 450);
        assert_true(tls_session_has_input(c.server));
        assert_int_equal(tls_session_open(c.server, got, sizeof(got)), 50);
        assert_memory_equal(got, pattern + 450, 50);
        assert_false(tls_session_has_input(c.server));
        assert_int_equal(tls_session_open(c.server, got, sizeof(got)), ROUTED_ERROR_AGAIN);
        /* Byte by byte nothing comes before the record is whole. */
        client_write(&c, pattern, 100);
        while (buffer_size(&c.to_server) > 1) {
            client_feed(&c, 1);
            assert_int_equal(tls_session_open(c.server, got, sizeof(got)), ROUTED_ERROR_AGAIN);
        }
        assert_int_equal(client_open_all(&c, got, sizeof(got)), 100);
        assert_memory_equal(got, pattern, 100);
        client_close(&c);
    }
}

static void test_ends(void **state)
{
    (void)state;
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct client c;
        uint8_t got[100];
        open_client(&c, versions[v]);
        client_write(&c, "last", 4);
        assert_int_equal(client_open_all(&c, got, sizeof(got)), 4);
        assert_int_equal(tls_session_open(c.server, got, sizeof(got)), ROUTED_ERROR_AGAIN);
        client_write(&c, "last", 4);
        gnutls_bye(c.tls, GNUTLS_SHUT_WR);
        assert_int_equal(client_open_all(&c, got, sizeof(got)), 4);
        assert_int_equal(tls_session_open(c.server, got, sizeof(got)), 0);
        assert_int_equal(tls_session_open(c.server, got, sizeof(got)), 0);
        /* The other direction goes on until it is closed as well. */
        assert_int_equal(tls_session_seal(c.server, &SPAN("answer"), 1), 6);
        tls_session_close(c.server);
        size_t size = tls_session_output(c.server).size;
        tls_session_close(c.server);
        assert_int_equal(tls_session_seal(c.server, &SPAN("more"), 1), 0);
        assert_int_equal(tls_session_output(c.server).size, size);
        assert_int_equal(client_read(&c, got, sizeof(got)), 6);
        assert_int_equal(client_read(&c, got, sizeof(got)), 0);
        client_close(&c);
    }
}

static void test_broken_records(void **state)
{
    (void)state;
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct client c;
        uint8_t got[100];
        open_client(&c, versions[v]);
        client_write(&c, "first", 5);
        size_t first = buffer_size(&c.to_server);
        client_write(&c, "second", 6);
        c.to_server.data[c.to_server.head + first + 8] ^= 1;
        assert_int_equal(client_open_all(&c, got, sizeof(got)), 5);
        assert_int_equal(tls_session_open(c.server, got, sizeof(got)), ROUTED_ERROR_TLS);
        assert_int_equal(client_alert(&c), GNUTLS_A_BAD_RECORD_MAC);
        client_close(&c);

        static const struct {
            struct span bytes;
            int alert;
        } cases[] = {
            {SPAN("\x17\x03\x03\x42\x00"), GNUTLS_A_RECORD_OVERFLOW},
            {SPAN("\x17\x03\x03\x00\x00"), 0},
            {SPAN("GET / HTTP/1.1\r\n\r\n"), 0},
            {SPAN("\x16\x03\x03\x00\x04\x01\x00\x00\x00"), 0},
        };
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            open_client(&c, versions[v]);
            assert_int_equal(buffer_append_span(&c.to_server, cases[i].bytes), ROUTED_OK);
            assert_int_equal(client_open_all(&c, got, sizeof(got)), ROUTED_ERROR_TLS);
            int alert = client_alert(&c);
            assert_true(cases[i].alert ? alert == cases[i].alert : alert > 0);
            client_close(&c);
        }
    }
}

static void test_key_updates(void **state)
{
    (void)state;
    struct client c;
    uint8_t got[100];
    open_client(&c, NULL);
    for (int i = 0; i < TLS_KEY_UPDATES_MAX; i++) {
        pki_ok(gnutls_session_key_update(c.tls, i % 2 ? GNUTLS_KU_PEER : 0));
        client_write(&c, "data", 4);
        assert_int_equal(client_open_all(&c, got, sizeof(got)), 4);
        assert_int_equal(tls_session_seal(c.server, &SPAN("answer"), 1), 6);
        assert_int_equal(client_read(&c, got, sizeof(got)), 6);
    }
    pki_ok(gnutls_session_key_update(c.tls, 0));
    client_write(&c, "data", 4);
    assert_int_equal(client_open_all(&c, got, sizeof(got)), ROUTED_ERROR_BUDGET);
    assert_string_equal(tls_session_failure(c.server), "too many key updates");
    client_close(&c);
}

static void test_renegotiation(void **state)
{
    (void)state;
    struct client c;
    uint8_t got[100];
    open_client(&c, CLIENT_TLS12);
    gnutls_handshake(c.tls);
    assert_true(buffer_size(&c.to_server) > 0);
    assert_int_equal(client_open_all(&c, got, sizeof(got)), ROUTED_ERROR_TLS);
    assert_string_equal(tls_session_failure(c.server), "renegotiation is refused");
    client_carry(&c);
    assert_int_equal(gnutls_handshake(c.tls), GNUTLS_E_WARNING_ALERT_RECEIVED);
    assert_int_equal(gnutls_alert_get(c.tls), GNUTLS_A_NO_RENEGOTIATION);
    client_close(&c);
}

/* Records of one byte each: a budget of overhead, however the bytes are spread. */
static void test_tiny_records(void **state)
{
    (void)state;
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct client c;
        uint8_t got[100];
        uint64_t sent = 0;
        ssize_t result;
        open_client(&c, versions[v]);
        do {
            client_write(&c, "x", 1);
            sent += buffer_size(&c.to_server);
            result = client_open_all(&c, got, sizeof(got));
        } while (result == 1);
        assert_int_equal(result, ROUTED_ERROR_BUDGET);
        assert_true(sent > TLS_OVERHEAD_MAX && sent < 2 * TLS_OVERHEAD_MAX);
        client_close(&c);

        /* Records with something in them may go on for ever, but earn no more than the maximum. */
        open_client(&c, versions[v]);
        for (sent = 0; sent < 2 * TLS_OVERHEAD_MAX;) {
            client_write(&c, pattern, 10);
            sent += buffer_size(&c.to_server);
            assert_int_equal(client_open_all(&c, got, sizeof(got)), 10);
        }
        for (sent = 0, result = 1; result == 1;) {
            client_write(&c, "x", 1);
            sent += buffer_size(&c.to_server);
            result = client_open_all(&c, got, sizeof(got));
        }
        assert_int_equal(result, ROUTED_ERROR_BUDGET);
        assert_true(sent < 2 * TLS_OVERHEAD_MAX);
        client_close(&c);
    }
}

static void test_warnings(void **state)
{
    (void)state;
    struct client c;
    uint8_t got[100];
    ssize_t result;
    int count = 0;
    open_client(&c, CLIENT_TLS12);
    do {
        pki_ok(gnutls_alert_send(c.tls, GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED));
        result = client_open_all(&c, got, sizeof(got));
        count++;
    } while (result == ROUTED_ERROR_AGAIN && count < 100);
    assert_int_equal(result, ROUTED_ERROR_TLS);
    assert_true(count > 1 && count < 10);
    client_close(&c);

    open_client(&c, NULL);
    pki_ok(gnutls_alert_send(c.tls, GNUTLS_AL_FATAL, GNUTLS_A_INTERNAL_ERROR));
    assert_int_equal(client_open_all(&c, got, sizeof(got)), ROUTED_ERROR_TLS);
    assert_string_equal(tls_session_failure(c.server), "Internal error");
    assert_int_equal(tls_session_output(c.server).size, 0);
    client_close(&c);
}

/* The alert that is on its way in the clear, before there are keys. */
static int plain_alert(const struct tls_session *s)
{
    struct span output = tls_session_output(s);
    assert_int_equal(output.size, 7);
    assert_int_equal(output.data[0], 21);
    assert_int_equal(output.data[5], GNUTLS_AL_FATAL);
    return output.data[6];
}

static void test_endless_hello(void **state)
{
    (void)state;
    uint8_t record[1005] = {22, 3, 1, 3, 0xe8, 1, 0xff, 0xff, 0xff, 3, 3};
    struct tls_session *s = tls_session_new(context);
    size_t fed = 0;
    int result;
    do {
        assert_int_equal(tls_session_feed(s, span_of(record, sizeof(record))), ROUTED_OK);
        result = tls_session_handshake(s);
        memset(record + 5, 0, 6);
        fed += sizeof(record);
    } while (result == ROUTED_ERROR_AGAIN);
    assert_int_equal(result, ROUTED_ERROR_BUDGET);
    assert_in_range(fed, TLS_HANDSHAKE_MAX, TLS_HANDSHAKE_MAX + sizeof(record));
    assert_int_equal(plain_alert(s), GNUTLS_A_UNEXPECTED_MESSAGE);
    tls_session_free(s);
}

/* A ClientHello in records of one byte each (RFC 8446 section 5.1 allows it). */
static void test_tiny_handshake_records(void **state)
{
    (void)state;
    struct client c;
    client_open(&c, context, &(struct client_wish){0});
    assert_int_equal(gnutls_handshake(c.tls), GNUTLS_E_AGAIN);
    struct span hello = buffer_span(&c.to_server);
    struct buffer tiny = BUFFER_EMPTY;
    for (size_t i = 5; i < hello.size; i++) {
        uint8_t record[] = {22, 3, 1, 0, 1, hello.data[i]};
        assert_int_equal(buffer_append(&tiny, record, sizeof(record)), ROUTED_OK);
    }
    buffer_release(&c.to_server);
    c.to_server = tiny;
    assert_int_equal(client_shake(&c), ROUTED_OK);
    assert_int_equal(c.result, 0);
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_sizes),
        cmocka_unit_test(test_small_peers),
        cmocka_unit_test(test_ticket),
        cmocka_unit_test(test_gathering),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_memory_goes_back),
        cmocka_unit_test(test_opening),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_broken_records),
        cmocka_unit_test(test_key_updates),
        cmocka_unit_test(test_renegotiation),
        cmocka_unit_test(test_tiny_records),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_endless_hello),
        cmocka_unit_test(test_tiny_handshake_records),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
