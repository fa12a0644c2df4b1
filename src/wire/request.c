#include "base/decimal.h"
#include "wire/fields.h"
#include <routed/error.h>

#define PEER_NAME       SPAN("x-routed-peer")
#define REQUEST_ID_NAME SPAN("x-routed-request-id")
#define OWN_PREFIX      SPAN("x-routed-")

/* Fields by which a front speaks for itself, also in the spelling that CGI would fold. */
static bool is_own(struct span name)
{
    struct span prefix = OWN_PREFIX;
    if (name.size < prefix.size || name.data[0] != prefix.data[0])
        return false;
    for (size_t i = 0; i < prefix.size; i++)
        if ((name.data[i] == '_' ? '-' : name.data[i]) != prefix.data[i])
            return false;
    return true;
}

static const char *const tls_names[HTTP_TLS_PART_COUNT] = {
    [HTTP_TLS_VERSION] = "x-routed-tls-version",
    [HTTP_TLS_CIPHER] = "x-routed-tls-cipher",
    [HTTP_TLS_ALPN] = "x-routed-tls-alpn",
    [HTTP_TLS_SERVER_NAME] = "x-routed-tls-server-name",
    [HTTP_TLS_CLIENT_SUBJECT] = "x-routed-tls-client-subject",
    [HTTP_TLS_CLIENT_FINGERPRINT] = "x-routed-tls-client-fingerprint",
    [HTTP_TLS_CLIENT_VERIFIED] = "x-routed-tls-client-verified",
};
#define TLS_NAME_MAX 32

/* ---- writing ---- */

static void write_origin(struct wire_fields_writer *w, const struct wire_origin *origin)
{
    char peer[WIRE_PEER_TEXT_MAX];
    size_t size = wire_peer_write(peer, origin->address, origin->port);
    if (size)
        wire_fields_write(w, (struct field){PEER_NAME, span_of(peer, size), FIELD_OTHER});
    if (origin->request_id.size)
        wire_fields_write(w, (struct field){REQUEST_ID_NAME, origin->request_id, FIELD_OTHER});
    for (int part = 0; origin->tls && part < HTTP_TLS_PART_COUNT; part++)
        if (origin->tls->parts[part].size)
            wire_fields_write(w, (struct field){span_from(tls_names[part]),
                                                origin->tls->parts[part], FIELD_OTHER});
}

static void write_fields(struct wire_fields_writer *w, const struct http_request *r)
{
    bool has_length = false;
    for (size_t i = 0; i < r->fields.count; i++) {
        const struct field *f = &r->fields.items[i];
        if (f->name == FIELD_CONTENT_LENGTH) {
            if (!has_length && r->content_length >= 0)
                wire_fields_write_length(w, (uint64_t)r->content_length);
            has_length = true;
        } else if (!field_is_hop_by_hop(f->name) && !is_own(f->text)) {
            wire_fields_write(w, *f);
        }
    }
    if (!has_length && r->content_length > 0)
        wire_fields_write_length(w, (uint64_t)r->content_length);
    if (r->upgrade == HTTP_UPGRADE_WEBSOCKET)
        wire_fields_write_upgrade(w);
}

static size_t tls_bound(const struct http_tls *tls)
{
    size_t bound = 0;
    for (int part = 0; tls && part < HTTP_TLS_PART_COUNT; part++)
        bound += WIRE_FIELDS_FRAMING + TLS_NAME_MAX + tls->parts[part].size;
    return bound;
}

static size_t bound(const struct http_request *r, const struct wire_origin *origin)
{
    return wire_fields_bound(&r->fields) + r->method.size + r->scheme.size + r->authority.size +
           r->path.size + r->query.size +
           (origin ? origin->request_id.size + tls_bound(origin->tls) : 0) +
           6 * WIRE_FIELDS_FRAMING;
}

