#include "http1/parser.h"

#include "base/decimal.h"
#include <routed/error.h>

void http1_parser_init(struct http1_parser *p, const struct http1_limits *limits)
{
    *p = (struct http1_parser){.allowance = http1_allowance_of(limits)};
}

/* ---- request line ---- */

/* The part before the next space; false when there is no space. */
static bool take_word(struct span *rest, struct span *word)
{
    const uint8_t *space = rest->size ? memchr(rest->data, ' ', rest->size) : NULL;
    if (!space)
        return false;
    *word = span_of(rest->data, (size_t)(space - rest->data));
    *rest = span_after(*rest, word->size + 1);
    return true;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static int parse_version(struct span text, enum http_protocol *protocol)
{
    if (text.size != 8 || !span_starts_with(text, SPAN("HTTP/")) || !is_digit(text.data[5]) ||
        text.data[6] != '.' || !is_digit(text.data[7]))
        return ROUTED_ERROR_REQUEST_LINE;
    if (text.data[5] != '1' || text.data[7] > '1')
        return ROUTED_ERROR_VERSION;
    *protocol = text.data[7] == '1' ? HTTP_1_1 : HTTP_1_0;
    return ROUTED_OK;
}

static int parse_request_line(struct http1_parser *p, struct span line,
                              struct http_request *request, struct arena *arena)
{
    struct span rest = arena_copy(arena, line);
    struct span method, target;
    if (!rest.data)
        return ROUTED_ERROR_MEMORY;
    if (!take_word(&rest, &method) || !take_word(&rest, &target))
        return ROUTED_ERROR_REQUEST_LINE;
    p->is_foreign = !memchr(line.data, '/', line.size);
    if (method.size > HTTP1_METHOD_MAX || !field_name_is_valid(method))
        return ROUTED_ERROR_METHOD;
    request->method = method;
    request->target = target;
    int error = parse_version(rest, &request->protocol);
    if (error)
        return error;
    if (span_equals(method, SPAN("CONNECT")))
        return ROUTED_ERROR_CONNECT;
    error = http_target_parse(method, target, &p->target);
    if (error)
        return error;
    request->path = p->target.path;
    request->query = p->target.query;
    request->authority = p->target.authority;
    p->phase = HTTP1_PARSER_FIELDS;
    return ROUTED_OK;
}

/* ---- fields ---- */

static int on_content_length(struct http1_parser *p, struct http_request *request, struct field *f,
                             struct arena *arena)
{
    uint64_t length;
    if (++p->lengths > 1 || !decimal_read(f->value, INT64_MAX, &length))
        return ROUTED_ERROR_CONTENT_LENGTH;
    request->content_length = (int64_t)length;
    if (f->value.size > 1 && f->value.data[0] == '0') {
        char digits[DECIMAL_MAX];
        f->value = arena_copy(arena, span_of(digits, decimal_write(digits, length)));
        if (!f->value.data)
            return ROUTED_ERROR_MEMORY;
    }
    return field_list_append(&request->fields, arena, *f);
}

static void on_transfer_encoding(struct http1_parser *p, struct span value)
{
    if (p->transfer != HTTP1_TRANSFER_NONE)
        p->transfer = HTTP1_TRANSFER_BAD;
    else if (span_equals_ignoring_case(value, SPAN("chunked")))
        p->transfer = HTTP1_TRANSFER_CHUNKED;
    else
        p->transfer = field_name_is_valid(value) ? HTTP1_TRANSFER_UNKNOWN : HTTP1_TRANSFER_BAD;
}

/* A client that lists an end-to-end field here wants it to get lost on the way: Host, Cookie,
 * X-Forwarded-For. No honest one does. */
static bool may_be_connection_option(const struct field *option)
{
    if (option->name == FIELD_TRANSFER_ENCODING)
        return false;
    if (field_is_identity(option->name, option->text))
        return false;
    return option->name == FIELD_OTHER || field_is_hop_by_hop(option->name);
}

static int on_connection_option(struct http1_parser *p, struct span member, struct arena *arena)
{
    if (++p->options > HTTP1_CONNECTION_OPTIONS_MAX || !field_name_is_valid(member))
        return ROUTED_ERROR_FIELD_SYNTAX;
    if (span_equals_ignoring_case(member, SPAN("keep-alive"))) {
        p->wants_keep_alive = true;
    } else if (span_equals_ignoring_case(member, SPAN("close"))) {
        p->wants_close = true;
    } else if (span_equals_ignoring_case(member, SPAN("upgrade"))) {
        p->wants_upgrade = true;
    } else {
        struct field_list *options = &p->connection_options;
        int error = field_list_append_copy(options, arena, member, SPAN_EMPTY);
        if (error)
            return error;
        if (!may_be_connection_option(&options->items[options->count - 1]))
            return ROUTED_ERROR_FRAMING;
    }
    return ROUTED_OK;
}

static int on_connection(struct http1_parser *p, struct span value, struct arena *arena)
{
    struct span member;
    int error = ROUTED_OK;
    while (!error && field_list_member(&value, &member))
        error = on_connection_option(p, member, arena);
    return error;
}

static int on_field(struct http1_parser *p, struct http_request *request, struct field *f,
                    struct arena *arena)
{
    switch (f->name) {
    case FIELD_HOST:
        p->hosts++;
        p->host = f->value;
        break;
    case FIELD_CONTENT_LENGTH:
        return on_content_length(p, request, f, arena);
    case FIELD_TRANSFER_ENCODING:
        on_transfer_encoding(p, f->value);
        return ROUTED_OK;
    case FIELD_CONNECTION:
        return on_connection(p, f->value, arena);
    case FIELD_UPGRADE:
        p->offers_websocket |= field_value_has_token(f->value, SPAN("websocket"));
        return ROUTED_OK;
    case FIELD_EXPECT:
        p->expectations++;
        p->expects_continue = span_equals_ignoring_case(f->value, SPAN("100-continue"));
        return ROUTED_OK;
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TE:
    case FIELD_TRAILER:
        return ROUTED_OK;
    default:
        if (field_is_identity(f->name, f->text))
            return ROUTED_OK;
    }
    return field_list_append(&request->fields, arena, *f);
}

/* ---- the whole head ---- */

/* RFC 9112 section 3.2.2: the target's authority goes before Host. That they differ is a sign of
 * two parties that route the request differently, so it is refused. */
static int finish_host(const struct http1_parser *p, struct http_request *request)
{
    if (p->hosts > 1 || (p->hosts == 0 && request->protocol != HTTP_1_0))
        return ROUTED_ERROR_HOST;
    if (p->hosts == 0)
        return ROUTED_OK;
    if (!http_authority_is_valid(p->host))
        return ROUTED_ERROR_HOST;
    if (!p->target.is_absolute) {
        request->authority = p->host;
        return ROUTED_OK;
    }
    if (!http_target_same_authority(p->target.authority, p->host, p->target.default_port))
        return ROUTED_ERROR_HOST;
    for (size_t i = 0; i < request->fields.count; i++)
        if (request->fields.items[i].name == FIELD_HOST)
            request->fields.items[i].value = p->target.authority;
    return ROUTED_OK;
}

/* RFC 9112 section 6.3, with every case refused in which two readers could disagree. */
static int finish_framing(const struct http1_parser *p, const struct http1_limits *limits,
                          struct http_request *request)
{
    if (p->transfer == HTTP1_TRANSFER_NONE)
        return request->content_length > limits->content_max ? ROUTED_ERROR_CONTENT_TOO_LARGE
                                                             : ROUTED_OK;
    if (p->lengths || p->transfer == HTTP1_TRANSFER_BAD || request->protocol == HTTP_1_0)
        return ROUTED_ERROR_FRAMING;
    if (p->transfer == HTTP1_TRANSFER_UNKNOWN)
        return ROUTED_ERROR_TRANSFER_CODING;
    request->content_length = HTTP_LENGTH_UNKNOWN;
    return ROUTED_OK;
}

static int finish_expectation(const struct http1_parser *p, struct http_request *request)
{
    if (p->expectations == 0 || request->protocol == HTTP_1_0)
        return ROUTED_OK;
    if (p->expectations > 1 || !p->expects_continue)
        return ROUTED_ERROR_EXPECTATION;
    request->expects_continue = request->content_length != 0;
    return ROUTED_OK;
}

static void remove_named_fields(const struct http1_parser *p, struct http_request *request)
{
    if (p->connection_options.count == 0)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < request->fields.count; i++)
        if (!field_list_find_text(&p->connection_options, request->fields.items[i].text))
            request->fields.items[kept++] = request->fields.items[i];
    request->fields.count = kept;
}

