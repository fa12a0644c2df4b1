/* http/message.h: the meaning of a request and a response (RFC 9110), whatever the version that
 * carried them. All spans live in the message's arena unless said otherwise. */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include "base/span.h"
#include "http/field.h"

enum http_protocol {
    HTTP_1_0,
    HTTP_1_1,
    HTTP_2,
    HTTP_3
};

/* "1.0", "1.1", "2", "3". */
struct span http_protocol_text(enum http_protocol p);

enum http_upgrade {
    HTTP_UPGRADE_NONE,
    HTTP_UPGRADE_WEBSOCKET
};

/* What TLS knows of a connection. A part is empty where there is nothing to tell. */
enum http_tls_part {
    HTTP_TLS_VERSION,            /* "1.3" */
    HTTP_TLS_CIPHER,             /* as RFC 8446 and IANA name it */
    HTTP_TLS_ALPN,               /* "h2" */
    HTTP_TLS_SERVER_NAME,        /* what the client asked for */
    HTTP_TLS_CLIENT_SUBJECT,     /* of its certificate, RFC 4514 */
    HTTP_TLS_CLIENT_FINGERPRINT, /* SHA-256, hexadecimal */
    HTTP_TLS_CLIENT_VERIFIED,    /* "yes", or why not */
    HTTP_TLS_PART_COUNT
};

struct http_tls {
    struct span parts[HTTP_TLS_PART_COUNT];
};

#define HTTP_LENGTH_UNKNOWN (-1) /* until the end comes */

struct http_request {
    struct span method;    /* as received; methods are case-sensitive */
    struct span scheme;    /* "http" or "https": what the transport is, not what the client says */
    struct span authority; /* never empty on HTTP/1.1 and later */
    struct span target;    /* as received */
    struct span path;      /* starts with "/", or is "*"; never decoded */
    struct span query;     /* without "?"; empty when there is none */
    enum http_protocol protocol;
    enum http_upgrade upgrade;
    /* In order of arrival. Hop-by-hop and identity fields are gone, content-length is restated
     * by the front from content_length. */
    struct field_list fields;
    int64_t content_length; /* 0: no content; HTTP_LENGTH_UNKNOWN: chunked or framed */
    bool expects_continue;
};

struct http_response {
    uint16_t status;
    struct field_list fields;
};

/* "OK"; empty for codes without a registered phrase. Static. */
struct span http_reason(uint16_t status);

/* RFC 9110 section 6.4.1: 1xx, 204 and 304 have no content, nor has an answer to HEAD. */
bool http_status_has_content(uint16_t status);
/* RFC 9110 section 15.2.2: final where it is sent, for what follows is not HTTP. */
#define HTTP_SWITCHING_PROTOCOLS 101
/* One that another response to the same request follows (RFC 9110 section 15.2). */
static inline bool http_status_is_interim(uint32_t status)
{
    return status < 200 && status != HTTP_SWITCHING_PROTOCOLS;
}
bool http_method_is_safe(struct span method);       /* RFC 9110 section 9.2.1 */
bool http_method_is_idempotent(struct span method); /* RFC 9110 section 9.2.2 */

/* host [ ":" port ], RFC 9110 section 4.2.1 without userinfo. */
bool http_authority_is_valid(struct span authority);

/* IMF-fixdate, RFC 9110 section 5.6.7: exactly HTTP_DATE_SIZE bytes, no NUL. Leap seconds are
 * not known to `unix_seconds`. */
#define HTTP_DATE_SIZE 29
void http_date_write(char out[HTTP_DATE_SIZE], int64_t unix_seconds);
/* All three forms that RFC 9110 section 5.6.7 asks recipients to accept. */
bool http_date_read(struct span text, int64_t *unix_seconds);

#endif
