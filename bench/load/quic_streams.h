/* load/quic_streams.h: the streams of a QUIC connection, for http3.c. */
#ifndef LOAD_QUIC_STREAMS_H
#define LOAD_QUIC_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_quic;

/* Below zero: the peer allows none now. */
int64_t load_quic_streams_open(struct load_quic *q, bool is_bidirectional);
bool load_quic_streams_has_room(const struct load_quic *q);
/* So many bytes of the stream were taken: the peer may send as many more. */
void load_quic_streams_grant(struct load_quic *q, int64_t stream, size_t bytes);
void load_quic_streams_reset(struct load_quic *q, int64_t stream, uint64_t code);
void load_quic_streams_stop(struct load_quic *q, int64_t stream, uint64_t code);

#endif
