#include "serve/quic_secret.h"

#include "base/memory.h"
#include "support/unit.h"
#include <routed/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/routed-secret-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

/* So many bytes, of which the last is `last`. */
static void fill(size_t size, char last)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < size; i++)
        fputc(i + 1 < size ? (int)i & 0xff : last, f);
    assert_int_equal(fclose(f), 0);
}

static int read_secret(uint8_t *out, const char *text)
{
    struct failure why = {.text = ""};
    int error = serve_quic_secret_read(out, path, &why);
    if (!strstr(why.text, text))
        fail_msg("the text is \"%s\", not \"%s\"", why.text, text);
    return error;
}

static void every_byte_counts(void **state)
{
    (void)state;
    uint8_t first[FRONT_QUIC_SECRET_SIZE], second[FRONT_QUIC_SECRET_SIZE];
    static const size_t sizes[] = {SERVE_QUIC_SECRET_MIN, 48, SERVE_QUIC_SECRET_MAX};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        fill(sizes[i], 'a');
        assert_int_equal(read_secret(first, ""), ROUTED_OK);
        assert_int_equal(read_secret(second, ""), ROUTED_OK);
        assert_memory_equal(first, second, sizeof(first));
        fill(sizes[i], 'b');
        assert_int_equal(read_secret(second, ""), ROUTED_OK);
        assert_memory_not_equal(first, second, sizeof(first));
    }
}

static void what_is_no_secret_is_refused(void **state)
{
    (void)state;
    uint8_t secret[FRONT_QUIC_SECRET_SIZE];
    fill(SERVE_QUIC_SECRET_MIN - 1, 'a');
    assert_int_equal(read_secret(secret, "has less than 32 bytes"), ROUTED_ERROR_FILE);
    fill(SERVE_QUIC_SECRET_MAX + 1, 'a');
    assert_int_equal(read_secret(secret, "is too large"), ROUTED_ERROR_FILE);
    fill(SERVE_QUIC_SECRET_MIN, 'a');
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(read_secret(secret, path), ROUTED_ERROR_PERMISSION);
    assert_int_equal(chmod(path, 0600), 0);
    memory_fault_set(1);
    assert_int_equal(read_secret(secret, "out of memory"), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(what_is_no_secret_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
