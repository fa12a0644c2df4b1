/* main.c: bench-pure ROOM COUNT: takes the rooms without input and output through COUNT requests,
 * for callgrind to count their instructions. What is to be counted happens in functions whose
 * names begin with measured_; all else here is what surrounds them. */
#include "pure/pure.h"

#include "base/decimal.h"
#include <stdio.h>

enum {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 64
};

static const struct {
    const char *name;
    bool (*run)(uint64_t count);
} rooms[] = {{"http1", pure_http1},
             {"http2", pure_http2},
             {"wire", pure_wire},
             {"engine", pure_engine},
             {"websocket", pure_websocket}};

int main(int argc, char **argv)
{
    uint64_t count = 0;
    if (argc == 3 && decimal_read(span_from(argv[2]), 1000000, &count) && count)
        for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
            if (strcmp(rooms[i].name, argv[1]) == 0)
                return rooms[i].run(count) ? STATUS_DONE : STATUS_FAILED;
    fputs("usage: bench-pure http1|http2|wire|engine|websocket COUNT\n", stderr);
    return STATUS_USAGE;
}
