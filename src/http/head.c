#include "http/head.h"

#include "base/decimal.h"
#include "base/memory.h"
#include "http/target.h"
#include <routed/error.h>

#define FIRST_CAPACITY 16   /* lines */
#define FREE_MEMORY    2000 /* bytes; about what the first chunk of an arena holds */
#define ADDED_FIELDS   2    /* host, and the key of a WebSocket */

/* What sec-websocket-key says where the protocol has none: 16 zero bytes. */
#define WEBSOCKET_KEY "AAAAAAAAAAAAAAAAAAAAAA=="

static bool is_pseudo(struct span name)
{
    return name.size && name.data[0] == ':';
}

/* ---- lines ---- */

static const struct http_keeper *keeper_of(const struct http_head *h)
{
    return h->all->cookies.keeper;
}

/* As struct http_heads counts it. */
static size_t memory_of(const struct http_head *h)
{
    size_t lines = h->capacity > FIRST_CAPACITY ? h->capacity * sizeof(h->lines[0]) : 0;
    return lines + (h->memory > FREE_MEMORY ? h->memory : 0);
}

static void forget_lines(struct http_head *h)
{
    size_t memory = memory_of(h);
    for (size_t i = 0; i < h->count; i++) {
        keeper_of(h)->release(h->lines[i].name);
        keeper_of(h)->release(h->lines[i].value);
    }
    http_cookies_give(h->cookie);
    h->cookie = NULL;
    if (memory)
        h->all->memory -= memory;
}

void http_head_release(struct http_head *h)
{
    forget_lines(h);
    memory_free(h->lines);
    *h = (struct http_head){.all = h->all};
}

void http_head_reset(struct http_head *h)
{
    if (h->capacity > FIRST_CAPACITY) {
        http_head_release(h);
        return;
    }
    forget_lines(h);
    *h = (struct http_head){.all = h->all, .lines = h->lines, .capacity = h->capacity};
}

static int count_line(struct http_head *h, struct span name, struct span value)
{
    const struct http_head_limits *limits = h->all->limits;
    if (!is_pseudo(name))
        h->seen++;
    h->bytes += name.size + value.size + HTTP_FIELD_OVERHEAD;
    if (is_pseudo(name) && span_equals(name, SPAN(":path")) && value.size > limits->target_max)
        return ROUTED_ERROR_TARGET_TOO_LONG;
    if (h->seen > limits->fields_count_max)
        return ROUTED_ERROR_FIELDS_TOO_MANY;
    if (h->bytes > limits->fields_bytes_max)
        return ROUTED_ERROR_FIELDS_TOO_LARGE;
    if (name.size + value.size > limits->field_max && !is_pseudo(name))
        return ROUTED_ERROR_FIELD_TOO_LARGE;
    return ROUTED_OK;
}

static int hold_line(struct http_head *h, void *name, void *value)
{
    if (h->count == h->capacity) {
        size_t before = memory_of(h);
        size_t capacity = h->capacity ? h->capacity * 2 : FIRST_CAPACITY;
        struct http_head_line *grown = memory_resize(h->lines, capacity * sizeof(*grown));
        if (!grown)
            return ROUTED_ERROR_MEMORY;
        h->lines = grown;
        h->capacity = capacity;
        h->all->memory += memory_of(h) - before;
    }
    keeper_of(h)->retain(name);
    keeper_of(h)->retain(value);
    h->lines[h->count++] = (struct http_head_line){name, value};
    return ROUTED_OK;
}

int http_head_add(struct http_head *h, void *name, void *value)
{
    int error = count_line(h, keeper_of(h)->text(name), keeper_of(h)->text(value));
    if (h->seen > h->all->limits->fields_count_hard)
        return ROUTED_ERROR_HTTP2_FIELDS;
    if (!h->error)
        h->error = error ? error : hold_line(h, name, value);
    return ROUTED_OK;
}

/* ---- the request ---- */

/* What one pass over the lines collects. */
struct reading {
    struct http_head *head;
    struct http_request *request;
    struct arena *arena;
    struct span method, scheme, path, authority, protocol, host;
    size_t crumb_count;
    size_t cookie_at; /* index of the cookie field */
    int64_t length;   /* declared */
    bool has_host;
    bool expects;
    bool expects_continue;
    bool has_fields; /* pseudo-fields come first */
};

/* Where the value of a pseudo-field goes; NULL: there is none of that name. */
static struct span *pseudo_slot(struct reading *r, struct span name)
{
    switch (name.size > 1 ? name.data[1] : 0) {
    case 'm':
        return span_equals(name, SPAN(":method")) ? &r->method : NULL;
    case 's':
        return span_equals(name, SPAN(":scheme")) ? &r->scheme : NULL;
    case 'a':
        return span_equals(name, SPAN(":authority")) ? &r->authority : NULL;
    case 'p':
        if (span_equals(name, SPAN(":path")))
            return &r->path;
        return span_equals(name, SPAN(":protocol")) ? &r->protocol : NULL;
    default:
        return NULL;
    }
}

