/* Who may have state and how much may be sent before an address is validated: Retry, tokens,
 * limits, amplification (RFC 9000 section 8). */
#include "http3/stage.h"

#include "base/buffer.h"

#define INVALID_TOKEN      0x0b
#define CONNECTION_REFUSED 0x02

/* Every client is sent a Retry. */
static void always_asked(struct stage *s)
{
    s->options.retry_from = 0;
    stage_open(s);
}

static struct stage *start_asking(void)
{
    struct stage *s = stage_new();
    always_asked(s);
    return s;
}

static void a_retry_is_asked_for(void **state)
{
    (void)state;
    struct stage *s = start_asking();
    struct client_memory memory = {.token_size = 0};
    struct client *c = stage_connect(s, &(struct client_wish){.memory = &memory});
    assert_int_equal(c->retries, 1);
    assert_int_equal(stage_count(s, HTTP3_RETRIES), 1);
    stage_get(s, c, 100);
    assert_true(memory.token_size > 0);

    /* A token of NEW_TOKEN saves the next one. */
    c = stage_connect(s, &(struct client_wish){.memory = &memory});
    assert_int_equal(c->retries, 0);
    assert_int_equal(stage_count(s, HTTP3_RETRIES), 1);
    gnutls_free(memory.ticket.data);
    stage_close(s);
}

static void no_state_before_a_valid_token(void **state)
{
    (void)state;
    struct stage *s = start_asking();
    s->fate = stage_lose_answers;
    size_t held = memory_held();
    for (int i = 0; i < 100; i++)
        stage_client(s, NULL);
    stage_run(s, 5 * STAGE_SECOND);
    assert_true(stage_count(s, HTTP3_RETRIES) >= 100);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    assert_int_equal(memory_held(), held);
    assert_true(s->bytes[0] < s->bytes[1]);
    stage_close(s);
}

static void retry_begins_with_the_named_handshake(void **state)
{
    (void)state;
    struct stage *s = stage_new();
    s->options.retry_from = 2;
    stage_open(s);
    s->fate = stage_lose_answers;
    stage_client(s, NULL);
    stage_client(s, NULL);
    stage_run(s, STAGE_SECOND / 10);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 2);
    assert_int_equal(stage_count(s, HTTP3_RETRIES), 0);
    stage_client(s, NULL);
    stage_run(s, STAGE_SECOND / 10);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 2);
    assert_int_equal(stage_count(s, HTTP3_RETRIES), 1);
    stage_close(s);
}

static void too_many_handshakes_are_dropped(void **state)
{
    (void)state;
    struct stage *s = stage_new();
    s->options.handshakes_max = 2;
    stage_open(s);
    s->fate = stage_lose_answers;
    for (int i = 0; i < 3; i++)
        stage_client(s, NULL);
    stage_run(s, STAGE_SECOND / 10);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 2);
    assert_int_equal(stage_count(s, HTTP3_DATAGRAMS_DROPPED), 1);

    /* Half-open ones end by time, and make place. */
    for (int i = 0; i < 3; i++)
        s->clients[i].is_silent = true;
    stage_run(s, 11 * STAGE_SECOND);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    assert_int_equal(stage_count(s, HTTP3_HANDSHAKES_FAILED), 2);
    assert_string_equal(s->failure, "the wait ended first");
    s->fate = NULL;
    stage_connect(s, NULL);
    stage_close(s);
}

static enum stage_fate only_retries(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    (void)s;
    (void)nth;
    return d->to_server || (d->bytes[0] & 0xf0) == 0xf0 ? STAGE_PASSES : STAGE_LOST;
}

static void places_for_handshakes_are_given_and_taken(void **state)
{
    (void)state;
    struct stage *s = stage_new();
    always_asked(s);
    s->shaking_max = 2;
    s->fate = only_retries;
    for (int i = 0; i < 4; i++)
        stage_client(s, NULL);
    stage_run(s, STAGE_SECOND / 2);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 2);
    assert_int_equal(s->shaking, 2);
    assert_true(stage_count(s, HTTP3_REFUSALS) >= 2);

    for (int i = 0; i < 4; i++)
        s->clients[i].is_silent = true;
    stage_run(s, 11 * STAGE_SECOND);
    assert_int_equal(s->shaking, 0);
    s->fate = NULL;
    for (int i = 0; i < 3; i++)
        stage_connect(s, NULL);
    assert_int_equal(s->shaking, 0);
    stage_close(s);
}

/* Nobody takes a place for an address that may not be his own. */
static void only_proved_addresses_have_places(void **state)
{
    (void)state;
    struct stage *s = stage_new();
    stage_open(s);
    s->shaking_max = 1;
    s->fate = stage_lose_answers;
    for (int i = 0; i < 3; i++)
        stage_client(s, NULL);
    stage_run(s, STAGE_SECOND / 10);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 3);
    assert_int_equal(s->shaking, 0);
    stage_close(s);
}

