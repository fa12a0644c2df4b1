#include "engine/tree.h"

#include "base/memory.h"

/* ---- children by text ---- */

static size_t hash(struct span text)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < text.size; i++)
        h = (h ^ text.data[i]) * 16777619u;
    return h ^ (h >> 15);
}

static void place(struct tree_table *t, struct tree_node *node)
{
    size_t i = hash(node->text) & (t->capacity - 1);
    while (t->slots[i])
        i = (i + 1) & (t->capacity - 1);
    t->slots[i] = node;
}

static bool grow(struct tree_table *t)
{
    struct tree_table larger = {.capacity = t->capacity ? 2 * t->capacity : 4, .count = t->count};
    larger.slots = memory_new_zeroed(larger.capacity * sizeof(struct tree_node *));
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slots[i])
            place(&larger, t->slots[i]);
    memory_free(t->slots);
    *t = larger;
    return true;
}

static struct tree_node *lookup(const struct tree_table *t, struct span text, size_t *steps)
{
    if (t->count == 0)
        return NULL;
    for (size_t i = hash(text) & (t->capacity - 1); t->slots[i]; i = (i + 1) & (t->capacity - 1)) {
        ++*steps;
        if (span_equals(t->slots[i]->text, text))
            return t->slots[i];
    }
    return NULL;
}

static struct tree_node *node_new(struct span text)
{
    struct tree_node *node = memory_new_zeroed(sizeof(*node));
    if (node)
        node->text = text;
    return node;
}

static struct tree_node *insert_text(struct tree_table *t, struct span text)
{
    size_t steps = 0;
    struct tree_node *node = lookup(t, text, &steps);
    if (node)
        return node;
    if (2 * (t->count + 1) > t->capacity && !grow(t))
        return NULL;
    node = node_new(text);
    if (node) {
        place(t, node);
        t->count++;
    }
    return node;
}

/* ---- building ---- */

static struct tree_node *insert_segment(struct tree_node *node, const struct pattern_segment *s)
{
    if (s->kind == PATTERN_TEXT)
        return insert_text(&node->children, s->text);
    struct tree_node **place_of = s->kind == PATTERN_PARAM ? &node->param : &node->wildcard;
    if (!*place_of)
        *place_of = node_new(SPAN_EMPTY);
    return *place_of;
}

struct tree_node *engine_tree_insert(struct tree_node *root, const struct pattern *p)
{
    struct tree_node *node = root;
    for (size_t i = 0; i < p->count && node; i++)
        node = insert_segment(node, &p->segments[i]);
    return node;
}

static void node_free(struct tree_node *node)
{
    if (!node)
        return;
    engine_tree_release(node);
    memory_free(node);
}

void engine_tree_release(struct tree_node *root)
{
    for (size_t i = 0; i < root->children.capacity; i++)
        node_free(root->children.slots[i]);
    memory_free(root->children.slots);
    node_free(root->param);
    node_free(root->wildcard);
    *root = (struct tree_node){.text = root->text};
}

/* ---- searching: as deep as the patterns are, whatever the path ---- */

static bool descend(const struct tree_node *node, struct span rest, size_t depth,
                    struct tree_search *s);

static bool enter(const struct tree_node *child, bool is_last, struct span rest, size_t depth,
                  struct tree_search *s)
{
    s->steps++;
    if (child->group && depth > s->group_depth) {
        s->group = child->group;
        s->group_depth = depth;
    }
    return is_last ? s->accept(s, child) : descend(child, rest, depth, s);
}

static bool enter_with_param(const struct tree_node *child, struct span param, bool is_last,
                             struct span rest, size_t depth, struct tree_search *s)
{
    s->params[s->param_count++] = param;
    if (enter(child, is_last, rest, depth, s))
        return true;
    s->param_count--;
    return false;
}

static bool descend(const struct tree_node *node, struct span rest, size_t depth,
                    struct tree_search *s)
{
    const uint8_t *slash = rest.size ? memchr(rest.data, '/', rest.size) : NULL;
    bool is_last = !slash;
    struct span segment = is_last ? rest : span_of(rest.data, (size_t)(slash - rest.data));
    struct span after = is_last ? SPAN_EMPTY : span_after(rest, segment.size + 1);

    const struct tree_node *child = lookup(&node->children, segment, &s->steps);
    if (child && enter(child, is_last, after, depth + 1, s))
        return true;
    if (node->param && segment.size &&
        enter_with_param(node->param, segment, is_last, after, depth + 1, s))
        return true;
    return node->wildcard && enter_with_param(node->wildcard, rest, true, SPAN_EMPTY, depth + 1, s);
}

bool engine_tree_find(const struct tree_node *root, struct span path, struct tree_search *s)
{
    s->param_count = s->group_depth = s->steps = 0;
    s->group = NULL;
    return path.size && path.data[0] == '/' && descend(root, span_after(path, 1), 0, s);
}
