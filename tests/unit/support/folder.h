/* A folder of the test program's own. */
#ifndef UNIT_SUPPORT_FOLDER_H
#define UNIT_SUPPORT_FOLDER_H

#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/routed-test-XXXXXX";

/* For the set-up of a group. */
static inline int folder_open(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

/* For its tear-down: nothing may be left in it. */
static inline int folder_close(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* Valid for ever; the same name has the same path. */
static inline const char *folder_path(const char *name)
{
    static char paths[16][128];
    char path[sizeof(paths[0])];
    size_t i = 0;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    while (paths[i][0] && strcmp(paths[i], path) != 0)
        assert_true(++i < COUNT_OF(paths));
    return strcpy(paths[i], path);
}

/* It holds that text, and no more. */
static inline void folder_expect_file(const char *name, const char *text)
{
    char bytes[256];
    FILE *f = fopen(folder_path(name), "r");
    assert_non_null(f);
    size_t size = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    assert_span(span_of(bytes, size), text);
}

#endif
