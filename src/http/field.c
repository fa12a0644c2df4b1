#include "http/field.h"

#include "http/control.h"
#include <routed/error.h>

#define NAME(literal)                                                                              \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

static const struct span names[FIELD_KNOWN_COUNT] = {
    [FIELD_HOST] = NAME("host"),
    [FIELD_CONNECTION] = NAME("connection"),
    [FIELD_USER_AGENT] = NAME("user-agent"),
    [FIELD_ACCEPT] = NAME("accept"),
    [FIELD_ACCEPT_ENCODING] = NAME("accept-encoding"),
    [FIELD_ACCEPT_LANGUAGE] = NAME("accept-language"),
    [FIELD_CONTENT_TYPE] = NAME("content-type"),
    [FIELD_CONTENT_LENGTH] = NAME("content-length"),
    [FIELD_TRANSFER_ENCODING] = NAME("transfer-encoding"),
    [FIELD_COOKIE] = NAME("cookie"),
    [FIELD_SET_COOKIE] = NAME("set-cookie"),
    [FIELD_CACHE_CONTROL] = NAME("cache-control"),
    [FIELD_PRAGMA] = NAME("pragma"),
    [FIELD_UPGRADE] = NAME("upgrade"),
    [FIELD_AUTHORIZATION] = NAME("authorization"),
    [FIELD_ORIGIN] = NAME("origin"),
    [FIELD_REFERER] = NAME("referer"),
    [FIELD_LOCATION] = NAME("location"),
    [FIELD_SERVER] = NAME("server"),
    [FIELD_DATE] = NAME("date"),
    [FIELD_X_FORWARDED_FOR] = NAME("x-forwarded-for"),
    [FIELD_X_FORWARDED_PROTO] = NAME("x-forwarded-proto"),
    [FIELD_X_FORWARDED_HOST] = NAME("x-forwarded-host"),
    [FIELD_X_FORWARDED_PORT] = NAME("x-forwarded-port"),
    [FIELD_X_REQUEST_ID] = NAME("x-request-id"),
    [FIELD_SEC_WEBSOCKET_KEY] = NAME("sec-websocket-key"),
    [FIELD_SEC_WEBSOCKET_VERSION] = NAME("sec-websocket-version"),
    [FIELD_SEC_WEBSOCKET_PROTOCOL] = NAME("sec-websocket-protocol"),
    [FIELD_SEC_WEBSOCKET_EXTENSIONS] = NAME("sec-websocket-extensions"),
    [FIELD_KEEP_ALIVE] = NAME("keep-alive"),
    [FIELD_PROXY_CONNECTION] = NAME("proxy-connection"),
    [FIELD_PROXY_AUTHENTICATE] = NAME("proxy-authenticate"),
    [FIELD_PROXY_AUTHORIZATION] = NAME("proxy-authorization"),
    [FIELD_TE] = NAME("te"),
    [FIELD_TRAILER] = NAME("trailer"),
    [FIELD_EXPECT] = NAME("expect"),
    [FIELD_FORWARDED] = NAME("forwarded"),
    [FIELD_PROXY] = NAME("proxy"),
    [FIELD_CLIENT_CERT] = NAME("client-cert"),
    [FIELD_CLIENT_CERT_CHAIN] = NAME("client-cert-chain"),
    [FIELD_X_FORWARDED_SSL] = NAME("x-forwarded-ssl"),
    [FIELD_X_FORWARDED_PREFIX] = NAME("x-forwarded-prefix"),
    [FIELD_X_REAL_IP] = NAME("x-real-ip"),
    [FIELD_REMOTE_USER] = NAME("remote-user"),
    [FIELD_SEC_WEBSOCKET_ACCEPT] = NAME("sec-websocket-accept"),
    [FIELD_ALLOW] = NAME("allow"),
    [FIELD_CONTENT_ENCODING] = NAME("content-encoding"),
    [FIELD_CONTENT_RANGE] = NAME("content-range"),
    [FIELD_ETAG] = NAME("etag"),
    [FIELD_IF_NONE_MATCH] = NAME("if-none-match"),
    [FIELD_IF_MODIFIED_SINCE] = NAME("if-modified-since"),
    [FIELD_IF_RANGE] = NAME("if-range"),
    [FIELD_LAST_MODIFIED] = NAME("last-modified"),
    [FIELD_RANGE] = NAME("range"),
    [FIELD_RETRY_AFTER] = NAME("retry-after"),
    [FIELD_VARY] = NAME("vary"),
    [FIELD_MAX_FORWARDS] = NAME("max-forwards"),
};

