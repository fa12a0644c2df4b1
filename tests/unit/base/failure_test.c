#include "base/failure.h"

#include "support/unit.h"
#include <routed/error.h>

static void failures_keep_code_and_text(void **state)
{
    (void)state;
    struct failure f;
    assert_int_equal(failure_set(&f, ROUTED_ERROR_FILE, "file %s: %d", "x", 3), ROUTED_ERROR_FILE);
    assert_int_equal(f.code, ROUTED_ERROR_FILE);
    assert_string_equal(f.text, "file x: 3");
    assert_int_equal(failure_set(NULL, ROUTED_ERROR_HOST, "%s", "x"), ROUTED_ERROR_HOST);
    char large[1000];
    memset(large, 'y', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    failure_set(&f, ROUTED_ERROR_FILE, "%s", large);
    assert_int_equal(strlen(f.text), FAILURE_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_keep_code_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
