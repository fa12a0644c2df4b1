/* One input of bridge bytes, decoded whole and in random pieces: both must tell the same. The
 * first byte seeds the cuts, the second says whether the connection is a tunnel already. */
#ifndef TESTS_FUZZ_WIRE_TRACE_H
#define TESTS_FUZZ_WIRE_TRACE_H

#include "../unit/wire/trace.h"

/* Small, so that the fuzzer reaches them. */
static const struct wire_limits fuzz_limits = {65536, 4096, 64};

static inline uint32_t fuzz_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static inline void fuzz_decode(enum wire_direction direction, bool is_tunnel, struct span bytes,
                               uint32_t seed, struct trace *t)
{
    struct wire_decoder d;
    wire_decoder_init(&d, direction, &fuzz_limits);
    if (is_tunnel)
        wire_decoder_enter_tunnel(&d);
    bool is_fine = true;
    while (bytes.size && is_fine) {
        size_t size = seed ? 1 + fuzz_next(&seed) % (fuzz_next(&seed) % 4 ? 8 : 200) : bytes.size;
        size = size < bytes.size ? size : bytes.size;
        is_fine = trace_feed(t, &d, span_part(bytes, 0, size));
        bytes = span_after(bytes, size);
    }
    if (buffer_size(&d.gathered) > fuzz_limits.head_max + 2048)
        abort();
    wire_decoder_release(&d);
}

static inline int fuzz_wire(enum wire_direction direction, const uint8_t *data, size_t size)
{
    struct trace whole = {BUFFER_EMPTY, 0}, pieces = {BUFFER_EMPTY, 0};
    if (size < 2)
        return 0;
    struct span bytes = span_of(data + 2, size - 2);
    fuzz_decode(direction, data[1] & 1, bytes, 0, &whole);
    fuzz_decode(direction, data[1] & 1, bytes, 1u + data[0], &pieces);
    if (!span_equals(buffer_span(&whole.text), buffer_span(&pieces.text)))
        abort();
    buffer_release(&whole.text);
    buffer_release(&pieces.text);
    return 0;
}

#endif
