#include "engine/setup.h"

#include "base/memory.h"
#include "engine/desk.h"
#include "engine/engine.h"
#include "http/field.h"
#include <string.h>

/* ---- life ---- */

routed_engine *routed_engine_new(void)
{
    routed_engine *engine = memory_new_zeroed(sizeof(*engine));
    if (!engine)
        return NULL;
    pthread_mutex_init(&engine->desk_lock, NULL);
    engine->root.engine = engine;
    return engine;
}

static void layers_release(routed_group *group)
{
    memory_free(group->own.items);
    memory_free(group->chain.items);
}

static void websocket_route_free(struct websocket_route *w)
{
    if (w)
        memory_free((char *)(uintptr_t)w->options.subprotocols);
    memory_free(w);
}

static void route_free(struct route *route)
{
    websocket_route_free(route->websocket);
    memory_free(route->pattern);
    memory_free((uint8_t *)(uintptr_t)route->method.data);
    memory_free(route);
}

void routed_engine_free(routed_engine *engine)
{
    if (!engine)
        return;
    engine_desk_free_all(engine);
    engine_tree_release(&engine->tree);
    while (engine->routes) {
        struct route *route = engine->routes;
        engine->routes = route->next;
        route_free(route);
    }
    while (engine->groups) {
        routed_group *group = engine->groups;
        engine->groups = group->next;
        layers_release(group);
        memory_free(group->prefix);
        memory_free(group);
    }
    layers_release(&engine->root);
    pthread_mutex_destroy(&engine->desk_lock);
    memory_free(engine);
}

static bool is_frozen(const routed_engine *engine)
{
    return atomic_load_explicit(&engine->is_frozen, memory_order_acquire);
}

static char *join(const char *prefix, const char *rest)
{
    size_t prefix_size = prefix ? strlen(prefix) : 0;
    size_t rest_size = strlen(rest);
    char *text = memory_new(prefix_size + rest_size + 1);
    if (!text)
        return NULL;
    if (prefix_size)
        memcpy(text, prefix, prefix_size);
    memcpy(text + prefix_size, rest, rest_size + 1);
    return text;
}

/* ---- middleware ---- */

static int layers_append(struct layer_list *l, struct layer layer)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 4;
        struct layer *items = memory_resize(l->items, capacity * sizeof(*items));
        if (!items)
            return ROUTED_ERROR_MEMORY;
        l->items = items;
        l->capacity = capacity;
    }
    l->items[l->count++] = layer;
    return ROUTED_OK;
}

int routed_group_use(routed_group *group, routed_middleware *before, routed_callback *after,
                     void *user)
{
    if (!group || (!before && !after))
        return ROUTED_ERROR_ARGUMENT;
    if (is_frozen(group->engine))
        return ROUTED_ERROR_STATE;
    return layers_append(&group->own, (struct layer){before, after, user});
}

int routed_engine_use(routed_engine *engine, routed_middleware *before, routed_callback *after,
                      void *user)
{
    return engine ? routed_group_use(&engine->root, before, after, user) : ROUTED_ERROR_ARGUMENT;
}

int routed_engine_on_done(routed_engine *engine, routed_close_callback *callback, void *user)
{
    if (!engine || !callback)
        return ROUTED_ERROR_ARGUMENT;
    if (is_frozen(engine))
        return ROUTED_ERROR_STATE;
    if (engine->done_hook_count == SETUP_DONE_HOOKS_MAX)
        return ROUTED_ERROR_LIMIT;
    engine->done_hooks[engine->done_hook_count++] = (struct done_hook){callback, user};
    return ROUTED_OK;
}

/* ---- groups ---- */

static routed_group *find_group(routed_group *parent, const char *prefix)
{
    for (routed_group *g = parent->engine->groups; g; g = g->next)
        if (g->parent == parent && strcmp(g->prefix, prefix) == 0)
            return g;
    return NULL;
}

static routed_group *group_new(routed_group *parent, char *prefix, const struct pattern *pattern)
{
    routed_group *group = memory_new_zeroed(sizeof(*group));
    struct tree_node *node = group ? engine_tree_insert(&parent->engine->tree, pattern) : NULL;
    if (!node) {
        memory_free(group);
        return NULL;
    }
    if (!node->group)
        node->group = group;
    group->engine = parent->engine;
    group->parent = parent;
    group->prefix = prefix;
    group->next = parent->engine->groups;
    parent->engine->groups = group;
    return group;
}