int wire_request_write(struct buffer *out, enum wire_type type, const struct http_request *r,
                       const struct wire_origin *origin, uint32_t body_size)
{
    if (!wire_type_is_request(type) || (body_size && !wire_type_is_single(type)))
        return ROUTED_ERROR_ARGUMENT;
    uint8_t *room = buffer_reserve(out, bound(r, origin));
    if (!room)
        return ROUTED_ERROR_MEMORY;
    struct wire_fields_writer w;
    wire_fields_open(&w, room, type);
    wire_fields_write_string(&w, r->method);
    wire_fields_write_string(&w, r->scheme);
    wire_fields_write_string(&w, r->authority);
    wire_fields_write_string(&w, r->path);
    wire_fields_write_string(&w, r->query);
    wire_fields_write_string(&w, http_protocol_text(r->protocol));
    wire_fields_begin(&w);
    write_fields(&w, r);
    if (origin)
        write_origin(&w, origin);
    return wire_fields_close(&w, out, body_size);
}

/* ---- reading ---- */

static struct span or_default(struct span text, struct span standard)
{
    return text.size ? text : standard;
}

static bool protocol_read(struct span text, enum http_protocol *protocol)
{
    if (text.size == 0 || span_equals(text, SPAN("1.1")))
        *protocol = HTTP_1_1;
    else if (span_equals(text, SPAN("1.0")) || span_equals(text, SPAN("0.9")))
        *protocol = HTTP_1_0;
    else if (span_equals(text, SPAN("2")))
        *protocol = HTTP_2;
    else if (span_equals(text, SPAN("3")))
        *protocol = HTTP_3;
    else
        return false;
    return true;
}

/* RFC 3986 allows fewer bytes still; these are the ones that could change a message's frame. */
static bool is_target_text(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f || text.data[i] == '#')
            return false;
    return true;
}

static bool path_is_valid(struct span path)
{
    return is_target_text(path) && !memchr(path.data, '?', path.size) &&
           (path.data[0] == '/' || span_equals(path, SPAN("*")));
}

/* The origin-form that the path and the query came from. */
static int target_build(struct http_request *r, struct arena *a)
{
    r->target = r->path;
    if (r->query.size == 0)
        return ROUTED_OK;
    size_t size = r->path.size + 1 + r->query.size;
    uint8_t *text = arena_new(a, size);
    if (!text)
        return ROUTED_ERROR_MEMORY;
    memcpy(text, r->path.data, r->path.size);
    text[r->path.size] = '?';
    memcpy(text + r->path.size + 1, r->query.data, r->query.size);
    r->target = span_of(text, size);
    return ROUTED_OK;
}

static int line_read(struct wire_fields_reader *reader, struct arena *a, struct http_request *r)
{
    r->method = or_default(wire_fields_read_string(reader), SPAN("GET"));
    r->scheme = or_default(wire_fields_read_string(reader), SPAN("http"));
    r->authority = or_default(wire_fields_read_string(reader), SPAN("127.0.0.1"));
    r->path = or_default(wire_fields_read_string(reader), SPAN("/"));
    r->query = wire_fields_read_string(reader);
    struct span protocol = wire_fields_read_string(reader);

    if (!field_name_is_valid(r->method))
        return ROUTED_ERROR_METHOD;
    if (!span_equals(r->scheme, SPAN("http")) && !span_equals(r->scheme, SPAN("https")))
        return ROUTED_ERROR_TARGET;
    if (!http_authority_is_valid(r->authority))
        return ROUTED_ERROR_HOST;
    if (!path_is_valid(r->path) || !is_target_text(r->query))
        return ROUTED_ERROR_TARGET;
    if (!protocol_read(protocol, &r->protocol))
        return ROUTED_ERROR_VERSION;
    return target_build(r, a);
}

static int tls_read(const struct field *f, struct arena *a, struct wire_origin *origin)
{
    int part = 0;
    while (part < HTTP_TLS_PART_COUNT && !span_equals(f->text, span_from(tls_names[part])))
        part++;
    if (part == HTTP_TLS_PART_COUNT)
        return ROUTED_OK;
    struct http_tls *tls =
        origin->tls ? (struct http_tls *)(uintptr_t)origin->tls : arena_new(a, sizeof(*tls));
    if (!tls)
        return ROUTED_ERROR_MEMORY;
    if (!origin->tls)
        *tls = (struct http_tls){0};
    origin->tls = tls;
    if (tls->parts[part].size)
        return ROUTED_ERROR_FIELD_SYNTAX;
    tls->parts[part] = f->value;
    return ROUTED_OK;
}

