#include "http3/repertoire.h"

#include "http3/limits.h"

void http3_repertoire_init(struct http3_repertoire *r, size_t capacity)
{
    /* nghttp3 puts in again what is in the last eighth. */
    *r = (struct http3_repertoire){.room = capacity - capacity / 8, .line_max = capacity / 2};
}

/* ---- what never goes in ---- */

static bool is_one_of(struct span name, const struct span *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_equals(name, names[i]))
            return true;
    return false;
}

static bool is_volatile_or_secret(const struct field *line)
{
    static const struct span names[] = {
        SPAN("age"),     SPAN("authentication-info"), SPAN("proxy-authentication-info"),
        SPAN("expires"), SPAN("www-authenticate"),
    };
    switch (line->name) {
    case FIELD_DATE:
    case FIELD_CONTENT_LENGTH:
    case FIELD_CONTENT_RANGE:
    case FIELD_ETAG:
    case FIELD_LAST_MODIFIED:
    case FIELD_LOCATION:
    case FIELD_RETRY_AFTER:
    case FIELD_X_REQUEST_ID:
    case FIELD_SET_COOKIE:
    case FIELD_AUTHORIZATION:
    case FIELD_PROXY_AUTHENTICATE:
    case FIELD_PROXY_AUTHORIZATION:
        return true;
    case FIELD_OTHER:
        return is_one_of(line->text, names, sizeof(names) / sizeof(names[0]));
    default:
        return false;
    }
}

/* ---- hashes ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint64_t hash_text(uint64_t hash, struct span text)
{
    uint64_t word;
    for (; text.size >= sizeof(word); text = span_after(text, sizeof(word))) {
        memcpy(&word, text.data, sizeof(word));
        hash = mix(hash, word);
    }
    word = 0;
    if (text.size)
        memcpy(&word, text.data, text.size);
    return mix(hash, word);
}

/* Two lines with one hash would be taken for one: then there is an insert more than was counted. */
static uint64_t hash_line(const struct field *line)
{
    uint64_t hash = hash_text(line->text.size << 32 | line->value.size, line->text);
    hash = hash_text(hash, line->value);
    return hash ? hash : 1;
}

/* ---- lines ---- */

static uint64_t *slot_of(struct http3_repertoire *r, uint64_t hash)
{
    size_t at = hash % HTTP3_REPERTOIRE_SLOTS;
    while (r->lines[at] && r->lines[at] != hash)
        at = (at + 1) % HTTP3_REPERTOIRE_SLOTS;
    return &r->lines[at];
}

static bool is_new(struct http3_repertoire *r, uint64_t hash)
{
    uint64_t *seen = &r->seen[hash % HTTP3_REPERTOIRE_SEEN];
    bool is_known = *seen == hash;
    *seen = hash;
    return !is_known;
}

static bool is_status(const struct field *line)
{
    return line->text.size && line->text.data[0] == ':';
}

bool http3_repertoire_has(struct http3_repertoire *r, const struct field *line)
{
    size_t size = line->text.size + line->value.size + HTTP3_TABLE_ENTRY;
    if (size > r->line_max || is_volatile_or_secret(line))
        return false;
    uint64_t hash = hash_line(line);
    uint64_t *slot = slot_of(r, hash);
    if (*slot)
        return true;
    if (!is_status(line) && is_new(r, hash))
        return false;
    if (size > r->room || r->count == HTTP3_REPERTOIRE_LINES) {
        r->is_full = true;
        return false;
    }
    r->room -= size;
    r->count++;
    *slot = hash;
    return true;
}