/* Nodes of the tree may point into the text of a group or route that then could not be made: so
 * a text that reached the tree is kept by a route without a method. */
static void keep_text(routed_engine *engine, struct route *keeper, char *text)
{
    keeper->pattern = text;
    keeper->next = engine->routes;
    engine->routes = keeper;
}

static routed_group *make_group(routed_group *parent, char *whole, struct route *keeper)
{
    struct pattern pattern;
    routed_group *group = NULL;
    if (engine_pattern_parse_prefix(&pattern, span_from(whole)) == ROUTED_OK) {
        group = group_new(parent, whole, &pattern);
        if (!group) {
            keep_text(parent->engine, keeper, whole);
            return NULL;
        }
    } else {
        memory_free(whole);
    }
    memory_free(keeper);
    return group;
}

routed_group *routed_group_group(routed_group *group, const char *prefix)
{
    if (!group || !prefix || prefix[0] != '/' || is_frozen(group->engine))
        return NULL;
    char *whole = join(group->prefix, prefix);
    struct route *keeper = memory_new_zeroed(sizeof(*keeper));
    routed_group *found = whole && keeper ? find_group(group, whole) : NULL;
    if (whole && keeper && !found)
        return make_group(group, whole, keeper);
    memory_free(whole);
    memory_free(keeper);
    return found;
}

routed_group *routed_engine_group(routed_engine *engine, const char *prefix)
{
    return engine ? routed_group_group(&engine->root, prefix) : NULL;
}

/* ---- routes ---- */

static bool is_taken(const struct tree_node *node, struct span method)
{
    for (const struct route *r = node->routes; r; r = r->next_at_node)
        if (span_equals(r->method, method))
            return true;
    return false;
}

/* The bit of the method; 0 when there is no room for one more. */
static uint64_t intern_method(routed_engine *engine, struct span method)
{
    size_t i = 0;
    while (i < engine->method_count && !span_equals(engine->methods[i], method))
        i++;
    if (i == ROUTE_METHODS_MAX)
        return 0;
    if (i == engine->method_count)
        engine->methods[engine->method_count++] = method;
    engine->all_methods |= UINT64_C(1) << i;
    return UINT64_C(1) << i;
}

static void copy_names(struct route *route, const struct pattern *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->segments[i].kind != PATTERN_TEXT)
            route->names[route->param_count++] = p->segments[i].text;
}

static int attach(routed_engine *engine, struct route *route, const struct pattern *p)
{
    struct tree_node *node = engine_tree_insert(&engine->tree, p);
    if (!node)
        return ROUTED_ERROR_MEMORY;
    if (is_taken(node, route->method))
        return ROUTED_ERROR_ARGUMENT;
    if (route->method.size) {
        route->method_bit = intern_method(engine, route->method);
        if (!route->method_bit)
            return ROUTED_ERROR_LIMIT;
    }
    copy_names(route, p);
    route->next_at_node = node->routes;
    node->routes = route;
    return ROUTED_OK;
}

static int add_route(routed_group *group, struct route *route, const char *method,
                     const char *pattern)
{
    struct pattern parsed;
    route->pattern = join(group->prefix, pattern);
    char *method_text = memory_copy_text(method);
    route->method = span_from(method_text);
    if (!route->pattern || !method_text)
        return ROUTED_ERROR_MEMORY;
    int error = engine_pattern_parse(&parsed, span_from(route->pattern));
    return error ? error : attach(group->engine, route, &parsed);
}

int engine_setup_route(routed_group *group, const char *method, const char *pattern,
                       struct route route)
{
    bool is_any = !method || strcmp(method, "*") == 0;
    struct route *copy = NULL;
    int error = ROUTED_OK;
    if (is_frozen(group->engine))
        error = ROUTED_ERROR_STATE;
    else if ((!is_any && !field_name_is_valid(span_from(method))) ||
             (pattern[0] != '/' && !(pattern[0] == '\0' && group->prefix)))
        error = ROUTED_ERROR_ARGUMENT;
    else if (!(copy = memory_new(sizeof(*copy))))
        error = ROUTED_ERROR_MEMORY;
    if (error) {
        websocket_route_free(route.websocket);
        return error;
    }
    *copy = route;
    copy->group = group;
    /* Also when it fails from here on: the tree may already point into its text. */
    copy->next = group->engine->routes;
    group->engine->routes = copy;
    return add_route(group, copy, is_any ? "" : method, pattern);
}

