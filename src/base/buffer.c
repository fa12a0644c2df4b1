#include "base/buffer.h"

#include "base/decimal.h"
#include "base/memory.h"
#include <routed/error.h>

void buffer_release(struct buffer *b)
{
    memory_free(b->data);
    *b = BUFFER_EMPTY;
}

uint8_t *buffer_reserve(struct buffer *b, size_t size)
{
    if (b->capacity - b->tail >= size)
        return b->data + b->tail;
    size_t filled = buffer_size(b);
    if (size > SIZE_MAX / 2 - filled)
        return NULL;
    if (b->head && b->capacity - filled >= size && b->head >= filled) {
        memcpy(b->data, b->data + b->head, filled);
    } else {
        size_t wanted = b->capacity ? b->capacity : 256;
        while (wanted - filled < size)
            wanted *= 2;
        uint8_t *grown = memory_new(wanted);
        if (!grown)
            return NULL;
        if (filled)
            memcpy(grown, b->data + b->head, filled);
        memory_free(b->data);
        b->data = grown;
        b->capacity = wanted;
    }
    b->head = 0;
    b->tail = filled;
    return b->data + b->tail;
}

void buffer_commit(struct buffer *b, size_t size)
{
    b->tail += size;
}

int buffer_append(struct buffer *b, const void *data, size_t size)
{
    if (size == 0)
        return ROUTED_OK;
    uint8_t *room = buffer_reserve(b, size);
    if (!room)
        return ROUTED_ERROR_MEMORY;
    memcpy(room, data, size);
    b->tail += size;
    return ROUTED_OK;
}

int buffer_append_span(struct buffer *b, struct span s)
{
    return buffer_append(b, s.data, s.size);
}

int buffer_append_text(struct buffer *b, const char *text)
{
    return buffer_append(b, text, strlen(text));
}

int buffer_append_decimal(struct buffer *b, uint64_t value)
{
    char digits[DECIMAL_MAX];
    return buffer_append(b, digits, decimal_write(digits, value));
}

void buffer_consume(struct buffer *b, size_t size)
{
    b->head += size;
    if (b->head == b->tail)
        b->head = b->tail = 0;
}
