/* Certificates for tests, made with GnuTLS in a folder that goes away again. */
#ifndef UNIT_TLS_PKI_H
#define UNIT_TLS_PKI_H

#include "support/unit.h"

#include <ftw.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/ocsp.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PKI_DAY      ((time_t)86400)

#define pki_ok(call) assert_true((call) >= 0)

struct pki_pair {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
};

struct pki_wish {
    const char *common_name;
    const char *names[6]; /* DNS names; "ip:" before an IPv4 address */
    gnutls_pk_algorithm_t algorithm;
    gnutls_x509_privkey_t key;     /* taken; NULL: a new one */
    const struct pki_pair *issuer; /* NULL: self-signed */
    bool is_authority;
    const char *purpose; /* NULL: of a server */
    time_t from;         /* seconds from now; both 0: yesterday until tomorrow */
    time_t until;
};

static char pki_folder[64];

static inline const char *pki_path(const char *name)
{
    static char paths[256][128];
    static unsigned next;
    char *path = paths[next++ % 256];
    snprintf(path, sizeof(paths[0]), "%s/%s", pki_folder, name);
    return path;
}

static inline int pki_open_folder(void **state)
{
    (void)state;
    strcpy(pki_folder, "/tmp/routed-tls-XXXXXX");
    return mkdtemp(pki_folder) ? 0 : -1;
}

