#include "tls/snapshot.h"

#include "base/memory.h"
#include "tls/credential.h"
#include "tls/verify.h"
#include <gnutls/crypto.h>
#include <routed/error.h>

/* Forward secrecy, AEAD, no SHA-1, in the order of what costs least: AES-128-GCM is in hardware
 * on both sides nearly everywhere, ChaCha20 is many times slower in Nettle. */
static const char built_in_priorities[] =
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA"
    ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD"
    ":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+CTYPE-SRV-X509:+CTYPE-CLI-X509"
    ":+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256:+SIGN-EDDSA-ED25519:+SIGN-RSA-PSS-RSAE-SHA256"
    ":+SIGN-RSA-PSS-SHA256:+SIGN-RSA-SHA256:+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA384"
    ":+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-SHA384:+SIGN-RSA-SHA384"
    ":+SIGN-ECDSA-SECP521R1-SHA512:+SIGN-ECDSA-SHA512:+SIGN-RSA-PSS-RSAE-SHA512"
    ":+SIGN-RSA-PSS-SHA512:+SIGN-RSA-SHA512:%SERVER_PRECEDENCE";

/* QUIC has TLS 1.3 only, without the disguise for middleboxes (RFC 9001 section 8.4) and without
 * the cipher that protects no header (section 5.3). */
static const char *const of_carrier[TLS_CARRIERS] = {
    [TLS_OVER_STREAM] = "",
    [TLS_OVER_QUIC] =
        ":-VERS-ALL:+VERS-TLS1.3:-AES-128-CCM-8:-AES-256-CCM-8:%DISABLE_TLS13_COMPAT_MODE"};
static const char *const of_shares[TLS_SHARES] = {
    [TLS_SHARES_ANY] = "",
    [TLS_SHARES_SECP256R1] = ":-GROUP-ALL:+GROUP-SECP256R1",
    [TLS_SHARES_SECP384R1] = ":-GROUP-ALL:+GROUP-SECP384R1"};

static int read_priorities(gnutls_priority_t *out, const char *text, struct failure *why)
{
    const char *position = NULL;
    int result = gnutls_priority_init2(out, text, &position, 0);
    if (result >= 0)
        return ROUTED_OK;
    if (result == GNUTLS_E_MEMORY_ERROR)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    return failure_set(why, ROUTED_ERROR_ARGUMENT, "TLS priorities are malformed at \"%.40s\"",
                       position ? position : "");
}

static int compose_priorities(gnutls_priority_t *out, const char *const parts[3],
                              struct failure *why)
{
    struct buffer whole = BUFFER_EMPTY;
    int result = ROUTED_OK;
    for (size_t i = 0; i < 3 && result == ROUTED_OK; i++)
        result = buffer_append_text(&whole, parts[i]);
    if (result == ROUTED_OK)
        result = buffer_append(&whole, "", 1);
    result = result == ROUTED_OK ? read_priorities(out, (const char *)buffer_span(&whole).data, why)
                                 : failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    buffer_release(&whole);
    return result;
}

static int load_priorities(struct tls_snapshot *s, const char *text, struct failure *why)
{
    int result = ROUTED_OK;
    size_t shares = text ? TLS_SHARES_ANY + 1 : TLS_SHARES;
    if (!text)
        text = built_in_priorities;
    for (size_t i = 0; i < TLS_CARRIERS * shares && result == ROUTED_OK; i++) {
        const char *const parts[3] = {text, of_carrier[i / shares], of_shares[i % shares]};
        result = compose_priorities(&s->priorities[i / shares][i % shares], parts, why);
    }
    return result;
}

/* ---- identities ---- */

/* What a snapshot is made of. */
struct sources {
    const struct tls_context_options *options;
    const struct log *log;
    struct failure *why;
    struct tls_client_rules rules;
    struct tls_credential *credentials; /* one for each of options->certificates */
};

/* An identity serves its own certificate, and those of the same names with another kind of key. */
static bool goes_with(const struct tls_credential *own, const struct tls_credential *other)
{
    return own == other || (own->algorithm != other->algorithm && own->names.count &&
                            tls_names_equal(&own->names, &other->names));
}

static int fill_identity(struct tls_identity *identity, const struct sources *from, size_t own)
{
    if (gnutls_certificate_allocate_credentials(&identity->credentials) < 0)
        return failure_set(from->why, ROUTED_ERROR_MEMORY, "out of memory");
    gnutls_certificate_set_flags(identity->credentials, GNUTLS_CERTIFICATE_API_V2);
    int result = ROUTED_OK;
    for (size_t i = 0; i < from->options->certificate_count && result == ROUTED_OK; i++)
        if (goes_with(&from->credentials[own], &from->credentials[i]))
            result = tls_credential_apply(&from->credentials[i], &from->options->certificates[i],
                                          identity->credentials, from->log, from->why);
    if (result == ROUTED_OK)
        result =
            tls_client_rules_apply(&from->rules, from->options, identity->credentials, from->why);
    if (from->options->client_certificate == TLS_CLIENT_CERTIFICATE_REQUIRE)
        gnutls_certificate_set_verify_function(identity->credentials, tls_verify_required);
    return result;
}

