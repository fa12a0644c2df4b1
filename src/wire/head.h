/* wire/head.h: request and response heads as bridge bytes and back.
 *
 * Writing appends a frame's beginning to a buffer; of a single frame everything but the body
 * bytes. Reading takes a head that the decoder found whole (wire/decoder.h) and gives the
 * neutral structs of http/message.h. Pure; any thread. */
#ifndef WIRE_HEAD_H
#define WIRE_HEAD_H

#include "base/arena.h"
#include "base/buffer.h"
#include "http/message.h"
#include "wire/frame.h"

/* What version 1 has no place for. It travels as fields whose names start with "x-routed-";
 * no client can forge them, since such fields of a request are never written. Empty: not said. */
struct wire_origin {
    struct span address; /* of the peer: "127.0.0.1", "::1", or "unix" */
    uint16_t port;       /* 0 with "unix" */
    struct span request_id;
    const struct http_tls *tls; /* NULL: in the clear */
};

/* x-routed-peer: "127.0.0.1:5000", "[::1]:5000" or "unix". */
#define WIRE_PEER_TEXT_MAX 64
/* Returns the size, or 0 when the address is longer than any address. No NUL. */
size_t wire_peer_write(char out[WIRE_PEER_TEXT_MAX], struct span address, uint16_t port);
/* `address` is a part of `text`. False when the text has another form. */
bool wire_peer_read(struct span text, struct span *address, uint16_t *port);

/* Appends the head of a request.
 *
 * `type` is WIRE_REQUEST_SINGLE, after which exactly `body_size` bytes must follow, or
 * WIRE_REQUEST_START with `body_size` 0; the literal types serve tests. Of r->fields, those of
 * the connection (connection, upgrade, transfer-encoding, ...) and every x-routed- field are left
 * out; content-length is restated from r->content_length; an upgrade is written as
 * "connection: Upgrade", "upgrade: websocket". `origin` may be NULL.
 *
 * ROUTED_OK, ROUTED_ERROR_MEMORY, ROUTED_ERROR_FIELDS_TOO_LARGE over WIRE_HEAD_MAX,
 * ROUTED_ERROR_FIELDS_TOO_MANY over WIRE_FIELDS_MAX, ROUTED_ERROR_ARGUMENT for a wrong type or a
 * frame over WIRE_PAYLOAD_MAX. On failure the buffer holds what it held. */
int wire_request_write(struct buffer *out, enum wire_type type, const struct http_request *r,
                       const struct wire_origin *origin, uint32_t body_size);

/* Appends the head of a response with its fields as they are; the same limits and errors. A
 * content-length field is added when `content_length` is not HTTP_LENGTH_UNKNOWN and r->fields
 * has none. Status 101 gets "connection: Upgrade" and "upgrade: websocket" in place of its own.
 * 1xx heads other than 101 are start frames that no chunk and no end follows. */
int wire_response_write(struct buffer *out, enum wire_type type, const struct http_response *r,
                        int64_t content_length, uint32_t body_size);

/* A head as the decoder found it: sizes and tokens are checked, meaning is not. */
struct wire_head {
    enum wire_type type;
    struct span bytes;    /* from after the type up to the body field; the decoder says how long */
    uint32_t field_count; /* proved by the bytes */
    uint32_t body_size;   /* of a single frame, else 0 */
    uint16_t status;      /* of a response, 100 to 999 */
};

/* The meaning of a request head. All spans of `r` and `origin` live in `a` or are static.
 *
 * Empty strings get defaults: method GET, scheme http, authority 127.0.0.1,
 * path "/", protocol 1.1. content_length is the body size of a single frame, else the field's
 * value or HTTP_LENGTH_UNKNOWN. The fields that name an upgrade become r->upgrade; connection
 * and x-routed- fields are taken out. `origin` may be NULL.
 *
 * ROUTED_OK, ROUTED_ERROR_MEMORY, or what is wrong: ROUTED_ERROR_METHOD, _TARGET, _HOST,
 * _VERSION, _FIELD_SYNTAX, _CONTENT_LENGTH. The frames stay in step after such an error. */
int wire_request_read(const struct wire_head *h, struct arena *a, struct http_request *r,
                      struct wire_origin *origin);

/* The meaning of a response head; names become lower case, syntax is left to exchange_respond,
 * which checks every response. Of a 101 the two fields of the upgrade are taken out. The body
 * size of a single frame is not turned into a content-length: for HEAD they differ by right.
 * ROUTED_OK or ROUTED_ERROR_MEMORY. */
int wire_response_read(const struct wire_head *h, struct arena *a, struct http_response *r);

/* A single frame says how long its content is: adds that as content-length where the response
 * may have content and `method` is not HEAD. ROUTED_ERROR_RESPONSE where a content-length field
 * says otherwise, ROUTED_ERROR_MEMORY. */
int wire_response_state_length(const struct wire_head *h, struct span method, struct arena *a,
                               struct http_response *r);

#endif
