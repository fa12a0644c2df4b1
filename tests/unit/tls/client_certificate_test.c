/* Clients that show a certificate, or do not: all modes, all kinds of bad ones. */
#include "tls/client.h"

enum {
    NOTHING,
    GOOD,
    STRANGER, /* of another authority */
    REVOKED,
    EXPIRED,
    EARLY,
    SERVER, /* not meant for clients */
    COUNT
};

static struct tls_certificate_files files;
static struct pki_pair authority, foreign, clients[COUNT];

static const struct {
    const char *verification;
    int alert;
} expected[COUNT] = {
    [NOTHING] = {"none", GNUTLS_A_CERTIFICATE_REQUIRED},
    [GOOD] = {"success", 0},
    [STRANGER] = {"unknown authority", GNUTLS_A_UNKNOWN_CA},
    [REVOKED] = {"revoked", GNUTLS_A_CERTIFICATE_REVOKED},
    [EXPIRED] = {"expired", GNUTLS_A_CERTIFICATE_EXPIRED},
    [EARLY] = {"not valid yet", GNUTLS_A_CERTIFICATE_EXPIRED},
    [SERVER] = {"not meant for clients", GNUTLS_A_UNSUPPORTED_CERTIFICATE},
};

static gnutls_pcert_st shown;
static gnutls_privkey_t shown_key;

static void release_shown(void)
{
    if (!shown_key)
        return;
    gnutls_pcert_deinit(&shown);
    gnutls_privkey_deinit(shown_key);
    shown_key = NULL;
}

static void make_client(int at, const struct pki_pair *issuer, const char *purpose, time_t from,
                        time_t until)
{
    pki_make(&clients[at], &(struct pki_wish){.common_name = "Ada, Countess",
                                              .issuer = issuer,
                                              .purpose = purpose,
                                              .from = from,
                                              .until = until});
}

static int open_files(void **state)
{
    if (pki_open_folder(state))
        return -1;
    pki_make(&authority, &(struct pki_wish){.common_name = "authority", .is_authority = true});
    pki_make(&foreign, &(struct pki_wish){.common_name = "foreign", .is_authority = true});
    pki_save(&authority, "authority");
    const char *purpose = GNUTLS_KP_TLS_WWW_CLIENT;
    make_client(GOOD, &authority, purpose, 0, 0);
    make_client(STRANGER, &foreign, purpose, 0, 0);
    make_client(REVOKED, &authority, purpose, 0, 0);
    make_client(EXPIRED, &authority, purpose, -2 * PKI_DAY, -PKI_DAY);
    make_client(EARLY, &authority, purpose, PKI_DAY, 2 * PKI_DAY);
    make_client(SERVER, &authority, GNUTLS_KP_TLS_WWW_SERVER, 0, 0);
    pki_save_revocations(&authority, &clients[REVOKED], "revoked.crl");
    pki_server("server", GNUTLS_PK_ECDSA, "a.example", NULL);
    files = (struct tls_certificate_files){.certificate = pki_path("server.pem"),
                                           .key = pki_path("server-key.pem")};
    return 0;
}

static int close_files(void **state)
{
    release_shown();
    for (size_t i = GOOD; i < COUNT; i++)
        pki_release(&clients[i]);
    pki_release(&authority);
    pki_release(&foreign);
    return pki_close_folder(state);
}

static struct tls_context *open_context(enum tls_client_certificate mode)
{
    return client_context(&(struct tls_context_options){
        .certificates = &files,
        .certificate_count = 1,
        .client_certificate = mode,
        .client_authorities = pki_path("authority.pem"),
        .client_revocations = pki_path("revoked.crl"),
    });
}

