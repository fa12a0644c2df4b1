#include "tls/snapshot.h"

#include "base/memory.h"
#include "tls/credential.h"
#include "tls/verify.h"
#include <gnutls/crypto.h>
#include <routed/error.h>

/* Forward secrecy, AEAD, no SHA-1; among ciphers the client's order counts, which knows whether
 * it has AES in hardware. */
static const char built_in_priorities[] =
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA"
    ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD:+COMP-NULL"
    ":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+CTYPE-SRV-X509:+CTYPE-CLI-X509"
    ":+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256:+SIGN-EDDSA-ED25519:+SIGN-RSA-PSS-RSAE-SHA256"
    ":+SIGN-RSA-PSS-SHA256:+SIGN-RSA-SHA256:+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA384"
    ":+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-SHA384:+SIGN-RSA-SHA384"
    ":+SIGN-ECDSA-SECP521R1-SHA512:+SIGN-ECDSA-SHA512:+SIGN-RSA-PSS-RSAE-SHA512"
    ":+SIGN-RSA-PSS-SHA512:+SIGN-RSA-SHA512";

static int load_priorities(struct tls_snapshot *s, const char *text, struct failure *why)
{
    const char *position = NULL;
    int result =
        gnutls_priority_init2(&s->priorities, text ? text : built_in_priorities, &position, 0);
    if (result >= 0)
        return ROUTED_OK;
    if (result == GNUTLS_E_MEMORY_ERROR)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    return failure_set(why, ROUTED_ERROR_ARGUMENT, "TLS priorities are malformed at \"%.40s\"",
                       position ? position : "");
}

/* ---- identities ---- */

/* An identity serves its own certificate, and those of the same names with another kind of key. */
static bool goes_with(const struct tls_credential *own, const struct tls_credential *other)
{
    return own == other || (own->algorithm != other->algorithm && own->names.count &&
                            tls_names_equal(&own->names, &other->names));
}

static int fill_identity(struct tls_identity *identity, struct tls_credential *all, size_t own,
                         const struct tls_context_options *options,
                         const struct tls_client_rules *rules, struct failure *why)
{
    if (gnutls_certificate_allocate_credentials(&identity->credentials) < 0)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    gnutls_certificate_set_flags(identity->credentials, GNUTLS_CERTIFICATE_API_V2);
    int result = ROUTED_OK;
    for (size_t i = 0; i < options->certificate_count && result == ROUTED_OK; i++)
        if (goes_with(&all[own], &all[i]))
            result = tls_credential_apply(&all[i], &options->certificates[i], identity->credentials,
                                          why);
    if (result == ROUTED_OK)
        result = tls_client_rules_apply(rules, options, identity->credentials, why);
    if (options->client_certificate == TLS_CLIENT_CERTIFICATE_REQUIRE)
        gnutls_certificate_set_verify_function(identity->credentials, tls_verify_required);
    return result;
}

static int fill_identities(struct tls_snapshot *s, struct tls_credential *all,
                           const struct tls_context_options *options,
                           const struct tls_client_rules *rules, struct failure *why)
{
    int result = ROUTED_OK;
    for (size_t i = 0; i < options->certificate_count && result == ROUTED_OK; i++) {
        s->identity_count++;
        result = fill_identity(&s->identities[i], all, i, options, rules, why);
    }
    for (size_t i = 0; i < s->identity_count; i++) {
        s->identities[i].names = all[i].names;
        all[i].names = TLS_NAMES_EMPTY;
    }
    return result;
}

static int load_identities(struct tls_snapshot *s, const struct tls_context_options *options,
                           const struct tls_client_rules *rules, const struct log *log,
                           struct failure *why)
{
    size_t count = options->certificate_count;
    s->identities = memory_new_zeroed(count * sizeof(*s->identities));
    struct tls_credential *all = memory_new_zeroed(count * sizeof(*all));
    int result =
        s->identities && all ? ROUTED_OK : failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < count && result == ROUTED_OK; i++)
        result = tls_credential_load(&all[i], &options->certificates[i], log, why);
    if (result == ROUTED_OK)
        result = fill_identities(s, all, options, rules, why);
    for (size_t i = 0; all && i < count; i++)
        tls_credential_release(&all[i]);
    memory_free(all);
    return result;
}

