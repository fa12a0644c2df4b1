/* What must be known of a ClientHello before GnuTLS works on it: the server name chooses the
 * certificate and the key of the tickets that can be resumed, the key shares the group. */
#include "tls/state.h"

#include <gnutls/crypto.h>
#include <routed/error.h>

#define EXTENSION_SERVER_NAME          0
#define EXTENSION_ALPN                 16
#define EXTENSION_KEY_SHARE            51
#define EXTENSION_TRANSPORT_PARAMETERS 57 /* RFC 9001 section 8.2 */
#define NAME_TYPE_HOST                 0
#define GROUP_SECP256R1                23 /* RFC 8446 section 4.2.7 */
#define GROUP_SECP384R1                24
#define GROUP_X25519                   29
#define SESSION_ID_AT                  34 /* in a ClientHello, behind version and random */

struct hello {
    char name[TLS_NAME_MAX + 1];
    size_t name_size;
    bool has_alpn;
    bool has_parameters;
    bool has_x25519; /* a key share for it, and so on */
    bool has_secp256r1;
    bool has_secp384r1;
};

static size_t read_16(const uint8_t *data)
{
    return (size_t)data[0] << 8 | data[1];
}

/* ServerNameList, RFC 6066 section 3: one host name; further ones are refused. */
static int read_server_name(struct hello *hello, const unsigned char *data, unsigned size)
{
    if (size < 5 || read_16(data) != size - 2 || data[2] != NAME_TYPE_HOST ||
        read_16(data + 3) != size - 5)
        return GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
    hello->name_size = tls_host_read(span_of(data + 5, size - 5), hello->name);
    return 0;
}

/* KeyShareClientHello, RFC 8446 section 4.2.8. What is wrong with it is for GnuTLS to say. */
static void read_key_shares(struct hello *hello, const unsigned char *data, unsigned size)
{
    struct span left = span_after(span_of(data, size), 2);
    while (left.size >= 4) {
        size_t group = read_16(left.data), key = read_16(left.data + 2);
        if (key > left.size - 4)
            return;
        hello->has_x25519 |= group == GROUP_X25519;
        hello->has_secp256r1 |= group == GROUP_SECP256R1;
        hello->has_secp384r1 |= group == GROUP_SECP384R1;
        left = span_after(left, 4 + key);
    }
}

static enum tls_shares shares_of(const struct hello *hello)
{
    if (hello->has_x25519)
        return TLS_SHARES_ANY;
    if (hello->has_secp256r1)
        return TLS_SHARES_SECP256R1;
    return hello->has_secp384r1 ? TLS_SHARES_SECP384R1 : TLS_SHARES_ANY;
}

static int read_extension(void *context, unsigned type, const unsigned char *data, unsigned size)
{
    struct hello *hello = context;
    if (type == EXTENSION_SERVER_NAME)
        return read_server_name(hello, data, size);
    if (type == EXTENSION_KEY_SHARE && size >= 2)
        read_key_shares(hello, data, size);
    hello->has_alpn |= type == EXTENSION_ALPN;
    hello->has_parameters |= type == EXTENSION_TRANSPORT_PARAMETERS;
    return 0;
}

/* What QUIC asks of a ClientHello and GnuTLS does not: RFC 9001 sections 8.1, 8.2 and 8.4. */
static int check_for_quic(struct tls_session *s, const struct hello *hello,
                          const gnutls_datum_t *message)
{
    if (message->size <= SESSION_ID_AT || message->data[SESSION_ID_AT] != 0) {
        ngtcp2_conn_set_tls_error(s->quic.get_conn(&s->quic), NGTCP2_ERR_PROTO);
        return GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
    }
    if (!hello->has_alpn)
        return GNUTLS_E_NO_APPLICATION_PROTOCOL;
    return hello->has_parameters ? 0 : GNUTLS_E_MISSING_EXTENSION;
}

static int serve_name(struct tls_session *s, const struct hello *hello)
{
    struct span name = span_of(hello->name, hello->name_size);
    uint8_t key[TLS_TICKET_KEY_SIZE];
    gnutls_datum_t datum = {.data = key, .size = sizeof(key)};
    memcpy(s->server_name, hello->name, hello->name_size);
    s->server_name_size = (uint16_t)hello->name_size;
    s->identity = tls_snapshot_identity(s->snapshot, name);
    if (tls_snapshot_ticket_key(s->snapshot, s->carrier, name, key) != ROUTED_OK)
        return GNUTLS_E_RANDOM_FAILED;
    int result = gnutls_credentials_set(s->tls, GNUTLS_CRD_CERTIFICATE, s->identity->credentials);
    if (result >= 0)
        result = gnutls_session_ticket_enable_server(s->tls, &datum);
    gnutls_memset(key, 0, sizeof(key));
    return result;
}

static int choose_group(struct tls_session *s, const struct hello *hello)
{
    enum tls_shares shares = shares_of(hello);
    gnutls_priority_t priorities = s->snapshot->priorities[s->carrier][shares];
    bool is_settled = shares == TLS_SHARES_ANY || !priorities;
    return is_settled ? 0 : gnutls_priority_set(s->tls, priorities);
}

static int on_client_hello(struct tls_session *s, const gnutls_datum_t *message)
{
    struct hello hello = {.name_size = 0};
    int result =
        gnutls_ext_raw_parse(&hello, read_extension, message, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
    if (result < 0 && result != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return result;
    result = s->carrier == TLS_OVER_QUIC ? check_for_quic(s, &hello, message) : 0;
    if (result < 0)
        return result;
    if (!s->said_hello) {
        s->said_hello = true;
        result = choose_group(s, &hello);
        return result < 0 ? result : serve_name(s, &hello);
    }
    /* After HelloRetryRequest everything is settled already (RFC 8446 section 4.1.2). */
    bool is_same = span_equals(span_of(hello.name, hello.name_size), tls_session_server_name(s));
    return is_same ? 0 : GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
}

static int on_key_update(struct tls_session *s)
{
    if (s->carrier == TLS_OVER_QUIC) /* RFC 9001 section 6 */
        return GNUTLS_E_UNEXPECTED_PACKET;
    uint64_t allowed = TLS_KEY_UPDATES_MAX + s->plain_in / TLS_KEY_UPDATE_BYTES;
    if (++s->key_updates <= allowed)
        return 0;
    tls_session_fail(s, ROUTED_ERROR_BUDGET, "too many key updates");
    return GNUTLS_E_TOO_MANY_HANDSHAKE_PACKETS;
}

static int on_message(gnutls_session_t tls, unsigned type, unsigned when, unsigned is_incoming,
                      const gnutls_datum_t *message)
{
    struct tls_session *s = gnutls_session_get_ptr(tls);
    (void)when;
    if (!is_incoming)
        return 0;
    if (type == GNUTLS_HANDSHAKE_CLIENT_HELLO)
        return on_client_hello(s, message);
    return type == GNUTLS_HANDSHAKE_KEY_UPDATE ? on_key_update(s) : 0;
}

void tls_hello_attach(struct tls_session *s)
{
    gnutls_handshake_set_hook_function(s->tls, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_PRE, on_message);
}
