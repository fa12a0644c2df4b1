/* Starting: key formats, every fault with its text; reloading. */
#include "tls/client.h"

#include <sys/stat.h>
#include <sys/time.h>

static struct failure why;
static struct pki_pair pair;

static int open_files(void **state)
{
    if (pki_open_folder(state))
        return -1;
    pki_make(&pair, &(struct pki_wish){.common_name = "server", .names = {"a.example"}});
    pki_save(&pair, "server");
    pki_server("other", GNUTLS_PK_ECDSA, "b.example", NULL);
    return 0;
}

static int close_files(void **state)
{
    pki_release(&pair);
    return pki_close_folder(state);
}

static int start(const struct tls_context_options *options)
{
    struct tls_context *context;
    memset(&why, 0, sizeof(why));
    int result = tls_context_new(&context, options, NULL, &why);
    assert_int_equal(context != NULL, result == ROUTED_OK);
    if (context) {
        struct client c;
        client_connect(&c, context, &(struct client_wish){.name = "a.example"});
        client_close(&c);
    } else {
        assert_int_equal(why.code, result);
    }
    tls_context_release(context);
    return result;
}

static int start_files(const char *certificate, const char *key, const char *password)
{
    struct tls_certificate_files files = {.certificate = pki_path(certificate),
                                          .key = key ? pki_path(key) : NULL,
                                          .password = password};
    return start(&(struct tls_context_options){.certificates = &files, .certificate_count = 1});
}

static void expect(int result, int code, const char *text)
{
    if (result != code || !strstr(why.text, text))
        fail_msg("%d: \"%s\", not %d: \"%s\"", result, why.text, code, text);
}

/* ---- keys ---- */

static void save_key(gnutls_x509_privkey_t key, const char *file, const char *password,
                     unsigned flags)
{
    gnutls_datum_t pem;
    pki_ok(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, password, flags, &pem));
    pki_write_datum(file, pem);
}

static void test_key_formats(void **state)
{
    static const gnutls_pk_algorithm_t algorithms[] = {GNUTLS_PK_ECDSA, GNUTLS_PK_RSA,
                                                       GNUTLS_PK_EDDSA_ED25519};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        struct pki_pair p;
        gnutls_datum_t pem;
        pki_make(&p, &(struct pki_wish){
                         .common_name = "k", .names = {"a.example"}, .algorithm = algorithms[i]});
        pki_save(&p, "k");
        assert_int_equal(start_files("k.pem", "k-key.pem", NULL), ROUTED_OK);
        assert_int_equal(start_files("k.pem", "k-key.pem", "not needed"), ROUTED_OK);
        if (algorithms[i] != GNUTLS_PK_EDDSA_ED25519) {
            /* PKCS#1 and SEC1. */
            pki_ok(gnutls_x509_privkey_export2(p.key, GNUTLS_X509_FMT_PEM, &pem));
            assert_non_null(strstr((char *)pem.data, algorithms[i] == GNUTLS_PK_RSA
                                                         ? "BEGIN RSA PRIVATE KEY"
                                                         : "BEGIN EC PRIVATE KEY"));
            pki_write_datum("old-key.pem", pem);
            assert_int_equal(start_files("k.pem", "old-key.pem", NULL), ROUTED_OK);
        }
        static const unsigned schemes[] = {GNUTLS_PKCS_PBES2_AES_256, GNUTLS_PKCS_PBES2_AES_128,
                                           GNUTLS_PKCS_PBES2_3DES};
        for (size_t j = 0; j < COUNT_OF(schemes); j++) {
            save_key(p.key, "sealed-key.pem", "sesame", schemes[j]);
            assert_int_equal(start_files("k.pem", "sealed-key.pem", "sesame"), ROUTED_OK);
            expect(start_files("k.pem", "sealed-key.pem", "mustard"), ROUTED_ERROR_FILE,
                   "sealed-key.pem: the password does not open the key");
            expect(start_files("k.pem", "sealed-key.pem", NULL), ROUTED_ERROR_FILE,
                   "sealed-key.pem: the key is encrypted: it needs a password");
        }
        pki_release(&p);
    }
}

