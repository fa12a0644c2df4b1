/* Files of events: for their owner alone, no more and no larger than the limits allow. */
#include "front/qlog.h"

#include "base/memory.h"
#include "front/worker.h"
#include "support/folder.h"
#include "support/metrics.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned lines;
static char last_line[256];

static void keep_line(void *user, int level, const char *line)
{
    (void)user;
    (void)level;
    lines++;
    snprintf(last_line, sizeof(last_line), "%s", line);
}

static int tear_down(void **state)
{
    static const char *const names[] = {"qlog/00ff.sqlog", "qlog/01.sqlog", "qlog/02.sqlog"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unlink(folder_path(names[i]));
    rmdir(folder_path("qlog"));
    return folder_close(state);
}

static struct front_shared shared;
static struct front_worker worker;

static struct http3_qlog open_qlog(uint64_t files, uint64_t bytes)
{
    struct failure why;
    lines = 0;
    shared = (struct front_shared){.log = {.function = keep_line},
                                   .limits = {.qlog_files = files, .qlog_bytes = bytes}};
    worker = (struct front_worker){.shared = &shared};
    assert_int_equal(front_metrics_init(&worker.metrics, NULL), ROUTED_OK);
    assert_int_equal(front_qlog_open(&shared.qlog, folder_path("qlog"), &shared.log, &why),
                     ROUTED_OK);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(last_line, folder_path("qlog")));
    return front_qlog_of(&worker);
}

static void close_qlog(void)
{
    front_qlog_close(&shared.qlog);
    front_metrics_release(&worker.metrics);
}

static void expect_file(const char *name, off_t size)
{
    struct stat s;
    assert_int_equal(stat(folder_path(name), &s), 0);
    assert_int_equal(s.st_size, size);
    assert_int_equal(s.st_mode & 07777, 0600);
}

static void nothing_is_written_where_nobody_asks(void **state)
{
    (void)state;
    struct failure why;
    shared = (struct front_shared){.log = {.function = keep_line}};
    worker = (struct front_worker){.shared = &shared};
    assert_int_equal(front_qlog_open(&shared.qlog, NULL, &shared.log, &why), ROUTED_OK);
    assert_null(front_qlog_of(&worker).open);
    assert_int_equal(front_qlog_open(&shared.qlog, "/nowhere/qlog", &shared.log, &why),
                     ROUTED_ERROR_FILE);
    assert_non_null(strstr(why.text, "/nowhere/qlog"));
    assert_null(front_qlog_of(&worker).open);
}

static void records_are_whole_up_to_the_limit(void **state)
{
    (void)state;
    struct http3_qlog q = open_qlog(2, 10);
    struct stat s;
    assert_int_equal(stat(folder_path("qlog"), &s), 0);
    assert_int_equal(s.st_mode & 07777, 0700);
    void *file = q.open(q.user, SPAN("\x00\xff"));
    assert_non_null(file);
    q.write(file, SPAN("12345"));
    q.write(file, SPAN("1234"));
    expect_file("qlog/00ff.sqlog", 9);
    q.write(file, SPAN("1"));
    expect_file("qlog/00ff.sqlog", 10);
    assert_int_equal(metric_named(&worker.metrics, "limit.qlog_bytes"), 0);
    q.write(file, SPAN("12"));
    q.write(file, SPAN("3"));
    assert_int_equal(metric_named(&worker.metrics, "limit.qlog_bytes"), 1);
    q.close(file);
    expect_file("qlog/00ff.sqlog", 10);
    close_qlog();
}

static void there_are_no_more_files_than_the_limit(void **state)
{
    (void)state;
    struct http3_qlog q = open_qlog(2, 10);
    void *first = q.open(q.user, SPAN("\1")), *second = q.open(q.user, SPAN("\2"));
    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(metric_named(&worker.metrics, "limit.qlog_files"), 0);
    q.close(first); /* makes no room: the file is there */
    assert_null(q.open(q.user, SPAN("\3")));
    assert_null(q.open(q.user, SPAN("\4")));
    assert_int_equal(metric_named(&worker.metrics, "limit.qlog_files"), 2);
    assert_int_equal(lines, 2);
    assert_non_null(strstr(last_line, "qlog_files"));
    q.close(second);
    close_qlog();
}

/* A client chooses the name. */
static void a_file_that_is_there_stays_as_it_is(void **state)
{
    (void)state;
    struct http3_qlog q = open_qlog(9, 10);
    expect_file("qlog/00ff.sqlog", 10);
    assert_null(q.open(q.user, SPAN("\x00\xff")));
    assert_null(q.open(q.user, SPAN("\x00\xff")));
    expect_file("qlog/00ff.sqlog", 10);
    assert_int_equal(lines, 2);
    close_qlog();
}

static void without_memory_nothing_is_written(void **state)
{
    (void)state;
    struct http3_qlog q = open_qlog(9, 10);
    memory_fault_set(1);
    assert_null(q.open(q.user, SPAN("\5")));
    memory_fault_set(0);
    assert_int_equal(access(folder_path("qlog/05.sqlog"), F_OK), -1);
    close_qlog();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_written_where_nobody_asks),
        cmocka_unit_test(records_are_whole_up_to_the_limit),
        cmocka_unit_test(there_are_no_more_files_than_the_limit),
        cmocka_unit_test(a_file_that_is_there_stays_as_it_is),
        cmocka_unit_test(without_memory_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, folder_open, tear_down);
}
