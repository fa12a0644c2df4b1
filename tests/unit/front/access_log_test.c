#include "front/access_log.h"

#include "base/memory.h"
#include "front/metrics.h"
#include "support/folder.h"
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct exchange some_exchange(void)
{
    struct exchange x = {0};
    x.request.method = SPAN("GET");
    x.request.target = SPAN("/a?b");
    x.request.protocol = HTTP_1_1;
    x.peer.address = SPAN("127.0.0.1");
    x.peer.port = 1234;
    x.request_id = SPAN("id-1");
    x.reached_application = true;
    x.request_bytes = 10;
    x.response_bytes = 20;
    return x;
}

static struct access_record some_record(const struct exchange *x)
{
    return (struct access_record){.exchange = x,
                                  .status = 200,
                                  .wall_seconds = 1700000000,
                                  .started = 1000,
                                  .responded = 1500,
                                  .ended = 3000};
}

static json_t *line_of(const struct access_record *r)
{
    struct buffer b = BUFFER_EMPTY;
    assert_true(access_log_append(&b, r));
    struct span s = buffer_span(&b);
    assert_true(s.size <= ACCESS_LOG_LINE_MAX);
    assert_int_equal(s.data[s.size - 1], '\n');
    assert_ptr_equal(memchr(s.data, '\n', s.size), s.data + s.size - 1);
    json_error_t error;
    json_t *read =
        json_loadb((const char *)s.data, s.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!read)
        fail_msg("not JSON: %s", error.text);
    buffer_release(&b);
    return read;
}

