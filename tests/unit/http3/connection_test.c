/* How connections begin, go on and end: TLS, early data, keys, timeouts, closing (RFC 9000 section
 * 10), the end of the server. */
#include "http3/stage.h"

static void expect_closed(struct client *c, ngtcp2_ccerr_type type, uint64_t code)
{
    stage_expect_code(c, code);
    assert_int_equal(ngtcp2_conn_get_ccerr(c->conn)->type, type);
}

static void say_close(struct stage *s, struct client *c, uint64_t code)
{
    uint8_t bytes[1500];
    ngtcp2_path_storage path;
    ngtcp2_pkt_info mark;
    ngtcp2_ccerr error;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ccerr_set_application_error(&error, code, NULL, 0);
    ngtcp2_ssize size = ngtcp2_conn_write_connection_close(c->conn, &path.path, &mark, bytes,
                                                           sizeof(bytes), &error, s->now);
    assert_true(size > 0);
    struct stage_datagram d = {.to_server = true,
                               .local = stage_seen(s, (size_t)(c - s->clients)),
                               .remote = stage_address(1, STAGE_PORT),
                               .bytes = bytes,
                               .size = (size_t)size};
    stage_send(s, &d);
    c->is_silent = true;
}

/* ---- TLS ---- */

static void what_tls_agreed_on_is_told(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    stage_connect(s, &(struct client_wish){.name = "www.example.org"});
    const struct http3_connection *c = s->fronts[0].connection;
    const struct http_tls *tls = http3_connection_tls(c);
    assert_span(tls->parts[HTTP_TLS_VERSION], "1.3");
    assert_span(tls->parts[HTTP_TLS_ALPN], "h3");
    assert_span(tls->parts[HTTP_TLS_SERVER_NAME], "www.example.org");
    assert_span(tls->parts[HTTP_TLS_CLIENT_SUBJECT], "");
    assert_true(http3_connection_covers(c, SPAN("www.example.org:443")));
    assert_true(http3_connection_covers(c, SPAN("other.example.org")));
    assert_true(http3_connection_covers(c, SPAN("localhost")));
    assert_false(http3_connection_covers(c, SPAN("example.com")));
    stage_close(s);
}

static void other_protocols_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", "h2", "hq-interop"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct stage *s = stage_start();
        struct client *c = stage_client(s, &(struct client_wish){.alpn = names[i]});
        stage_run(s, STAGE_SECOND);
        expect_closed(c, NGTCP2_CCERR_TYPE_TRANSPORT, 0x100 + 120); /* no_application_protocol */
        assert_int_equal(stage_count(s, HTTP3_HANDSHAKES_FAILED), 1);
        assert_string_equal(s->failure, "No supported application protocol could be negotiated");
        assert_int_equal(s->opened, 0);
        stage_close(s);
    }
}

static void clients_show_certificates(void **state)
{
    (void)state;
    struct pki_pair authority, ada, stranger;
    pki_make(&authority, &(struct pki_wish){.common_name = "authority", .is_authority = true});
    pki_save(&authority, "authority");
    pki_make(&ada, &(struct pki_wish){.common_name = "Ada",
                                      .issuer = &authority,
                                      .purpose = GNUTLS_KP_TLS_WWW_CLIENT});
    pki_make(&stranger, &(struct pki_wish){.common_name = "Eve"});
    struct tls_certificate_files files = {.certificate = pki_path("server.pem"),
                                          .key = pki_path("server-key.pem")};
    struct tls_context_options options = {.certificates = &files,
                                          .certificate_count = 1,
                                          .client_certificate = TLS_CLIENT_CERTIFICATE_REQUIRE,
                                          .client_authorities = pki_path("authority.pem")};
    struct failure failure = {0};
    struct stage *s = stage_new();
    tls_context_release(s->tls);
    assert_int_equal(tls_context_new(&s->tls, &options, NULL, &failure), ROUTED_OK);
    s->options.tls = s->tls;
    stage_open(s);

    stage_connect(s, &(struct client_wish){.identity = &ada});
    const struct http_tls *tls = http3_connection_tls(s->fronts[0].connection);
    assert_span(tls->parts[HTTP_TLS_CLIENT_SUBJECT], "CN=Ada");
    assert_span(tls->parts[HTTP_TLS_CLIENT_VERIFIED], "success");
    assert_int_equal(tls->parts[HTTP_TLS_CLIENT_FINGERPRINT].size, 64);

    struct client *c = stage_client(s, NULL);
    stage_run(s, STAGE_SECOND);
    assert_int_equal(c->result, NGTCP2_ERR_DRAINING);
    assert_string_equal(s->failure, "Certificate is required");
    c = stage_client(s, &(struct client_wish){.identity = &stranger});
    stage_run(s, STAGE_SECOND);
    assert_int_equal(c->result, NGTCP2_ERR_DRAINING);
    assert_string_equal(s->failure, "Certificate is required"); /* this one is not even shown */
    assert_int_equal(s->opened, 1);
    assert_int_equal(stage_count(s, HTTP3_HANDSHAKES_FAILED), 2);
    pki_release(&authority);
    pki_release(&ada);
    pki_release(&stranger);
    stage_close(s);
}