/* The encryption of PEM itself (RFC 1421), as OpenSSL wrote it before PKCS#8: a P-256 key under
 * AES-128-CBC with the password "sesame". */
static const char legacy_key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "Proc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-128-CBC,824419BED6C7D652EE624B3C8B7C0E60\n"
    "\n"
    "aASDduEqB9KI0yA8GezWuqBeUfhGXqlWmZ/GJBIdcC19ylmo3qLxk+jUX1OB7yQ3\n"
    "g5U3eU+/q50qb9xRWi9rjEJSkKV6Au7+B/EmhiFB5VEf+NTUMOuZVwjRGARZ0HWw\n"
    "rbeUKbt+WwDetWXoRQ+p4M4zcKPVIC7wfX+zXcq6aOE=\n"
    "-----END EC PRIVATE KEY-----\n";

static void test_legacy_encryption(void **state)
{
    (void)state;
    struct pki_pair p;
    gnutls_x509_privkey_t key;
    gnutls_datum_t pem = {(unsigned char *)(uintptr_t)legacy_key, sizeof(legacy_key) - 1};
    pki_ok(gnutls_x509_privkey_init(&key));
    pki_ok(gnutls_x509_privkey_import2(key, &pem, GNUTLS_X509_FMT_PEM, "sesame", 0));
    pki_make(&p, &(struct pki_wish){.common_name = "k", .names = {"a.example"}, .key = key});
    pki_save(&p, "legacy");
    pki_release(&p);
    pki_write_text("legacy-key.pem", legacy_key);
    assert_int_equal(start_files("legacy.pem", "legacy-key.pem", "sesame"), ROUTED_OK);
    expect(start_files("legacy.pem", "legacy-key.pem", "mustard"), ROUTED_ERROR_FILE,
           "legacy-key.pem: ");
    expect(start_files("legacy.pem", "legacy-key.pem", NULL), ROUTED_ERROR_FILE,
           "legacy-key.pem: the key is encrypted: it needs a password");
}

static void test_one_file_for_both(void **state)
{
    (void)state;
    gnutls_datum_t key;
    gnutls_datum_t certificate = pki_certificate_pem(&pair);
    char both[8192];
    pki_ok(gnutls_x509_privkey_export2(pair.key, GNUTLS_X509_FMT_PEM, &key));
    snprintf(both, sizeof(both), "# a comment\n%.*s%.*s", (int)key.size, (char *)key.data,
             (int)certificate.size, (char *)certificate.data);
    pki_write_text("both.pem", both);
    assert_int_equal(start_files("both.pem", NULL, NULL), ROUTED_OK);
    gnutls_free(key.data);
    gnutls_free(certificate.data);
}

