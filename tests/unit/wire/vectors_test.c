/* The golden vectors of bridge version 1, read from tests/conformance/bridge-v1/frames.json. */
#include "wire/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

static json_t *file;

/* ---- reading the file ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void append_hex(struct buffer *out, const char *hex)
{
    for (; *hex; hex += 2) {
        uint8_t byte = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        assert_int_equal(buffer_append(out, &byte, 1), ROUTED_OK);
    }
}

/* What a head means: `meaning` where it has the key, else the head itself. */
static const json_t *meant(const json_t *head, const char *key)
{
    const json_t *value = json_object_get(json_object_get(head, "meaning"), key);
    return value ? value : json_object_get(head, key);
}

static struct span meant_span(const json_t *head, const char *key)
{
    const char *text = json_string_value(meant(head, key));
    return span_from(text ? text : "");
}

static void read_fields(const json_t *head, struct arena *a, struct field_list *out)
{
    size_t i;
    json_t *pair;
    bool is_hex = json_object_get(head, "fields_hex") != NULL;
    const json_t *fields = is_hex ? json_object_get(head, "fields_hex") : meant(head, "fields");
    *out = FIELD_LIST_EMPTY;
    json_array_foreach(fields, i, pair)
    {
        struct buffer value = BUFFER_EMPTY;
        const char *text = json_string_value(json_array_get(pair, 1));
        if (is_hex)
            append_hex(&value, text);
        else
            buffer_append_text(&value, text);
        struct span name = span_from(json_string_value(json_array_get(pair, 0)));
        assert_int_equal(field_list_append_copy(out, a, name, buffer_span(&value)), ROUTED_OK);
        buffer_release(&value);
    }
}

static enum http_protocol protocol_of(struct span text)
{
    for (int p = HTTP_1_0; p <= HTTP_3; p++)
        if (span_equals(text, http_protocol_text((enum http_protocol)p)))
            return (enum http_protocol)p;
    fail_msg("protocol %.*s", (int)text.size, (const char *)text.data);
    return HTTP_1_1;
}

static void read_request(const json_t *head, struct arena *a, struct http_request *r,
                         struct wire_origin *origin)
{
    const json_t *length = meant(head, "content_length");
    *r = (struct http_request){.method = meant_span(head, "method"),
                               .scheme = meant_span(head, "scheme"),
                               .authority = meant_span(head, "authority"),
                               .path = meant_span(head, "path"),
                               .query = meant_span(head, "query"),
                               .protocol = protocol_of(meant_span(head, "protocol"))};
    r->content_length = json_is_null(length) ? HTTP_LENGTH_UNKNOWN : json_integer_value(length);
    if (meant(head, "upgrade"))
        r->upgrade = HTTP_UPGRADE_WEBSOCKET;
    origin->address = meant_span(head, "peer_address");
    origin->port = (uint16_t)json_integer_value(meant(head, "peer_port"));
    origin->request_id = meant_span(head, "request_id");
    origin->tls = NULL;
    read_fields(head, a, &r->fields);
}

static void read_response(const json_t *head, struct arena *a, struct http_response *r)
{
    r->status = (uint16_t)json_integer_value(meant(head, "status"));
    read_fields(head, a, &r->fields);
}

static enum wire_direction direction_of(const json_t *vector)
{
    return strcmp(text_of(vector, "direction"), "requests") == 0 ? WIRE_REQUESTS : WIRE_RESPONSES;
}

/* ---- decoding ---- */

static void expect_head(struct trace *t, enum wire_direction direction, const json_t *head)
{
    struct arena a = ARENA_EMPTY;
    int type = (int)json_integer_value(json_object_get(head, "type"));
    uint32_t body_size = (uint32_t)json_integer_value(json_object_get(head, "body_size"));
    if (direction == WIRE_REQUESTS) {
        struct http_request r;
        struct wire_origin origin;
        read_request(head, &a, &r, &origin);
        trace_request(t, type, body_size, &r, &origin);
    } else {
        struct http_response r;
        read_response(head, &a, &r);
        trace_response(t, type, body_size, &r);
    }
    arena_release(&a);
}