int routed_group_route(routed_group *group, const char *method, const char *pattern,
                       routed_handler *handler, void *user, const routed_route_options *options)
{
    if (!group || !pattern || !handler)
        return ROUTED_ERROR_ARGUMENT;
    struct route route = {.handler = handler, .user = user, .body_limit = ROUTED_BODY_LIMIT};
    if (options) {
        if (options->size < sizeof(*options) || options->body_limit < ROUTED_UNLIMITED)
            return ROUTED_ERROR_ARGUMENT;
        route.body_limit = options->body_limit;
    }
    return engine_setup_route(group, method, pattern, route);
}

int routed_engine_route(routed_engine *engine, const char *method, const char *pattern,
                        routed_handler *handler, void *user, const routed_route_options *options)
{
    return engine ? routed_group_route(&engine->root, method, pattern, handler, user, options)
                  : ROUTED_ERROR_ARGUMENT;
}

/* ---- freeze ---- */

static size_t chain_size(const routed_group *group)
{
    return group ? chain_size(group->parent) + group->own.count : 0;
}

static size_t fill_chain(struct layer *items, const routed_group *group)
{
    if (!group)
        return 0;
    size_t at = fill_chain(items, group->parent);
    if (group->own.count)
        memcpy(items + at, group->own.items, group->own.count * sizeof(*items));
    return at + group->own.count;
}

static int make_chain(routed_group *group)
{
    struct layer_list *chain = &group->chain;
    size_t count = chain_size(group);
    if (count == 0 || chain->items)
        return ROUTED_OK;
    chain->items = memory_new_array(count, sizeof(struct layer));
    if (!chain->items)
        return ROUTED_ERROR_MEMORY;
    chain->count = fill_chain(chain->items, group);
    return ROUTED_OK;
}

int engine_freeze(routed_engine *engine)
{
    engine_desk_open_all(engine);
    if (is_frozen(engine))
        return ROUTED_OK;
    int error = make_chain(&engine->root);
    for (routed_group *g = engine->groups; g && !error; g = g->next)
        error = make_chain(g);
    if (!error)
        atomic_store_explicit(&engine->is_frozen, true, memory_order_release);
    return error;
}

/* ---- WebSocket routes ---- */

static bool options_are_valid(const routed_websocket_options *o)
{
    return o->size >= sizeof(*o) && o->message_limit > 0 && o->message_limit <= UINT32_MAX &&
           o->queue_limit > 0;
}

static struct websocket_route *websocket_route_new(const routed_websocket_callbacks *callbacks,
                                                   const routed_websocket_options *options)
{
    static const routed_websocket_options defaults = ROUTED_WEBSOCKET_OPTIONS;
    struct websocket_route *w = memory_new_zeroed(sizeof(*w));
    if (!w)
        return NULL;
    w->callbacks = *callbacks;
    w->options = options ? *options : defaults;
    if (!w->options.subprotocols)
        return w;
    w->options.subprotocols = memory_copy_text(w->options.subprotocols);
    if (w->options.subprotocols)
        return w;
    memory_free(w);
    return NULL;
}

int routed_group_websocket(routed_group *group, const char *pattern,
                           const routed_websocket_callbacks *callbacks, void *user,
                           const routed_websocket_options *options)
{
    if (!group || !pattern || !callbacks || callbacks->size < sizeof(*callbacks) ||
        (options && !options_are_valid(options)))
        return ROUTED_ERROR_ARGUMENT;
    struct websocket_route *w = websocket_route_new(callbacks, options);
    if (!w)
        return ROUTED_ERROR_MEMORY;
    struct route route = {.websocket = w, .user = user};
    return engine_setup_route(group, "GET", pattern, route);
}

int routed_engine_websocket(routed_engine *engine, const char *pattern,
                            const routed_websocket_callbacks *callbacks, void *user,
                            const routed_websocket_options *options)
{
    return engine ? routed_group_websocket(&engine->root, pattern, callbacks, user, options)
                  : ROUTED_ERROR_ARGUMENT;
}
