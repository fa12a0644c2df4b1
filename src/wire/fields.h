/* wire/fields.h: the field section of a head, as requests and responses share it. Internal to
 * wire. */
#ifndef WIRE_FIELDS_H
#define WIRE_FIELDS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "wire/head.h"

/* The beginning of a head frame being written into room that was reserved in full. */
struct wire_fields_writer {
    uint8_t *start; /* of the frame */
    uint8_t *at;
    uint8_t *count_at; /* where the number of fields goes */
    uint32_t count;
    enum wire_type type;
};

/* Bytes that a field, or all the fields that a writer may add by itself, take at most. */
#define WIRE_FIELDS_FRAMING 10
#define WIRE_FIELDS_EXTRA   256

size_t wire_fields_bound(const struct field_list *fields);

void wire_fields_open(struct wire_fields_writer *w, uint8_t *room, enum wire_type type);
void wire_fields_write_string(struct wire_fields_writer *w, struct span text);
/* Leaves a place for the count; fields follow. */
void wire_fields_begin(struct wire_fields_writer *w);
void wire_fields_write(struct wire_fields_writer *w, struct field f);
void wire_fields_write_length(struct wire_fields_writer *w, uint64_t length);
void wire_fields_write_upgrade(struct wire_fields_writer *w);
/* Completes the frame's beginning and commits it to `out`, if it is within the limits. */
int wire_fields_close(struct wire_fields_writer *w, struct buffer *out, uint32_t body_size);

/* A copy of a head in an arena, read from front to back. The decoder has proved every size. */
struct wire_fields_reader {
    uint8_t *at;
    enum wire_type type;
};

/* ROUTED_OK or ROUTED_ERROR_MEMORY. */
int wire_fields_reader_init(struct wire_fields_reader *r, const struct wire_head *h,
                            struct arena *a);
struct span wire_fields_read_string(struct wire_fields_reader *r);
/* Count and fields; names become lower case. The list has its own array in the arena. */
int wire_fields_read(struct wire_fields_reader *r, struct arena *a, struct field_list *fields);

#endif
