#include "exchange/exchange.h"

#include "base/decimal.h"

/* ---- carrier side ---- */

void exchange_init(struct exchange *x, const struct exchange_carrier *carrier, void *carrier_state,
                   struct loop *loop)
{
    struct arena arena = x->arena;
    arena_reset(&arena);
    *x = (struct exchange){.arena = arena,
                           .loop = loop,
                           .carrier = carrier,
                           .carrier_state = carrier_state,
                           .response_length = HTTP_LENGTH_UNKNOWN};
}

void exchange_release(struct exchange *x)
{
    arena_release(&x->arena);
}

static bool is_over(const struct exchange *x)
{
    return x->is_closed || x->is_failed;
}

/* Who grants more than can be counted has granted everything. */
static void add_credit(int64_t *credit, size_t bytes)
{
    int64_t room = *credit > 0 ? INT64_MAX - *credit : INT64_MAX;
    *credit = bytes > (uint64_t)room ? INT64_MAX : *credit + (int64_t)bytes;
}

void exchange_open(struct exchange *x, const struct exchange_application *application,
                   void *context)
{
    x->application = application;
    x->request_phase = EXCHANGE_BODY;
    application->on_request(x, context);
}

int exchange_deliver(struct exchange *x, struct slice body)
{
    if (is_over(x) || body.size == 0) {
        slice_release(&body);
        return ROUTED_OK;
    }
    if (x->request_phase != EXCHANGE_BODY) {
        slice_release(&body);
        return ROUTED_ERROR_STATE;
    }
    x->request_bytes += body.size;
    x->request_credit -= (int64_t)body.size;
    if (x->request.content_length >= 0 && x->request_bytes > (uint64_t)x->request.content_length) {
        slice_release(&body);
        return ROUTED_ERROR_FRAMING;
    }
    x->application->on_body(x, body);
    return ROUTED_OK;
}

int exchange_deliver_end(struct exchange *x, const struct field_list *trailers)
{
    if (is_over(x))
        return ROUTED_OK;
    if (x->request_phase != EXCHANGE_BODY)
        return ROUTED_ERROR_STATE;
    if (x->request.content_length >= 0 && x->request_bytes != (uint64_t)x->request.content_length)
        return ROUTED_ERROR_TRUNCATED;
    x->request_phase = EXCHANGE_ENDED;
    x->application->on_end(x, trailers);
    return ROUTED_OK;
}

void exchange_writable(struct exchange *x, size_t bytes)
{
    bool was_blocked = x->response_credit <= 0;
    add_credit(&x->response_credit, bytes);
    if (was_blocked && x->response_credit > 0 && !is_over(x) && x->application &&
        x->response_phase == EXCHANGE_BODY)
        x->application->on_writable(x);
}

void exchange_close(struct exchange *x, int error)
{
    if (x->is_closed)
        return;
    x->is_closed = true;
    if (x->application)
        x->application->on_close(x, error);
}

bool exchange_is_complete(const struct exchange *x)
{
    return x->request_phase == EXCHANGE_ENDED && x->response_phase == EXCHANGE_ENDED &&
           !x->is_failed;
}

/* ---- application side ---- */

/* What a response may carry is checked in one place for every carrier, so that no engine can
 * split a response, in no version of HTTP. */
struct response_check {
    struct field_list kept;
    int64_t length;
    size_t bytes;
    bool wants_close;
    bool has_connection;
};

static int check_length(struct response_check *check, struct span value)
{
    uint64_t length;
    if (check->length != HTTP_LENGTH_UNKNOWN || !decimal_read(value, INT64_MAX, &length))
        return ROUTED_ERROR_RESPONSE;
    check->length = (int64_t)length;
    return ROUTED_OK;
}

/* Trailing and leading blanks in a value are a matter of writing, not of meaning. */
static int check_field(struct response_check *check, struct arena *arena, struct field f)
{
    f.value = span_trim(f.value);
    if ((f.name == FIELD_OTHER && !field_name_is_valid(f.text)) || !field_value_is_valid(f.value))
        return ROUTED_ERROR_RESPONSE;
    check->bytes += f.text.size + f.value.size;
    if (check->bytes > EXCHANGE_RESPONSE_HEAD_MAX)
        return ROUTED_ERROR_RESPONSE;
    if (f.name == FIELD_CONTENT_LENGTH)
        return check_length(check, f.value);
    if (f.name == FIELD_CONNECTION) {
        check->has_connection = true;
        check->wants_close |= field_value_has_token(f.value, SPAN("close"));
    }
    if (f.name == FIELD_DATE || field_is_hop_by_hop(f.name))
        return ROUTED_OK;
    return field_list_append(&check->kept, arena, f);
}

static bool is_named_by_connection(struct span name, const struct field_list *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        if (fields->items[i].name == FIELD_CONNECTION &&
            field_value_has_token(fields->items[i].value, name))
            return true;
    return false;
}

/* RFC 9110 section 7.6.1: Connection names further fields that are for one hop. */
static void drop_named_by_connection(struct field_list *kept, const struct field_list *all)
{
    size_t count = 0;
    for (size_t i = 0; i < kept->count; i++)
        if (!is_named_by_connection(kept->items[i].text, all))
            kept->items[count++] = kept->items[i];
    kept->count = count;
}

static int check_fields(struct response_check *check, struct arena *arena,
                        const struct field_list *fields)
{
    if (fields->count > EXCHANGE_RESPONSE_FIELDS_MAX)
        return ROUTED_ERROR_RESPONSE;
    if (field_list_reserve(&check->kept, arena, fields->count))
        return ROUTED_ERROR_MEMORY;
    for (size_t i = 0; i < fields->count; i++) {
        int error = check_field(check, arena, fields->items[i]);
        if (error)
            return error;
    }
    if (check->has_connection)
        drop_named_by_connection(&check->kept, fields);
    return ROUTED_OK;
}

