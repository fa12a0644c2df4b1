/* http1/response.h: the bytes of a response head (RFC 9112 sections 4 to 7). */
#ifndef HTTP1_RESPONSE_H
#define HTTP1_RESPONSE_H

#include "http/message.h"

enum http1_framing {
    HTTP1_FRAMING_NONE,   /* nothing said: no content, or content until the close */
    HTTP1_FRAMING_LENGTH, /* content-length */
    HTTP1_FRAMING_CHUNKED
};

enum http1_connection {
    HTTP1_CONNECTION_SILENT, /* what the version implies */
    HTTP1_CONNECTION_CLOSE,
    HTTP1_CONNECTION_KEEP_ALIVE,
    HTTP1_CONNECTION_UPGRADE /* to websocket */
};

struct http1_response_head {
    uint16_t status;
    const struct field_list *fields; /* valid, without what is below */
    const char *date;                /* HTTP_DATE_SIZE bytes, or NULL */
    struct span alt_svc;             /* RFC 7838; empty: none */
    enum http1_framing framing;
    int64_t length; /* of HTTP1_FRAMING_LENGTH */
    enum http1_connection connection;
};

/* At least as many bytes as http1_response_write uses. */
size_t http1_response_bound(const struct http1_response_head *head);
/* Returns how many bytes it wrote. */
size_t http1_response_write(uint8_t *out, const struct http1_response_head *head);

/* The size of a chunk with the CRLF behind it; returns how many bytes. */
#define HTTP1_CHUNK_SIZE_MAX 18
size_t http1_response_write_chunk_size(uint8_t out[HTTP1_CHUNK_SIZE_MAX], uint64_t size);

/* Field lines alone, for trailers, which exchange_end has checked; the bound of both is the same.
 */
size_t http1_response_trailers_bound(const struct field_list *fields);
size_t http1_response_write_trailers(uint8_t *out, const struct field_list *fields);

#endif
