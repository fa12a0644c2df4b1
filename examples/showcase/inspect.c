/* inspect.c: what the server understood of a request, and the digest of its body. */
#include "showcase.h"
#include "text.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

/* ---- a body, read as a stream in constant memory ---- */

#define DIGEST_TEXT (2 * SHA256_DIGEST_SIZE + 1)

struct body {
    struct sha256_ctx hash;
    uint64_t length;
    int (*on_end)(routed_exchange *x, uint64_t length, const char *sha256);
};

static int on_body(routed_exchange *x, const void *bytes, size_t size, int is_end, void *user)
{
    struct body *body = user;
    if (!is_end) {
        sha256_update(&body->hash, size, bytes);
        body->length += size;
        ledger_took(x, bytes, size);
        return ROUTED_OK;
    }
    uint8_t digest[SHA256_DIGEST_SIZE];
    char text[DIGEST_TEXT];
    sha256_digest(&body->hash, sizeof(digest), digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return body->on_end(x, body->length, text);
}

static int read_body(routed_exchange *x,
                     int (*on_end)(routed_exchange *x, uint64_t length, const char *sha256))
{
    struct body *body = routed_exchange_memory(x, sizeof(*body));
    if (!body)
        return ROUTED_ERROR_MEMORY;
    *body = (struct body){.on_end = on_end};
    sha256_init(&body->hash);
    return routed_request_read(x, on_body, body);
}

static int answer_digest(routed_exchange *x, uint64_t length, const char *sha256)
{
    return routed_response_format(x, "application/json", "{\"length\":%llu,\"sha256\":\"%s\"}",
                                  (unsigned long long)length, sha256);
}

static int digest(routed_exchange *x, void *user)
{
    (void)user;
    return read_body(x, answer_digest);
}

/* ---- everything about a request ---- */

static void add_member(struct text *json, const char *name, const char *value)
{
    text_add_json(json, name);
    text_add(json, ":");
    text_add_json(json, value);
    text_add(json, ",");
}

static void add_fields(struct text *json, routed_exchange *x)
{
    const char *name, *value;
    text_add(json, "\"headers\":[");
    for (size_t i = 0; routed_request_field_at(x, i, &name, &value) == ROUTED_OK; i++) {
        text_add(json, i ? ",[" : "[");
        text_add_json(json, name);
        text_add(json, ",");
        text_add_json(json, value);
        text_add(json, "]");
    }
    text_add(json, "],");
}

static void add_peer(struct text *json, routed_exchange *x)
{
    const char *address = routed_request_peer_address(x);
    if (!address) {
        text_add(json, "\"peer\":null,");
        return;
    }
    text_add(json, "\"peer\":{\"address\":");
    text_add_json(json, address);
    text_add(json, ",\"port\":");
    text_add_number(json, routed_request_peer_port(x));
    text_add(json, "},");
}

static void add_tls(struct text *json, routed_exchange *x)
{
    static const char *const names[] = {"version",        "cipher",         "alpn",
                                        "server_name",    "client_subject", "client_fingerprint",
                                        "client_verified"};
    if (!routed_request_tls(x, ROUTED_TLS_VERSION)) {
        text_add(json, "\"tls\":null,");
        return;
    }
    text_add(json, "\"tls\":");
    for (int part = ROUTED_TLS_VERSION; part <= ROUTED_TLS_CLIENT_VERIFIED; part++) {
        text_add(json, part ? "," : "{");
        text_add_json(json, names[part]);
        text_add(json, ":");
        text_add_json(json, routed_request_tls(x, part));
    }
    text_add(json, "},");
}

static int answer_inspection(routed_exchange *x, uint64_t length, const char *sha256)
{
    struct text json = TEXT_EMPTY;
    text_add(&json, "{");
    add_member(&json, "method", routed_request_method(x));
    add_member(&json, "scheme", routed_request_scheme(x));
    add_member(&json, "authority", routed_request_authority(x));
    add_member(&json, "path", routed_request_path(x));
    add_member(&json, "query", routed_request_query(x));
    add_member(&json, "protocol", routed_request_protocol(x));
    add_fields(&json, x);
    text_add(&json, "\"params\":{},");
    add_peer(&json, x);
    add_tls(&json, x);
    add_member(&json, "request_id", routed_request_id(x));
    text_add(&json, "\"body\":{\"length\":");
    text_add_number(&json, length);
    text_add(&json, ",\"sha256\":\"");
    text_add(&json, sha256);
    text_add(&json, "\"}}");

    int error = ROUTED_ERROR_MEMORY;
    if (!json.failed)
        error = routed_response_bytes(x, "application/json", json.bytes, json.size);
    text_free(&json);
    return error;
}

static int inspect(routed_exchange *x, void *user)
{
    (void)user;
    return read_body(x, answer_inspection);
}

int add_inspection(routed_engine *engine)
{
    routed_route_options unlimited = ROUTED_ROUTE_OPTIONS;
    unlimited.body_limit = ROUTED_UNLIMITED;
    int error = ROUTED_OK;
    add_route(&error, engine, "*", "/inspect", inspect, NULL);
    add_route(&error, engine, "POST", "/digest", digest, &unlimited);
    return error;
}