#define LONGEST_NAME 24
#define SAME_LENGTH  6

/* The known names of each length: a lookup compares at most SAME_LENGTH of them. */
static const struct {
    uint8_t count;
    uint8_t names[SAME_LENGTH];
} of_length[LONGEST_NAME + 1] = {
    [2] = {1, {FIELD_TE}},
    [4] = {4, {FIELD_HOST, FIELD_DATE, FIELD_ETAG, FIELD_VARY}},
    [5] = {3, {FIELD_PROXY, FIELD_ALLOW, FIELD_RANGE}},
    [6] = {6, {FIELD_ACCEPT, FIELD_COOKIE, FIELD_PRAGMA, FIELD_ORIGIN, FIELD_SERVER, FIELD_EXPECT}},
    [7] = {3, {FIELD_UPGRADE, FIELD_REFERER, FIELD_TRAILER}},
    [8] = {2, {FIELD_LOCATION, FIELD_IF_RANGE}},
    [9] = {2, {FIELD_FORWARDED, FIELD_X_REAL_IP}},
    [10] = {4, {FIELD_CONNECTION, FIELD_USER_AGENT, FIELD_SET_COOKIE, FIELD_KEEP_ALIVE}},
    [11] = {3, {FIELD_CLIENT_CERT, FIELD_REMOTE_USER, FIELD_RETRY_AFTER}},
    [12] = {3, {FIELD_CONTENT_TYPE, FIELD_X_REQUEST_ID, FIELD_MAX_FORWARDS}},
    [13] = {5,
            {FIELD_CACHE_CONTROL, FIELD_AUTHORIZATION, FIELD_CONTENT_RANGE, FIELD_IF_NONE_MATCH,
             FIELD_LAST_MODIFIED}},
    [14] = {1, {FIELD_CONTENT_LENGTH}},
    [15] = {4,
            {FIELD_ACCEPT_ENCODING, FIELD_ACCEPT_LANGUAGE, FIELD_X_FORWARDED_FOR,
             FIELD_X_FORWARDED_SSL}},
    [16] = {4,
            {FIELD_X_FORWARDED_HOST, FIELD_X_FORWARDED_PORT, FIELD_PROXY_CONNECTION,
             FIELD_CONTENT_ENCODING}},
    [17] = {5,
            {FIELD_TRANSFER_ENCODING, FIELD_X_FORWARDED_PROTO, FIELD_SEC_WEBSOCKET_KEY,
             FIELD_CLIENT_CERT_CHAIN, FIELD_IF_MODIFIED_SINCE}},
    [18] = {2, {FIELD_PROXY_AUTHENTICATE, FIELD_X_FORWARDED_PREFIX}},
    [19] = {1, {FIELD_PROXY_AUTHORIZATION}},
    [20] = {1, {FIELD_SEC_WEBSOCKET_ACCEPT}},
    [21] = {1, {FIELD_SEC_WEBSOCKET_VERSION}},
    [22] = {1, {FIELD_SEC_WEBSOCKET_PROTOCOL}},
    [24] = {1, {FIELD_SEC_WEBSOCKET_EXTENSIONS}},
};

enum field_name field_lookup(struct span name)
{
    if (name.size > LONGEST_NAME)
        return FIELD_OTHER;
    for (size_t i = 0; i < of_length[name.size].count; i++) {
        uint8_t known = of_length[name.size].names[i];
        const uint8_t *text = names[known].data;
        if (text[0] == name.data[0] && memcmp(text, name.data, name.size) == 0)
            return (enum field_name)known;
    }
    return FIELD_OTHER;
}

struct span field_text(enum field_name name)
{
    return name < FIELD_KNOWN_COUNT ? names[name] : SPAN_EMPTY;
}

/* ---- lists ---- */

