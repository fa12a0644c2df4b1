#include "base/log.h"

#include "support/unit.h"

struct lines {
    int count;
    int level;
    char last[2000];
};

static void note_line(void *user, int level, const char *line)
{
    struct lines *l = user;
    l->count++;
    l->level = level;
    strcpy(l->last, line);
}

static void log_lines_are_lines(void **state)
{
    (void)state;
    struct lines l = {0};
    struct log log = {note_line, &l, LOG_WARNING};
    log_write(NULL, LOG_ERROR, "x");
    log_write(&(struct log){0}, LOG_ERROR, "x");
    log_write(&log, LOG_INFO, "below");
    assert_int_equal(l.count, 0);
    log_write(&log, LOG_WARNING, "a%sb", "\r\n\t\x1b[2J\x7f");
    assert_int_equal(l.count, 1);
    assert_int_equal(l.level, LOG_WARNING);
    assert_string_equal(l.last, "a????[2J?b");
    char large[5000];
    memset(large, 'z', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    log_write(&log, LOG_ERROR, "%s", large);
    assert_int_equal(strlen(l.last), 1023);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_lines_are_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