/* ---- early data ---- */

static void learn(struct stage *s, struct client_memory *memory)
{
    struct client *c = stage_connect(s, &(struct client_wish){.memory = memory});
    assert_int_equal(c->ticket_count, 1);
    assert_int_equal(c->tokens, 1);
    say_close(s, c, 0x100);
    stage_run(s, STAGE_SECOND);
}

/* Clients may send early data, and one has been here. */
static struct stage *start_with_early_data(struct client_memory *memory)
{
    struct stage *s = stage_new();
    s->options.has_early_data = true;
    stage_open(s);
    learn(s, memory);
    return s;
}

static struct client *come_early(struct stage *s, struct client_memory *memory, unsigned method)
{
    struct client *c =
        stage_client(s, &(struct client_wish){.memory = memory, .sends_early = true});
    int64_t id = client_open_stream(c, true);
    client_write_head(c, id, method, "/5", true);
    stage_run(s, STAGE_SECOND);
    assert_true(c->is_done);
    assert_int_equal(c->result, 0);
    return c;
}

static void early_data_is_off_by_default(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client_memory memory = {0};
    learn(s, &memory);
    struct client *c =
        stage_client(s, &(struct client_wish){.memory = &memory, .sends_early = false});
    stage_run(s, STAGE_SECOND);
    assert_true(c->is_done);
    assert_true(gnutls_session_is_resumed(c->tls)); /* but a ticket saves a signature */
    assert_false(gnutls_session_get_flags(c->tls) & GNUTLS_SFLAGS_EARLY_DATA);
    assert_int_equal(stage_count(s, HTTP3_EARLY_DATA), 0);
    gnutls_free(memory.ticket.data);
    stage_close(s);
}

static void early_data_of_safe_methods_is_served(void **state)
{
    (void)state;
    struct client_memory memory = {0};
    struct stage *s = start_with_early_data(&memory);
    struct client *c = come_early(s, &memory, 17);
    assert_false(c->was_early_refused);
    assert_int_equal(stage_count(s, HTTP3_EARLY_DATA), 1);
    stage_expect_content(c, 0, 5);
    assert_int_equal(s->requests, 1);
    c = come_early(s, &memory, 20); /* POST */
    assert_int_equal(stage_count(s, HTTP3_EARLY_DATA), 2);
    assert_int_equal(s->requests, 1);
    assert_true(client_stream(c, 0)->came_to_end);
    stage_get(s, c, 100);
    gnutls_free(memory.ticket.data);
    stage_close(s);
}

