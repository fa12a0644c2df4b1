/* load/quic_output.h: the datagrams of a QUIC connection on their way out. */
#ifndef LOAD_QUIC_OUTPUT_H
#define LOAD_QUIC_OUTPUT_H

#include "load/tally.h"

struct load_client;
struct load_quic;

/* Sends what may be sent now. */
enum load_error load_quic_output_flush(struct load_client *c);
/* Says CONNECTION_CLOSE. */
void load_quic_output_goodbye(struct load_quic *q);

#endif
