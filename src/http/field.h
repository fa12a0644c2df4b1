/* http/field.h: field lines (RFC 9110 section 5) as parsed pairs.
 *
 * Names in a list are lower case. `name` is the token of a known field, so that asking "is this
 * content-length?" is one comparison; the first 29 are the token table of bridge version 1
 * (docs/BRIDGE_PROTOCOL.md), in its order. */
#ifndef HTTP_FIELD_H
#define HTTP_FIELD_H

#include "base/arena.h"
#include "base/span.h"

enum field_name {
    FIELD_HOST,
    FIELD_CONNECTION,
    FIELD_USER_AGENT,
    FIELD_ACCEPT,
    FIELD_ACCEPT_ENCODING,
    FIELD_ACCEPT_LANGUAGE,
    FIELD_CONTENT_TYPE,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_COOKIE,
    FIELD_SET_COOKIE,
    FIELD_CACHE_CONTROL,
    FIELD_PRAGMA,
    FIELD_UPGRADE,
    FIELD_AUTHORIZATION,
    FIELD_ORIGIN,
    FIELD_REFERER,
    FIELD_LOCATION,
    FIELD_SERVER,
    FIELD_DATE,
    FIELD_X_FORWARDED_FOR,
    FIELD_X_FORWARDED_PROTO,
    FIELD_X_FORWARDED_HOST,
    FIELD_X_FORWARDED_PORT,
    FIELD_X_REQUEST_ID,
    FIELD_SEC_WEBSOCKET_KEY,
    FIELD_SEC_WEBSOCKET_VERSION,
    FIELD_SEC_WEBSOCKET_PROTOCOL,
    FIELD_SEC_WEBSOCKET_EXTENSIONS,
    FIELD_BRIDGE_COUNT, /* tokens below this number exist on the bridge */

    FIELD_KEEP_ALIVE = FIELD_BRIDGE_COUNT,
    FIELD_PROXY_CONNECTION,
    FIELD_PROXY_AUTHENTICATE,
    FIELD_PROXY_AUTHORIZATION,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_EXPECT,
    FIELD_FORWARDED,
    FIELD_PROXY,
    FIELD_CLIENT_CERT,
    FIELD_CLIENT_CERT_CHAIN,
    FIELD_X_FORWARDED_SSL,
    FIELD_X_FORWARDED_PREFIX,
    FIELD_X_REAL_IP,
    FIELD_REMOTE_USER,
    FIELD_SEC_WEBSOCKET_ACCEPT,
    FIELD_ALLOW,
    FIELD_CONTENT_ENCODING,
    FIELD_CONTENT_RANGE,
    FIELD_ETAG,
    FIELD_IF_NONE_MATCH,
    FIELD_IF_MODIFIED_SINCE,
    FIELD_IF_RANGE,
    FIELD_LAST_MODIFIED,
    FIELD_RANGE,
    FIELD_RETRY_AFTER,
    FIELD_VARY,
    FIELD_MAX_FORWARDS,
    FIELD_KNOWN_COUNT,
    FIELD_OTHER = 0xffff /* any name that is not in the table */
};

struct field {
    struct span text; /* the name, lower case */
    struct span value;
    enum field_name name; /* what field_lookup says of the text */
};

/* Grows inside the arena that it is given at each append; dies with that arena. */
struct field_list {
    struct field *items;
    size_t count;
    size_t capacity;
};

#define FIELD_LIST_EMPTY ((struct field_list){NULL, 0, 0})

/* The token of a lower-case name, or FIELD_OTHER. */
enum field_name field_lookup(struct span name);
/* The lower-case name of a known token. */
struct span field_text(enum field_name name);

/* Room for exactly `more` pairs, where their number is known. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int field_list_reserve(struct field_list *l, struct arena *a, size_t more);
/* Appends a pair whose bytes outlive the list; no copy. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int field_list_append(struct field_list *l, struct arena *a, struct field f);
/* The same with copies of name (lower-cased) and value in the arena. */
int field_list_append_copy(struct field_list *l, struct arena *a, struct span name,
                           struct span value);
/* The first field of that name, or NULL. */
const struct field *field_list_find(const struct field_list *l, enum field_name name);
const struct field *field_list_find_text(const struct field_list *l, struct span lower_name);

/* RFC 9110 section 5.6.2: 1*tchar. */
bool field_name_is_valid(struct span name);
/* The same in lower case only (RFC 9113 section 8.2.1, RFC 9114 section 4.2). */
bool field_lower_name_is_valid(struct span name);
/* RFC 9110 section 5.5: no control byte but tab, no space or tab at either end. */
bool field_value_is_valid(struct span value);
bool field_is_tchar(uint8_t c);

/* RFC 9110 section 7.6.1 and the names that are bound to one connection: never passed on. */
bool field_is_hop_by_hop(enum field_name name);
/* Names with which a client could claim an identity that only the front may state: the
 * X-Forwarded-* family, Forwarded, Proxy, Client-Cert, Remote-User and every "x-routed-" name,
 * also with "_" for "-". */
bool field_is_identity(enum field_name name, struct span lower_name);
/* RFC 9110 section 6.5.1: fields that mean framing, routing or authentication and are dropped
 * when they come as trailers. */
bool field_is_forbidden_trailer(enum field_name name, struct span lower_name);

/* Steps through the members of a comma-separated list; empty members are skipped. Start with
 * *rest = value; false at the end. */
bool field_list_member(struct span *rest, struct span *member);
/* Is `token` a member, ignoring case? */
bool field_value_has_token(struct span value, struct span token);

#endif