const struct tls_identity *tls_snapshot_identity(const struct tls_snapshot *s, struct span name)
{
    const struct tls_identity *wildcard = NULL;
    for (size_t i = 0; name.size && i < s->identity_count; i++) {
        enum tls_match match = tls_names_match(&s->identities[i].names, name);
        if (match == TLS_MATCH_EXACT)
            return &s->identities[i];
        if (match == TLS_MATCH_WILDCARD && !wildcard)
            wildcard = &s->identities[i];
    }
    return wildcard ? wildcard : &s->identities[0];
}

/* ---- tickets ---- */

int tls_snapshot_rotate_tickets(struct tls_snapshot *s)
{
    uint8_t key[TLS_TICKET_KEY_SIZE];
    if (gnutls_rnd(GNUTLS_RND_KEY, key, sizeof(key)) < 0)
        return ROUTED_ERROR_SYSTEM;
    pthread_mutex_lock(&s->lock);
    memcpy(s->ticket_key, key, sizeof(key));
    pthread_mutex_unlock(&s->lock);
    gnutls_memset(key, 0, sizeof(key));
    return ROUTED_OK;
}

int tls_snapshot_ticket_key(struct tls_snapshot *s, struct span name,
                            uint8_t out[TLS_TICKET_KEY_SIZE])
{
    uint8_t text[1 + TLS_NAME_MAX] = {(uint8_t)s->client_certificate};
    uint8_t key[TLS_TICKET_KEY_SIZE];
    if (name.size > TLS_NAME_MAX)
        return ROUTED_ERROR_TLS;
    if (name.size)
        memcpy(text + 1, name.data, name.size);
    pthread_mutex_lock(&s->lock);
    memcpy(key, s->ticket_key, sizeof(key));
    pthread_mutex_unlock(&s->lock);
    int result = gnutls_hmac_fast(GNUTLS_MAC_SHA512, key, sizeof(key), text, 1 + name.size, out);
    gnutls_memset(key, 0, sizeof(key));
    return result < 0 ? ROUTED_ERROR_TLS : ROUTED_OK;
}

/* ---- life ---- */

static int load(struct tls_snapshot *s, const struct tls_context_options *options,
                const struct log *log, struct failure *why)
{
    struct tls_client_rules rules;
    int result = load_priorities(s, options->priorities, why);
    if (result == ROUTED_OK)
        result = tls_client_rules_load(&rules, options, why);
    if (result != ROUTED_OK)
        return result;
    result = load_identities(s, options, &rules, log, why);
    tls_client_rules_release(&rules);
    if (result == ROUTED_OK && tls_snapshot_rotate_tickets(s) != ROUTED_OK)
        result = failure_set(why, ROUTED_ERROR_SYSTEM, "no random numbers for TLS");
    return result;
}

int tls_snapshot_new(struct tls_snapshot **out, const struct tls_context_options *options,
                     const struct log *log, struct failure *why)
{
    *out = NULL;
    struct tls_snapshot *s = memory_new_zeroed(sizeof(*s));
    if (!s)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    atomic_init(&s->references, 1);
    pthread_mutex_init(&s->lock, NULL);
    s->client_certificate = options->client_certificate;
    int result = load(s, options, log, why);
    if (result == ROUTED_OK)
        *out = s;
    else
        tls_snapshot_release(s);
    return result;
}

void tls_snapshot_retain(struct tls_snapshot *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
}

void tls_snapshot_release(struct tls_snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < s->identity_count; i++) {
        if (s->identities[i].credentials)
            gnutls_certificate_free_credentials(s->identities[i].credentials);
        tls_names_release(&s->identities[i].names);
    }
    memory_free(s->identities);
    if (s->priorities)
        gnutls_priority_deinit(s->priorities);
    pthread_mutex_destroy(&s->lock);
    gnutls_memset(s->ticket_key, 0, sizeof(s->ticket_key));
    memory_free(s);
}
