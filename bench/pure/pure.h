/* pure/pure.h: one function a room: `count` requests through it. True when each of them came to
 * what it should. */
#ifndef PURE_PURE_H
#define PURE_PURE_H

#include <stdbool.h>
#include <stdint.h>

/* A function that callgrind counts by its name. */
#define PURE_MEASURED __attribute__((noinline))

bool pure_http1(uint64_t count);
bool pure_http2(uint64_t count);
bool pure_wire(uint64_t count);
bool pure_engine(uint64_t count);
bool pure_websocket(uint64_t count);

#endif