static void test_chains(void **state)
{
    (void)state;
    struct pki_pair root, middle, leaf;
    pki_make(&root, &(struct pki_wish){.common_name = "root", .is_authority = true});
    pki_make(&middle,
             &(struct pki_wish){.common_name = "middle", .is_authority = true, .issuer = &root});
    pki_make(&leaf,
             &(struct pki_wish){.common_name = "leaf", .names = {"a.example"}, .issuer = &middle});
    pki_save(&leaf, "leaf");
    gnutls_datum_t a = pki_certificate_pem(&leaf), b = pki_certificate_pem(&middle),
                   c = pki_certificate_pem(&root);
    char text[8192];
    snprintf(text, sizeof(text), "%s%s", a.data, b.data);
    pki_write_text("chain.pem", text);
    assert_int_equal(start_files("chain.pem", "leaf-key.pem", NULL), ROUTED_OK);
    snprintf(text, sizeof(text), "%s%s%s", a.data, c.data, b.data);
    pki_write_text("chain.pem", text);
    assert_int_equal(start_files("chain.pem", "leaf-key.pem", NULL), ROUTED_OK);
    /* The issuer first, or in place of the certificate: the key tells. */
    pki_write_text("chain.pem", (char *)b.data);
    expect(start_files("chain.pem", "leaf-key.pem", NULL), ROUTED_ERROR_FILE,
           "leaf-key.pem: the key does not belong to ");
    /* A certificate that has nothing to do with the first one. */
    gnutls_datum_t stranger = pki_certificate_pem(&pair);
    snprintf(text, sizeof(text), "%s%s", a.data, stranger.data);
    pki_write_text("chain.pem", text);
    assert_int_equal(start_files("chain.pem", "leaf-key.pem", NULL), ROUTED_OK);
    gnutls_free(stranger.data);
    gnutls_free(a.data);
    gnutls_free(b.data);
    gnutls_free(c.data);
    pki_release(&root);
    pki_release(&middle);
    pki_release(&leaf);
}

/* ---- faults ---- */

