/* The n-th allocation fails, for every n: what is called says so, and gives everything back. */
#include "tls/client.h"

#include "base/memory.h"
#include "tls/development.h"

static struct tls_certificate_files files[2];
static struct pki_pair authority, person;
static struct tls_context_options options;
static const char *const both[] = {"h2", "http/1.1"};

static int open_files(void **state)
{
    if (pki_open_folder(state))
        return -1;
    pki_make(&authority, &(struct pki_wish){.common_name = "authority", .is_authority = true});
    pki_make(&person, &(struct pki_wish){.common_name = "Ada",
                                         .issuer = &authority,
                                         .purpose = GNUTLS_KP_TLS_WWW_CLIENT});
    pki_write_text("README", "no certificate");
    pki_save_revocations(&authority, NULL, "none.crl");
    pki_server("server", GNUTLS_PK_ECDSA, "a.example", "*.b.example");
    pki_server("other", GNUTLS_PK_ECDSA, "c.example", "ip:127.0.0.1");
    pki_save(&authority, "authority");
    files[0] = (struct tls_certificate_files){.certificate = pki_path("server.pem"),
                                              .key = pki_path("server-key.pem")};
    files[1] = (struct tls_certificate_files){.certificate = pki_path("other.pem"),
                                              .key = pki_path("other-key.pem")};
    options = (struct tls_context_options){.certificates = files,
                                           .certificate_count = 2,
                                           .alpn = both,
                                           .alpn_count = 2,
                                           .client_certificate = TLS_CLIENT_CERTIFICATE_REQUIRE,
                                           .client_authorities = pki_folder,
                                           .client_revocations = pki_path("none.crl")};
    return 0;
}

static int close_files(void **state)
{
    pki_release(&authority);
    pki_release(&person);
    return pki_close_folder(state);
}

static void test_starting(void **state)
{
    (void)state;
    size_t before = memory_held();
    uint64_t n = 1;
    for (;; n++) {
        struct failure why = {0};
        struct tls_context *context;
        memory_fault_set(n);
        int result = tls_context_new(&context, &options, NULL, &why);
        bool fired = memory_fault_fired();
        memory_fault_set(0);
        assert_int_equal(context != NULL, result == ROUTED_OK);
        tls_context_release(context);
        assert_int_equal(memory_held(), before);
        if (!fired) {
            assert_int_equal(result, ROUTED_OK);
            break;
        }
        assert_int_equal(result, ROUTED_ERROR_MEMORY);
        assert_int_equal(why.code, ROUTED_ERROR_MEMORY);
    }
    assert_true(n > 30);
}

static void test_reloading(void **state)
{
    (void)state;
    struct failure why;
    struct tls_context *context = client_context(&options);
    bool fired = true;
    for (uint64_t n = 1; fired; n++) {
        memory_fault_set(n);
        int result = tls_context_reload(context, &why);
        fired = memory_fault_fired();
        memory_fault_set(0);
        assert_int_equal(result, fired ? ROUTED_ERROR_MEMORY : ROUTED_OK);
        struct client c;
        client_connect(&c, context,
                       &(struct client_wish){.name = "c.example", .certificate = &person});
        client_close(&c);
    }
    tls_context_release(context);
}

/* Room enough that the client's side of the pipes never allocates. */
static void reserve_pipes(struct client *c)
{
    assert_non_null(buffer_reserve(&c->to_server, 65536));
    assert_non_null(buffer_reserve(&c->to_client, 65536));
}

/* A connection's life; ROUTED_OK or the first failure. */
static int live(struct client *c)
{
    static const uint8_t large[20000];
    uint8_t got[100];
    int mine = ROUTED_ERROR_AGAIN;
    c->result = GNUTLS_E_AGAIN;
    for (int i = 0; i < 10 && (mine == ROUTED_ERROR_AGAIN || c->result == GNUTLS_E_AGAIN); i++) {
        if (c->result == GNUTLS_E_AGAIN)
            c->result = gnutls_handshake(c->tls);
        struct span bytes = buffer_span(&c->to_server);
        size_t half = bytes.size / 2;
        if (tls_session_feed(c->server, span_part(bytes, 0, half)) != ROUTED_OK)
            return ROUTED_ERROR_MEMORY;
        if (tls_session_feed(c->server, span_after(bytes, half)) != ROUTED_OK)
            return ROUTED_ERROR_MEMORY;
        mine = tls_session_handshake(c->server);
        buffer_clear(&c->to_server);
        client_carry(c);
        if (mine != ROUTED_OK && mine != ROUTED_ERROR_AGAIN)
            return mine;
    }
    assert_int_equal(mine, ROUTED_OK);
    client_write(c, "ping", 4);
    struct span bytes = buffer_span(&c->to_server);
    if (tls_session_feed(c->server, bytes) != ROUTED_OK)
        return ROUTED_ERROR_MEMORY;
    ssize_t count = tls_session_open(c->server, got, sizeof(got));
    if (count < 0)
        return (int)count;
    assert_int_equal(count, 4);
    struct span answer = span_of(large, sizeof(large));
    count = tls_session_seal(c->server, &answer, 1);
    if (count < 0)
        return (int)count;
    assert_int_equal(count, sizeof(large));
    tls_session_close(c->server);
    return ROUTED_OK;
}

static void test_sessions(void **state)
{
    (void)state;
    struct tls_context *context = client_context(&options);
    bool fired = true;
    uint64_t n = 1;
    for (; fired; n++) {
        struct client c;
        client_open(
            &c, context,
            &(struct client_wish){.name = "a.example", .alpn = {"h2"}, .certificate = &person});
        reserve_pipes(&c);
        memory_fault_set(n);
        int result = live(&c);
        fired = memory_fault_fired();
        memory_fault_set(0);
        assert_int_equal(result, fired ? ROUTED_ERROR_MEMORY : ROUTED_OK);
        client_close(&c);
    }
    assert_true(n > 5);

    memory_fault_set(1);
    assert_null(tls_session_new(context));
    memory_fault_set(0);
    tls_context_release(context);
}

static void test_development(void **state)
{
    (void)state;
    size_t before = memory_held();
    bool fired = true, made;
    uint64_t n = 1;
    for (; fired; n++) {
        struct failure why;
        pki_remove_folder(pki_path("dev"));
        memory_fault_set(n);
        int result = tls_development_make(pki_path("dev"), &made, &why);
        fired = memory_fault_fired();
        memory_fault_set(0);
        if (!fired)
            assert_int_equal(result, ROUTED_OK);
        else if (result != ROUTED_OK) /* what cannot be read is made anew */
            assert_true(result == ROUTED_ERROR_MEMORY || result == ROUTED_ERROR_FILE);
        assert_int_equal(memory_held(), before);
    }
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starting),
        cmocka_unit_test(test_reloading),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_development),
    };
    return cmocka_run_group_tests(tests, open_files, close_files);
}
