/* engine/pattern.h: route patterns such as "/users/{id}/{*rest}", cut into segments. The rules
 * are in routed/engine.h. */
#ifndef ENGINE_PATTERN_H
#define ENGINE_PATTERN_H

#include "base/span.h"

#define PATTERN_SEGMENTS_MAX 64
#define PATTERN_PARAMS_MAX   16

enum pattern_kind {
    PATTERN_TEXT,
    PATTERN_PARAM,   /* {name} */
    PATTERN_WILDCARD /* {*name} */
};

struct pattern_segment {
    enum pattern_kind kind;
    struct span text; /* the text, or the name of the parameter */
};

struct pattern {
    struct pattern_segment segments[PATTERN_SEGMENTS_MAX];
    size_t count;
    size_t param_count;
};

/* Spans point into `text`. ROUTED_OK or ROUTED_ERROR_ARGUMENT. */
int engine_pattern_parse(struct pattern *p, struct span text);
/* The same, and no wildcard and no "/" at the end. */
int engine_pattern_parse_prefix(struct pattern *p, struct span text);

#endif
