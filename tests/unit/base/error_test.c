/* The table of errors against the enum in routed/error.h, which is read as text so that a code
 * without an entry is found. */
#include "base/error.h"

#include "support/unit.h"
#include <stdio.h>
#include <stdlib.h>

struct code {
    char name[64];
    int value;
};

static struct code codes[200];
static size_t code_count;

static int read_enum(void **state)
{
    (void)state;
    FILE *f = fopen(VECTORS "/../../include/routed/error.h", "r");
    if (!f)
        return -1;
    char line[256];
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, " %63[A-Z0-9_] = %d", codes[code_count].name, &codes[code_count].value) ==
            2)
            code_count++;
    fclose(f);
    return code_count > 50 ? 0 : -1;
}

static void each_code_has_its_entry(void **state)
{
    (void)state;
    for (size_t i = 0; i < code_count; i++) {
        const struct error_entry *e = error_entry(codes[i].value);
        assert_int_equal(e->code, codes[i].value);
        assert_string_equal(e->name, codes[i].name);
        assert_string_equal(routed_error_name(codes[i].value), codes[i].name);
        assert_string_equal(routed_error_text(codes[i].value), e->text);
    }
}

static void codes_and_texts_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < code_count; i++)
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(codes[i].value, codes[j].value);
            assert_string_not_equal(routed_error_text(codes[i].value),
                                    routed_error_text(codes[j].value));
        }
}

static void no_other_code_has_an_entry(void **state)
{
    (void)state;
    size_t known = 0;
    for (int code = -2000; code <= 2000; code++)
        known += strcmp(routed_error_name(code), "ROUTED_ERROR_UNKNOWN") != 0;
    assert_int_equal(known, code_count);
    assert_string_equal(routed_error_text(1), "unknown error");
    assert_int_equal(error_status(INT32_MIN), 500);
}

static void texts_are_sentences_without_a_stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < code_count; i++) {
        const char *text = routed_error_text(codes[i].value);
        assert_true(strlen(text) > 4);
        assert_int_not_equal(text[strlen(text) - 1], '.');
    }
}

static void answers_have_a_status_of_an_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < code_count; i++) {
        const struct error_entry *e = error_entry(codes[i].value);
        bool is_client = e->code <= -100 && e->code > -200;
        bool is_server = e->code <= -300 && e->code > -400;
        if (e->status && is_client)
            assert_in_range(e->status, 400, 505);
        if (is_server)
            assert_in_range(e->status, 502, 504);
        if (e->reach == ERROR_REACH_SERVER)
            assert_int_equal(e->status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_its_entry),
        cmocka_unit_test(codes_and_texts_are_unique),
        cmocka_unit_test(no_other_code_has_an_entry),
        cmocka_unit_test(texts_are_sentences_without_a_stop),
        cmocka_unit_test(answers_have_a_status_of_an_error),
    };
    return cmocka_run_group_tests(tests, read_enum, NULL);
}