int exchange_inform(struct exchange *x, const struct http_response *head)
{
    if (is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (x->response_phase != EXCHANGE_HEAD || head->status < 100 || head->status > 199 ||
        head->status == HTTP_SWITCHING_PROTOCOLS)
        return ROUTED_ERROR_STATE;
    if (x->informs == EXCHANGE_INFORMS_MAX)
        return ROUTED_ERROR_LIMIT;
    x->informs++;
    struct response_check check = {.length = HTTP_LENGTH_UNKNOWN};
    int error = check_fields(&check, &x->arena, &head->fields);
    if (error)
        return error;
    if (x->request.protocol == HTTP_1_0)
        return ROUTED_OK;
    struct http_response filtered = {.status = head->status, .fields = check.kept};
    return x->carrier->inform(x, &filtered);
}

static bool status_is_allowed(const struct exchange *x, uint16_t status)
{
    if (status == HTTP_SWITCHING_PROTOCOLS)
        return x->request.upgrade != HTTP_UPGRADE_NONE;
    return status >= 200 && status <= 999;
}

static void enter_tunnel(struct exchange *x)
{
    x->is_tunnel = true;
    x->request.content_length = HTTP_LENGTH_UNKNOWN;
    x->request_phase = EXCHANGE_BODY;
}

int exchange_respond(struct exchange *x, const struct http_response *head)
{
    if (is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (x->response_phase != EXCHANGE_HEAD)
        return ROUTED_ERROR_STATE;
    if (!status_is_allowed(x, head->status))
        return ROUTED_ERROR_RESPONSE;
    struct response_check check = {.length = HTTP_LENGTH_UNKNOWN};
    int error = check_fields(&check, &x->arena, &head->fields);
    if (error)
        return error;
    bool has_content = http_status_has_content(head->status);
    if (!has_content && head->status != 304 && check.length > 0)
        return ROUTED_ERROR_RESPONSE;
    x->suppress_content = !has_content || span_equals(x->request.method, SPAN("HEAD"));
    if (head->status == HTTP_SWITCHING_PROTOCOLS) {
        enter_tunnel(x);
        x->suppress_content = false;
        check.length = HTTP_LENGTH_UNKNOWN;
    }
    if (x->clock)
        x->responded_at = x->clock();
    x->status = head->status;
    x->close_after = check.wants_close;
    x->response_length = check.length;
    x->response_phase = EXCHANGE_BODY;
    struct http_response filtered = {.status = head->status, .fields = check.kept};
    return x->carrier->respond(x, &filtered, check.length);
}

static int refuse_response(struct exchange *x)
{
    exchange_fail(x, ROUTED_ERROR_RESPONSE);
    return ROUTED_ERROR_RESPONSE;
}

int exchange_send(struct exchange *x, struct slice body)
{
    int error = ROUTED_OK;
    if (is_over(x))
        error = ROUTED_ERROR_CLOSED;
    else if (x->response_phase != EXCHANGE_BODY)
        error = ROUTED_ERROR_STATE;
    else if (body.size && x->suppress_content && !http_status_has_content(x->status))
        error = refuse_response(x);
    else if (body.size && !x->suppress_content && x->response_credit <= 0)
        error = ROUTED_ERROR_AGAIN;
    else if (!x->suppress_content && x->response_length >= 0 &&
             body.size > (uint64_t)x->response_length - x->response_bytes)
        error = refuse_response(x);
    if (error || body.size == 0 || x->suppress_content) {
        slice_release(&body);
        return error;
    }
    x->response_bytes += body.size;
    x->response_credit -= (int64_t)body.size;
    return x->carrier->send(x, body);
}

/* What must not stand in trailers (RFC 9110 section 6.5.1) is left out, not passed on. */
static int check_trailers(struct response_check *check, struct arena *arena,
                          const struct field_list *trailers)
{
    if (trailers->count > EXCHANGE_RESPONSE_FIELDS_MAX)
        return ROUTED_ERROR_RESPONSE;
    for (size_t i = 0; i < trailers->count; i++) {
        const struct field *f = &trailers->items[i];
        if (field_is_forbidden_trailer(f->name, f->text))
            continue;
        int error = check_field(check, arena, *f);
        if (error)
            return error;
    }
    return ROUTED_OK;
}

int exchange_end(struct exchange *x, const struct field_list *trailers)
{
    if (is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (x->response_phase != EXCHANGE_BODY)
        return ROUTED_ERROR_STATE;
    if (!x->suppress_content && x->response_length >= 0 &&
        x->response_bytes != (uint64_t)x->response_length)
        return refuse_response(x);
    struct response_check check = {.length = HTTP_LENGTH_UNKNOWN};
    int error = trailers ? check_trailers(&check, &x->arena, trailers) : ROUTED_OK;
    if (error) {
        exchange_fail(x, error);
        return error;
    }
    x->response_phase = EXCHANGE_ENDED;
    return x->carrier->end(x, check.kept.count ? &check.kept : NULL);
}

void exchange_fail(struct exchange *x, int error)
{
    if (is_over(x))
        return;
    x->is_failed = true;
    x->carrier->fail(x, error);
}

void exchange_grant(struct exchange *x, size_t bytes)
{
    if (is_over(x) || bytes == 0)
        return;
    add_credit(&x->request_credit, bytes);
    x->carrier->grant(x, bytes);
}