static void early_data_needs_a_validated_address(void **state)
{
    (void)state;
    struct client_memory memory = {0};
    struct stage *s = start_with_early_data(&memory);
    memory.token_size = 0;
    struct client *c =
        stage_client(s, &(struct client_wish){.memory = &memory, .sends_early = true});
    client_get(c, "/5");
    stage_run(s, STAGE_SECOND);
    assert_true(c->is_done);
    assert_true(c->was_early_refused);
    assert_int_equal(stage_count(s, HTTP3_EARLY_DATA), 0);
    assert_int_equal(s->requests, 0);
    gnutls_free(memory.ticket.data);
    stage_close(s);
}

static uint8_t early[2][1500];
static size_t early_sizes[2];

static void keep_first_flight(struct stage *s, const struct stage_datagram *d)
{
    for (size_t i = 0; d->to_server && s->clients[1].conn && i < 2; i++)
        if (early_sizes[i] == 0) {
            memcpy(early[i], d->bytes, d->size);
            early_sizes[i] = d->size;
            return;
        }
}

/* The same datagrams again and again: their token counted once, so nobody hears of what they ask
 * for, and no connection stays. */
static void replayed_early_data_is_refused(void **state)
{
    (void)state;
    struct client_memory memory = {0};
    struct stage *s = start_with_early_data(&memory);
    s->tap = keep_first_flight;
    come_early(s, &memory, 20); /* POST */
    say_close(s, &s->clients[1], 0x100);
    stage_run(s, 5 * STAGE_SECOND);
    s->tap = NULL;
    for (int i = 0; i < 10; i++) {
        for (size_t k = 0; k < 2; k++) {
            struct stage_datagram d = {.local = stage_seen(s, 1),
                                       .remote = stage_address(1, STAGE_PORT),
                                       .bytes = early[k],
                                       .size = early_sizes[k]};
            if (d.size)
                stage_deliver_to_server(s, &d);
        }
        stage_run(s, 11 * STAGE_SECOND);
        assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    }
    assert_int_equal(stage_count(s, HTTP3_EARLY_DATA), 1);
    assert_true(stage_count(s, HTTP3_TOKENS_SPENT) > 5);
    assert_int_equal(s->requests, 0);
    gnutls_free(memory.ticket.data);
    stage_close(s);
}

static void early_data_without_a_handshake_ends_by_time(void **state)
{
    (void)state;
    struct client_memory memory = {0};
    struct stage *s = start_with_early_data(&memory);
    s->fate = stage_lose_answers;
    struct client *c =
        stage_client(s, &(struct client_wish){.memory = &memory, .sends_early = true});
    client_get(c, "/5");
    stage_run(s, STAGE_SECOND);
    assert_int_equal(stage_count(s, HTTP3_EARLY_DATA), 1);
    assert_int_equal(s->requests, 1);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 1);
    c->is_silent = true;
    stage_run(s, 11 * STAGE_SECOND);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    gnutls_free(memory.ticket.data);
    stage_close(s);
}

/* ---- keys and ids ---- */

static void keys_are_updated(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(ngtcp2_conn_initiate_key_update(c->conn, s->now), 0);
        stage_get(s, c, 20000);
        stage_run(s, STAGE_SECOND);
        stage_get(s, c, 20000); /* the next keys are made when they may be used */
        stage_run(s, STAGE_SECOND);
        assert_int_equal(stage_count(s, HTTP3_KEY_UPDATES), i);
    }
    stage_close(s);
}

/* ---- ends ---- */

static void an_idle_connection_ends_silently(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    stage_get(s, c, 10);
    stage_run(s, 2 * STAGE_SECOND);
    unsigned sent = s->sent[0];
    c->is_silent = true;
    stage_run(s, 27 * STAGE_SECOND);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 1);
    stage_run(s, 4 * STAGE_SECOND);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    assert_int_equal(s->sent[0], sent);
    assert_int_equal(s->closed, 1);
    assert_true(http3_endpoint_deadline(s->endpoint) == CLOCK_NEVER);
    stage_close(s);
}

static void the_shorter_idle_time_counts(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, &(struct client_wish){.idle = 5 * STAGE_SECOND});
    client_get(c, "/wait");
    stage_run(s, STAGE_SECOND);
    c->is_silent = true;
    stage_run(s, 7 * STAGE_SECOND);
    assert_int_equal(s->closed, 1);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->end_error, ROUTED_ERROR_CLIENT_GONE);
    stage_close(s);
}

