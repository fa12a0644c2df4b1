/* tls/snapshot.h: everything that was loaded from files at one moment, never changed afterwards
 * but for the ticket keys. */
#ifndef TLS_SNAPSHOT_H
#define TLS_SNAPSHOT_H

#include "base/buffer.h"
#include "tls/context.h"
#include "tls/names.h"
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>

#define TLS_TICKET_KEY_SIZE 64

enum tls_carrier {
    TLS_OVER_STREAM, /* records over TCP */
    TLS_OVER_QUIC
};
#define TLS_CARRIERS 2

/* The groups that a client has a key share for (RFC 8446 section 4.2.8). GnuTLS asks for its own
 * first group in a HelloRetryRequest, whatever the client has sent: where that is not among them,
 * the session is told of no other group than one of them, which saves a round trip. */
enum tls_shares {
    TLS_SHARES_ANY, /* X25519, or none that we know */
    TLS_SHARES_SECP256R1,
    TLS_SHARES_SECP384R1
};
#define TLS_SHARES 3

/* One server name (or several), and what is served for it. */
struct tls_identity {
    gnutls_certificate_credentials_t credentials;
    struct tls_names names;
};

struct tls_snapshot {
    atomic_uint references;
    /* Those that the options gave know TLS_SHARES_ANY only: their groups are not ours to choose. */
    gnutls_priority_t priorities[TLS_CARRIERS][TLS_SHARES];
    struct tls_identity *identities; /* the first is the default */
    size_t identity_count;
    enum tls_client_certificate client_certificate;
    gnutls_anti_replay_t replays;    /* of early data, which only QUIC may have: */
    gnutls_anti_replay_t no_replays; /* all pass, none does */
    pthread_mutex_t lock;            /* of the ticket key */
    uint8_t ticket_key[TLS_TICKET_KEY_SIZE];
};

int tls_snapshot_new(struct tls_snapshot **out, const struct tls_context_options *options,
                     const struct log *log, struct failure *why);
void tls_snapshot_retain(struct tls_snapshot *s);
void tls_snapshot_release(struct tls_snapshot *s); /* NULL is allowed */

/* `name` is lower case or empty. Never NULL. */
const struct tls_identity *tls_snapshot_identity(const struct tls_snapshot *s, struct span name);

/* The key for tickets of one server name: a ticket of another name, of another snapshot, of other
 * rules for client certificates or of another carrier cannot even be opened. ROUTED_OK or
 * ROUTED_ERROR_TLS. */
int tls_snapshot_ticket_key(struct tls_snapshot *s, enum tls_carrier carrier, struct span name,
                            uint8_t out[TLS_TICKET_KEY_SIZE]);
int tls_snapshot_rotate_tickets(struct tls_snapshot *s);

/* ---- its parts, for snapshot.c ---- */

/* What all identities need to judge client certificates. */
struct tls_client_rules {
    struct buffer authorities; /* PEM */
    struct buffer revocations;
};

int tls_client_rules_load(struct tls_client_rules *r, const struct tls_context_options *options,
                          struct failure *why);
void tls_client_rules_release(struct tls_client_rules *r);
int tls_client_rules_apply(const struct tls_client_rules *r, const struct tls_context_options *o,
                           gnutls_certificate_credentials_t credentials, struct failure *why);

#endif
