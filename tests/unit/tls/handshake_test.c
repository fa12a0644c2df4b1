/* Versions, ciphers, ALPN, split input, refusals. */
#include "tls/client.h"

static const char *const both[] = {"h2", "http/1.1"};
static struct tls_certificate_files files;
static struct tls_context *context;

static int open_context(void **state)
{
    if (pki_open_folder(state))
        return -1;
    pki_server("server", GNUTLS_PK_ECDSA, "a.example", NULL);
    files = (struct tls_certificate_files){.certificate = pki_path("server.pem"),
                                           .key = pki_path("server-key.pem")};
    context = client_context(&(struct tls_context_options){
        .certificates = &files, .certificate_count = 1, .alpn = both, .alpn_count = 2});
    return 0;
}

static int close_context(void **state)
{
    tls_context_release(context);
    return pki_close_folder(state);
}

static void echo(struct client *c)
{
    char text[32];
    client_write(c, "ping", 4);
    assert_int_equal(client_open_all(c, text, sizeof(text)), 4);
    assert_memory_equal(text, "ping", 4);
    assert_int_equal(tls_session_open(c->server, (uint8_t *)text, sizeof(text)),
                     ROUTED_ERROR_AGAIN);
    struct span pong = SPAN("pong");
    assert_int_equal(tls_session_seal(c->server, &pong, 1), 4);
    assert_int_equal(client_read(c, text, sizeof(text)), 4);
    assert_memory_equal(text, "pong", 4);
}

static void test_versions_and_ciphers(void **state)
{
    static const struct {
        const char *priorities, *version, *cipher;
    } cases[] = {
        {CLIENT_MODERN, "1.3", "TLS_AES_128_GCM_SHA256"},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM", "1.3", "TLS_AES_128_GCM_SHA256"},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305", "1.3",
         "TLS_CHACHA20_POLY1305_SHA256"},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP256R1", "1.3", NULL},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519", "1.3", NULL},
        {CLIENT_TLS12, "1.2", NULL},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM", "1.2",
         "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client c;
        client_connect(&c, context, &(struct client_wish){.priorities = cases[i].priorities});
        assert_span(tls_session_version(c.server), cases[i].version);
        if (cases[i].cipher)
            assert_span(tls_session_cipher(c.server), cases[i].cipher);
        assert_false(tls_session_is_resumed(c.server));
        assert_false(tls_session_peer(c.server)->has_certificate);
        assert_span(tls_session_peer(c.server)->verification, "none");
        echo(&c);
        client_close(&c);
    }
}

static void test_what_is_refused(void **state)
{
    static const char *const cases[] = {
        "NORMAL:-VERS-ALL:+VERS-TLS1.1",
        "NORMAL:-VERS-ALL:+VERS-TLS1.0",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+3DES-CBC",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CCM:+AES-128-CCM-8",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-SIGN-ALL:+SIGN-ECDSA-SHA1:+SIGN-RSA-SHA1",
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-FFDHE2048",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client c;
        client_open(&c, context, &(struct client_wish){.priorities = cases[i]});
        int mine = client_shake(&c);
        if (mine != ROUTED_ERROR_TLS)
            fail_msg("%s: %d", cases[i], mine);
        int alert = client_alert(&c);
        if (alert != GNUTLS_A_HANDSHAKE_FAILURE && alert != GNUTLS_A_PROTOCOL_VERSION &&
            alert != GNUTLS_A_INSUFFICIENT_SECURITY)
            fail_msg("%s: alert %d, client %d", cases[i], alert, c.result);
        assert_true(strlen(tls_session_failure(c.server)) > 0);
        assert_int_equal(tls_session_seal(c.server, &SPAN("x"), 1), ROUTED_ERROR_TLS);
        uint8_t byte;
        assert_int_equal(tls_session_open(c.server, &byte, 1), ROUTED_ERROR_TLS);
        client_close(&c);
    }
}

static void test_byte_by_byte(void **state)
{
    static const char *const versions[] = {CLIENT_MODERN, CLIENT_TLS12};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        for (size_t piece = 1; piece < 8; piece += 3) {
            struct client c;
            client_connect(&c, context,
                           &(struct client_wish){
                               .priorities = versions[i], .name = "a.example", .piece = piece});
            echo(&c);
            client_close(&c);
        }
    }
}

/* The client's only share is of a group that the server has not: HelloRetryRequest. */
#define RETRYING "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP521R1:+GROUP-SECP256R1"

static void test_hello_retry(void **state)
{
    (void)state;
    struct client c;
    client_connect(&c, context, &(struct client_wish){.priorities = RETRYING, .name = "a.example"});
    assert_int_equal(gnutls_group_get(c.tls), GNUTLS_GROUP_SECP256R1);
    assert_span(tls_session_server_name(c.server), "a.example");
    echo(&c);
    client_close(&c);

    /* The second ClientHello names another host. */
    client_open(&c, context, &(struct client_wish){.priorities = RETRYING, .name = "a.example"});
    assert_int_equal(gnutls_handshake(c.tls), GNUTLS_E_AGAIN);
    client_feed(&c, buffer_size(&c.to_server));
    client_carry(&c);
    pki_ok(gnutls_server_name_set(c.tls, GNUTLS_NAME_DNS, "b.example", 9));
    assert_int_equal(client_shake(&c), ROUTED_ERROR_TLS);
    assert_int_equal(client_alert(&c), GNUTLS_A_ILLEGAL_PARAMETER);
    client_close(&c);
}

