#include "base/decimal.h"
#include "engine/escape.h"
#include "engine/exchange.h"

/* ---- NUL-terminated copies ---- */

static struct request_texts *texts_of(routed_exchange *x)
{
    if (!x->texts) {
        x->texts = arena_new(&x->exchange->arena, sizeof(*x->texts));
        if (x->texts)
            memset(x->texts, 0, sizeof(*x->texts));
    }
    return x->texts;
}

static const char *cached_text(routed_exchange *x, const char **cached, struct span text)
{
    if (!*cached)
        *cached = arena_text(&x->exchange->arena, text);
    return *cached;
}

static const char *text_of(routed_exchange *x, enum request_text which, struct span text)
{
    struct request_texts *all = text.data ? texts_of(x) : NULL;
    return all ? cached_text(x, &all->texts[which], text) : NULL;
}

const char *routed_request_method(routed_exchange *x)
{
    return x->exchange ? text_of(x, REQUEST_METHOD, x->exchange->request.method) : NULL;
}

const char *routed_request_scheme(routed_exchange *x)
{
    return x->exchange ? text_of(x, REQUEST_SCHEME, x->exchange->request.scheme) : NULL;
}

const char *routed_request_authority(routed_exchange *x)
{
    return x->exchange ? text_of(x, REQUEST_AUTHORITY, x->exchange->request.authority) : NULL;
}

const char *routed_request_target(routed_exchange *x)
{
    return x->exchange ? text_of(x, REQUEST_TARGET, x->exchange->request.target) : NULL;
}

const char *routed_request_path(routed_exchange *x)
{
    return x->exchange ? text_of(x, REQUEST_PATH, x->exchange->request.path) : NULL;
}

const char *routed_request_query(routed_exchange *x)
{
    if (!x->exchange)
        return NULL;
    struct span query = x->exchange->request.query;
    return query.size ? text_of(x, REQUEST_QUERY, query) : "";
}

const char *routed_request_protocol(routed_exchange *x)
{
    static const char *const names[] = {"1.0", "1.1", "2", "3"};
    return x->exchange ? names[x->exchange->request.protocol] : NULL;
}

const char *routed_request_upgrade(routed_exchange *x)
{
    bool is_upgrade = x->exchange && x->exchange->request.upgrade == HTTP_UPGRADE_WEBSOCKET;
    return is_upgrade ? "websocket" : NULL;
}

const char *routed_request_peer_address(routed_exchange *x)
{
    return x->exchange ? text_of(x, REQUEST_PEER_ADDRESS, x->exchange->peer.address) : NULL;
}

uint16_t routed_request_peer_port(routed_exchange *x)
{
    return x->exchange ? x->exchange->peer.port : 0;
}

const char *routed_request_tls(routed_exchange *x, int part)
{
    if (!x->exchange || !x->exchange->tls || part < 0 || part >= HTTP_TLS_PART_COUNT)
        return NULL;
    struct span text = x->exchange->tls->parts[part];
    return text.size ? text_of(x, (enum request_text)(REQUEST_TLS + part), text) : NULL;
}

const char *routed_request_id(routed_exchange *x)
{
    return x->exchange ? text_of(x, REQUEST_ID, x->exchange->request_id) : NULL;
}

const char *routed_request_pattern(routed_exchange *x)
{
    return x->match.route ? x->match.route->pattern : NULL;
}

int64_t routed_request_content_length(routed_exchange *x)
{
    return x->exchange ? x->exchange->request.content_length : 0;
}

/* ---- fields and trailers ---- */

/* Those of the request, or of its trailers. */
static routed_field *field_texts(routed_exchange *x, const struct field_list *list)
{
    struct request_texts *all = texts_of(x);
    if (!all)
        return NULL;
    routed_field **texts = list == &x->body.trailers ? &all->trailers : &all->fields;
    if (!*texts) {
        *texts = arena_new(&x->exchange->arena, list->count * sizeof(routed_field));
        if (*texts)
            memset(*texts, 0, list->count * sizeof(routed_field));
    }
    return *texts;
}

static int field_at(routed_exchange *x, const struct field_list *list, size_t index,
                    const char **name, const char **value)
{
    if (index >= list->count)
        return ROUTED_ERROR_ARGUMENT;
    routed_field *texts = field_texts(x, list);
    if (!texts)
        return ROUTED_ERROR_MEMORY;
    routed_field *text = &texts[index];
    if (!cached_text(x, &text->name, list->items[index].text) ||
        !cached_text(x, &text->value, list->items[index].value))
        return ROUTED_ERROR_MEMORY;
    if (name)
        *name = text->name;
    if (value)
        *value = text->value;
    return ROUTED_OK;
}

