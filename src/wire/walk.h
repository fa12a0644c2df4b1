/* wire/walk.h: the walk through a head: finds its end and proves its sizes and tokens, in whatever
 * pieces it comes. Part of wire/decoder.c, internal to wire. */
#ifndef WIRE_WALK_H
#define WIRE_WALK_H

#include "wire/head.h"

struct wire_limits {
    uint32_t payload_max; /* WIRE_PAYLOAD_MAX */
    uint32_t head_max;    /* WIRE_HEAD_MAX */
    uint32_t fields_max;  /* WIRE_FIELDS_MAX */
};

struct wire_walk {
    struct wire_head head; /* but for its bytes */
    uint32_t frame_size;   /* bytes of the frame after its type */
    uint32_t walked;       /* bytes understood so far, with the body size of a single frame */
    uint32_t parts_left;   /* strings or fields of the stage that are still to come */
    uint8_t stage;
    const char *wrong; /* why the head is none, static; or NULL */
};

void wire_walk_start(struct wire_walk *w, enum wire_type type, uint32_t frame_size);
/* Goes on through `head`, which starts where the frame's head does. True when all of it is there:
 * w->walked bytes. False when more is needed, or w->wrong says what is wrong. */
bool wire_walk_on(struct wire_walk *w, const struct wire_limits *limits, struct span head);

#endif