static void a_handshake_has_its_time(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_client(s, NULL);
    c->is_deaf = true;
    stage_run(s, 9 * STAGE_SECOND);
    c->is_silent = true;
    assert_int_equal(http3_endpoint_connections(s->endpoint), 1);
    stage_run(s, 2 * STAGE_SECOND);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    assert_int_equal(stage_count(s, HTTP3_HANDSHAKES_FAILED), 1);
    assert_int_equal(s->opened, 0);
    stage_close(s);
}

static void the_client_closes(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    client_get(c, "/wait");
    stage_run(s, STAGE_SECOND);
    unsigned sent = s->sent[0];
    size_t held = memory_held();
    say_close(s, c, 0x10c);
    stage_run(s, STAGE_SECOND / 20);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->end_error, ROUTED_ERROR_CLIENT_GONE);
    assert_int_equal(s->closed, 1);
    assert_true(memory_held() < held - 20000); /* what is left is small */
    stage_run(s, STAGE_SECOND);
    assert_int_equal(s->sent[0], sent); /* nothing answers CONNECTION_CLOSE */
    assert_true(http3_endpoint_deadline(s->endpoint) == CLOCK_NEVER);
    stage_close(s);
}

static void we_close_and_say_it_again(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    int64_t id = client_get(c, "/wait");
    stage_run(s, STAGE_SECOND);
    unsigned sent = s->sent[0];
    s->fate = stage_lose_answers;
    http3_connection_close(s->fronts[0].connection, ROUTED_ERROR_OVERLOADED);
    assert_int_equal(s->closed, 0); /* never from inside */
    stage_run(s, STAGE_TRANSIT / 2);
    assert_int_equal(s->closed, 1);
    assert_int_equal(s->end_error, ROUTED_ERROR_OVERLOADED);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    assert_int_equal(s->sent[0], sent + 1);
    /* It was lost; the client goes on, and is told at its first, second, fourth... datagram. */
    (void)id;
    uint8_t bytes[60] = {0x40};
    memcpy(bytes + 1, ngtcp2_conn_get_dcid(c->conn)->data, 16);
    for (unsigned i = 1; i <= 20; i++) {
        struct stage_datagram d = {.local = stage_seen(s, 0),
                                   .remote = stage_address(1, STAGE_PORT),
                                   .bytes = bytes,
                                   .size = sizeof(bytes)};
        stage_deliver_to_server(s, &d);
    }
    assert_int_equal(s->sent[0], sent + 1 + 5);
    /* Nobody else is told, and no short datagram makes a long answer. */
    struct stage_datagram other = {.local = stage_address(66, 6),
                                   .remote = stage_address(1, STAGE_PORT),
                                   .bytes = bytes,
                                   .size = sizeof(bytes)};
    for (unsigned i = 21; i <= 32; i++)
        stage_deliver_to_server(s, &other);
    assert_int_equal(s->sent[0], sent + 1 + 5);
    s->fate = NULL;
    for (unsigned i = 33; i <= 63; i++)
        stage_deliver_to_server(s, &other);
    client_get(c, "/1");
    stage_run(s, STAGE_TRANSIT * 3);
    expect_closed(c, NGTCP2_CCERR_TYPE_APPLICATION, 0x10b); /* H3_REQUEST_REJECTED */
    stage_run(s, 5 * STAGE_SECOND);
    assert_true(http3_endpoint_deadline(s->endpoint) == CLOCK_NEVER);
    stage_close(s);
}

static void a_front_may_refuse(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    s->refuses = true;
    struct client *c = stage_client(s, NULL);
    stage_run(s, STAGE_SECOND);
    expect_closed(c, NGTCP2_CCERR_TYPE_TRANSPORT, 0x02);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    stage_close(s);
}