static int read_pseudo(struct reading *r, struct span name, struct span value)
{
    struct span *slot = r->has_fields ? NULL : pseudo_slot(r, name);
    if (!slot || slot->data)
        return ROUTED_ERROR_FIELD_SYNTAX;
    *slot = value.data ? value : SPAN("");
    return ROUTED_OK;
}

static void keep(struct reading *r, struct field f)
{
    struct field_list *l = &r->request->fields;
    l->items[l->count++] = f;
}

static int read_content_length(struct reading *r, struct field f)
{
    uint64_t length;
    if (r->length != HTTP_LENGTH_UNKNOWN || !decimal_read(f.value, INT64_MAX, &length))
        return ROUTED_ERROR_CONTENT_LENGTH;
    r->length = (int64_t)length;
    if (f.value.size > 1 && f.value.data[0] == '0') {
        char digits[DECIMAL_MAX];
        f.value = arena_copy(r->arena, span_of(digits, decimal_write(digits, length)));
        if (!f.value.data)
            return ROUTED_ERROR_MEMORY;
    }
    keep(r, f);
    return ROUTED_OK;
}

static int read_host(struct reading *r, struct span value)
{
    if (r->has_host)
        return ROUTED_ERROR_HOST;
    r->has_host = true;
    r->host = value;
    return ROUTED_OK;
}

/* RFC 9113 section 8.2.2, RFC 9114 section 4.2. */
static bool is_connection_specific(enum field_name name)
{
    return name == FIELD_CONNECTION || name == FIELD_KEEP_ALIVE || name == FIELD_PROXY_CONNECTION ||
           name == FIELD_TRANSFER_ENCODING || name == FIELD_UPGRADE;
}

static int read_field(struct reading *r, struct field f)
{
    if (is_connection_specific(f.name))
        return ROUTED_ERROR_FRAMING;
    switch (f.name) {
    case FIELD_HOST:
        return read_host(r, f.value);
    case FIELD_CONTENT_LENGTH:
        return read_content_length(r, f);
    case FIELD_COOKIE:
        if (r->crumb_count++)
            return ROUTED_OK;
        r->cookie_at = r->request->fields.count;
        break;
    case FIELD_TE:
        return span_equals_ignoring_case(f.value, SPAN("trailers")) ? ROUTED_OK
                                                                    : ROUTED_ERROR_FRAMING;
    case FIELD_EXPECT:
        if (r->expects)
            return ROUTED_ERROR_EXPECTATION;
        r->expects = true;
        r->expects_continue = span_equals_ignoring_case(f.value, SPAN("100-continue"));
        return ROUTED_OK;
    case FIELD_TRAILER:
        return ROUTED_OK;
    case FIELD_SEC_WEBSOCKET_KEY:
        if (r->protocol.data)
            return ROUTED_OK;
        break;
    default:
        if (field_is_identity(f.name, f.text))
            return ROUTED_OK;
        if (f.name == FIELD_OTHER && span_equals(f.text, SPAN("priority")))
            r->head->has_priority = true;
    }
    keep(r, f);
    return ROUTED_OK;
}

static int read_line(struct reading *r, const struct http_head_line *line)
{
    struct field f = {.text = keeper_of(r->head)->text(line->name),
                      .value = keeper_of(r->head)->text(line->value)};
    if (is_pseudo(f.text))
        return read_pseudo(r, f.text, f.value);
    r->has_fields = true;
    if (!field_lower_name_is_valid(f.text) || !field_value_is_valid(f.value))
        return ROUTED_ERROR_FIELD_SYNTAX;
    f.name = field_lookup(f.text);
    return read_field(r, f);
}

/* ---- the whole head ---- */

/* Fields for every line at most, in one piece. */
static int begin(struct reading *r)
{
    size_t count = r->head->count + ADDED_FIELDS;
    struct field_list *l = &r->request->fields;
    *l = (struct field_list){arena_new(r->arena, count * sizeof(*l->items)), 0, count};
    if (!l->items)
        return ROUTED_ERROR_MEMORY;
    r->head->memory += count * sizeof(*l->items);
    keep(r, (struct field){.text = SPAN("host"), .name = FIELD_HOST}); /* its value comes last */
    return ROUTED_OK;
}

static int finish_cookie(struct reading *r)
{
    struct http_head *h = r->head;
    if (r->crumb_count < 2)
        return ROUTED_OK;
    void **crumbs = arena_new(r->arena, r->crumb_count * sizeof(void *));
    if (!crumbs)
        return ROUTED_ERROR_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++)
        if (span_equals(keeper_of(h)->text(h->lines[i].name), SPAN("cookie")))
            crumbs[count++] = h->lines[i].value;
    h->cookie = http_cookies_join(&h->all->cookies, crumbs, count);
    if (!h->cookie)
        return ROUTED_ERROR_MEMORY;
    h->memory += count * sizeof(void *);
    r->request->fields.items[r->cookie_at].value = span_of(h->cookie->text, h->cookie->size);
    return ROUTED_OK;
}