static inline int pki_remove(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void pki_remove_folder(const char *folder)
{
    nftw(folder, pki_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int pki_close_folder(void **state)
{
    (void)state;
    pki_remove_folder(pki_folder);
    return 0;
}

static inline void pki_write(const char *name, const void *data, size_t size)
{
    FILE *f = fopen(pki_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0); /* it may be a key */
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static inline void pki_write_text(const char *name, const char *text)
{
    pki_write(name, text, strlen(text));
}

static inline void pki_write_datum(const char *name, gnutls_datum_t d)
{
    pki_write(name, d.data, d.size);
    gnutls_free(d.data);
}

static inline void pki_name(gnutls_x509_crt_t certificate, const char *name)
{
    if (strncmp(name, "ip:", 3) != 0) {
        pki_ok(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, name,
                                                    (unsigned)strlen(name), GNUTLS_FSAN_APPEND));
        return;
    }
    unsigned parts[4];
    assert_int_equal(sscanf(name + 3, "%u.%u.%u.%u", &parts[0], &parts[1], &parts[2], &parts[3]),
                     4);
    uint8_t bytes[4] = {(uint8_t)parts[0], (uint8_t)parts[1], (uint8_t)parts[2], (uint8_t)parts[3]};
    pki_ok(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, bytes, 4,
                                                GNUTLS_FSAN_APPEND));
}

static inline void pki_make(struct pki_pair *p, const struct pki_wish *wish)
{
    static uint8_t serial[8] = {1};
    gnutls_pk_algorithm_t algorithm = wish->algorithm ? wish->algorithm : GNUTLS_PK_ECDSA;
    unsigned bits =
        algorithm == GNUTLS_PK_RSA ? 2048 : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
    if (algorithm == GNUTLS_PK_EDDSA_ED25519)
        bits = 256;
    p->key = wish->key;
    if (!p->key) {
        pki_ok(gnutls_x509_privkey_init(&p->key));
        pki_ok(gnutls_x509_privkey_generate(p->key, algorithm, bits, 0));
    }
    pki_ok(gnutls_x509_crt_init(&p->certificate));
    gnutls_x509_crt_t c = p->certificate;
    serial[7]++;
    time_t now = time(NULL);
    bool has_times = wish->from || wish->until;
    pki_ok(gnutls_x509_crt_set_version(c, 3));
    pki_ok(gnutls_x509_crt_set_serial(c, serial, sizeof(serial)));
    pki_ok(gnutls_x509_crt_set_activation_time(c, now + (has_times ? wish->from : -PKI_DAY)));
    pki_ok(gnutls_x509_crt_set_expiration_time(c, now + (has_times ? wish->until : PKI_DAY)));
    pki_ok(gnutls_x509_crt_set_key(c, p->key));
    pki_ok(gnutls_x509_crt_set_dn_by_oid(c, GNUTLS_OID_X520_COMMON_NAME, 0, wish->common_name,
                                         (unsigned)strlen(wish->common_name)));
    for (size_t i = 0; i < COUNT_OF(wish->names) && wish->names[i]; i++)
        pki_name(c, wish->names[i]);
    pki_ok(gnutls_x509_crt_set_basic_constraints(c, wish->is_authority, -1));
    if (!wish->is_authority)
        pki_ok(gnutls_x509_crt_set_key_purpose_oid(
            c, wish->purpose ? wish->purpose : GNUTLS_KP_TLS_WWW_SERVER, 0));
    pki_ok(gnutls_x509_crt_set_key_usage(c, wish->is_authority
                                                ? GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN
                                                : GNUTLS_KEY_DIGITAL_SIGNATURE));
    const struct pki_pair *issuer = wish->issuer ? wish->issuer : p;
    gnutls_digest_algorithm_t digest =
        gnutls_x509_privkey_get_pk_algorithm(issuer->key) == GNUTLS_PK_EDDSA_ED25519
            ? GNUTLS_DIG_SHA512
            : GNUTLS_DIG_SHA256;
    pki_ok(gnutls_x509_crt_sign2(c, issuer->certificate, issuer->key, digest, 0));
}

static inline void pki_release(struct pki_pair *p)
{
    gnutls_x509_crt_deinit(p->certificate);
    gnutls_x509_privkey_deinit(p->key);
}

static inline gnutls_datum_t pki_certificate_pem(const struct pki_pair *p)
{
    gnutls_datum_t pem;
    pki_ok(gnutls_x509_crt_export2(p->certificate, GNUTLS_X509_FMT_PEM, &pem));
    return pem;
}

/* NAME.pem and NAME-key.pem (PKCS#8). */
static inline void pki_save(const struct pki_pair *p, const char *name)
{
    char file[64];
    gnutls_datum_t pem;
    snprintf(file, sizeof(file), "%s.pem", name);
    pki_write_datum(file, pki_certificate_pem(p));
    snprintf(file, sizeof(file), "%s-key.pem", name);
    pki_ok(gnutls_x509_privkey_export2_pkcs8(p->key, GNUTLS_X509_FMT_PEM, NULL, 0, &pem));
    pki_write_datum(file, pem);
}

/* Makes and saves a server's certificate with these names, self-signed. */
static inline void pki_server(const char *file, gnutls_pk_algorithm_t algorithm, const char *a,
                              const char *b)
{
    struct pki_pair pair;
    pki_make(&pair,
             &(struct pki_wish){.common_name = file, .names = {a, b}, .algorithm = algorithm});
    pki_save(&pair, file);
    pki_release(&pair);
}

/* An empty revocation list, or one that revokes a certificate. */
static inline void pki_save_revocations(const struct pki_pair *authority,
                                        const struct pki_pair *revoked, const char *file)
{
    gnutls_x509_crl_t crl;
    gnutls_datum_t pem;
    time_t now = time(NULL);
    pki_ok(gnutls_x509_crl_init(&crl));
    pki_ok(gnutls_x509_crl_set_version(crl, 2));
    pki_ok(gnutls_x509_crl_set_this_update(crl, now - 3600));
    pki_ok(gnutls_x509_crl_set_next_update(crl, now + PKI_DAY));
    pki_ok(gnutls_x509_crl_set_number(crl, "\1", 1));
    if (revoked)
        pki_ok(gnutls_x509_crl_set_crt(crl, revoked->certificate, now - 3600));
    pki_ok(
        gnutls_x509_crl_sign2(crl, authority->certificate, authority->key, GNUTLS_DIG_SHA256, 0));
    pki_ok(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem));
    pki_write_datum(file, pem);
    gnutls_x509_crl_deinit(crl);
}

#endif