static void test_faults_of_files(void **state)
{
    (void)state;
    pki_write_text("empty.pem", "");
    pki_write_text("words.pem", "these are words\n");
    pki_write_text("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    pki_write_text("bad.pem", "-----BEGIN CERTIFICATE-----\nMIIB????\n-----END CERTIFICATE-----\n");
    pki_write_text("cut-key.pem", "-----BEGIN PRIVATE KEY-----\nMIGH\n");
    pki_write_text("bad-key.pem", "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n");
    assert_int_equal(mkdir(pki_path("folder"), 0700), 0);
    static const struct {
        const char *certificate, *key, *text;
    } cases[] = {
        {"none.pem", "server-key.pem", "none.pem: no such file"},
        {"server.pem/none.pem", "server-key.pem", "none.pem: a part of the path is no folder"},
        {"folder", "server-key.pem", "folder: is a folder"},
        {"empty.pem", "server-key.pem", "empty.pem: is empty"},
        {"words.pem", "server-key.pem", "words.pem: no PEM certificate in it"},
        {"server-key.pem", "server-key.pem", "server-key.pem: no PEM certificate in it"},
        {"cut.pem", "server-key.pem", "cut.pem: malformed PEM certificate: "},
        {"bad.pem", "server-key.pem", "bad.pem: malformed PEM certificate: "},
        {"server.pem", "none.pem", "none.pem: no such file"},
        {"server.pem", "empty.pem", "empty.pem: is empty"},
        {"server.pem", "words.pem", "words.pem: no PEM private key in it"},
        {"server.pem", "server.pem", "server.pem: no PEM private key in it"},
        {"server.pem", NULL, "server.pem: no PEM private key in it"},
        {"server.pem", "cut-key.pem", "cut-key.pem: malformed PEM private key: "},
        {"server.pem", "bad-key.pem", "bad-key.pem: malformed PEM private key: "},
        {"server.pem", "other-key.pem", "other-key.pem: the key does not belong to "},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(start_files(cases[i].certificate, cases[i].key, NULL), ROUTED_ERROR_FILE,
               cases[i].text);
    if (geteuid() != 0) {
        assert_int_equal(chmod(pki_path("words.pem"), 0), 0);
        expect(start_files("server.pem", "words.pem", NULL), ROUTED_ERROR_PERMISSION,
               "words.pem: permission denied");
    }
    assert_int_equal(truncate(pki_path("words.pem"), (off_t)TLS_FILE_MAX + 1), 0);
    expect(start_files("server.pem", "words.pem", NULL), ROUTED_ERROR_FILE,
           "words.pem: is too large");
    assert_int_equal(mkfifo(pki_path("fifo"), 0600), 0);
    expect(start_files("fifo", NULL, NULL), ROUTED_ERROR_FILE, "fifo: is no regular file");
}

static void test_faults_of_options(void **state)
{
    (void)state;
    struct tls_certificate_files files = {.certificate = pki_path("server.pem"),
                                          .key = pki_path("server-key.pem")};
    struct tls_certificate_files nameless = {.key = pki_path("server-key.pem")};
    const char *empty[] = {""};
    const char *many[TLS_ALPN_MAX + 1] = {"a", "a", "a", "a", "a", "a", "a", "a", "a"};
    char long_name[300] = {0};
    memset(long_name, 'a', 256);
    const char *longer[] = {long_name};
    const struct {
        struct tls_context_options options;
        const char *text;
    } cases[] = {
        {{0}, "TLS needs a certificate"},
        {{.certificates = &files, .certificate_count = TLS_CERTIFICATES_MAX + 1},
         "more than 1024 certificates"},
        {{.certificates = &nameless, .certificate_count = 1}, "a certificate without a file"},
        {{.certificates = &files, .certificate_count = 1, .alpn = empty, .alpn_count = 1},
         "an ALPN protocol has 1 to 255 bytes"},
        {{.certificates = &files, .certificate_count = 1, .alpn = longer, .alpn_count = 1},
         "an ALPN protocol has 1 to 255 bytes"},
        {{.certificates = &files,
          .certificate_count = 1,
          .alpn = many,
          .alpn_count = TLS_ALPN_MAX + 1},
         "more than 8 ALPN protocols"},
        {{.certificates = &files, .certificate_count = 1, .client_certificate = 7},
         "client certificates: no such mode"},
        {{.certificates = &files,
          .certificate_count = 1,
          .client_certificate = TLS_CLIENT_CERTIFICATE_REQUEST},
         "client certificates need a file or folder of authorities"},
        {{.certificates = &files, .certificate_count = 1, .priorities = "NORMAL:+NO-SUCH-THING"},
         "TLS priorities are malformed at \"+NO-SUCH-THING\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(start(&cases[i].options), ROUTED_ERROR_ARGUMENT, cases[i].text);
}

static void test_faults_of_client_rules(void **state)
{
    (void)state;
    struct tls_certificate_files files = {.certificate = pki_path("server.pem"),
                                          .key = pki_path("server-key.pem")};
    pki_write_text("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    pki_write_text("none.crl", "nothing\n");
    assert_int_equal(mkdir(pki_path("hollow"), 0700), 0);
    pki_write_text("hollow/README", "no certificates\n");
    assert_int_equal(mkdir(pki_path("mixed"), 0700), 0);
    pki_write_text("mixed/cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    static const struct {
        const char *authorities, *revocations, *text;
    } cases[] = {
        {"none.pem", NULL, "none.pem: no such file"},
        {"server-key.pem", NULL, "server-key.pem: no PEM certificate in it"},
        {"cut.pem", NULL, "cut.pem: malformed PEM certificate: "},
        {"hollow", NULL, "hollow: no PEM certificate in the folder"},
        {"mixed", NULL, "mixed/cut.pem: malformed PEM certificate: "},
        {"server.pem", "none.pem", "none.pem: no such file"},
        {"server.pem", "none.crl", "none.crl: no usable revocation list: "},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(start(&(struct tls_context_options){
                   .certificates = &files,
                   .certificate_count = 1,
                   .client_certificate = TLS_CLIENT_CERTIFICATE_REQUEST,
                   .client_authorities = pki_path(cases[i].authorities),
                   .client_revocations =
                       cases[i].revocations ? pki_path(cases[i].revocations) : NULL}),
               ROUTED_ERROR_FILE, cases[i].text);
}

/* ---- warnings ---- */

static char logged[4][256];
static size_t logged_count;

static void on_line(void *user, int level, const char *line)
{
    (void)user;
    assert_int_equal(level, LOG_WARNING);
    assert_true(logged_count < COUNT_OF(logged));
    snprintf(logged[logged_count++], sizeof(logged[0]), "%s", line);
}

/* `text`: NULL, none. */
static void expect_warning(const struct tls_certificate_files *files, const char *text)
{
    struct log log = {.function = on_line};
    struct tls_context *context;
    logged_count = 0;
    assert_int_equal(tls_context_new(&context,
                                     &(struct tls_context_options){.certificates = files,
                                                                   .certificate_count = 1},
                                     &log, &why),
                     ROUTED_OK);
    tls_context_release(context);
    assert_int_equal(logged_count, text ? 1 : 0);
    if (text)
        assert_non_null(strstr(logged[0], text));
}

static void test_warnings(void **state)
{
    static const struct {
        struct pki_wish wish;
        const char *text;
    } cases[] = {
        {{.common_name = "w", .names = {"a.example"}, .from = -2 * PKI_DAY, .until = -PKI_DAY},
         "w.pem: the certificate has expired"},
        {{.common_name = "w", .names = {"a.example"}, .from = PKI_DAY, .until = 2 * PKI_DAY},
         "w.pem: the certificate is not valid yet"},
        {{.common_name = "no host"}, "w.pem: the certificate names no host"},
        {{.common_name = "old.example"}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pki_pair p;
        pki_make(&p, &cases[i].wish);
        pki_save(&p, "w");
        pki_release(&p);
        struct tls_certificate_files files = {.certificate = pki_path("w.pem"),
                                              .key = pki_path("w-key.pem")};
        expect_warning(&files, cases[i].text);
    }
}

static void test_keys_that_everybody_may_read(void **state)
{
    static const struct {
        mode_t mode;
        bool has_password;
        bool is_told;
    } cases[] = {{0600, false, false},
                 {0640, false, false},
                 {0604, false, true},
                 {0644, false, true},
                 {0644, true, false}};
    struct pki_pair p;
    (void)state;
    pki_make(&p, &(struct pki_wish){.common_name = "w", .names = {"a.example"}});
    pki_save(&p, "w");
    pki_release(&p);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tls_certificate_files files = {.certificate = pki_path("w.pem"),
                                              .key = pki_path("w-key.pem"),
                                              .password = cases[i].has_password ? "x" : NULL};
        assert_int_equal(chmod(files.key, cases[i].mode), 0);
        expect_warning(&files, cases[i].is_told ? "w-key.pem: every user may read the key" : NULL);
    }
}

/* ---- reloading ---- */

static bool serves(struct tls_context *context, const char *name)
{
    struct client c;
    client_connect(&c, context, &(struct client_wish){.name = "any.example"});
    bool covers = tls_session_covers(c.server, span_from(name));
    client_close(&c);
    return covers;
}

static void copy_pair(const char *from, const char *to)
{
    static const char *const endings[] = {".pem", "-key.pem"};
    for (size_t i = 0; i < 2; i++) {
        char name[64];
        gnutls_datum_t content;
        snprintf(name, sizeof(name), "%s%s", from, endings[i]);
        pki_ok(gnutls_load_file(pki_path(name), &content));
        snprintf(name, sizeof(name), "%s%s", to, endings[i]);
        pki_write_datum(name, content);
    }
}

static void test_reload(void **state)
{
    (void)state;
    struct client handshaking, open;
    copy_pair("server", "live");
    struct tls_certificate_files files = {.certificate = pki_path("live.pem"),
                                          .key = pki_path("live-key.pem")};
    struct tls_context *context = client_context(
        &(struct tls_context_options){.certificates = &files, .certificate_count = 1});
    assert_false(tls_context_files_changed(context));
    assert_true(serves(context, "a.example"));
    client_open(&handshaking, context, &(struct client_wish){.name = "any.example", .piece = 50});
    client_connect(&open, context, &(struct client_wish){.name = "any.example"});

    copy_pair("other", "live");
    assert_true(tls_context_files_changed(context));
    assert_true(serves(context, "a.example"));
    assert_int_equal(tls_context_reload(context, &why), ROUTED_OK);
    assert_false(tls_context_files_changed(context));
    assert_true(serves(context, "b.example"));
    assert_false(serves(context, "a.example"));

    /* Whoever began before goes on as before. */
    assert_int_equal(client_shake(&handshaking), ROUTED_OK);
    assert_true(tls_session_covers(handshaking.server, SPAN("a.example")));
    char got[8];
    client_write(&open, "ping", 4);
    assert_int_equal(client_open_all(&open, got, sizeof(got)), 4);
    assert_true(tls_session_covers(open.server, SPAN("a.example")));
    client_close(&handshaking);

    /* Bad files change nothing, and are told once. */
    pki_write_text("live.pem", "-----BEGIN CERTIFICATE-----\nMII");
    assert_true(tls_context_files_changed(context));
    expect(tls_context_reload(context, &why), ROUTED_ERROR_FILE,
           "live.pem: malformed PEM certificate: ");
    assert_false(tls_context_files_changed(context));
    assert_true(serves(context, "b.example"));
    unlink(pki_path("live.pem"));
    assert_true(tls_context_files_changed(context));
    expect(tls_context_reload(context, &why), ROUTED_ERROR_FILE, "live.pem: no such file");
    assert_true(serves(context, "b.example"));
    copy_pair("server", "live");
    copy_pair("other", "spare");
    assert_int_equal(rename(pki_path("spare-key.pem"), pki_path("live-key.pem")), 0);
    expect(tls_context_reload(context, &why), ROUTED_ERROR_FILE,
           "live-key.pem: the key does not belong to ");
    assert_true(serves(context, "b.example"));
    copy_pair("server", "live");
    assert_true(tls_context_files_changed(context));
    assert_int_equal(tls_context_reload(context, &why), ROUTED_OK);
    assert_true(serves(context, "a.example"));

    /* Sessions keep the context alive. */
    tls_context_release(context);
    client_write(&open, "ping", 4);
    assert_int_equal(client_open_all(&open, got, sizeof(got)), 4);
    client_close(&open);
}

static void test_watched_folder(void **state)
{
    (void)state;
    assert_int_equal(mkdir(pki_path("authorities"), 0700), 0);
    gnutls_datum_t pem = pki_certificate_pem(&pair);
    pki_write("authorities/a.pem", pem.data, pem.size);
    struct tls_certificate_files files = {.certificate = pki_path("server.pem"),
                                          .key = pki_path("server-key.pem")};
    struct tls_context *context = client_context(
        &(struct tls_context_options){.certificates = &files,
                                      .certificate_count = 1,
                                      .client_certificate = TLS_CLIENT_CERTIFICATE_REQUEST,
                                      .client_authorities = pki_path("authorities")});
    assert_false(tls_context_files_changed(context));
    pki_write_text("authorities/a.pem", "gone");
    assert_true(tls_context_files_changed(context));
    expect(tls_context_reload(context, &why), ROUTED_ERROR_FILE,
           "authorities: no PEM certificate in the folder");
    pki_write("authorities/b.pem", pem.data, pem.size);
    assert_true(tls_context_files_changed(context));
    assert_int_equal(tls_context_reload(context, &why), ROUTED_OK);
    assert_false(tls_context_files_changed(context));
    unlink(pki_path("authorities/b.pem"));
    assert_true(tls_context_files_changed(context));
    tls_context_release(context);
    gnutls_free(pem.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_formats),
        cmocka_unit_test(test_legacy_encryption),
        cmocka_unit_test(test_one_file_for_both),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_faults_of_files),
        cmocka_unit_test(test_faults_of_options),
        cmocka_unit_test(test_faults_of_client_rules),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_keys_that_everybody_may_read),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_watched_folder),
    };
    return cmocka_run_group_tests(tests, open_files, close_files);
}