static void an_error_of_http3_closes(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    int64_t id = client_open_stream(c, true);
    client_write(c, id, SPAN("\x00\x01x"), true); /* DATA before HEADERS */
    stage_run(s, STAGE_SECOND);
    expect_closed(c, NGTCP2_CCERR_TYPE_APPLICATION, 0x105); /* H3_FRAME_UNEXPECTED */
    assert_int_equal(s->closed, 1);
    stage_close(s);
}

static void a_client_cancels(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    int64_t id = client_get(c, "/9000000");
    stage_run(s, 3 * STAGE_TRANSIT);
    assert_int_equal(ngtcp2_conn_shutdown_stream_read(c->conn, 0, id, 0x10c), 0);
    stage_run(s, STAGE_SECOND);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->end_error, ROUTED_ERROR_CLIENT_GONE);
    /* One whose answer has not begun. */
    id = client_get(c, "/wait");
    stage_run(s, 3 * STAGE_TRANSIT);
    assert_int_equal(ngtcp2_conn_shutdown_stream_read(c->conn, 0, id, 0x10c), 0);
    stage_run(s, STAGE_SECOND);
    assert_int_equal(s->ends, 2);
    assert_int_equal(s->end_error, ROUTED_ERROR_CLIENT_GONE);
    stage_get(s, c, 10);
    stage_close(s);
}

static void the_server_shuts(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *idle = stage_connect(s, NULL);
    struct client *busy = stage_connect(s, NULL);
    int64_t id = client_get(busy, "/2000000");
    stage_run(s, 3 * STAGE_TRANSIT);
    http3_endpoint_shut(s->endpoint);
    struct client *late = stage_client(s, NULL);
    stage_run(s, 20 * STAGE_SECOND);
    expect_closed(idle, NGTCP2_CCERR_TYPE_APPLICATION, 0x100);
    expect_closed(late, NGTCP2_CCERR_TYPE_TRANSPORT, 0x02);
    stage_expect_content(busy, id, 2000000);
    expect_closed(busy, NGTCP2_CCERR_TYPE_APPLICATION, 0x100);
    assert_int_equal(s->closed, 2);
    stage_close(s);
}

static void the_end_of_the_endpoint_closes_all(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *a = stage_connect(s, NULL);
    struct client *b = stage_connect(s, NULL);
    client_get(a, "/wait");
    stage_run(s, STAGE_SECOND);
    stage_client(s, NULL);
    stage_run(s, STAGE_TRANSIT + 1); /* one handshake is under way */
    http3_endpoint_free(s->endpoint, ROUTED_ERROR_STOPPING);
    s->endpoint = NULL;
    assert_int_equal(s->closed, 2);
    assert_int_equal(s->end_error, ROUTED_ERROR_STOPPING);
    stage_run(s, STAGE_SECOND);
    expect_closed(a, NGTCP2_CCERR_TYPE_APPLICATION, 0x10b);
    expect_closed(b, NGTCP2_CCERR_TYPE_APPLICATION, 0x10b);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_tls_agreed_on_is_told),
        cmocka_unit_test(other_protocols_are_refused),
        cmocka_unit_test(clients_show_certificates),
        cmocka_unit_test(early_data_is_off_by_default),
        cmocka_unit_test(early_data_of_safe_methods_is_served),
        cmocka_unit_test(early_data_needs_a_validated_address),
        cmocka_unit_test(replayed_early_data_is_refused),
        cmocka_unit_test(early_data_without_a_handshake_ends_by_time),
        cmocka_unit_test(keys_are_updated),
        cmocka_unit_test(an_idle_connection_ends_silently),
        cmocka_unit_test(the_shorter_idle_time_counts),
        cmocka_unit_test(a_handshake_has_its_time),
        cmocka_unit_test(the_client_closes),
        cmocka_unit_test(we_close_and_say_it_again),
        cmocka_unit_test(a_front_may_refuse),
        cmocka_unit_test(an_error_of_http3_closes),
        cmocka_unit_test(a_client_cancels),
        cmocka_unit_test(the_server_shuts),
        cmocka_unit_test(the_end_of_the_endpoint_closes_all),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