static void expect_trace(struct trace *t, const json_t *vector)
{
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(vector, "events"), i, event)
    {
        const char *kind = text_of(event, "event");
        struct buffer bytes = BUFFER_EMPTY;
        append_hex(&bytes, text_of(event, "hex"));
        if (strcmp(kind, "head") == 0)
            expect_head(t, direction_of(vector), event);
        else if (strcmp(kind, "body") == 0 || strcmp(kind, "tunnel") == 0)
            trace_content(t, kind[0], buffer_span(&bytes));
        else
            trace_word(t, kind, text_of(event, "text"));
        buffer_release(&bytes);
    }
}

static void open_decoder(struct wire_decoder *d, const json_t *vector)
{
    wire_decoder_init(d, direction_of(vector), NULL);
    if (json_is_true(json_object_get(vector, "tunnel")))
        assert_int_equal(wire_decoder_enter_tunnel(d), ROUTED_OK);
}

static void assert_same(const json_t *vector, struct trace *got, struct trace *expected,
                        const char *how, size_t cut)
{
    if (!span_equals(buffer_span(&got->text), buffer_span(&expected->text)))
        fail_msg("%s, %s %zu:\n%.*s\nexpected:\n%.*s", text_of(vector, "name"), how, cut,
                 (int)buffer_size(&got->text), (const char *)got->text.data,
                 (int)buffer_size(&expected->text), (const char *)expected->text.data);
}

/* Two pieces; or with `step` pieces of that size. */
static void decode(const json_t *vector, struct span bytes, size_t cut, size_t step,
                   struct trace *expected)
{
    struct wire_decoder d;
    struct trace got = {BUFFER_EMPTY, 0};
    open_decoder(&d, vector);
    bool is_fine = true;
    for (size_t at = 0; at < bytes.size && is_fine;) {
        size_t size = step ? step : at < cut ? cut : bytes.size - at;
        size = size < bytes.size - at ? size : bytes.size - at;
        is_fine = trace_feed(&got, &d, span_part(bytes, at, size));
        at += size;
    }
    assert_same(vector, &got, expected, step ? "pieces of" : "cut at", step ? step : cut);
    if (is_fine && d.phase == WIRE_PHASE_HEAD && !d.after_interim)
        assert_int_equal(wire_decoder_is_idle(&d),
                         !json_is_true(json_object_get(vector, "incomplete")));
    buffer_release(&got.text);
    wire_decoder_release(&d);
}

static void test_decode_however_cut(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(file, "vectors"), i, vector)
    {
        struct buffer bytes = BUFFER_EMPTY;
        struct trace expected = {BUFFER_EMPTY, 0};
        append_hex(&bytes, text_of(vector, "hex"));
        expect_trace(&expected, vector);
        for (size_t cut = 0; cut < buffer_size(&bytes); cut++)
            decode(vector, buffer_span(&bytes), cut, 0, &expected);
        for (size_t step = 1; step < 8; step++)
            decode(vector, buffer_span(&bytes), 0, step, &expected);
        buffer_release(&expected.text);
        buffer_release(&bytes);
    }
    assert_true(i > 60);
}

static bool ends_in_error(const json_t *vector)
{
    const json_t *events = json_object_get(vector, "events");
    return strcmp(text_of(json_array_get(events, json_array_size(events) - 1), "event"), "error") ==
           0;
}

static void test_every_prefix_is_legal(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(file, "vectors"), i, vector)
    {
        if (ends_in_error(vector))
            continue;
        struct buffer bytes = BUFFER_EMPTY;
        struct trace expected = {BUFFER_EMPTY, 0};
        append_hex(&bytes, text_of(vector, "hex"));
        expect_trace(&expected, vector);
        for (size_t size = 0; size < buffer_size(&bytes); size++) {
            struct wire_decoder d;
            struct trace got = {BUFFER_EMPTY, 0};
            open_decoder(&d, vector);
            assert_true(trace_feed(&got, &d, span_part(buffer_span(&bytes), 0, size)));
            struct span told = buffer_span(&got.text);
            if (told.size && told.data[told.size - 1] == ' ')
                told.size--; /* a run of content that goes on */
            assert_true(span_starts_with(buffer_span(&expected.text), told));
            buffer_release(&got.text);
            wire_decoder_release(&d);
        }
        buffer_release(&expected.text);
        buffer_release(&bytes);
    }
}

/* ---- encoding ---- */

struct encoder {
    struct buffer out;
    enum wire_direction direction;
    enum wire_type head; /* the last one */
};

