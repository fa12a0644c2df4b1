#include "engine/route.h"

#include "engine/escape.h"
#include "engine/setup.h"

struct choice {
    struct span method;
    bool is_head;
    const struct route *route;
    uint64_t allowed;
};

/* The route for the method itself goes before GET for HEAD, and that before one for all. */
static const struct route *choose(const struct route *routes, const struct choice *c)
{
    const struct route *get = NULL;
    const struct route *any = NULL;
    for (const struct route *r = routes; r; r = r->next_at_node) {
        if (r->method.size == 0)
            any = r;
        else if (span_equals(r->method, c->method))
            return r;
        else if (c->is_head && span_equals(r->method, SPAN("GET")))
            get = r;
    }
    return get ? get : any;
}

static bool accept(struct tree_search *s, const struct tree_node *node)
{
    struct choice *c = s->user;
    c->route = choose(node->routes, c);
    if (c->route)
        return true;
    for (const struct route *r = node->routes; r; r = r->next_at_node)
        c->allowed |= r->method_bit;
    return false;
}

static bool params_are_decodable(const struct tree_search *s)
{
    for (size_t i = 0; i < s->param_count; i++)
        if (!engine_escape_is_valid(s->params[i]))
            return false;
    return true;
}

static void take_choice(struct route_match *m, const struct tree_search *s, const struct choice *c)
{
    m->group = c->route->group;
    memcpy(m->params, s->params, s->param_count * sizeof(s->params[0]));
    if (!params_are_decodable(s)) {
        m->answer = ROUTE_BAD_TARGET;
        return;
    }
    m->answer = ROUTE_HANDLER;
    m->route = c->route;
}

void engine_route_match(struct route_match *m, const routed_engine *engine,
                        const struct http_request *r)
{
    struct choice c = {.method = r->method, .is_head = span_equals(r->method, SPAN("HEAD"))};
    struct tree_search s;
    s.accept = accept;
    s.user = &c;
    bool is_options = span_equals(r->method, SPAN("OPTIONS"));
    bool is_found = engine_tree_find(&engine->tree, r->path, &s);
    m->route = NULL;
    m->group = s.group ? s.group : &engine->root;
    m->steps = s.steps;
    m->allowed = c.allowed;
    if (is_found) {
        take_choice(m, &s, &c);
    } else if (is_options && span_equals(r->path, SPAN("*"))) {
        m->answer = ROUTE_OPTIONS;
        m->allowed = engine->all_methods;
    } else if (c.allowed) {
        m->answer = is_options ? ROUTE_OPTIONS : ROUTE_NOT_ALLOWED;
    } else {
        m->answer = ROUTE_NOT_FOUND;
    }
}

/* ---- Allow ---- */

static int compare(struct span a, struct span b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static void insert_sorted(struct span *methods, size_t *count, struct span method)
{
    size_t at = 0;
    while (at < *count && compare(methods[at], method) < 0)
        at++;
    if (at < *count && span_equals(methods[at], method))
        return;
    memmove(methods + at + 1, methods + at, (*count - at) * sizeof(*methods));
    methods[at] = method;
    ++*count;
}

struct span engine_route_allow(struct arena *a, const routed_engine *engine, uint64_t allowed)
{
    struct span methods[ROUTE_METHODS_MAX + 2];
    size_t count = 0;
    insert_sorted(methods, &count, SPAN("OPTIONS"));
    for (size_t i = 0; i < engine->method_count; i++) {
        if (!(allowed & UINT64_C(1) << i))
            continue;
        insert_sorted(methods, &count, engine->methods[i]);
        if (span_equals(engine->methods[i], SPAN("GET")))
            insert_sorted(methods, &count, SPAN("HEAD"));
    }
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += methods[i].size + 2;
    uint8_t *text = arena_new(a, size);
    if (!text)
        return SPAN_EMPTY;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(text + at, methods[i].data, methods[i].size);
        at += methods[i].size;
        if (i + 1 < count) {
            text[at++] = ',';
            text[at++] = ' ';
        }
    }
    return span_of(text, at);
}