/* An upgrade with content would leave it open which of the two comes next. */
static void finish_connection(struct http1_parser *p, struct http_request *request)
{
    bool is_1_1 = request->protocol == HTTP_1_1;
    p->is_persistent = !p->wants_close && (is_1_1 || p->wants_keep_alive);
    if (is_1_1 && p->wants_upgrade && p->offers_websocket && request->content_length == 0 &&
        span_equals(request->method, SPAN("GET")))
        request->upgrade = HTTP_UPGRADE_WEBSOCKET;
}

static int finish(struct http1_parser *p, const struct http1_limits *limits,
                  struct http_request *request)
{
    int error = finish_host(p, request);
    if (!error)
        error = finish_framing(p, limits, request);
    if (!error)
        error = finish_expectation(p, request);
    if (error)
        return error;
    remove_named_fields(p, request);
    finish_connection(p, request);
    p->phase = HTTP1_PARSER_DONE;
    return ROUTED_OK;
}

static int parse_line(struct http1_parser *p, struct span line, const struct http1_limits *limits,
                      struct http_request *request, struct arena *arena)
{
    if (p->phase == HTTP1_PARSER_FIELDS) {
        struct field f;
        if (line.size == 0)
            return finish(p, limits, request);
        int error = http1_fields_parse(line, arena, &p->allowance, &f);
        return error ? error : on_field(p, request, &f, arena);
    }
    if (line.size == 0 && p->phase == HTTP1_PARSER_START) {
        p->phase = HTTP1_PARSER_REQUEST_LINE;
        return ROUTED_OK;
    }
    return parse_request_line(p, line, request, arena);
}