static const char *field_value(routed_exchange *x, const struct field_list *list, const char *name)
{
    const char *value = NULL;
    struct span wanted = span_from(name);
    for (size_t i = 0; i < list->count; i++)
        if (span_equals_ignoring_case(list->items[i].text, wanted))
            return field_at(x, list, i, NULL, &value) == ROUTED_OK ? value : NULL;
    return NULL;
}

const char *routed_request_field(routed_exchange *x, const char *name)
{
    return x->exchange && name ? field_value(x, &x->exchange->request.fields, name) : NULL;
}

size_t routed_request_field_count(routed_exchange *x)
{
    return x->exchange ? x->exchange->request.fields.count : 0;
}

int routed_request_field_at(routed_exchange *x, size_t index, const char **name, const char **value)
{
    return x->exchange ? field_at(x, &x->exchange->request.fields, index, name, value)
                       : ROUTED_ERROR_CLOSED;
}

const char *routed_request_trailer(routed_exchange *x, const char *name)
{
    return x->exchange && name ? field_value(x, &x->body.trailers, name) : NULL;
}

size_t routed_request_trailer_count(routed_exchange *x)
{
    return x->exchange ? x->body.trailers.count : 0;
}

int routed_request_trailer_at(routed_exchange *x, size_t index, const char **name,
                              const char **value)
{
    return x->exchange ? field_at(x, &x->body.trailers, index, name, value) : ROUTED_ERROR_CLOSED;
}

/* ---- parameters ---- */

size_t routed_request_param_count(routed_exchange *x)
{
    return x->exchange && x->match.route ? x->match.route->param_count : 0;
}

static size_t find_param(routed_exchange *x, const char *name)
{
    size_t count = name ? routed_request_param_count(x) : 0;
    for (size_t i = 0; i < count; i++)
        if (span_equals(x->match.route->names[i], span_from(name)))
            return i;
    return PATTERN_PARAMS_MAX;
}

static const char *param_value(routed_exchange *x, size_t index)
{
    struct request_texts *all = texts_of(x);
    if (all && !all->params[index])
        all->params[index] =
            engine_escape_decode(&x->exchange->arena, x->match.params[index], false, NULL);
    return all ? all->params[index] : NULL;
}

const char *routed_request_param(routed_exchange *x, const char *name)
{
    size_t index = find_param(x, name);
    return index < PATTERN_PARAMS_MAX ? param_value(x, index) : NULL;
}

int routed_request_param_at(routed_exchange *x, size_t index, const char **name, const char **value)
{
    if (!x->exchange)
        return ROUTED_ERROR_CLOSED;
    if (index >= routed_request_param_count(x))
        return ROUTED_ERROR_ARGUMENT;
    const char *text = param_value(x, index);
    if (!text || !cached_text(x, &x->texts->param_names[index], x->match.route->names[index]))
        return ROUTED_ERROR_MEMORY;
    if (name)
        *name = x->texts->param_names[index];
    if (value)
        *value = text;
    return ROUTED_OK;
}

const char *routed_request_param_raw(routed_exchange *x, const char *name)
{
    size_t index = find_param(x, name);
    if (index == PATTERN_PARAMS_MAX)
        return NULL;
    struct request_texts *all = texts_of(x);
    return all ? cached_text(x, &all->params_raw[index], x->match.params[index]) : NULL;
}

static bool read_number(const char *text, int64_t *value)
{
    uint64_t number;
    if (!text || !decimal_read(span_from(text), INT64_MAX, &number))
        return false;
    *value = (int64_t)number;
    return true;
}

int routed_request_param_number(routed_exchange *x, const char *name, int64_t *value)
{
    return value && read_number(routed_request_param(x, name), value) ? ROUTED_OK
                                                                      : ROUTED_ERROR_ARGUMENT;
}

/* ---- the query ---- */

/* The part of `rest` before `separator`; `rest` keeps what comes after it. */
static struct span cut(struct span *rest, uint8_t separator)
{
    size_t size = 0;
    while (size < rest->size && rest->data[size] != separator)
        size++;
    struct span part = span_part(*rest, 0, size);
    *rest = size < rest->size ? span_after(*rest, size + 1) : SPAN_EMPTY;
    return part;
}

const char *routed_request_query_param(routed_exchange *x, const char *name, size_t *size)
{
    struct span rest = x->exchange && name ? x->exchange->request.query : SPAN_EMPTY;
    struct span wanted = span_from(name);
    while (rest.size) {
        struct span value = cut(&rest, '&');
        struct span key = cut(&value, '=');
        if (span_equals(key, wanted))
            return engine_escape_decode(&x->exchange->arena, value, true, size);
    }
    return NULL;
}

int64_t routed_request_query_number(routed_exchange *x, const char *name, int64_t otherwise)
{
    int64_t value;
    return read_number(routed_request_query_param(x, name, NULL), &value) ? value : otherwise;
}
