#include "io/file.h"

#include "base/memory.h"
#include "support/folder.h"
#include <routed/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned mode_of(const char *name)
{
    struct stat s;
    assert_int_equal(stat(folder_path(name), &s), 0);
    return s.st_mode & 0777;
}

static void test_private_files(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    const char *why = NULL;
    int fd = file_create(folder_path("new"));
    assert_true(fd >= 0);
    assert_int_equal(file_append(fd, SPAN("one")), ROUTED_OK);
    assert_int_equal(file_append(fd, SPAN("two")), ROUTED_OK);
    close(fd);
    assert_int_equal(mode_of("new"), 0600);
    assert_int_equal(file_create(folder_path("new")), ROUTED_ERROR_FILE);
    assert_int_equal(file_create(folder_path("none/new")), ROUTED_ERROR_FILE);
    static const unsigned open[] = {0604, 0602, 0601, 0644};
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        assert_int_equal(chmod(folder_path("new"), open[i]), 0);
        assert_int_equal(file_read_private(folder_path("new"), 6, &b, &why),
                         ROUTED_ERROR_PERMISSION);
        assert_non_null(strstr(why, "every user"));
        assert_int_equal(file_is_open_to_all(folder_path("new")), (open[i] & 4) != 0);
    }
    assert_int_equal(chmod(folder_path("new"), 0640), 0);
    assert_int_equal(file_read_private(folder_path("new"), 6, &b, &why), ROUTED_OK);
    assert_false(file_is_open_to_all(folder_path("new")));
    assert_false(file_is_open_to_all(folder_path("none")));
    assert_span(buffer_span(&b), "onetwo");
    assert_int_equal(file_read_private(folder_path("new"), 5, &b, &why), ROUTED_ERROR_FILE);
    buffer_release(&b);
    unlink(folder_path("new"));
}

static void test_written_and_read(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    const char *why = NULL;
    assert_int_equal(file_write(folder_path("secret"), SPAN("one"), true), ROUTED_OK);
    assert_int_equal(file_write(folder_path("open"), SPAN("two"), false), ROUTED_OK);
    assert_int_equal(mode_of("secret"), 0600);
    assert_int_equal(mode_of("open"), 0644);
    assert_int_equal(file_read(folder_path("secret"), 3, &b, &why), ROUTED_OK);
    assert_int_equal(file_read(folder_path("open"), 3, &b, &why), ROUTED_OK);
    assert_span(buffer_span(&b), "onetwo");
    assert_int_equal(file_write(folder_path("open"), SPAN("a longer text"), true), ROUTED_OK);
    assert_int_equal(mode_of("open"), 0600);
    buffer_clear(&b);
    assert_int_equal(file_read(folder_path("open"), 12, &b, &why), ROUTED_ERROR_FILE);
    assert_string_equal(why, "is too large");
    assert_int_equal(file_read(folder_path("open"), 13, &b, &why), ROUTED_OK);
    assert_span(buffer_span(&b), "a longer text");
    assert_int_equal(file_write(folder_path("open"), SPAN_EMPTY, false), ROUTED_OK);
    buffer_clear(&b);
    assert_int_equal(file_read(folder_path("open"), 13, &b, &why), ROUTED_OK);
    assert_int_equal(buffer_size(&b), 0);
    buffer_release(&b);
    unlink(folder_path("secret"));
    unlink(folder_path("open"));
}

static void test_faults(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    const char *why = NULL;
    assert_int_equal(file_read(folder_path("none"), 10, &b, &why), ROUTED_ERROR_FILE);
    assert_string_equal(why, "no such file");
    assert_int_equal(file_read(folder, 10, &b, &why), ROUTED_ERROR_FILE);
    assert_string_equal(why, "is a folder");
    assert_int_equal(file_read("/dev/null", 10, &b, &why), ROUTED_ERROR_FILE);
    assert_string_equal(why, "is no regular file");
    assert_int_equal(file_write(folder_path("none/file"), SPAN("x"), true), ROUTED_ERROR_FILE);
    assert_int_equal(file_make_folder(folder_path("none/folder")), ROUTED_ERROR_FILE);
    assert_int_equal(file_make_folder(folder_path("made")), ROUTED_OK);
    assert_int_equal(mode_of("made"), 0700);
    assert_int_equal(file_make_folder(folder_path("made")), ROUTED_OK);
    /* A folder in the way: nothing is left behind. */
    assert_int_equal(file_write(folder_path("made"), SPAN("x"), true), ROUTED_ERROR_FILE);
    assert_int_equal(rmdir(folder_path("made")), 0);
    assert_int_equal(file_write(folder_path("file"), SPAN("x"), true), ROUTED_OK);
    assert_int_equal(file_make_folder(folder_path("file")), ROUTED_ERROR_FILE);
    memory_fault_set(1);
    assert_int_equal(file_read(folder_path("file"), 10, &b, &why), ROUTED_ERROR_MEMORY);
    memory_fault_set(1);
    assert_int_equal(file_write(folder_path("file"), SPAN("x"), true), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
    buffer_release(&b);
    unlink(folder_path("file"));
}

static void test_stamps(void **state)
{
    (void)state;
    struct file_stamp none = file_stamp(folder_path("file")), zero = {0};
    assert_true(file_stamp_equals(&none, &zero));
    assert_int_equal(file_write(folder_path("file"), SPAN("one"), true), ROUTED_OK);
    struct file_stamp first = file_stamp(folder_path("file"));
    struct file_stamp again = file_stamp(folder_path("file"));
    assert_false(file_stamp_equals(&first, &none));
    assert_true(file_stamp_equals(&first, &again));
    /* Another file of the same size and time. */
    assert_int_equal(file_write(folder_path("other"), SPAN("two"), true), ROUTED_OK);
    const struct timespec times[2] = {{first.modified_seconds, first.modified_nanoseconds},
                                      {first.modified_seconds, first.modified_nanoseconds}};
    assert_int_equal(utimensat(0, folder_path("other"), times, 0), 0);
    assert_int_equal(rename(folder_path("other"), folder_path("file")), 0);
    again = file_stamp(folder_path("file"));
    assert_false(file_stamp_equals(&first, &again));
    assert_false(file_is_folder(folder_path("file")));
    assert_true(file_is_folder(folder));
    unlink(folder_path("file"));
}

static char visited[256];

static int visit(void *user, const char *path)
{
    const int *result = user;
    strcat(visited, path + strlen(folder));
    return *result;
}

static void test_each(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "a", ".hidden", "c"};
    int go_on = ROUTED_OK, stop = ROUTED_ERROR_STATE;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(file_write(folder_path(names[i]), SPAN("x"), true), ROUTED_OK);
    assert_int_equal(file_make_folder(folder_path("aa")), ROUTED_OK);
    assert_int_equal(file_each(folder, visit, &go_on), ROUTED_OK);
    assert_string_equal(visited, "/a/b/c");
    visited[0] = '\0';
    assert_int_equal(file_each(folder, visit, &stop), ROUTED_ERROR_STATE);
    assert_string_equal(visited, "/a");
    assert_int_equal(file_each(folder_path("none"), visit, &go_on), ROUTED_ERROR_FILE);
    for (uint64_t n = 1; n <= 3; n++) {
        memory_fault_set(n);
        assert_int_equal(file_each(folder, visit, &go_on), ROUTED_ERROR_MEMORY);
    }
    memory_fault_set(0);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unlink(folder_path(names[i]));
    rmdir(folder_path("aa"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_files), cmocka_unit_test(test_written_and_read),
        cmocka_unit_test(test_faults),        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_each),
    };
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
