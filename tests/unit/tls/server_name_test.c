/* The certificate that a name chooses, the authorities it may answer for, and resumption. */
#include "tls/client.h"

enum {
    DEFAULT,
    EXACT,
    WILDCARD,
    RSA_ONLY,
    PAIR_ECDSA,
    PAIR_RSA,
    COUNT
};

static struct tls_certificate_files files[COUNT];
static struct tls_context *context;
static gnutls_datum_t served[COUNT]; /* DER */

static void make(int at, const char *name, gnutls_pk_algorithm_t algorithm, const char *a,
                 const char *b)
{
    static char paths[COUNT][2][128];
    struct pki_pair pair;
    pki_make(&pair,
             &(struct pki_wish){.common_name = name, .names = {a, b}, .algorithm = algorithm});
    pki_save(&pair, name);
    pki_ok(gnutls_x509_crt_export2(pair.certificate, GNUTLS_X509_FMT_DER, &served[at]));
    pki_release(&pair);
    snprintf(paths[at][0], sizeof(paths[at][0]), "%s/%s.pem", pki_folder, name);
    snprintf(paths[at][1], sizeof(paths[at][1]), "%s/%s-key.pem", pki_folder, name);
    files[at] = (struct tls_certificate_files){.certificate = paths[at][0], .key = paths[at][1]};
}

static int open_context(void **state)
{
    if (pki_open_folder(state))
        return -1;
    make(DEFAULT, "default", GNUTLS_PK_ECDSA, "default.example", "ip:127.0.0.1");
    make(EXACT, "exact", GNUTLS_PK_ECDSA, "exact.w.example", "other.example");
    make(WILDCARD, "wildcard", GNUTLS_PK_ECDSA, "*.w.example", NULL);
    make(RSA_ONLY, "rsa", GNUTLS_PK_RSA, "rsa.example", NULL);
    make(PAIR_ECDSA, "pair-ecdsa", GNUTLS_PK_ECDSA, "pair.example", NULL);
    make(PAIR_RSA, "pair-rsa", GNUTLS_PK_RSA, "pair.example", NULL);
    context = client_context(
        &(struct tls_context_options){.certificates = files, .certificate_count = COUNT});
    return 0;
}

static int close_context(void **state)
{
    tls_context_release(context);
    for (size_t i = 0; i < COUNT; i++)
        gnutls_free(served[i].data);
    return pki_close_folder(state);
}

static void check_served(struct client *c, int expected)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(c->tls, &count);
    assert_non_null(chain);
    for (int i = 0; i < COUNT; i++)
        if (span_equals(span_of(chain[0].data, chain[0].size),
                        span_of(served[i].data, served[i].size)))
            assert_int_equal(i, expected);
}

#define RSA_CLIENT                                                                                 \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:"              \
    "+SIGN-RSA-SHA256"

