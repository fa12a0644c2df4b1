#include "websocket/handshake.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <routed/error.h>

#define KEY_SIZE      16 /* bytes before base64 */
#define KEY_TEXT_SIZE 24
#define GUID          "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static size_t field_count(const struct http_request *r, enum field_name name)
{
    size_t count = 0;
    for (size_t i = 0; i < r->fields.count; i++)
        count += r->fields.items[i].name == name;
    return count;
}

/* Exactly once, or NULL. */
static const struct field *only_field(const struct http_request *r, enum field_name name)
{
    return field_count(r, name) == 1 ? field_list_find(&r->fields, name) : NULL;
}

static bool key_is_valid(struct span key)
{
    uint8_t bytes[BASE64_DECODE_LENGTH(KEY_TEXT_SIZE)];
    size_t size = sizeof(bytes);
    struct base64_decode_ctx decoder;
    if (key.size != KEY_TEXT_SIZE)
        return false;
    base64_decode_init(&decoder);
    return base64_decode_update(&decoder, &size, bytes, key.size, (const char *)key.data) &&
           base64_decode_final(&decoder) && size == KEY_SIZE;
}

/* RFC 6455 section 4.1. The CONNECT of RFC 8441 was made to look the same (http2/session.h). */
static bool opening_is_valid(const struct http_request *r)
{
    const struct field *key = only_field(r, FIELD_SEC_WEBSOCKET_KEY);
    return r->protocol != HTTP_1_0 && span_equals(r->method, SPAN("GET")) &&
           r->content_length == 0 && key && key_is_valid(key->value);
}

int websocket_handshake_check(const struct http_request *r)
{
    if (r->upgrade != HTTP_UPGRADE_WEBSOCKET)
        return ROUTED_ERROR_UPGRADE;
    const struct field *version = only_field(r, FIELD_SEC_WEBSOCKET_VERSION);
    if (!version)
        return ROUTED_ERROR_UPGRADE;
    if (!span_equals(version->value, SPAN("13")))
        return ROUTED_ERROR_UNSUPPORTED;
    return opening_is_valid(r) ? ROUTED_OK : ROUTED_ERROR_UPGRADE;
}

void websocket_handshake_accept(char out[WEBSOCKET_ACCEPT_SIZE], struct span key)
{
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sha1_ctx sha1;
    sha1_init(&sha1);
    sha1_update(&sha1, key.size, key.data);
    sha1_update(&sha1, sizeof(GUID) - 1, (const uint8_t *)GUID);
    sha1_digest(&sha1, sizeof(digest), digest);
    base64_encode_raw(out, sizeof(digest), digest);
}

bool websocket_handshake_offers(const struct http_request *r, struct span protocol)
{
    for (size_t i = 0; i < r->fields.count; i++) {
        if (r->fields.items[i].name != FIELD_SEC_WEBSOCKET_PROTOCOL)
            continue;
        struct span rest = r->fields.items[i].value;
        struct span member;
        while (field_list_member(&rest, &member))
            if (span_equals(member, protocol))
                return true;
    }
    return false;
}
