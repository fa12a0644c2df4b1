#include "engine/pattern.h"

#include <routed/error.h>

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

static bool name_is_valid(struct span name)
{
    for (size_t i = 0; i < name.size; i++)
        if (!is_name_byte(name.data[i]))
            return false;
    return name.size > 0;
}

/* Text that no path can contain would make a route that never matches. */
static bool text_is_valid(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c <= ' ' || c >= 0x7f || c == '{' || c == '}' || c == '?' || c == '#')
            return false;
    }
    return true;
}

static bool parse_segment(struct pattern_segment *s, struct span text)
{
    s->kind = PATTERN_TEXT;
    s->text = text;
    if (text.size < 2 || text.data[0] != '{' || text.data[text.size - 1] != '}')
        return text_is_valid(text);
    s->kind = text.data[1] == '*' ? PATTERN_WILDCARD : PATTERN_PARAM;
    size_t from = s->kind == PATTERN_WILDCARD ? 2 : 1;
    if (text.size < from + 1)
        return false;
    s->text = span_part(text, from, text.size - from - 1);
    return name_is_valid(s->text);
}

static bool name_is_taken(const struct pattern *p, struct span name)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->segments[i].kind != PATTERN_TEXT && span_equals(p->segments[i].text, name))
            return true;
    return false;
}

static int append_segment(struct pattern *p, struct span text)
{
    struct pattern_segment s;
    if (p->count == PATTERN_SEGMENTS_MAX || !parse_segment(&s, text))
        return ROUTED_ERROR_ARGUMENT;
    if (s.kind != PATTERN_TEXT) {
        if (name_is_taken(p, s.text) || ++p->param_count > PATTERN_PARAMS_MAX)
            return ROUTED_ERROR_ARGUMENT;
    }
    p->segments[p->count++] = s;
    return ROUTED_OK;
}

int engine_pattern_parse(struct pattern *p, struct span text)
{
    p->count = p->param_count = 0;
    if (text.size == 0 || text.data[0] != '/')
        return ROUTED_ERROR_ARGUMENT;
    struct span rest = span_after(text, 1);
    for (;;) {
        if (p->count && p->segments[p->count - 1].kind == PATTERN_WILDCARD)
            return ROUTED_ERROR_ARGUMENT;
        const uint8_t *slash = rest.size ? memchr(rest.data, '/', rest.size) : NULL;
        size_t size = slash ? (size_t)(slash - rest.data) : rest.size;
        int error = append_segment(p, span_of(rest.data, size));
        if (error || !slash)
            return error;
        rest = span_after(rest, size + 1);
    }
}

int engine_pattern_parse_prefix(struct pattern *p, struct span text)
{
    int error = engine_pattern_parse(p, text);
    if (error)
        return error;
    const struct pattern_segment *last = &p->segments[p->count - 1];
    bool is_bad = last->kind == PATTERN_WILDCARD || last->text.size == 0;
    return is_bad ? ROUTED_ERROR_ARGUMENT : ROUTED_OK;
}
