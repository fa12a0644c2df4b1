/* http3/lines.h: how long the strings of a field section are (RFC 9204 section 4.5), read before
 * they are decoded. nghttp3's decoder is of no use any more, and with it the connection's table,
 * once it met a string that is too long for it; this finds it first. Pure; bytes may be split
 * anywhere. */
#ifndef HTTP3_LINES_H
#define HTTP3_LINES_H

#include "base/span.h"

/* What nghttp3's decoder takes, as it stands in the section: perhaps in Huffman code. */
#define HTTP3_NAME_MAX  256
#define HTTP3_VALUE_MAX 65536

/* The numbers that a section is made of. */
enum http3_lines_number {
    HTTP3_LINES_INSERT_COUNT, /* of the prefix */
    HTTP3_LINES_BASE,         /* the same */
    HTTP3_LINES_INDEX,        /* of a line, or of its name: then its value follows */
    HTTP3_LINES_NAME_INDEX,
    HTTP3_LINES_NAME_SIZE,
    HTTP3_LINES_VALUE_SIZE
};

/* The zeroed struct stands before a section. */
struct http3_lines {
    enum http3_lines_number expects; /* INDEX for whatever begins a line */
    enum http3_lines_number reads;
    uint64_t number; /* as far as it came */
    uint64_t skip;   /* bytes of a string that are to come */
    uint8_t shift;   /* where the next bits of the number belong */
    bool has_begun;  /* and the number is not complete */
};

/* Behind the prefix of a section. */
#define HTTP3_LINES_FIRST ((struct http3_lines){.expects = HTTP3_LINES_INDEX})

/* Reads on. False: a string begins that is too long. What is no field section counts as fitting. */
bool http3_lines_fit(struct http3_lines *l, struct span bytes);

#endif
