#include "bridge/refusal.h"

bool bridge_refusal_begin(struct bridge_refusal *r, const struct wire_head *head)
{
    r->matched = 0;
    r->is_open = wire_type_is_single(head->type) && head->status == BRIDGE_REFUSAL_STATUS &&
                 head->field_count == 0 && head->body_size >= SPAN(BRIDGE_REFUSAL_TEXT).size;
    return r->is_open;
}

enum bridge_refusal_verdict bridge_refusal_feed(struct bridge_refusal *r, struct slice *body,
                                                struct span *known)
{
    struct span text = SPAN(BRIDGE_REFUSAL_TEXT);
    size_t size = text.size - r->matched < body->size ? text.size - r->matched : body->size;
    if (memcmp(text.data + r->matched, body->data, size) != 0) {
        r->is_open = false;
        *known = span_part(text, 0, r->matched);
        return BRIDGE_REFUSAL_NONE;
    }
    r->matched += size;
    body->data += size;
    body->size -= size;
    if (r->matched < text.size)
        return BRIDGE_REFUSAL_OPEN;
    r->is_open = false;
    return BRIDGE_REFUSAL_CERTAIN;
}