static const char *const versions[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.3", CLIENT_TLS12};

/* GnuTLS picks a client's certificate by the authorities that the server names: here it always
 * sends what it has. */
static int show_anything(gnutls_session_t tls, const gnutls_datum_t *authorities, int count,
                         const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                         gnutls_pcert_st **chain, unsigned *chain_size, gnutls_privkey_t *key)
{
    const struct pki_pair *pair = gnutls_session_get_ptr(tls);
    (void)authorities;
    (void)count;
    (void)algorithms;
    (void)algorithm_count;
    release_shown();
    pki_ok(gnutls_pcert_import_x509(&shown, pair->certificate, 0));
    pki_ok(gnutls_privkey_init(&shown_key));
    pki_ok(gnutls_privkey_import_x509(shown_key, pair->key, GNUTLS_PRIVKEY_IMPORT_COPY));
    *key = shown_key;
    *chain = &shown;
    *chain_size = 1;
    return 0;
}

static void open_showing(struct client *c, struct tls_context *context, int which,
                         const char *version, const gnutls_datum_t *resume)
{
    client_open(c, context, &(struct client_wish){.priorities = version, .resume = resume});
    if (which == NOTHING)
        return;
    gnutls_session_set_ptr(c->tls, &clients[which]);
    gnutls_certificate_set_retrieve_function2(c->credentials, show_anything);
}

/* A whole handshake that shows a certificate, and the ticket of it. */
static gnutls_datum_t ticket_of(struct tls_context *context, int which, const char *version)
{
    struct client c;
    open_showing(&c, context, which, version, NULL);
    assert_int_equal(client_shake(&c), ROUTED_OK);
    return client_take_ticket(&c);
}

static void check_peer(const struct client *c, int which)
{
    const struct tls_peer *peer = tls_session_peer(c->server);
    assert_int_equal(peer->has_certificate, which != NOTHING);
    assert_int_equal(peer->is_verified, which == GOOD);
    assert_span(peer->verification, expected[which].verification);
    if (which == NOTHING) {
        assert_int_equal(peer->subject.size + peer->fingerprint.size, 0);
        return;
    }
    assert_span(peer->subject, "CN=Ada\\, Countess");
    uint8_t digest[32];
    char text[65];
    size_t size = sizeof(digest);
    pki_ok(gnutls_x509_crt_get_fingerprint(clients[which].certificate, GNUTLS_DIG_SHA256, digest,
                                           &size));
    for (size_t i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_span(peer->fingerprint, text);
}

static void test_off(void **state)
{
    (void)state;
    struct tls_context *context = open_context(TLS_CLIENT_CERTIFICATE_OFF);
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct client c;
        open_showing(&c, context, GOOD, versions[v], NULL);
        assert_int_equal(client_shake(&c), ROUTED_OK);
        check_peer(&c, NOTHING);
        client_close(&c);
    }
    tls_context_release(context);
}

static void test_request(void **state)
{
    (void)state;
    struct tls_context *context = open_context(TLS_CLIENT_CERTIFICATE_REQUEST);
    for (size_t i = 0; i < (size_t)COUNT * 2; i++) {
        struct client c;
        open_showing(&c, context, (int)i / 2, versions[i % 2], NULL);
        int mine = client_shake(&c);
        if (mine != ROUTED_OK)
            fail_msg("%zu: %s", i, tls_session_failure(c.server));
        check_peer(&c, (int)i / 2);
        client_close(&c);
    }
    tls_context_release(context);
}

static void test_require(void **state)
{
    (void)state;
    struct tls_context *context = open_context(TLS_CLIENT_CERTIFICATE_REQUIRE);
    for (size_t i = 0; i < (size_t)COUNT * 2; i++) {
        struct client c;
        int which = (int)i / 2;
        open_showing(&c, context, which, versions[i % 2], NULL);
        int mine = client_shake(&c);
        if (which == GOOD) {
            assert_int_equal(mine, ROUTED_OK);
            check_peer(&c, GOOD);
        } else {
            assert_int_equal(mine, ROUTED_ERROR_TLS);
            int alert = client_alert(&c);
            if (which == NOTHING && i % 2)
                assert_int_equal(alert, GNUTLS_A_HANDSHAKE_FAILURE);
            else
                assert_int_equal(alert, expected[which].alert);
            if (which != NOTHING)
                assert_string_equal(tls_session_failure(c.server), expected[which].verification);
        }
        client_close(&c);
    }
    tls_context_release(context);
}

/* The certificate of the first handshake comes along, and is judged by the rules of today. */
static void test_resumption(void **state)
{
    static const enum tls_client_certificate modes[] = {TLS_CLIENT_CERTIFICATE_REQUEST,
                                                        TLS_CLIENT_CERTIFICATE_REQUIRE};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct client c;
        struct failure why;
        struct tls_context *context = open_context(modes[i / 2]);
        gnutls_datum_t ticket = ticket_of(context, GOOD, versions[i % 2]);

        open_showing(&c, context, NOTHING, versions[i % 2], &ticket);
        assert_int_equal(client_shake(&c), ROUTED_OK);
        assert_true(tls_session_is_resumed(c.server));
        check_peer(&c, GOOD);
        client_close(&c);

        /* New rules, new tickets. */
        assert_int_equal(tls_context_reload(context, &why), ROUTED_OK);
        open_showing(&c, context, NOTHING, versions[i % 2], &ticket);
        assert_int_equal(client_shake(&c), i / 2 ? ROUTED_ERROR_TLS : ROUTED_OK);
        assert_false(tls_session_is_resumed(c.server));
        client_close(&c);

        /* Nor do tickets of a listener that asks for nothing open one that does. */
        struct tls_context *off = open_context(TLS_CLIENT_CERTIFICATE_OFF);
        gnutls_free(ticket.data);
        ticket = ticket_of(off, NOTHING, versions[i % 2]);
        open_showing(&c, context, NOTHING, versions[i % 2], &ticket);
        assert_int_equal(client_shake(&c), i / 2 ? ROUTED_ERROR_TLS : ROUTED_OK);
        assert_false(tls_session_is_resumed(c.server));
        client_close(&c);
        gnutls_free(ticket.data);
        tls_context_release(off);
        tls_context_release(context);
    }
}

