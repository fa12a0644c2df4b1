/* tls/session.h: the server's side of one TLS connection, without input or output: sealed bytes
 * are fed, plain bytes are opened; plain bytes are sealed, sealed bytes are the output.
 *
 *     feed -> handshake until ROUTED_OK -> open until AGAIN        (after each read)
 *     start_flight -> seal -> output, consume                      (after each write)
 *
 * One owner, one thread. After an error other than ROUTED_ERROR_AGAIN the session only has its
 * last output to give, which is an alert. */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include "http/message.h"
#include "tls/context.h"
#include <sys/types.h>

struct tls_session;

/* Sealed bytes that a session holds before seal takes no more. */
#define TLS_OUTPUT_MAX ((size_t)256 << 10)
/* Sealed bytes that a peer may send before the handshake is done. */
#define TLS_HANDSHAKE_MAX ((size_t)64 << 10)
/* Afterwards it may send this many, plus eight for each plain byte that they conveyed, and never
 * more than this many in a row without any: floods of tiny records and endless handshake messages
 * end with ROUTED_ERROR_BUDGET. */
#define TLS_OVERHEAD_MAX    ((size_t)256 << 10)
#define TLS_OVERHEAD_FACTOR 8
/* A peer may send this many KeyUpdate messages (RFC 8446 section 4.6.3), and one for each
 * TLS_KEY_UPDATE_BYTES of plain bytes. */
#define TLS_KEY_UPDATES_MAX  7
#define TLS_KEY_UPDATE_BYTES 4096
/* The first records of a flight fit into one TCP segment each, so that its first bytes can be
 * opened before the others are there. */
#define TLS_FLIGHT_RECORDS 10 /* the initial window of RFC 6928 */
#define TLS_FLIGHT_RECORD  1400
#define TLS_RECORD_MAX     16384

/* Keeps a reference to the context's snapshot. NULL: no memory. */
struct tls_session *tls_session_new(struct tls_context *context);
void tls_session_free(struct tls_session *s); /* NULL is allowed */

/* Do the first bytes of a connection look like HTTP without TLS? Then the answer is a 400. */
bool tls_session_is_plain_http(struct span first);

/* ---- input ---- */

/* Lends sealed bytes until handshake or open says AGAIN; whoever stops earlier calls
 * tls_session_keep before the bytes are gone. ROUTED_OK, or ROUTED_ERROR_MEMORY: kept bytes are
 * lost with it, the session is to be freed. */
int tls_session_feed(struct tls_session *s, struct span sealed);
/* Copies what is lent: at most what one feed gave. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int tls_session_keep(struct tls_session *s);

/* ROUTED_OK once done; ROUTED_ERROR_AGAIN: more input, and output to be written;
 * ROUTED_ERROR_TLS, _BUDGET or _MEMORY: failed, with an alert in the output. */
int tls_session_handshake(struct tls_session *s);

/* Plain bytes, as many as there are room and whole records for; 0: the peer's close_notify;
 * ROUTED_ERROR_AGAIN, _TLS, _BUDGET or _MEMORY. An end of the connection without close_notify
 * first is a truncation (RFC 8446 section 6.1), which only the connection can see. */
ssize_t tls_session_open(struct tls_session *s, uint8_t *out, size_t size);
/* Plain bytes that can be opened without further input. */
bool tls_session_has_input(const struct tls_session *s);

/* ---- output ---- */

/* The next bytes to be sealed begin an answer, or follow a pause: small records first. */
void tls_session_start_flight(struct tls_session *s);
/* Seals bytes of the spans in order, small ones together in one record; the first ones follow a
 * ticket for the client's next connection. How many plain bytes were taken: fewer than given once
 * TLS_OUTPUT_MAX is reached (then write, consume and go on); ROUTED_ERROR_TLS or _MEMORY: the
 * session is broken. */
ssize_t tls_session_seal(struct tls_session *s, const struct span *spans, size_t count);
/* What is to be written; lasts until the next call that is not a question. */
struct span tls_session_output(const struct tls_session *s);
void tls_session_consume(struct tls_session *s, size_t size);
/* Queues close_notify, once. Nothing can be sealed afterwards. */
void tls_session_close(struct tls_session *s);
/* Gives back the memory that an idle connection does not need. */
void tls_session_rest(struct tls_session *s);

/* ---- what was agreed: after the handshake; all spans last as long as the session ---- */

struct span tls_session_version(const struct tls_session *s);     /* "1.2" or "1.3" */
struct span tls_session_cipher(const struct tls_session *s);      /* "TLS_AES_128_GCM_SHA256" */
struct span tls_session_alpn(const struct tls_session *s);        /* empty: none */
struct span tls_session_server_name(const struct tls_session *s); /* lower case; empty: none */
bool tls_session_is_resumed(const struct tls_session *s);

struct tls_peer {
    bool has_certificate;
    bool is_verified;
    struct span subject;      /* RFC 4514, for example "CN=Ada,O=Example" */
    struct span fingerprint;  /* SHA-256 of the certificate, 64 hexadecimal digits, lower case */
    struct span verification; /* "none" without a certificate, "success", or why not */
};
const struct tls_peer *tls_session_peer(const struct tls_session *s);

/* The same for a request; the spans last as long as the session. */
void tls_session_describe(const struct tls_session *s, struct http_tls *out);

/* May this session answer for host[:port]? Yes when it is the name that the client asked for, when
 * the certificate that was served covers it, and when the client asked for no name. If not: 421
 * (RFC 9110 section 15.5.20). */
bool tls_session_covers(const struct tls_session *s, struct span authority);

/* Why it failed, for a log line: static. "" while it has not. */
const char *tls_session_failure(const struct tls_session *s);

#endif
