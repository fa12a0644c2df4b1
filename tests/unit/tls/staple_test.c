/* OCSP stapling: responses are made here byte by byte (RFC 6960 section 4.2.1), as GnuTLS reads
 * them but makes none. */
#include "tls/client.h"

static struct pki_pair authority, server;
static struct failure why;

/* ---- DER ---- */

struct der {
    uint8_t bytes[1024];
    size_t size;
};

static void der_raw(struct der *d, struct span bytes)
{
    assert_true(d->size + bytes.size <= sizeof(d->bytes));
    if (bytes.size)
        memcpy(d->bytes + d->size, bytes.data, bytes.size);
    d->size += bytes.size;
}

static void der_put(struct der *d, uint8_t tag, struct span content)
{
    assert_true(content.size < 0x10000);
    uint8_t head[4] = {tag, 0x82, (uint8_t)(content.size >> 8), (uint8_t)content.size};
    if (content.size < 128) {
        head[1] = (uint8_t)content.size;
        der_raw(d, span_of(head, 2));
    } else {
        der_raw(d, span_of(head, 4));
    }
    der_raw(d, content);
}

/* Wraps all that was written so far. */
static void der_wrap(struct der *d, uint8_t tag)
{
    struct der inner = *d;
    d->size = 0;
    der_put(d, tag, span_of(inner.bytes, inner.size));
}

static void der_time(struct der *d, time_t at)
{
    char text[32];
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
    der_put(d, 0x18, span_from(text));
}

static void der_digest(struct der *d, const void *data, size_t size)
{
    uint8_t digest[20];
    pki_ok(gnutls_hash_fast(GNUTLS_DIG_SHA1, data, size, digest));
    der_put(d, 0x04, span_of(digest, sizeof(digest)));
}

#define SHA1_ALGORITHM  "\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00"
#define ECDSA_ALGORITHM "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define BASIC_RESPONSE  "\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01"

static void put_certificate_id(struct der *d, gnutls_x509_crt_t certificate)
{
    struct der id = {.size = 0};
    gnutls_datum_t issuer;
    uint8_t key[20], serial[32];
    size_t key_size = sizeof(key), serial_size = sizeof(serial);
    der_raw(&id, SPAN(SHA1_ALGORITHM));
    pki_ok(gnutls_x509_crt_get_raw_issuer_dn(certificate, &issuer));
    der_digest(&id, issuer.data, issuer.size);
    gnutls_free(issuer.data);
    pki_ok(gnutls_x509_crt_get_key_id(authority.certificate, 0, key, &key_size));
    der_put(&id, 0x04, span_of(key, key_size));
    pki_ok(gnutls_x509_crt_get_serial(certificate, serial, &serial_size));
    der_put(&id, 0x02, span_of(serial, serial_size));
    der_put(d, 0x30, span_of(id.bytes, id.size));
}

/* "good" about the certificate, with a signature of zeros: a server passes it on unread. */
static void make_response(struct der *d, gnutls_x509_crt_t certificate, time_t until)
{
    struct der next = {.size = 0};
    time_t now = time(NULL);
    d->size = 0;
    put_certificate_id(d, certificate);
    der_put(d, 0x80, SPAN_EMPTY);
    der_time(d, now - 7200);
    der_time(&next, now + until);
    der_put(d, 0xa0, span_of(next.bytes, next.size));
    der_wrap(d, 0x30);
    der_wrap(d, 0x30);
    struct der data = *d;
    d->size = 0;
    der_digest(d, "responder", 9);
    der_wrap(d, 0xa2);
    der_time(d, now - 7200);
    der_raw(d, span_of(data.bytes, data.size));
    der_wrap(d, 0x30);
    der_raw(d, SPAN(ECDSA_ALGORITHM));
    der_put(d, 0x03, SPAN("\0\x30\x06\x02\x01\x01\x02\x01\x01"));
    der_wrap(d, 0x30);
    der_wrap(d, 0x04);
    struct der basic = *d;
    d->size = 0;
    der_raw(d, SPAN(BASIC_RESPONSE));
    der_raw(d, span_of(basic.bytes, basic.size));
    der_wrap(d, 0x30);
    der_wrap(d, 0xa0);
    struct der response = *d;
    d->size = 0;
    der_put(d, 0x0a, SPAN("\0"));
    der_raw(d, span_of(response.bytes, response.size));
    der_wrap(d, 0x30);
}

