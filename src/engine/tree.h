/* engine/tree.h: where routes and groups hang: one node per pattern segment.
 *
 * A node finds its children with text by hash, so that a step down costs the same among ten and
 * among a thousand. Only patterns make nodes, never requests: the hash needs no secret. Built by
 * one thread, then read by many. */
#ifndef ENGINE_TREE_H
#define ENGINE_TREE_H

#include "engine/pattern.h"

struct route;
struct routed_group;

struct tree_table {
    struct tree_node **slots; /* open addressing, at most half full */
    size_t capacity;          /* 0 or a power of two */
    size_t count;
};

struct tree_node {
    struct span text; /* borrowed from the pattern that made the node */
    struct tree_table children;
    struct tree_node *param;
    struct tree_node *wildcard;
    struct route *routes;       /* that end here, one per method */
    struct routed_group *group; /* whose prefix ends here */
};

struct tree_search {
    /* Is this node, where the path ends, the one? False: the search goes on with the next. */
    bool (*accept)(struct tree_search *s, const struct tree_node *node);
    void *user;
    /* Raw bytes of the path, from the left, as they are when `accept` is called. */
    struct span params[PATTERN_PARAMS_MAX];
    size_t param_count;
    /* The innermost group met on the way; of two that are as deep, the first. */
    struct routed_group *group;
    size_t group_depth;
    size_t steps; /* nodes visited and slots looked at: what a search costs */
};

/* The node at the end of the pattern, made if need be; NULL without memory. `p`'s text must
 * outlive the tree. */
struct tree_node *engine_tree_insert(struct tree_node *root, const struct pattern *p);
/* Visits the ends that match, in order of precedence, until one is accepted. `path` starts with
 * "/"; the spans found point into it. True when a node was accepted. */
bool engine_tree_find(const struct tree_node *root, struct span path, struct tree_search *s);
/* Frees what is below the root. */
void engine_tree_release(struct tree_node *root);

#endif