static int finish_method(struct reading *r)
{
    if (r->method.size > HTTP_METHOD_MAX || !field_name_is_valid(r->method))
        return ROUTED_ERROR_METHOD;
    r->request->method = r->method;
    if (!span_equals(r->method, SPAN("CONNECT")))
        return r->protocol.data ? ROUTED_ERROR_FIELD_SYNTAX : ROUTED_OK;
    if (!r->protocol.data)
        return ROUTED_ERROR_CONNECT;
    return span_equals(r->protocol, SPAN("websocket")) ? ROUTED_OK : ROUTED_ERROR_UNSUPPORTED;
}

static uint16_t default_port(struct span scheme)
{
    if (span_equals_ignoring_case(scheme, SPAN("https")))
        return 443;
    return span_equals_ignoring_case(scheme, SPAN("http")) ? 80 : 0;
}

static int finish_target(struct reading *r)
{
    struct http_request *request = r->request;
    struct http_target target;
    if (default_port(r->scheme) == 0)
        return ROUTED_ERROR_TARGET;
    int error = http_target_parse(request->method, r->path, &target);
    if (error || target.is_absolute)
        return ROUTED_ERROR_TARGET;
    request->target = r->path;
    request->path = target.path;
    request->query = target.query;
    return ROUTED_OK;
}

/* That :authority and host differ is a sign of two parties that route the request differently. */
static int finish_authority(struct reading *r)
{
    struct span authority = r->authority.data ? r->authority : r->host;
    if (!authority.data || !http_authority_is_valid(authority))
        return ROUTED_ERROR_HOST;
    if (r->authority.data && r->has_host &&
        (!http_authority_is_valid(r->host) ||
         !http_target_same_authority(r->authority, r->host, default_port(r->scheme))))
        return ROUTED_ERROR_HOST;
    r->request->authority = authority;
    r->request->fields.items[0].value = authority;
    return ROUTED_OK;
}

static int finish_content(struct reading *r, bool ends)
{
    struct http_request *request = r->request;
    if (ends && r->length > 0)
        return ROUTED_ERROR_FRAMING;
    request->content_length = ends ? 0 : r->length;
    if (r->length > r->head->all->limits->content_max)
        return ROUTED_ERROR_CONTENT_TOO_LARGE;
    if (r->expects && !r->expects_continue)
        return ROUTED_ERROR_EXPECTATION;
    request->expects_continue = r->expects && request->content_length != 0;
    return ROUTED_OK;
}

static int finish_websocket(struct reading *r)
{
    struct http_request *request = r->request;
    if (!r->protocol.data)
        return ROUTED_OK;
    if (r->length != HTTP_LENGTH_UNKNOWN)
        return ROUTED_ERROR_FRAMING;
    request->method = SPAN("GET");
    request->upgrade = HTTP_UPGRADE_WEBSOCKET;
    request->content_length = 0;
    request->expects_continue = false;
    keep(r, (struct field){.text = field_text(FIELD_SEC_WEBSOCKET_KEY),
                           .value = SPAN(WEBSOCKET_KEY),
                           .name = FIELD_SEC_WEBSOCKET_KEY});
    return ROUTED_OK;
}

static int finish(struct reading *r, bool ends)
{
    int error = finish_method(r);
    if (!error)
        error = finish_target(r);
    if (!error)
        error = finish_authority(r);
    if (!error)
        error = finish_content(r, ends);
    if (!error)
        error = finish_websocket(r);
    return error ? error : finish_cookie(r);
}

static int read_head(struct reading *r, bool ends)
{
    struct http_head *h = r->head;
    int error = begin(r);
    for (size_t i = 0; i < h->count && !error; i++)
        error = read_line(r, &h->lines[i]);
    h->trailers_from = h->count;
    if (h->error) {
        r->request->method = r->method;
        r->request->target = r->path;
        return h->error;
    }
    return error ? error : finish(r, ends);
}

int http_head_read(struct http_head *h, struct http_request *request, struct arena *arena,
                   bool ends)
{
    struct reading r = {
        .head = h, .request = request, .arena = arena, .length = HTTP_LENGTH_UNKNOWN};
    size_t before = memory_of(h);
    int error = read_head(&r, ends);
    h->all->memory += memory_of(h) - before;
    return error;
}

int http_head_read_trailers(struct http_head *h, struct arena *arena, struct field_list *out)
{
    *out = FIELD_LIST_EMPTY;
    for (size_t i = h->trailers_from; i < h->count; i++) {
        struct field f = {.text = keeper_of(h)->text(h->lines[i].name),
                          .value = keeper_of(h)->text(h->lines[i].value)};
        if (!field_lower_name_is_valid(f.text) || !field_value_is_valid(f.value))
            return ROUTED_ERROR_TRAILER;
        f.name = field_lookup(f.text);
        if (is_connection_specific(f.name))
            return ROUTED_ERROR_TRAILER;
        if (field_is_forbidden_trailer(f.name, f.text))
            continue;
        int error = field_list_append(out, arena, f);
        if (error)
            return error;
    }
    return h->error;
}
