/* http1/fields.h: one field line (RFC 9112 section 5) of a head or of trailers. */
#ifndef HTTP1_FIELDS_H
#define HTTP1_FIELDS_H

#include "base/arena.h"
#include "http/field.h"
#include "http1/limits.h"

/* What is left for the fields of a request; its trailers draw on the same allowance. */
struct http1_allowance {
    size_t count;
    size_t bytes;
};

static inline struct http1_allowance http1_allowance_of(const struct http1_limits *limits)
{
    return (struct http1_allowance){limits->fields_count_max, limits->fields_bytes_max};
}

/* Reads a line from which http1_line_feed took the end. The field's bytes are copied into the
 * arena: the name in lower case, the value byte for byte without the blanks around it. A line
 * that begins with a blank (obs-fold) has no name and is refused like any other nameless line.
 * ROUTED_ERROR_FIELD_SYNTAX, _FIELDS_TOO_MANY, _FIELDS_TOO_LARGE or _MEMORY. */
int http1_fields_parse(struct span line, struct arena *arena, struct http1_allowance *allowance,
                       struct field *field);

#endif
