/* The events of connections: whole records of RFC 7464, for each connection that there was. */
#include "http3/stage.h"

#include "base/buffer.h"

#include <jansson.h>

struct kept {
    struct buffer bytes;
    unsigned records;
    uint8_t id[20];
    size_t id_size;
    bool is_open;
};

static struct kept logs[4];
static unsigned log_count;
static bool refuses;

static void *open_log(void *user, struct span id)
{
    assert_ptr_equal(user, &logs);
    assert_true(log_count < COUNT_OF(logs) && id.size <= sizeof(logs[0].id));
    if (refuses)
        return NULL;
    struct kept *l = &logs[log_count++];
    *l = (struct kept){.id_size = id.size, .is_open = true};
    memcpy(l->id, id.data, id.size);
    return l;
}

static void write_log(void *log, struct span record)
{
    struct kept *l = log;
    assert_true(l->is_open);
    l->records++;
    assert_int_equal(buffer_append_span(&l->bytes, record), ROUTED_OK);
}

static void close_log(void *log)
{
    struct kept *l = log;
    assert_true(l->is_open);
    l->is_open = false;
}

static struct stage *open_stage(void)
{
    struct stage *s = stage_new();
    s->options.qlog = (struct http3_qlog){open_log, write_log, close_log, &logs};
    log_count = 0;
    refuses = false;
    stage_open(s);
    return s;
}

/* Each call brought one record: RS, a JSON text, LF. */
static void expect_sequence(struct kept *l, const char *event)
{
    struct span all = buffer_span(&l->bytes);
    unsigned records = 0;
    bool has_event = false;
    while (all.size) {
        assert_int_equal(all.data[0], 0x1e);
        const uint8_t *end = memchr(all.data, '\n', all.size);
        assert_non_null(end);
        json_error_t error;
        size_t size = (size_t)(end - all.data) - 1;
        json_t *text = json_loadb((const char *)all.data + 1, size, JSON_REJECT_DUPLICATES, &error);
        if (!text)
            fail_msg("record %u: %s", records, error.text);
        const char *name = json_string_value(json_object_get(text, "name"));
        has_event |= name && strcmp(name, event) == 0;
        if (records++ == 0)
            assert_string_equal(json_string_value(json_object_get(text, "qlog_format")),
                                "JSON-SEQ");
        json_decref(text);
        all = span_after(all, size + 2);
    }
    assert_true(has_event);
    assert_int_equal(records, l->records);
    buffer_release(&l->bytes);
}

static void connections_write_their_events(void **state)
{
    (void)state;
    struct stage *s = open_stage();
    struct client *first = stage_connect(s, NULL);
    stage_connect(s, NULL);
    assert_int_equal(log_count, 2);
    stage_get(s, first, 10000);
    http3_connection_close(s->fronts[0].connection, ROUTED_OK);
    stage_run(s, STAGE_SECOND);
    assert_false(logs[0].is_open);
    assert_true(logs[1].is_open);
    stage_close(s);
    assert_false(logs[1].is_open);
    assert_true(logs[0].id_size >= 8 && memcmp(logs[0].id, logs[1].id, 8) != 0);
    assert_true(logs[0].records > logs[1].records);
    for (unsigned i = 0; i < 2; i++)
        expect_sequence(&logs[i], "transport:packet_received");
}

static void a_handshake_that_fails_is_written_too(void **state)
{
    (void)state;
    struct stage *s = open_stage();
    stage_client(s, &(struct client_wish){.alpn = "h2"});
    stage_run(s, STAGE_SECOND);
    assert_int_equal(log_count, 1);
    assert_false(logs[0].is_open);
    expect_sequence(&logs[0], "transport:packet_sent");
    stage_close(s);
}

static void without_a_place_nothing_is_written(void **state)
{
    (void)state;
    struct stage *s = open_stage();
    refuses = true;
    stage_get(s, stage_connect(s, NULL), 100);
    assert_int_equal(log_count, 0);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_write_their_events),
        cmocka_unit_test(a_handshake_that_fails_is_written_too),
        cmocka_unit_test(without_a_place_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