/* ---- tests ---- */

static int open_files(void **state)
{
    if (pki_open_folder(state))
        return -1;
    pki_make(&authority, &(struct pki_wish){.common_name = "authority", .is_authority = true});
    pki_make(&server, &(struct pki_wish){
                          .common_name = "server", .names = {"a.example"}, .issuer = &authority});
    pki_save(&server, "server");
    return 0;
}

static int close_files(void **state)
{
    pki_release(&authority);
    pki_release(&server);
    return pki_close_folder(state);
}

static unsigned warnings;

static void on_line(void *user, int level, const char *line)
{
    (void)user;
    assert_int_equal(level, LOG_WARNING);
    assert_non_null(strstr(line, "the OCSP response is out of date"));
    warnings++;
}

static int start(struct tls_context **context, const char *staple)
{
    static struct log log = {.function = on_line};
    struct tls_certificate_files files = {.certificate = pki_path("server.pem"),
                                          .key = pki_path("server-key.pem"),
                                          .ocsp = pki_path(staple)};
    warnings = 0;
    return tls_context_new(
        context, &(struct tls_context_options){.certificates = &files, .certificate_count = 1},
        &log, &why);
}

static void check_staple(const char *file, const struct der *expected)
{
    static const char *const versions[] = {CLIENT_MODERN, CLIENT_TLS12};
    struct tls_context *context;
    if (start(&context, file) != ROUTED_OK)
        fail_msg("%s", why.text);
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct client c;
        gnutls_datum_t got = {NULL, 0};
        client_connect(&c, context, &(struct client_wish){.priorities = versions[i]});
        int result = gnutls_ocsp_status_request_get(c.tls, &got);
        assert_int_equal(result >= 0, expected != NULL);
        if (expected) {
            assert_int_equal(got.size, expected->size);
            assert_memory_equal(got.data, expected->bytes, got.size);
        }
        client_close(&c);
    }
    tls_context_release(context);
}

static void test_stapled(void **state)
{
    struct der d;
    gnutls_datum_t pem;
    (void)state;
    make_response(&d, server.certificate, 3600);
    pki_write("good.der", d.bytes, d.size);
    check_staple("good.der", &d);
    gnutls_datum_t der = {d.bytes, (unsigned)d.size};
    pki_ok(gnutls_pem_base64_encode2("OCSP RESPONSE", &der, &pem));
    pki_write_datum("good.pem", pem);
    check_staple("good.pem", &d);
}

static void test_out_of_date(void **state)
{
    struct der d;
    (void)state;
    make_response(&d, server.certificate, -3600);
    pki_write("old.der", d.bytes, d.size);
    check_staple("old.der", NULL);
    assert_int_equal(warnings, 1);
}

static void test_faults(void **state)
{
    struct der d;
    struct tls_context *context;
    (void)state;
    make_response(&d, authority.certificate, 3600);
    pki_write("other.der", d.bytes, d.size);
    assert_int_equal(start(&context, "other.der"), ROUTED_ERROR_FILE);
    assert_non_null(strstr(why.text, "other.der: the OCSP response is about another certificate"));
    pki_write("half.der", d.bytes, d.size / 2);
    assert_int_equal(start(&context, "half.der"), ROUTED_ERROR_FILE);
    assert_non_null(strstr(why.text, "half.der: no usable OCSP response: "));
    assert_int_equal(start(&context, "none.der"), ROUTED_ERROR_FILE);
    assert_non_null(strstr(why.text, "none.der: no such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stapled),
        cmocka_unit_test(test_out_of_date),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, open_files, close_files);
}
