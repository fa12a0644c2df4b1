#include "tls/development.h"

#include "io/file.h"
#include "tls/credential.h"
#include <gnutls/crypto.h>
#include <gnutls/x509-ext.h>
#include <routed/error.h>
#include <stdio.h>
#include <time.h>

#define DAY            ((time_t)86400)
#define AUTHORITY_DAYS 3650
#define LEAF_DAYS      90
#define RENEW_DAYS     7
#define CLOCK_SKEW     ((time_t)300)
#define PATH_MAX_SIZE  512

struct place {
    char certificate[PATH_MAX_SIZE];
    char key[PATH_MAX_SIZE];
};

struct pair {
    gnutls_x509_crt_t certificate;
    gnutls_x509_privkey_t key;
};

static bool find_place(struct place *p, const char *folder, const char *name)
{
    int size = snprintf(p->certificate, sizeof(p->certificate), "%s/%s.pem", folder, name);
    int key_size = snprintf(p->key, sizeof(p->key), "%s/%s-key.pem", folder, name);
    return size > 0 && key_size > 0 && (size_t)key_size < sizeof(p->key);
}

/* What is there, if it is whole and good for some days more. */
static bool load_usable(const struct place *p, struct tls_credential *out)
{
    const struct tls_certificate_files files = {.certificate = p->certificate, .key = p->key};
    if (tls_credential_load(out, &files, NULL, NULL) != ROUTED_OK)
        return false;
    if (gnutls_x509_crt_get_expiration_time(out->chain[0]) > time(NULL) + RENEW_DAYS * DAY)
        return true;
    tls_credential_release(out);
    return false;
}

/* ---- making ---- */

static int start_pair(struct pair *p, const char *name, time_t days)
{
    uint8_t serial[16];
    time_t now = time(NULL);
    unsigned bits = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
    int result = gnutls_x509_privkey_init(&p->key);
    if (result >= 0)
        result = gnutls_x509_crt_init(&p->certificate);
    if (result >= 0)
        result = gnutls_x509_privkey_generate(p->key, GNUTLS_PK_ECDSA, bits, 0);
    if (result >= 0)
        result = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
    serial[0] = (serial[0] & 0x7f) | 0x40; /* positive and of a fixed length */
    if (result >= 0)
        result = gnutls_x509_crt_set_serial(p->certificate, serial, sizeof(serial));
    if (result >= 0)
        result = gnutls_x509_crt_set_version(p->certificate, 3);
    if (result >= 0)
        result = gnutls_x509_crt_set_activation_time(p->certificate, now - CLOCK_SKEW);
    if (result >= 0)
        result = gnutls_x509_crt_set_expiration_time(p->certificate, now + days * DAY);
    if (result >= 0)
        result = gnutls_x509_crt_set_key(p->certificate, p->key);
    if (result >= 0)
        result = gnutls_x509_crt_set_dn_by_oid(p->certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                               (unsigned)strlen(name));
    return result;
}

static int sign_pair(struct pair *p, gnutls_x509_crt_t issuer, gnutls_x509_privkey_t issuer_key)
{
    uint8_t id[20];
    size_t size = sizeof(id);
    int result = gnutls_x509_crt_get_key_id(p->certificate, 0, id, &size);
    if (result >= 0)
        result = gnutls_x509_crt_set_subject_key_id(p->certificate, id, size);
    size = sizeof(id);
    if (result >= 0)
        result = gnutls_x509_crt_get_key_id(issuer, 0, id, &size);
    if (result >= 0)
        result = gnutls_x509_crt_set_authority_key_id(p->certificate, id, size);
    if (result >= 0)
        result = gnutls_x509_crt_sign2(p->certificate, issuer, issuer_key, GNUTLS_DIG_SHA256, 0);
    return result;
}

static int permit(gnutls_x509_name_constraints_t c, const char *network)
{
    gnutls_datum_t range = {NULL, 0};
    int result = gnutls_x509_cidr_to_rfc5280(network, &range);
    if (result >= 0)
        result = gnutls_x509_name_constraints_add_permitted(c, GNUTLS_SAN_IPADDRESS, &range);
    gnutls_free(range.data);
    return result;
}

/* RFC 5280 section 4.2.1.10: whoever gets hold of the authority's key can be no other host. */
static int constrain(gnutls_x509_crt_t certificate)
{
    gnutls_x509_name_constraints_t c;
    gnutls_datum_t localhost = tls_datum(SPAN("localhost"));
    int result = gnutls_x509_name_constraints_init(&c);
    if (result < 0)
        return result;
    result = gnutls_x509_name_constraints_add_permitted(c, GNUTLS_SAN_DNSNAME, &localhost);
    if (result >= 0)
        result = permit(c, "127.0.0.0/8");
    if (result >= 0)
        result = permit(c, "::1/128");
    if (result >= 0)
        result = gnutls_x509_crt_set_name_constraints(certificate, c, 1);
    gnutls_x509_name_constraints_deinit(c);
    return result;
}