static void more_connections_than_the_limit_are_refused(void **state)
{
    (void)state;
    struct stage *s = stage_new();
    s->options.connections_max = 2;
    stage_open(s);
    stage_connect(s, NULL);
    stage_connect(s, NULL);
    struct client *third = stage_client(s, NULL);
    stage_run(s, STAGE_SECOND);
    stage_expect_code(third, CONNECTION_REFUSED);
    assert_int_equal(stage_count(s, HTTP3_REFUSALS), 1);
    stage_close(s);
}

/* What happens to a client that comes with that token where a Retry is asked for. */
static struct client *come_with(struct stage *s, const uint8_t *token, size_t size)
{
    struct client_memory memory = {.token_size = size};
    memcpy(memory.token, token, size);
    struct client *c = stage_client(s, &(struct client_wish){.memory = &memory});
    c->memory = NULL;
    stage_run(s, STAGE_SECOND);
    return c;
}

/* What a client that was here is given. */
static struct client_memory token_of(struct stage *s)
{
    struct client_memory memory = {.token_size = 0};
    stage_connect(s, &(struct client_wish){.memory = &memory})->memory = NULL;
    gnutls_free(memory.ticket.data);
    assert_true(memory.token_size > 0);
    return memory;
}

static void tokens_that_do_not_hold_are_as_none(void **state)
{
    (void)state;
    struct stage *s = start_asking();
    struct client_memory memory = token_of(s);
    size_t size = memory.token_size;
    for (size_t cut = 1; cut < size; cut += 7)
        assert_int_equal(come_with(s, memory.token, cut)->retries, 1);
    for (size_t i = 0; i < size; i += 5) {
        memory.token[i] ^= 1;
        struct client *c = come_with(s, memory.token, size);
        assert_int_equal(c->retries, 1);
        assert_true(c->is_done);
        memory.token[i] ^= 1;
    }
    /* From another address. */
    s->behind_nat[s->client_count] = stage_address(77, 7777);
    assert_int_equal(come_with(s, memory.token, size)->retries, 1);
    assert_int_equal(stage_count(s, HTTP3_TOKENS_SPENT), 0);
    assert_int_equal(come_with(s, memory.token, size)->retries, 0);
    stage_close(s);
}

static void tokens_hold_for_an_hour(void **state)
{
    (void)state;
    struct stage *s = start_asking();
    nanoseconds begin = s->now;
    struct client_memory first = token_of(s), second = token_of(s);
    stage_set_now(s, begin + TLS_QUIC_REGULAR_TIME - 1);
    assert_int_equal(come_with(s, first.token, first.token_size)->retries, 0);
    stage_set_now(s, begin + TLS_QUIC_REGULAR_TIME + 10 * STAGE_SECOND);
    assert_int_equal(come_with(s, second.token, second.token_size)->retries, 1);
    assert_int_equal(stage_count(s, HTTP3_TOKENS_SPENT), 0);
    stage_close(s);
}

static void tokens_count_once(void **state)
{
    (void)state;
    struct stage *s = start_asking();
    struct client_memory memory = token_of(s);
    assert_int_equal(come_with(s, memory.token, memory.token_size)->retries, 0);
    for (unsigned again = 1; again < 4; again++) {
        struct client *c = come_with(s, memory.token, memory.token_size);
        assert_int_equal(c->retries, 1);
        assert_true(c->is_done);
        assert_int_equal(stage_count(s, HTTP3_TOKENS_SPENT), again);
    }
    stage_close(s);
}

/* Another host, or the same after a restart, whose clock began at another time. */
static void tokens_hold_where_the_secret_is_the_same(void **state)
{
    (void)state;
    for (unsigned is_late = 0; is_late < 2; is_late++) {
        struct stage *s = stage_new();
        s->options.token_time = STAGE_HOUR;
        always_asked(s);
        struct client_memory memory = token_of(s);
        nanoseconds wall = s->now + s->options.token_time;
        stage_close(s);
        s = stage_new();
        stage_set_now(s, 5 * STAGE_SECOND);
        s->options.token_time = wall - s->now + (is_late ? TLS_QUIC_REGULAR_TIME : STAGE_SECOND);
        always_asked(s);
        assert_int_equal(come_with(s, memory.token, memory.token_size)->retries, is_late);
        stage_close(s);
    }
}

/* The Initial that carries the token of a Retry, caught on its way. */
static struct stage_datagram caught;

static void catch_second_initial(struct stage *s, const struct stage_datagram *d)
{
    if (d->to_server && s->clients[0].retries == 1 && caught.size == 0) {
        caught = *d;
        caught.bytes = malloc(d->size);
        memcpy(caught.bytes, d->bytes, d->size);
    }
}

static enum stage_fate lose_second_initial(struct stage *s, const struct stage_datagram *d,
                                           unsigned nth)
{
    (void)nth;
    return d->to_server && s->clients[0].retries ? STAGE_LOST : STAGE_PASSES;
}