static const char *text_of(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static json_int_t number_of(const json_t *line, const char *name)
{
    const json_t *value = json_object_get(line, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

/* Of TCP it is not known: asking for it is a call of the system. */
static void a_round_trip_is_told_where_it_is_known(void **state)
{
    (void)state;
    struct exchange x = some_exchange();
    struct access_record r = some_record(&x);
    json_t *line = line_of(&r);
    assert_null(json_object_get(line, "rtt_us"));
    json_decref(line);
    r.round_trip = 20345;
    line = line_of(&r);
    assert_int_equal(number_of(line, "rtt_us"), 20345);
    json_decref(line);
}

static void a_line_tells_the_whole_story(void **state)
{
    (void)state;
    struct exchange x = some_exchange();
    struct access_record r = some_record(&x);
    json_t *line = line_of(&r);
    assert_string_equal(text_of(line, "time"), "2023-11-14T22:13:20Z");
    assert_string_equal(text_of(line, "peer"), "127.0.0.1");
    assert_int_equal(number_of(line, "port"), 1234);
    assert_string_equal(text_of(line, "protocol"), "1.1");
    assert_string_equal(text_of(line, "method"), "GET");
    assert_string_equal(text_of(line, "target"), "/a?b");
    assert_null(json_object_get(line, "target_cut"));
    assert_int_equal(number_of(line, "status"), 200);
    assert_int_equal(number_of(line, "bytes_in"), 10);
    assert_int_equal(number_of(line, "bytes_out"), 20);
    assert_int_equal(number_of(line, "head_us"), 500);
    assert_int_equal(number_of(line, "total_us"), 2000);
    assert_string_equal(text_of(line, "request_id"), "id-1");
    assert_true(json_is_true(json_object_get(line, "engine")));
    assert_true(json_is_null(json_object_get(line, "error")));
    json_decref(line);
}

static void what_is_not_known_is_null(void **state)
{
    (void)state;
    struct exchange x = {0};
    struct access_record r = {.exchange = &x, .error = ROUTED_ERROR_REQUEST_LINE};
    json_t *line = line_of(&r);
    assert_string_equal(text_of(line, "time"), "1970-01-01T00:00:00Z");
    assert_true(json_is_null(json_object_get(line, "method")));
    assert_true(json_is_null(json_object_get(line, "target")));
    assert_true(json_is_null(json_object_get(line, "request_id")));
    assert_null(json_object_get(line, "head_us"));
    assert_int_equal(number_of(line, "status"), 0);
    assert_string_equal(text_of(line, "error"), "ROUTED_ERROR_REQUEST_LINE");
    json_decref(line);
}

/* Whatever a client can put into a target, it stays one line of JSON within the bound. */
static void hostile_targets_stay_one_short_line(void **state)
{
    (void)state;
    static char target[20000];
    for (int c = 0; c < 256; c++) {
        struct exchange x = some_exchange();
        struct access_record r = some_record(&x);
        memset(target, c, sizeof(target));
        x.request.target = span_of(target, sizeof(target));
        x.request.method = span_of(target, sizeof(target));
        x.request_id = span_of(target, 64);
        json_t *line = line_of(&r);
        assert_true(json_is_true(json_object_get(line, "target_cut")));
        json_decref(line);
    }
}

static void long_targets_are_cut_between_characters(void **state)
{
    (void)state;
    static char target[9000];
    for (size_t i = 0; i + 3 <= sizeof(target); i += 3)
        memcpy(target + i, "\xe2\x82\xac", 3);
    for (size_t shift = 0; shift < 3; shift++) {
        struct exchange x = some_exchange();
        struct access_record r = some_record(&x);
        target[0] = '/';
        target[1] = target[2] = 'x';
        x.request.target = span_of(target + shift, sizeof(target) - shift);
        json_t *line = line_of(&r);
        assert_true(json_is_true(json_object_get(line, "target_cut")));
        const char *text = text_of(line, "target");
        assert_int_equal(strncmp(text, target + shift, strlen(text)), 0);
        json_decref(line);
    }
}

static void targets_of_ordinary_length_are_whole(void **state)
{
    (void)state;
    static char target[5000];
    memset(target, 'a', sizeof(target));
    for (size_t size = 4095; size <= 4097; size++) {
        struct exchange x = some_exchange();
        struct access_record r = some_record(&x);
        x.request.target = span_of(target, size);
        json_t *line = line_of(&r);
        assert_int_equal(json_object_get(line, "target_cut") != NULL, size > 4096);
        assert_int_equal(strlen(text_of(line, "target")), size > 4096 ? 4096 : size);
        json_decref(line);
    }
}

static void a_line_without_memory_is_not_written(void **state)
{
    (void)state;
    struct exchange x = some_exchange();
    struct access_record r = some_record(&x);
    struct buffer b = BUFFER_EMPTY;
    assert_true(access_log_append(&b, &r));
    size_t before = buffer_size(&b);
    static char target[4000];
    memset(target, 'a', sizeof(target));
    x.request.target = span_of(target, sizeof(target));
    memory_fault_set(1);
    assert_false(access_log_append(&b, &r));
    memory_fault_set(0);
    assert_int_equal(buffer_size(&b), before);
    assert_int_equal(buffer_span(&b).data[before - 1], '\n');
    buffer_release(&b);
}

/* ---- files ---- */

static void write_text(struct access_log *log, const char *text, struct metric_set *metrics)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_append_text(&b, text);
    access_log_flush(log, &b, metrics);
    assert_int_equal(buffer_size(&b), 0);
    buffer_release(&b);
}

static void a_file_is_reopened_after_rotation(void **state)
{
    (void)state;
    const char *path = folder_path("log");
    struct access_log log = {0};
    struct metric_set metrics;
    assert_int_equal(front_metrics_init(&metrics, NULL), ROUTED_OK);
    assert_int_equal(access_log_open(&log, path), ROUTED_OK);
    write_text(&log, "one\ntwo\n", &metrics);
    write_text(&log, "", &metrics);
    assert_int_equal(rename(path, folder_path("log.1")), 0);
    write_text(&log, "three\n", &metrics);
    access_log_reopen(&log);
    write_text(&log, "four\n", &metrics);
    folder_expect_file("log.1", "one\ntwo\nthree\n");
    folder_expect_file("log", "four\n");
    /* What cannot be opened leaves the old file in use. */
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    access_log_reopen(&log);
    write_text(&log, "five\n", &metrics);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(metric_read(&metrics, FRONT_LOG_LINES), 5);
    assert_int_equal(metric_read(&metrics, FRONT_LOG_DROPPED), 0);
    access_log_close(&log);
    access_log_close(&log);
    front_metrics_release(&metrics);
    unlink(folder_path("log.1"));
}

static void what_cannot_be_opened_is_told(void **state)
{
    (void)state;
    struct access_log log = {0};
    assert_int_equal(access_log_open(&log, folder), ROUTED_ERROR_FILE);
    assert_null(log.path);
    memory_fault_set(1);
    assert_int_equal(access_log_open(&log, folder_path("log")), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
    assert_null(log.path);
    access_log_close(&log);
}

/* A reader that does not read: lines are dropped and counted, and when it reads again it finds
 * whole lines only. */
static void a_full_pipe_drops_whole_lines(void **state)
{
    (void)state;
    const char *path = folder_path("log");
    static char text[3000];
    static char read_back[1 << 20];
    struct access_log log = {0};
    struct metric_set metrics;
    assert_int_equal(front_metrics_init(&metrics, NULL), ROUTED_OK);
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_int_equal(fcntl(reader, F_SETPIPE_SZ, 8192) > 0, 1);
    assert_int_equal(access_log_open(&log, path), ROUTED_OK);
    memset(text, 'a', sizeof(text));
    for (size_t at = 999; at < sizeof(text); at += 1000)
        text[at] = '\n';
    struct buffer b = BUFFER_EMPTY;
    for (int i = 0; i < 5; i++) { /* 15,000 bytes at once into 8,192 */
        buffer_append(&b, text, sizeof(text));
    }
    access_log_flush(&log, &b, &metrics);
    uint64_t done = metric_read(&metrics, FRONT_LOG_LINES);
    assert_true(done > 0 && done < 15);
    assert_int_equal(metric_read(&metrics, FRONT_LOG_DROPPED), 15 - done);
    write_text(&log, "dropped\n", &metrics);
    ssize_t first = read(reader, read_back, sizeof(read_back));
    assert_true(first > 0);
    write_text(&log, "whole\n", &metrics);
    ssize_t second = read(reader, read_back + first, sizeof(read_back) - (size_t)first);
    assert_true(second > 0);
    struct span all = span_of(read_back, (size_t)(first + second));
    const uint8_t *last = memmem(all.data, all.size, "\nwhole\n", 7);
    assert_non_null(last);
    assert_ptr_equal(last + 7, all.data + all.size);
    buffer_release(&b);
    access_log_close(&log);
    close(reader);
    front_metrics_release(&metrics);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_trip_is_told_where_it_is_known),
        cmocka_unit_test(a_line_tells_the_whole_story),
        cmocka_unit_test(what_is_not_known_is_null),
        cmocka_unit_test(hostile_targets_stay_one_short_line),
        cmocka_unit_test(long_targets_are_cut_between_characters),
        cmocka_unit_test(targets_of_ordinary_length_are_whole),
        cmocka_unit_test(a_line_without_memory_is_not_written),
        cmocka_unit_test(a_file_is_reopened_after_rotation),
        cmocka_unit_test(what_cannot_be_opened_is_told),
        cmocka_unit_test(a_full_pipe_drops_whole_lines),
    };
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