static void test_choice(void **state)
{
    static const struct {
        const char *name;
        const char *priorities;
        int served;
        const char *told;
    } cases[] = {
        {NULL, NULL, DEFAULT, ""},
        {"unknown.example", NULL, DEFAULT, "unknown.example"},
        {"default.example", NULL, DEFAULT, "default.example"},
        {"exact.w.example", NULL, EXACT, "exact.w.example"},
        {"EXACT.W.Example", NULL, EXACT, "exact.w.example"},
        {"other.example", NULL, EXACT, "other.example"},
        {"any.w.example", NULL, WILDCARD, "any.w.example"},
        {"w.example", NULL, DEFAULT, "w.example"},
        {"a.b.w.example", NULL, DEFAULT, "a.b.w.example"},
        {"rsa.example", NULL, RSA_ONLY, "rsa.example"},
        {"rsa.example", CLIENT_TLS12, RSA_ONLY, "rsa.example"},
        {"pair.example", RSA_CLIENT, PAIR_RSA, "pair.example"},
        {"pair.example", CLIENT_TLS12 ":-KX-ALL:+ECDHE-RSA", PAIR_RSA, "pair.example"},
        {"pair.example", CLIENT_TLS12 ":-KX-ALL:+ECDHE-ECDSA", PAIR_ECDSA, "pair.example"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client c;
        client_connect(
            &c, context,
            &(struct client_wish){.name = cases[i].name, .priorities = cases[i].priorities});
        check_served(&c, cases[i].served);
        assert_span(tls_session_server_name(c.server), cases[i].told);
        client_close(&c);
    }
}

/* GnuTLS as a client sends no odd names, so the extension is put into its ClientHello here: behind
 * the others, and into the lengths of record, message and extensions. */
static void lengthen(uint8_t *at, size_t by)
{
    size_t size = ((size_t)at[0] << 8 | at[1]) + by;
    at[0] = (uint8_t)(size >> 8);
    at[1] = (uint8_t)size;
}

static int shake_raw(struct client *c, struct span extension)
{
    uint8_t hello[2048];
    client_open(c, context, &(struct client_wish){.priorities = CLIENT_TLS12});
    assert_int_equal(gnutls_handshake(c->tls), GNUTLS_E_AGAIN);
    struct span sent = buffer_span(&c->to_server);
    assert_true(sent.size + extension.size + 4 < sizeof(hello));
    memcpy(hello, sent.data, sent.size);
    size_t session_id = 5 + 4 + 2 + 32;
    size_t suites = session_id + 1 + hello[session_id];
    size_t compressions = suites + 2 + ((size_t)hello[suites] << 8 | hello[suites + 1]);
    size_t extensions = compressions + 1 + hello[compressions];
    uint8_t *end = hello + sent.size;
    memset(end, 0, 4);
    lengthen(end + 2, extension.size);
    memcpy(end + 4, extension.data, extension.size);
    lengthen(hello + 3, extension.size + 4);
    lengthen(hello + 7, extension.size + 4);
    lengthen(hello + extensions, extension.size + 4);
    assert_int_equal(tls_session_feed(c->server, span_of(hello, sent.size + extension.size + 4)),
                     ROUTED_OK);
    int result = tls_session_handshake(c->server);
    tls_session_keep(c->server);
    return result;
}

static struct span name_extension(uint8_t *out, struct span name)
{
    out[0] = (uint8_t)((name.size + 3) >> 8);
    out[1] = (uint8_t)(name.size + 3);
    out[2] = 0;
    out[3] = (uint8_t)(name.size >> 8);
    out[4] = (uint8_t)name.size;
    memcpy(out + 5, name.data, name.size);
    return span_of(out, name.size + 5);
}

static void test_odd_names(void **state)
{
    static uint8_t long_name[255];
    memset(long_name, 'a', sizeof(long_name));
    const struct {
        struct span name;
        const char *told;
    } cases[] = {
        {SPAN("other.example"), "other.example"},
        {SPAN("other.example."), "other.example"},
        {SPAN("127.0.0.1"), ""},
        {SPAN("other.example\0.evil"), ""},
        {span_of(long_name, 255), ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t extension[300];
        struct client c;
        int mine = shake_raw(&c, name_extension(extension, cases[i].name));
        if (mine == ROUTED_ERROR_AGAIN) {
            assert_span(tls_session_server_name(c.server), cases[i].told);
        } else {
            /* Names that none can have may be refused as well. */
            assert_true(i >= 2);
            assert_int_equal(mine, ROUTED_ERROR_TLS);
            assert_true(tls_session_output(c.server).size >= 7);
        }
        client_close(&c);
    }
}

static void test_malformed_names(void **state)
{
    static const struct span cases[] = {
        SPAN(""),
        SPAN("\0"),
        SPAN("\0\0"),
        SPAN("\0\x4\0\0\2a"),        /* the name is longer than the list */
        SPAN("\0\x5\0\0\2a"),        /* the list is longer than the extension */
        SPAN("\0\x4\1\0\1a"),        /* of another type */
        SPAN("\0\x8\0\0\1a\0\0\1b"), /* two names */
        SPAN("\0\x4\0\0\1a\0"),      /* bytes behind */
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client c;
        assert_int_equal(shake_raw(&c, cases[i]), ROUTED_ERROR_TLS);
        assert_true(tls_session_output(c.server).size >= 7);
        client_close(&c);
    }
}

static void test_covered_authorities(void **state)
{
    static const struct {
        const char *name;
        const char *authority;
        bool covers;
    } cases[] = {
        {"default.example", "default.example", true},
        {"default.example", "Default.Example.:443", true},
        {"default.example", "127.0.0.1:8443", true},
        {"default.example", "127.0.0.2", false},
        {"default.example", "other.example", false},
        {"exact.w.example", "other.example:1", true},
        {"exact.w.example", "any.w.example", false},
        {"any.w.example", "more.w.example", true},
        {"any.w.example", "w.example", false},
        {"unknown.example", "unknown.example", true},
        {"unknown.example", "default.example", true},
        {"unknown.example", "rsa.example", false},
        {"default.example", "", false},
        {NULL, "anything.example", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client c;
        client_connect(&c, context, &(struct client_wish){.name = cases[i].name});
        if (tls_session_covers(c.server, span_from(cases[i].authority)) != cases[i].covers)
            fail_msg("%s for %s", cases[i].authority, cases[i].name);
        client_close(&c);
    }
}

/* ---- resumption ---- */

/* A ticket for a name; TLS 1.3 gives it with the first bytes. */
static gnutls_datum_t get_ticket(struct tls_context *of, const char *name, const char *priorities)
{
    struct client c;
    client_connect(&c, of, &(struct client_wish){.name = name, .priorities = priorities});
    assert_false(tls_session_is_resumed(c.server));
    return client_take_ticket(&c);
}

static bool resumes(struct tls_context *with, const gnutls_datum_t *ticket, const char *name,
                    const char *priorities)
{
    struct client c;
    client_connect(&c, with,
                   &(struct client_wish){.name = name, .resume = ticket, .priorities = priorities});
    bool is_resumed = tls_session_is_resumed(c.server);
    assert_int_equal(gnutls_session_is_resumed(c.tls) != 0, is_resumed);
    client_close(&c);
    return is_resumed;
}

static const char *const versions[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.3", CLIENT_TLS12};

static void test_resumption(void **state)
{
    (void)state;
    struct tls_context *stranger = client_context(
        &(struct tls_context_options){.certificates = files, .certificate_count = COUNT});
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        const char *v = versions[i];
        gnutls_datum_t ticket = get_ticket(context, "other.example", v);
        assert_true(resumes(context, &ticket, "other.example", v));
        assert_false(resumes(context, &ticket, "exact.w.example", v));
        assert_false(resumes(context, &ticket, "default.example", v));
        assert_false(resumes(context, &ticket, NULL, v));
        assert_false(resumes(stranger, &ticket, "other.example", v));
        gnutls_free(ticket.data);

        ticket = get_ticket(context, NULL, v);
        assert_true(resumes(context, &ticket, NULL, v));
        assert_false(resumes(context, &ticket, "default.example", v));
        gnutls_free(ticket.data);
    }
    tls_context_release(stranger);
}

static void test_ticket_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        gnutls_datum_t ticket = get_ticket(context, "other.example", versions[i]);
        milliseconds start = 1000;
        tls_context_tick(context, start);
        tls_context_tick(context, start + TLS_TICKET_KEY_LIFETIME - 1);
        assert_true(resumes(context, &ticket, "other.example", versions[i]));
        tls_context_tick(context, start + TLS_TICKET_KEY_LIFETIME);
        assert_false(resumes(context, &ticket, "other.example", versions[i]));
        gnutls_free(ticket.data);

        struct failure why;
        ticket = get_ticket(context, "other.example", versions[i]);
        assert_int_equal(tls_context_reload(context, &why), ROUTED_OK);
        assert_false(resumes(context, &ticket, "other.example", versions[i]));
        gnutls_free(ticket.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),          cmocka_unit_test(test_odd_names),
        cmocka_unit_test(test_malformed_names), cmocka_unit_test(test_covered_authorities),
        cmocka_unit_test(test_resumption),      cmocka_unit_test(test_ticket_keys),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