static int line_error(enum http1_line_result result, bool in_fields)
{
    switch (result) {
    case HTTP1_LINE_TOO_LONG:
        return in_fields ? ROUTED_ERROR_FIELD_TOO_LARGE : ROUTED_ERROR_TARGET_TOO_LONG;
    case HTTP1_LINE_BAD:
        return in_fields ? ROUTED_ERROR_FIELD_SYNTAX : ROUTED_ERROR_REQUEST_LINE;
    case HTTP1_LINE_MEMORY:
        return ROUTED_ERROR_MEMORY;
    default:
        return ROUTED_OK;
    }
}

int http1_parser_feed(struct http1_parser *p, struct http1_line *line,
                      const struct http1_limits *limits, struct http_request *request,
                      struct arena *arena, struct span *bytes)
{
    int error = ROUTED_OK;
    while (!error && bytes->size && p->phase != HTTP1_PARSER_DONE) {
        bool in_fields = p->phase == HTTP1_PARSER_FIELDS;
        struct span text;
        enum http1_line_result result = http1_line_feed(
            line, bytes, in_fields ? limits->field_line_max : limits->request_line_max, &text);
        if (result == HTTP1_LINE_READY)
            error = parse_line(p, text, limits, request, arena);
        else
            error = line_error(result, in_fields);
    }
    return error;
}