static int peer_read(struct span value, struct wire_origin *origin)
{
    if (origin->address.size || !wire_peer_read(value, &origin->address, &origin->port))
        return ROUTED_ERROR_FIELD_SYNTAX;
    return ROUTED_OK;
}

static int request_id_read(struct span value, struct wire_origin *origin)
{
    if (origin->request_id.size)
        return ROUTED_ERROR_FIELD_SYNTAX;
    origin->request_id = value;
    return ROUTED_OK;
}

static int length_read(struct http_request *r, struct span value)
{
    uint64_t length;
    if (r->content_length != HTTP_LENGTH_UNKNOWN || !decimal_read(value, INT64_MAX, &length))
        return ROUTED_ERROR_CONTENT_LENGTH;
    r->content_length = (int64_t)length;
    return ROUTED_OK;
}

/* Two fields make an upgrade, RFC 9110 section 7.8. */
struct upgrade_signs {
    bool is_asked;     /* connection: upgrade */
    bool is_websocket; /* upgrade: websocket */
};

/* Each request has the first two, hence these first. */
static int other_read(struct http_request *r, struct arena *a, struct wire_origin *origin,
                      struct field f)
{
    if (span_equals(f.text, PEER_NAME))
        return peer_read(f.value, origin);
    if (span_equals(f.text, REQUEST_ID_NAME))
        return request_id_read(f.value, origin);
    if (!field_name_is_valid(f.text))
        return ROUTED_ERROR_FIELD_SYNTAX;
    if (is_own(f.text))
        return tls_read(&f, a, origin);
    r->fields.items[r->fields.count++] = f;
    return ROUTED_OK;
}

static int field_read(struct http_request *r, struct arena *a, struct upgrade_signs *signs,
                      struct wire_origin *origin, struct field f)
{
    f.value = span_trim(f.value);
    if (!field_value_is_valid(f.value))
        return ROUTED_ERROR_FIELD_SYNTAX;
    if (f.name == FIELD_OTHER)
        return other_read(r, a, origin, f);
    if (f.name == FIELD_CONNECTION && field_value_has_token(f.value, SPAN("upgrade")))
        signs->is_asked = true;
    if (f.name == FIELD_UPGRADE && span_equals_ignoring_case(f.value, SPAN("websocket")))
        signs->is_websocket = true;
    if (field_is_hop_by_hop(f.name))
        return ROUTED_OK;
    if (f.name == FIELD_EXPECT && span_equals_ignoring_case(f.value, SPAN("100-continue")))
        r->expects_continue = true;
    r->fields.items[r->fields.count++] = f;
    return f.name == FIELD_CONTENT_LENGTH ? length_read(r, f.value) : ROUTED_OK;
}

/* Keeps in place what belongs to the application. */
static int fields_read(struct http_request *r, struct arena *a, struct wire_origin *origin)
{
    struct upgrade_signs signs = {false, false};
    size_t count = r->fields.count;
    r->fields.count = 0;
    for (size_t i = 0; i < count; i++) {
        int error = field_read(r, a, &signs, origin, r->fields.items[i]);
        if (error)
            return error;
    }
    if (signs.is_asked && signs.is_websocket)
        r->upgrade = HTTP_UPGRADE_WEBSOCKET;
    return ROUTED_OK;
}

int wire_request_read(const struct wire_head *h, struct arena *a, struct http_request *r,
                      struct wire_origin *origin)
{
    struct wire_fields_reader reader;
    struct wire_origin unused;
    if (!origin)
        origin = &unused;
    *r = (struct http_request){.content_length = HTTP_LENGTH_UNKNOWN};
    *origin = (struct wire_origin){0};
    if (wire_fields_reader_init(&reader, h, a))
        return ROUTED_ERROR_MEMORY;
    int error = line_read(&reader, a, r);
    if (error)
        return error;
    if (wire_fields_read(&reader, a, &r->fields))
        return ROUTED_ERROR_MEMORY;
    error = fields_read(r, a, origin);
    if (error || !wire_type_is_single(h->type))
        return error;
    if (r->content_length != HTTP_LENGTH_UNKNOWN && r->content_length != h->body_size)
        return ROUTED_ERROR_CONTENT_LENGTH;
    r->content_length = h->body_size;
    return ROUTED_OK;
}
