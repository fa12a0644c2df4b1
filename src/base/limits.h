/* base/limits.h: the table of limits: names, defaults, and which error counts as which limit. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <routed/limits.h>
#include <stdbool.h>

struct limit_entry {
    const char *name;   /* as in routed/limits.h */
    const char *metric; /* "limit." and the name */
    size_t offset;      /* of the member */
    uint64_t standard;
};

extern const struct limit_entry limit_entries[];
extern const unsigned limit_count;

/* Copies what `given` (may be NULL) says, with defaults for the rest. */
void limits_resolve(routed_limits *out, const routed_limits *given);

/* The number of a limit from its member's offset: limit_number(offsetof(routed_limits, rate)). */
unsigned limit_number(size_t offset);

/* Its value. */
uint64_t limit_value(const routed_limits *limits, size_t offset);

/* The limit that an error reports, if it reports one. Timeouts of clients and overload do not: one
 * error stands for several limits there, so they are counted where they are decided. */
bool limit_of_error(int error, unsigned *number);

#endif
