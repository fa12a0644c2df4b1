/* Plain bytes into records. */
#include "tls/state.h"

#include <routed/error.h>

void tls_session_start_flight(struct tls_session *s)
{
    s->flight_records = 0;
}

static size_t record_size(const struct tls_session *s)
{
    return s->flight_records < TLS_FLIGHT_RECORDS ? TLS_FLIGHT_RECORD : TLS_RECORD_MAX;
}

/* Where sealing has come to among the spans. */
struct position {
    const struct span *spans;
    size_t count;
    size_t offset; /* in spans[0] */
};

static struct span ahead(struct position *p)
{
    while (p->count && p->offset == p->spans[0].size) {
        p->spans++;
        p->count--;
        p->offset = 0;
    }
    return p->count ? span_after(p->spans[0], p->offset) : SPAN_EMPTY;
}

/* The bytes of one record: where they are when one span has enough of them or is the last, else
 * gathered. */
static struct span next_record(struct position *p, size_t max, uint8_t *gathered)
{
    struct span bytes = ahead(p);
    if (bytes.size >= max || p->count <= 1) {
        bytes.size = bytes.size < max ? bytes.size : max;
        p->offset += bytes.size;
        return bytes;
    }
    size_t filled = 0;
    for (; bytes.size && filled < max; bytes = ahead(p)) {
        size_t size = bytes.size < max - filled ? bytes.size : max - filled;
        memcpy(gathered + filled, bytes.data, size);
        filled += size;
        p->offset += size;
    }
    return span_of(gathered, filled);
}

/* In one record, or in more where the peer asked for smaller ones (RFC 8449, RFC 6066 section 4).
 */
static int seal_record(struct tls_session *s, struct span bytes)
{
    while (bytes.size) {
        ssize_t sent = gnutls_record_send(s->tls, bytes.data, bytes.size);
        if (sent <= 0)
            return tls_session_fail_with(s, sent < 0 ? (int)sent : GNUTLS_E_INTERNAL_ERROR);
        bytes = span_after(bytes, (size_t)sent);
    }
    s->flight_records++;
    return ROUTED_OK;
}

/* Not when the handshake ends: in front of the first plain bytes it costs no write of its own, and
 * a client that never gets any has no use for it. */
static int give_ticket(struct tls_session *s)
{
    s->owes_ticket = false;
    int result = gnutls_session_ticket_send(s->tls, 1, 0);
    return result < 0 ? tls_session_fail_with(s, result) : ROUTED_OK;
}

ssize_t tls_session_seal(struct tls_session *s, const struct span *spans, size_t count)
{
    uint8_t gathered[TLS_RECORD_MAX];
    struct position p = {spans, count, 0};
    size_t taken = 0;
    if (s->stage == TLS_FAILED)
        return s->error;
    if (s->stage == TLS_HANDSHAKING || s->has_closed)
        return 0;
    if (s->owes_ticket && ahead(&p).size) {
        int result = give_ticket(s);
        if (result != ROUTED_OK)
            return result;
    }
    while (ahead(&p).size && buffer_size(&s->output) < TLS_OUTPUT_MAX) {
        struct span bytes = next_record(&p, record_size(s), gathered);
        int result = seal_record(s, bytes);
        if (result != ROUTED_OK)
            return result;
        taken += bytes.size;
    }
    return (ssize_t)taken;
}