#define FIRST_CAPACITY 8

static int resize(struct field_list *l, struct arena *a, size_t capacity)
{
    if (capacity > SIZE_MAX / sizeof(struct field))
        return ROUTED_ERROR_MEMORY;
    struct field *items = arena_new(a, capacity * sizeof(*items));
    if (!items)
        return ROUTED_ERROR_MEMORY;
    if (l->count)
        memcpy(items, l->items, l->count * sizeof(*items));
    l->items = items;
    l->capacity = capacity;
    return ROUTED_OK;
}

int field_list_reserve(struct field_list *l, struct arena *a, size_t more)
{
    if (more <= l->capacity - l->count)
        return ROUTED_OK;
    return more > SIZE_MAX - l->count ? ROUTED_ERROR_MEMORY : resize(l, a, l->count + more);
}

int field_list_append(struct field_list *l, struct arena *a, struct field f)
{
    if (l->count == l->capacity && resize(l, a, l->capacity ? l->capacity * 2 : FIRST_CAPACITY))
        return ROUTED_ERROR_MEMORY;
    l->items[l->count++] = f;
    return ROUTED_OK;
}

int field_list_append_copy(struct field_list *l, struct arena *a, struct span name,
                           struct span value)
{
    if (name.size > SIZE_MAX - value.size)
        return ROUTED_ERROR_MEMORY;
    uint8_t *copy = arena_new(a, name.size + value.size);
    if (!copy)
        return ROUTED_ERROR_MEMORY;
    span_lower_copy(copy, name);
    if (value.size)
        memcpy(copy + name.size, value.data, value.size);
    struct field f = {.text = span_of(copy, name.size),
                      .value = span_of(copy + name.size, value.size)};
    f.name = field_lookup(f.text);
    return field_list_append(l, a, f);
}

const struct field *field_list_find(const struct field_list *l, enum field_name name)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].name == name)
            return &l->items[i];
    return NULL;
}

const struct field *field_list_find_text(const struct field_list *l, struct span lower_name)
{
    for (size_t i = 0; i < l->count; i++)
        if (span_equals(l->items[i].text, lower_name))
            return &l->items[i];
    return NULL;
}

/* ---- syntax ---- */

/* 2 stands for a letter in upper case. */
/* clang-format off */
static const uint8_t tchar[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
    ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1,
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1,
    ['A'] = 2, ['B'] = 2, ['C'] = 2, ['D'] = 2, ['E'] = 2, ['F'] = 2, ['G'] = 2, ['H'] = 2,
    ['I'] = 2, ['J'] = 2, ['K'] = 2, ['L'] = 2, ['M'] = 2, ['N'] = 2, ['O'] = 2, ['P'] = 2,
    ['Q'] = 2, ['R'] = 2, ['S'] = 2, ['T'] = 2, ['U'] = 2, ['V'] = 2, ['W'] = 2, ['X'] = 2,
    ['Y'] = 2, ['Z'] = 2,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1,
    ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1,
    ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
    ['y'] = 1, ['z'] = 1,
};
/* clang-format on */

bool field_is_tchar(uint8_t c)
{
    return tchar[c];
}

bool field_name_is_valid(struct span name)
{
    for (size_t i = 0; i < name.size; i++)
        if (!tchar[name.data[i]])
            return false;
    return name.size > 0;
}

bool field_lower_name_is_valid(struct span name)
{
    for (size_t i = 0; i < name.size; i++)
        if (tchar[name.data[i]] != 1)
            return false;
    return name.size > 0;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

bool field_value_is_valid(struct span value)
{
    if (value.size == 0)
        return true;
    if (is_blank(value.data[0]) || is_blank(value.data[value.size - 1]))
        return false;
    return http_control_at(value) == value.size;
}

/* ---- meaning ---- */

bool field_is_hop_by_hop(enum field_name name)
{
    switch (name) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_PROXY_AUTHENTICATE:
    case FIELD_PROXY_AUTHORIZATION:
    case FIELD_TE:
    case FIELD_TRAILER:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
        return true;
    default:
        return false;
    }
}