static int make_authority(struct pair *p)
{
    int result = start_pair(p, "routed development authority", AUTHORITY_DAYS);
    if (result >= 0)
        result = gnutls_x509_crt_set_basic_constraints(p->certificate, 1, 0);
    if (result >= 0)
        result = gnutls_x509_crt_set_key_usage(p->certificate, GNUTLS_KEY_KEY_CERT_SIGN);
    if (result >= 0)
        result = constrain(p->certificate);
    return result < 0 ? result : sign_pair(p, p->certificate, p->key);
}

static int add_name(gnutls_x509_crt_t certificate, gnutls_x509_subject_alt_name_t type,
                    struct span name)
{
    return gnutls_x509_crt_set_subject_alt_name(certificate, type, name.data, (unsigned)name.size,
                                                GNUTLS_FSAN_APPEND);
}

static int add_names(gnutls_x509_crt_t c)
{
    int result = add_name(c, GNUTLS_SAN_DNSNAME, SPAN("localhost"));
    if (result >= 0)
        result = add_name(c, GNUTLS_SAN_IPADDRESS, SPAN("\x7f\0\0\1"));
    if (result >= 0)
        result = add_name(c, GNUTLS_SAN_IPADDRESS, SPAN("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"));
    return result;
}

static int make_leaf(struct pair *p, const struct tls_credential *authority)
{
    int result = start_pair(p, "localhost", LEAF_DAYS);
    if (result >= 0)
        result = add_names(p->certificate);
    if (result >= 0)
        result = gnutls_x509_crt_set_basic_constraints(p->certificate, 0, -1);
    if (result >= 0)
        result = gnutls_x509_crt_set_key_usage(p->certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (result >= 0)
        result = gnutls_x509_crt_set_key_purpose_oid(p->certificate, GNUTLS_KP_TLS_WWW_SERVER, 0);
    return result < 0 ? result : sign_pair(p, authority->chain[0], authority->key);
}

/* ---- files ---- */

static int write_pem(const char *path, int exported, gnutls_datum_t *pem, bool is_private,
                     struct failure *why)
{
    if (exported < 0)
        return failure_set(why, ROUTED_ERROR_SYSTEM, "%s: %s", path, gnutls_strerror(exported));
    int result = file_write(path, span_of(pem->data, pem->size), is_private);
    gnutls_memset(pem->data, 0, pem->size);
    gnutls_free(pem->data);
    if (result != ROUTED_OK)
        return failure_set(why, result, "%s: cannot be written", path);
    return ROUTED_OK;
}

static int write_pair(const struct pair *p, const struct place *place, struct failure *why)
{
    gnutls_datum_t pem = {NULL, 0};
    int exported = gnutls_x509_privkey_export2_pkcs8(p->key, GNUTLS_X509_FMT_PEM, NULL, 0, &pem);
    int result = write_pem(place->key, exported, &pem, true, why);
    if (result != ROUTED_OK)
        return result;
    exported = gnutls_x509_crt_export2(p->certificate, GNUTLS_X509_FMT_PEM, &pem);
    return write_pem(place->certificate, exported, &pem, false, why);
}

/* Makes a pair: an authority, or with one a certificate signed by it. */
static int make(const struct place *place, const struct tls_credential *authority,
                struct failure *why)
{
    struct pair p = {NULL, NULL};
    int made = authority ? make_leaf(&p, authority) : make_authority(&p);
    int result = made < 0 ? failure_set(why, ROUTED_ERROR_SYSTEM, "%s: %s", place->certificate,
                                        gnutls_strerror(made))
                          : write_pair(&p, place, why);
    if (p.certificate)
        gnutls_x509_crt_deinit(p.certificate);
    if (p.key)
        gnutls_x509_privkey_deinit(p.key);
    return result;
}

static bool is_signed_by(const struct tls_credential *leaf, const struct tls_credential *authority)
{
    unsigned status;
    return gnutls_x509_crt_verify(leaf->chain[0], authority->chain, 1, 0, &status) >= 0 &&
           status == 0;
}

static int make_leaf_if_needed(const struct place *place, const struct tls_credential *authority,
                               bool *made, struct failure *why)
{
    struct tls_credential leaf;
    if (load_usable(place, &leaf)) {
        bool is_good = is_signed_by(&leaf, authority);
        tls_credential_release(&leaf);
        if (is_good)
            return ROUTED_OK;
    }
    *made = true;
    return make(place, authority, why);
}

int tls_development_make(const char *folder, bool *made, struct failure *why)
{
    struct place authority_place, leaf_place;
    struct tls_credential authority;
    *made = false;
    if (!find_place(&authority_place, folder, "authority") ||
        !find_place(&leaf_place, folder, "localhost"))
        return failure_set(why, ROUTED_ERROR_ARGUMENT, "the folder's path is too long");
    int result = file_make_folder(folder);
    if (result != ROUTED_OK)
        return failure_set(why, result, "%s: the folder cannot be made", folder);
    if (!load_usable(&authority_place, &authority)) {
        *made = true;
        result = make(&authority_place, NULL, why);
        if (result == ROUTED_OK && !load_usable(&authority_place, &authority))
            result = failure_set(why, ROUTED_ERROR_FILE, "%s: cannot be read again",
                                 authority_place.certificate);
        if (result != ROUTED_OK)
            return result;
    }
    result = make_leaf_if_needed(&leaf_place, &authority, made, why);
    tls_credential_release(&authority);
    return result;
}