static time_t ahead;

static time_t later(time_t *at)
{
    time_t now = time(NULL) + ahead;
    if (at)
        *at = now;
    return now;
}

/* Resumed while the certificate was good, and after it has expired. */
static void test_expired_since(void **state)
{
    static const enum tls_client_certificate modes[] = {TLS_CLIENT_CERTIFICATE_REQUEST,
                                                        TLS_CLIENT_CERTIFICATE_REQUIRE};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct client c;
        struct tls_context *context = open_context(modes[i / 2]);
        pki_release(&clients[GOOD]);
        make_client(GOOD, &authority, GNUTLS_KP_TLS_WWW_CLIENT, -60, 60);
        gnutls_datum_t ticket = ticket_of(context, GOOD, versions[i % 2]);

        ahead = 120;
        gnutls_global_set_time_function(later);
        open_showing(&c, context, NOTHING, versions[i % 2], &ticket);
        int mine = client_shake(&c);
        assert_true(tls_session_is_resumed(c.server));
        assert_int_equal(mine, i / 2 ? ROUTED_ERROR_TLS : ROUTED_OK);
        assert_span(tls_session_peer(c.server)->verification, "expired");
        assert_false(tls_session_peer(c.server)->is_verified);
        if (i / 2)
            assert_int_equal(client_alert(&c), GNUTLS_A_CERTIFICATE_EXPIRED);
        client_close(&c);
        gnutls_global_set_time_function(time);
        gnutls_free(ticket.data);
        tls_context_release(context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),           cmocka_unit_test(test_request),
        cmocka_unit_test(test_require),       cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_expired_since),
    };
    return cmocka_run_group_tests(tests, open_files, close_files);
}
