/* load/seal.h: the client's side of a TLS connection. The only file here that knows the library.
 *
 * No certificate is checked: what is measured is on this machine and was started for it. */
#ifndef LOAD_SEAL_H
#define LOAD_SEAL_H

#include "base/buffer.h"
#include <sys/types.h>

struct load_seal;         /* one connection */
struct load_seal_context; /* what all of them share; outlives them */

/* `alpn` is the one protocol to ask for; static. NULL: no memory, or no library. */
struct load_seal_context *load_seal_context_new(const char *alpn, const char *server_name,
                                                bool resume);
void load_seal_context_free(struct load_seal_context *c); /* NULL is allowed */
/* With `resume`: is there a session to go on with? */
bool load_seal_context_has_ticket(const struct load_seal_context *c);

/* Sealed bytes to send are appended to `out`, which outlives the session. */
struct load_seal *load_seal_new(struct load_seal_context *c, struct buffer *out);
void load_seal_free(struct load_seal *s); /* NULL is allowed */

/* Lends sealed bytes until handshake or open says ROUTED_ERROR_AGAIN. */
void load_seal_feed(struct load_seal *s, struct span sealed);
/* ROUTED_OK: done, with the protocol that was asked for; ROUTED_ERROR_AGAIN: more input is needed;
 * ROUTED_ERROR_TLS: failed. */
int load_seal_handshake(struct load_seal *s);
bool load_seal_is_resumed(const struct load_seal *s);
/* Bytes opened, 0 at the peer's end, ROUTED_ERROR_AGAIN or ROUTED_ERROR_TLS. */
ssize_t load_seal_open(struct load_seal *s, uint8_t *into, size_t size);
/* ROUTED_OK or ROUTED_ERROR_TLS. */
int load_seal_write(struct load_seal *s, struct span plain);
/* Keeps the newest session that the peer offered, for the connections to come. */
void load_seal_keep_ticket(struct load_seal *s);

#endif
