#include "tls/development.h"

#include "tls/client.h"
#include <sys/stat.h>

static void make(bool expected)
{
    bool made = false;
    struct failure why = {0};
    if (tls_development_make(pki_path("dev"), &made, &why) != ROUTED_OK)
        fail_msg("%s", why.text);
    assert_int_equal(made, expected);
}

static unsigned mode_of(const char *name)
{
    struct stat s;
    assert_int_equal(stat(pki_path(name), &s), 0);
    return s.st_mode & 0777;
}

/* A client that trusts the authority only. */
static unsigned verify(const char *name, bool is_address)
{
    struct tls_certificate_files files = {.certificate = pki_path("dev/localhost.pem"),
                                          .key = pki_path("dev/localhost-key.pem")};
    struct tls_context *context = client_context(
        &(struct tls_context_options){.certificates = &files, .certificate_count = 1});
    struct client c;
    uint8_t address[4] = {127, 0, 0, 1};
    client_open(&c, context, &(struct client_wish){0});
    assert_int_equal(gnutls_certificate_set_x509_trust_file(
                         c.credentials, pki_path("dev/authority.pem"), GNUTLS_X509_FMT_PEM),
                     1);
    assert_int_equal(client_shake(&c), ROUTED_OK);
    gnutls_typed_vdata_st wanted[] = {
        {.type = is_address ? GNUTLS_DT_IP_ADDRESS : GNUTLS_DT_DNS_HOSTNAME,
         .data = is_address ? address : (unsigned char *)(uintptr_t)name,
         .size = is_address ? 4 : 0},
        {.type = GNUTLS_DT_KEY_PURPOSE_OID,
         .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_SERVER},
    };
    unsigned status = ~0u;
    pki_ok(gnutls_certificate_verify_peers(c.tls, wanted, 2, &status));
    client_close(&c);
    tls_context_release(context);
    return status;
}

static void test_made_once(void **state)
{
    (void)state;
    make(true);
    assert_int_equal(mode_of("dev"), 0700);
    assert_int_equal(mode_of("dev/authority-key.pem"), 0600);
    assert_int_equal(mode_of("dev/localhost-key.pem"), 0600);
    assert_int_equal(mode_of("dev/authority.pem"), 0644);
    assert_int_equal(mode_of("dev/localhost.pem"), 0644);
    make(false);
    assert_int_equal(verify("localhost", false), 0);
    assert_int_equal(verify(NULL, true), 0);
    assert_int_not_equal(verify("example.com", false), 0);
}

static void test_made_anew(void **state)
{
    static const char *const names[] = {"dev/localhost.pem", "dev/localhost-key.pem",
                                        "dev/authority.pem", "dev/authority-key.pem"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        unlink(pki_path(names[i]));
        make(true);
        make(false);
        pki_write_text(names[i], "half");
        make(true);
        make(false);
        assert_int_equal(verify("localhost", false), 0);
    }
    /* One that ends soon. */
    struct pki_pair pair;
    pki_make(&pair, &(struct pki_wish){.common_name = "localhost", .names = {"localhost"}});
    pki_save(&pair, "dev/localhost");
    pki_release(&pair);
    make(true);
    assert_int_equal(verify("localhost", false), 0);
    /* One of another authority. */
    pki_make(&pair, &(struct pki_wish){.common_name = "localhost",
                                       .names = {"localhost"},
                                       .from = -PKI_DAY,
                                       .until = 30 * PKI_DAY});
    pki_save(&pair, "dev/localhost");
    pki_release(&pair);
    make(true);
    make(false);
}

/* Name constraints: the authority cannot vouch for others. */
static void test_authority_is_bounded(void **state)
{
    (void)state;
    make(false);
    struct pki_pair authority, leaf;
    gnutls_datum_t pem;
    pki_ok(gnutls_x509_crt_init(&authority.certificate));
    pki_ok(gnutls_x509_privkey_init(&authority.key));
    pki_ok(gnutls_load_file(pki_path("dev/authority.pem"), &pem));
    pki_ok(gnutls_x509_crt_import(authority.certificate, &pem, GNUTLS_X509_FMT_PEM));
    gnutls_free(pem.data);
    pki_ok(gnutls_load_file(pki_path("dev/authority-key.pem"), &pem));
    pki_ok(gnutls_x509_privkey_import(authority.key, &pem, GNUTLS_X509_FMT_PEM));
    gnutls_free(pem.data);
    pki_make(&leaf, &(struct pki_wish){.common_name = "example.com",
                                       .names = {"example.com"},
                                       .issuer = &authority,
                                       .from = -PKI_DAY,
                                       .until = 30 * PKI_DAY});
    pki_save(&leaf, "dev/localhost");
    assert_int_not_equal(verify("example.com", false), 0);
    pki_release(&leaf);
    pki_release(&authority);
}

static void test_failures(void **state)
{
    (void)state;
    bool made;
    struct failure why = {0};
    char longest[1000];
    memset(longest, 'a', sizeof(longest));
    longest[999] = '\0';
    assert_int_equal(tls_development_make(longest, &made, &why), ROUTED_ERROR_ARGUMENT);
    assert_int_equal(tls_development_make(pki_path("no/such"), &made, &why), ROUTED_ERROR_FILE);
    assert_non_null(strstr(why.text, "no/such: the folder cannot be made"));
    pki_write_text("file", "x");
    assert_int_equal(tls_development_make(pki_path("file"), &made, &why), ROUTED_ERROR_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_once),
        cmocka_unit_test(test_made_anew),
        cmocka_unit_test(test_authority_is_bounded),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, pki_open_folder, pki_close_folder);
}