static int fill_identities(struct tls_snapshot *s, struct sources *from)
{
    int result = ROUTED_OK;
    for (size_t i = 0; i < from->options->certificate_count && result == ROUTED_OK; i++) {
        s->identity_count++;
        result = fill_identity(&s->identities[i], from, i);
    }
    for (size_t i = 0; i < s->identity_count; i++) {
        s->identities[i].names = from->credentials[i].names;
        from->credentials[i].names = TLS_NAMES_EMPTY;
    }
    return result;
}

static int load_identities(struct tls_snapshot *s, struct sources *from)
{
    size_t count = from->options->certificate_count;
    s->identities = memory_new_zeroed(count * sizeof(*s->identities));
    from->credentials = memory_new_zeroed(count * sizeof(*from->credentials));
    if (!s->identities || !from->credentials)
        return failure_set(from->why, ROUTED_ERROR_MEMORY, "out of memory");
    int result = ROUTED_OK;
    for (size_t i = 0; i < count && result == ROUTED_OK; i++)
        result = tls_credential_load(&from->credentials[i], &from->options->certificates[i],
                                     from->log, from->why);
    return result == ROUTED_OK ? fill_identities(s, from) : result;
}

static void release_sources(struct sources *from)
{
    for (size_t i = 0; from->credentials && i < from->options->certificate_count; i++)
        tls_credential_release(&from->credentials[i]);
    memory_free(from->credentials);
    tls_client_rules_release(&from->rules);
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

/* Every ticket may be used again: early data is for requests that may be repeated (RFC 8470), and
 * besides the ticket it needs a token that counts once (tls/quic.h). GnuTLS's own window is of no
 * use: whenever it has passed, GnuTLS refuses early data with every ticket of before, so on a busy
 * server most of them. */
static int accept_again(void *unused, time_t expires, const gnutls_datum_t *key,
                        const gnutls_datum_t *value)
{
    (void)unused;
    (void)expires;
    (void)key;
    (void)value;
    return 0;
}

/* As if each had been used before: GnuTLS then refuses the early data alone. */
static int accept_none(void *unused, time_t expires, const gnutls_datum_t *key,
                       const gnutls_datum_t *value)
{
    accept_again(unused, expires, key, value);
    return GNUTLS_E_DB_ENTRY_EXISTS;
}

static int load_anti_replay(struct tls_snapshot *s, struct failure *why)
{
    if (gnutls_anti_replay_init(&s->replays) < 0 || gnutls_anti_replay_init(&s->no_replays) < 0)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    gnutls_anti_replay_set_window(s->replays, TLS_TICKET_KEY_LIFETIME);
    gnutls_anti_replay_set_add_function(s->replays, accept_again);
    gnutls_anti_replay_set_add_function(s->no_replays, accept_none);
    return ROUTED_OK;
}

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

int tls_snapshot_ticket_key(struct tls_snapshot *s, enum tls_carrier carrier, struct span name,
                            uint8_t out[TLS_TICKET_KEY_SIZE])
{
    uint8_t text[2 + TLS_NAME_MAX] = {(uint8_t)s->client_certificate, (uint8_t)carrier};
    uint8_t key[TLS_TICKET_KEY_SIZE];
    if (name.size > TLS_NAME_MAX)
        return ROUTED_ERROR_TLS;
    if (name.size)
        memcpy(text + 2, name.data, name.size);
    pthread_mutex_lock(&s->lock);
    memcpy(key, s->ticket_key, sizeof(key));
    pthread_mutex_unlock(&s->lock);
    int result = gnutls_hmac_fast(GNUTLS_MAC_SHA512, key, sizeof(key), text, 2 + name.size, out);
    gnutls_memset(key, 0, sizeof(key));
    return result < 0 ? ROUTED_ERROR_TLS : ROUTED_OK;
}

/* ---- life ---- */

static int load(struct tls_snapshot *s, struct sources *from)
{
    int result = load_priorities(s, from->options->priorities, from->why);
    if (result == ROUTED_OK)
        result = load_anti_replay(s, from->why);
    if (result == ROUTED_OK)
        result = tls_client_rules_load(&from->rules, from->options, from->why);
    if (result == ROUTED_OK)
        result = load_identities(s, from);
    if (result == ROUTED_OK && tls_snapshot_rotate_tickets(s) != ROUTED_OK)
        result = failure_set(from->why, ROUTED_ERROR_SYSTEM, "no random numbers for TLS");
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
    struct sources from = {.options = options, .log = log, .why = why};
    int result = load(s, &from);
    release_sources(&from);
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
    for (size_t i = 0; i < TLS_CARRIERS * TLS_SHARES; i++)
        if (s->priorities[i / TLS_SHARES][i % TLS_SHARES])
            gnutls_priority_deinit(s->priorities[i / TLS_SHARES][i % TLS_SHARES]);
    if (s->replays)
        gnutls_anti_replay_deinit(s->replays);
    if (s->no_replays)
        gnutls_anti_replay_deinit(s->no_replays);
    pthread_mutex_destroy(&s->lock);
    gnutls_memset(s->ticket_key, 0, sizeof(s->ticket_key));
    memory_free(s);
}