static void encode_head(struct encoder *e, const json_t *head)
{
    struct arena a = ARENA_EMPTY;
    uint32_t body_size = (uint32_t)json_integer_value(json_object_get(head, "body_size"));
    e->head = (enum wire_type)json_integer_value(json_object_get(head, "type"));
    if (e->direction == WIRE_REQUESTS) {
        struct http_request r;
        struct wire_origin origin;
        read_request(head, &a, &r, &origin);
        assert_int_equal(wire_request_write(&e->out, e->head, &r, &origin, body_size), ROUTED_OK);
    } else {
        struct http_response r;
        read_response(head, &a, &r);
        assert_int_equal(wire_response_write(&e->out, e->head, &r, HTTP_LENGTH_UNKNOWN, body_size),
                         ROUTED_OK);
        if (r.status == 101 && !wire_type_is_single(e->head))
            assert_int_equal(wire_frame_append_mark(&e->out, WIRE_RESPONSE_END), ROUTED_OK);
    }
    arena_release(&a);
}

static void encode_content(struct encoder *e, const char *hex, bool is_tunnel)
{
    struct buffer bytes = BUFFER_EMPTY;
    enum wire_type chunk = e->direction == WIRE_REQUESTS ? WIRE_REQUEST_CHUNK : WIRE_RESPONSE_CHUNK;
    append_hex(&bytes, hex);
    if (is_tunnel || !wire_type_is_single(e->head))
        assert_int_equal(wire_frame_append_chunk(&e->out, is_tunnel ? WIRE_TUNNEL_CHUNK : chunk,
                                                 (uint32_t)buffer_size(&bytes)),
                         ROUTED_OK);
    assert_int_equal(buffer_append_span(&e->out, buffer_span(&bytes)), ROUTED_OK);
    buffer_release(&bytes);
}

static void encode_event(struct encoder *e, const json_t *event)
{
    const char *kind = text_of(event, "event");
    enum wire_type end = e->direction == WIRE_REQUESTS ? WIRE_REQUEST_END : WIRE_RESPONSE_END;
    if (strcmp(kind, "head") == 0)
        encode_head(e, event);
    else if (strcmp(kind, "body") == 0 || strcmp(kind, "tunnel") == 0)
        encode_content(e, text_of(event, "hex"), kind[0] == 't');
    else if (strcmp(kind, "tunnel_close") == 0)
        assert_int_equal(wire_frame_append_mark(&e->out, WIRE_TUNNEL_CLOSE), ROUTED_OK);
    else if (!wire_type_is_single(e->head))
        assert_int_equal(wire_frame_append_mark(&e->out, end), ROUTED_OK);
}

static void test_encode(void **state)
{
    (void)state;
    size_t i, j, count = 0;
    json_t *vector, *event;
    json_array_foreach(json_object_get(file, "vectors"), i, vector)
    {
        if (!json_is_true(json_object_get(vector, "encode")))
            continue;
        struct buffer bytes = BUFFER_EMPTY;
        struct encoder e = {.direction = direction_of(vector)};
        append_hex(&bytes, text_of(vector, "hex"));
        json_array_foreach(json_object_get(vector, "events"), j, event) encode_event(&e, event);
        if (!span_equals(buffer_span(&e.out), buffer_span(&bytes)))
            fail_msg("%s is written in another way", text_of(vector, "name"));
        buffer_release(&bytes);
        buffer_release(&e.out);
        count++;
    }
    assert_true(count > 12);
}

static void test_tokens(void **state)
{
    (void)state;
    size_t i;
    json_t *token;
    json_array_foreach(json_object_get(file, "tokens"), i, token)
    {
        struct span name = span_from(json_string_value(token));
        assert_true(span_equals(field_text((enum field_name)i), name));
        assert_int_equal(field_lookup(name), i);
    }
    assert_int_equal(i, FIELD_BRIDGE_COUNT);
}

static int open_file(void **state)
{
    (void)state;
    file = json_load_file(VECTORS "/bridge-v1/frames.json", 0, NULL);
    return file ? 0 : -1;
}

static int close_file(void **state)
{
    (void)state;
    json_decref(file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_however_cut),
        cmocka_unit_test(test_every_prefix_is_legal),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests_name("wire/vectors", tests, open_file, close_file);
}