static void tokens_of_a_retry_belong_to_one_address_and_time(void **state)
{
    (void)state;
    struct stage *s = start_asking();
    s->tap = catch_second_initial;
    s->fate = lose_second_initial;
    stage_client(s, NULL);
    stage_run(s, STAGE_SECOND / 5);
    assert_true(caught.size >= 1200);
    s->clients[0].is_silent = true;
    s->fate = NULL;
    s->tap = NULL;

    struct http3_address home = caught.local;
    caught.local = stage_address(3, 1);
    stage_deliver_to_server(s, &caught);
    assert_int_equal(stage_count(s, HTTP3_TOKENS_REFUSED), 1);
    caught.local = home;
    nanoseconds start = s->now;
    stage_set_now(s, start + TLS_QUIC_RETRY_TIME);
    stage_deliver_to_server(s, &caught);
    assert_int_equal(stage_count(s, HTTP3_TOKENS_REFUSED), 2);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    free(caught.bytes);
    stage_close(s);
}

static void a_forged_retry_token_closes(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    uint8_t token[100] = {0xb7};
    for (size_t size = 1; size < sizeof(token); size += 33) {
        struct client *c = come_with(s, token, size);
        stage_expect_code(c, INVALID_TOKEN);
    }
    assert_int_equal(stage_count(s, HTTP3_TOKENS_REFUSED), 3);
    assert_int_equal(stage_count(s, HTTP3_REFUSALS), 3);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 0);
    stage_close(s);
}

/* ---- amplification ---- */

/* A server certificate with so many issuers between it and the root. */
static void save_chain(unsigned issuers)
{
    struct pki_pair pairs[12];
    struct buffer chain = BUFFER_EMPTY;
    for (unsigned i = 0; i <= issuers; i++) {
        bool is_leaf = i == issuers;
        pki_make(&pairs[i], &(struct pki_wish){.common_name = is_leaf ? "leaf" : "issuer",
                                               .names = {"localhost"},
                                               .algorithm = GNUTLS_PK_RSA,
                                               .issuer = i ? &pairs[i - 1] : NULL,
                                               .is_authority = !is_leaf});
    }
    pki_save(&pairs[issuers], "server");
    for (unsigned i = issuers + 1; i-- > 0;) {
        gnutls_datum_t pem = pki_certificate_pem(&pairs[i]);
        assert_int_equal(buffer_append(&chain, pem.data, pem.size), ROUTED_OK);
        gnutls_free(pem.data);
        pki_release(&pairs[i]);
    }
    pki_write("server.pem", buffer_span(&chain).data, buffer_size(&chain));
    buffer_release(&chain);
}

static void expect_no_amplification(enum stage_fate (*fate)(struct stage *,
                                                            const struct stage_datagram *,
                                                            unsigned))
{
    struct stage *s = stage_start();
    s->fate = fate;
    struct client *c = stage_client(s, NULL);
    c->is_deaf = true;
    for (int i = 0; i < 400; i++) {
        stage_run(s, STAGE_SECOND / 20);
        if (s->bytes[0] > 3 * s->bytes[1])
            fail_msg("%" PRIu64 " bytes for %" PRIu64, s->bytes[0], s->bytes[1]);
    }
    assert_true(s->bytes[0] > 0);
    stage_close(s);
}

static enum stage_fate only_the_first(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    (void)s;
    return d->to_server && nth ? STAGE_LOST : STAGE_PASSES;
}

static enum stage_fate every_other(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    (void)s;
    (void)d;
    return nth % 2 ? STAGE_LOST : STAGE_PASSES;
}

static void no_more_than_three_times_is_sent(void **state)
{
    (void)state;
    static const unsigned issuers[] = {0, 2, 5, 11};
    for (size_t i = 0; i < COUNT_OF(issuers); i++) {
        save_chain(issuers[i]);
        expect_no_amplification(NULL);
        expect_no_amplification(only_the_first);
        expect_no_amplification(every_other);
        struct stage *s = stage_start(); /* and whoever answers gets through */
        stage_get(s, stage_connect(s, NULL), 10);
        stage_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_retry_is_asked_for),
        cmocka_unit_test(no_state_before_a_valid_token),
        cmocka_unit_test(retry_begins_with_the_named_handshake),
        cmocka_unit_test(too_many_handshakes_are_dropped),
        cmocka_unit_test(places_for_handshakes_are_given_and_taken),
        cmocka_unit_test(only_proved_addresses_have_places),
        cmocka_unit_test(more_connections_than_the_limit_are_refused),
        cmocka_unit_test(tokens_that_do_not_hold_are_as_none),
        cmocka_unit_test(tokens_hold_for_an_hour),
        cmocka_unit_test(tokens_count_once),
        cmocka_unit_test(tokens_hold_where_the_secret_is_the_same),
        cmocka_unit_test(tokens_of_a_retry_belong_to_one_address_and_time),
        cmocka_unit_test(a_forged_retry_token_closes),
        cmocka_unit_test(no_more_than_three_times_is_sent),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
