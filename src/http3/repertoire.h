/* http3/repertoire.h: which lines of our answers go into the dynamic table that a client keeps for
 * them (RFC 9204).
 *
 * A line goes in when it is seen for the second time on the connection (:status at once), and
 * stays: when there is no room left, later lines stay outside. No entry is ever evicted or put in
 * again, and there are never more inserts than fit at once. That is more than thrift: nghttp3's
 * encoder (1.8) writes insert counts modulo twice the entries of its own limit, where RFC 9204
 * section 4.5.1.1 wants the client's; below both it makes no difference. What changes with each
 * answer, and what is secret (section 7.1), never goes in. Pure. */
#ifndef HTTP3_REPERTOIRE_H
#define HTTP3_REPERTOIRE_H

#include "http/field.h"

#define HTTP3_REPERTOIRE_LINES 64  /* at most */
#define HTTP3_REPERTOIRE_SLOTS 128 /* a power of two */
#define HTTP3_REPERTOIRE_SEEN  64  /* the same */

struct http3_repertoire {
    size_t room;     /* bytes, as the table counts them */
    size_t line_max; /* of one line */
    unsigned count;
    bool is_full;                           /* a line found no room */
    uint64_t lines[HTTP3_REPERTOIRE_SLOTS]; /* their hashes; 0: a free slot */
    uint64_t seen[HTTP3_REPERTOIRE_SEEN];   /* of lines that came once, by their last bits */
};

/* For a table of so many bytes. */
void http3_repertoire_init(struct http3_repertoire *r, size_t capacity);

/* Is the line in the table, or may it be put there now? */
bool http3_repertoire_has(struct http3_repertoire *r, const struct field *line);

#endif
