#include "http/control.h"
#include "support/unit.h"
#include <stdlib.h>

/* At every place of vector and rest, every byte. */
static void test_control_at(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 40; size++) {
        uint8_t *text = malloc(size);
        for (size_t at = 0; at < size; at++) {
            for (int c = 0; c < 256; c++) {
                memset(text, 0xff, size);
                text[at] = (uint8_t)c;
                bool control = (c < 0x20 && c != '\t') || c == 0x7f;
                assert_int_equal(http_control_at(span_of(text, size)), control ? at : size);
            }
        }
        free(text);
    }
    assert_int_equal(http_control_at(SPAN_EMPTY), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