/* Gateways that hand fields on as CGI variables make "-" and "_" the same name. */
static bool starts_with_either_dash(struct span name, struct span prefix)
{
    if (name.size < prefix.size)
        return false;
    for (size_t i = 0; i < prefix.size; i++)
        if ((name.data[i] == '_' ? '-' : name.data[i]) != prefix.data[i])
            return false;
    return true;
}

static bool equals_either_dash(struct span name, struct span known)
{
    return name.size == known.size && starts_with_either_dash(name, known);
}

bool field_is_identity(enum field_name name, struct span lower_name)
{
    if (name < FIELD_BRIDGE_COUNT &&
        (name < FIELD_X_FORWARDED_FOR || name > FIELD_X_FORWARDED_PORT))
        return false;
    switch (lower_name.size ? lower_name.data[0] : 0) {
    case 'x':
        return starts_with_either_dash(lower_name, SPAN("x-forwarded-")) ||
               starts_with_either_dash(lower_name, SPAN("x-routed-")) ||
               equals_either_dash(lower_name, SPAN("x-forwarded")) ||
               equals_either_dash(lower_name, SPAN("x-real-ip"));
    case 'f':
        return span_equals(lower_name, SPAN("forwarded"));
    case 'p':
        return span_equals(lower_name, SPAN("proxy"));
    case 'c':
        return equals_either_dash(lower_name, SPAN("client-cert")) ||
               equals_either_dash(lower_name, SPAN("client-cert-chain"));
    case 'r':
        return equals_either_dash(lower_name, SPAN("remote-user"));
    default:
        return false;
    }
}

static bool is_forbidden_trailer_token(enum field_name name)
{
    switch (name) {
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_CONTENT_TYPE:
    case FIELD_CONTENT_ENCODING:
    case FIELD_CONTENT_RANGE:
    case FIELD_AUTHORIZATION:
    case FIELD_COOKIE:
    case FIELD_SET_COOKIE:
    case FIELD_CACHE_CONTROL:
    case FIELD_PRAGMA:
    case FIELD_EXPECT:
    case FIELD_MAX_FORWARDS:
    case FIELD_RANGE:
    case FIELD_IF_RANGE:
    case FIELD_IF_NONE_MATCH:
    case FIELD_IF_MODIFIED_SINCE:
    case FIELD_DATE:
    case FIELD_LOCATION:
    case FIELD_RETRY_AFTER:
    case FIELD_VARY:
    case FIELD_ORIGIN:
    case FIELD_X_REQUEST_ID:
    case FIELD_SEC_WEBSOCKET_KEY:
    case FIELD_SEC_WEBSOCKET_VERSION:
    case FIELD_SEC_WEBSOCKET_PROTOCOL:
    case FIELD_SEC_WEBSOCKET_EXTENSIONS:
    case FIELD_SEC_WEBSOCKET_ACCEPT:
        return true;
    default:
        return false;
    }
}

bool field_is_forbidden_trailer(enum field_name name, struct span lower_name)
{
    static const struct span others[] = {
        NAME("www-authenticate"), NAME("if-match"), NAME("if-unmodified-since"), NAME("age"),
        NAME("expires"),          NAME("warning"),
    };
    if (field_is_hop_by_hop(name) || is_forbidden_trailer_token(name) ||
        field_is_identity(name, lower_name))
        return true;
    if (name != FIELD_OTHER)
        return false;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (span_equals(lower_name, others[i]))
            return true;
    return false;
}

/* ---- comma-separated values ---- */

/* Where the member ends: at a comma outside a quoted string (RFC 9110 section 5.6.4). */
static size_t member_size(struct span value)
{
    bool quoted = false;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted)
            i++;
        else if (c == ',' && !quoted)
            return i;
    }
    return value.size;
}

bool field_list_member(struct span *rest, struct span *member)
{
    while (rest->size) {
        size_t size = member_size(*rest);
        *member = span_trim(span_of(rest->data, size));
        *rest = span_after(*rest, size < rest->size ? size + 1 : size);
        if (member->size)
            return true;
    }
    return false;
}

bool field_value_has_token(struct span value, struct span token)
{
    struct span member;
    while (field_list_member(&value, &member))
        if (span_equals_ignoring_case(member, token))
            return true;
    return false;
}