static int retries;

static int count_retry(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                       const gnutls_datum_t *message)
{
    (void)session, (void)type, (void)when, (void)message;
    retries += incoming != 0;
    return 0;
}

/* The group of the client's share is taken where we have it, though we would like another more. */
static void test_key_shares(void **state)
{
#define GROUPS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-GROUP-ALL"
    static const struct {
        const char *priorities;
        unsigned flags;
        gnutls_group_t group;
        int retries, retries_of_others; /* where the operator says which groups there are */
    } cases[] = {
        {GROUPS ":+GROUP-X25519:+GROUP-SECP256R1", GNUTLS_KEY_SHARE_TOP, GNUTLS_GROUP_X25519, 0, 0},
        {GROUPS ":+GROUP-SECP256R1:+GROUP-X25519", 0, GNUTLS_GROUP_X25519, 0, 0},
        {GROUPS ":+GROUP-SECP256R1:+GROUP-X25519", GNUTLS_KEY_SHARE_TOP, GNUTLS_GROUP_SECP256R1, 0,
         1},
        {GROUPS ":+GROUP-SECP384R1:+GROUP-SECP256R1:+GROUP-X25519", GNUTLS_KEY_SHARE_TOP,
         GNUTLS_GROUP_SECP384R1, 0, 1},
        {GROUPS ":+GROUP-SECP521R1:+GROUP-SECP256R1:+GROUP-X25519", GNUTLS_KEY_SHARE_TOP,
         GNUTLS_GROUP_X25519, 1, 1},
    };
    struct tls_context *other = client_context(&(struct tls_context_options){
        .certificates = &files,
        .certificate_count = 1,
        .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519:%SERVER_PRECEDENCE"});
    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        size_t of = i / 2;
        bool is_other = i % 2;
        struct client c;
        client_open(
            &c, is_other ? other : context,
            &(struct client_wish){.priorities = cases[of].priorities, .flags = cases[of].flags});
        retries = 0;
        gnutls_handshake_set_hook_function(c.tls, GNUTLS_HANDSHAKE_HELLO_RETRY_REQUEST,
                                           GNUTLS_HOOK_POST, count_retry);
        assert_int_equal(client_shake(&c), ROUTED_OK);
        assert_int_equal(retries, is_other ? cases[of].retries_of_others : cases[of].retries);
        assert_int_equal(gnutls_group_get(c.tls), is_other ? GNUTLS_GROUP_X25519 : cases[of].group);
        echo(&c);
        client_close(&c);
    }
    tls_context_release(other);
}

static void test_alpn(void **state)
{
    static const struct {
        const char *offered[3];
        const char *chosen; /* NULL: refused */
    } cases[] = {
        {{NULL}, ""},
        {{"h2"}, "h2"},
        {{"http/1.1"}, "http/1.1"},
        {{"http/1.1", "h2"}, "h2"},
        {{"spdy/3", "http/1.1"}, "http/1.1"},
        {{"spdy/3"}, NULL},
        {{"H2"}, NULL},
        {{"ftp", "imap", "h"}, NULL},
    };
    static const char *const versions[] = {CLIENT_MODERN, CLIENT_TLS12};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases) * 2; i++) {
        struct client c;
        struct client_wish wish = {.priorities = versions[i % 2]};
        memcpy(wish.alpn, cases[i / 2].offered, sizeof(wish.alpn));
        client_open(&c, context, &wish);
        int mine = client_shake(&c);
        if (cases[i / 2].chosen) {
            assert_int_equal(mine, ROUTED_OK);
            assert_span(tls_session_alpn(c.server), cases[i / 2].chosen);
        } else {
            assert_int_equal(mine, ROUTED_ERROR_TLS);
            assert_int_equal(client_alert(&c), GNUTLS_A_NO_APPLICATION_PROTOCOL);
        }
        client_close(&c);
    }
}

static void test_without_alpn_of_ours(void **state)
{
    (void)state;
    struct tls_context *plain = client_context(
        &(struct tls_context_options){.certificates = &files, .certificate_count = 1});
    struct client c;
    client_connect(&c, plain, &(struct client_wish){.alpn = {"h2"}});
    assert_span(tls_session_alpn(c.server), "");
    client_close(&c);
    tls_context_release(plain);
}

static void test_no_tls_at_all(void **state)
{
    static const struct {
        struct span bytes;
        bool is_http;
    } cases[] = {{SPAN("GET / HTTP/1.1\r\n\r\n"), true},
                 {SPAN("P"), true},
                 {SPAN("get"), true},
                 {SPAN("\r\nGET"), true},
                 {SPAN(""), false},
                 {SPAN("\x16\x03\x01"), false},
                 {SPAN("\x80\x2e\x01"), false},
                 {SPAN("\0"), false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(tls_session_is_plain_http(cases[i].bytes), cases[i].is_http);

    struct tls_session *s = tls_session_new(context);
    assert_int_equal(tls_session_feed(s, cases[0].bytes), ROUTED_OK);
    assert_int_equal(tls_session_handshake(s), ROUTED_ERROR_TLS);
    assert_int_equal(tls_session_handshake(s), ROUTED_ERROR_TLS);
    tls_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_and_ciphers), cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_byte_by_byte),         cmocka_unit_test(test_hello_retry),
        cmocka_unit_test(test_key_shares),           cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_without_alpn_of_ours), cmocka_unit_test(test_no_tls_at_all),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
