#include "load/request.h"

#include "base/memory.h"
#include "websocket/frame.h"
#include <routed/error.h>
#include <stdio.h>

/* Any nonce does: RFC 6455 section 4.1 asks for 16 bytes in base64. */
#define HANDSHAKE_FIELDS                                                                           \
    "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"                   \
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static char *make_path(const char *pattern, size_t number)
{
    const char *place = strstr(pattern, "{n}");
    size_t size = strlen(pattern) + 24;
    char *path = memory_new(size);
    if (!path)
        return NULL;
    if (place)
        snprintf(path, size, "%.*s%zu%s", (int)(place - pattern), pattern, number, place + 3);
    else
        snprintf(path, size, "%s", pattern);
    return path;
}

static int make_bytes(struct load_requests *r, struct load_request *request,
                      const struct load_options *o)
{
    bool has_content = !o->socket && o->body >= 0;
    char head[1024];
    int size = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nhost: %s\r\n%s%s%s%s\r\n",
                        has_content ? "POST" : "GET", request->path, r->authority,
                        o->socket ? HANDSHAKE_FIELDS : "", has_content ? "content-length: " : "",
                        has_content ? r->length : "", has_content ? "\r\n" : "");
    if (size < 0 || (size_t)size >= sizeof(head))
        return ROUTED_ERROR_ARGUMENT;
    int error = buffer_append(&request->bytes, head, (size_t)size);
    if (error == ROUTED_OK && has_content && r->rest.size == 0)
        error = buffer_append_span(&request->bytes, buffer_span(&r->content));
    return error;
}

static int make_content(struct load_requests *r, int64_t size)
{
    snprintf(r->length, sizeof(r->length), "%lld", (long long)size);
    uint8_t *room = buffer_reserve(&r->content, (size_t)size + 1);
    if (!room)
        return ROUTED_ERROR_MEMORY;
    memset(room, 'x', (size_t)size);
    buffer_commit(&r->content, (size_t)size);
    r->rest = size > LOAD_REQUEST_WHOLE_MAX ? buffer_span(&r->content) : SPAN_EMPTY;
    return ROUTED_OK;
}

static int make_message(struct load_requests *r)
{
    struct websocket_frame frame = {.opcode = WEBSOCKET_TEXT,
                                    .is_final = true,
                                    .is_masked = true,
                                    .mask = {0x37, 0xfa, 0x21, 0x3d},
                                    .size = buffer_size(&r->content)};
    uint8_t *room = buffer_reserve(&r->message, WEBSOCKET_HEAD_MAX + frame.size);
    if (!room)
        return ROUTED_ERROR_MEMORY;
    size_t head = websocket_frame_write(room, &frame);
    websocket_mask(room + head, buffer_span(&r->content).data, (size_t)frame.size, frame.mask, 0);
    buffer_commit(&r->message, head + (size_t)frame.size);
    return ROUTED_OK;
}

static int make_authority(struct load_requests *r, const struct load_options *o)
{
    size_t size = strlen(o->host) + 16;
    bool is_v6 = strchr(o->host, ':') != NULL;
    r->authority = memory_new(size);
    if (!r->authority)
        return ROUTED_ERROR_MEMORY;
    snprintf(r->authority, size, "%s%s%s:%u", is_v6 ? "[" : "", o->host, is_v6 ? "]" : "",
             (unsigned)o->port);
    return ROUTED_OK;
}

int load_requests_init(struct load_requests *r, const struct load_options *options)
{
    *r = (struct load_requests){.count = options->spread};
    r->items = memory_new_zeroed(r->count * sizeof(*r->items));
    int error = r->items ? make_authority(r, options) : ROUTED_ERROR_MEMORY;
    if (error == ROUTED_OK && options->body >= 0)
        error = make_content(r, options->body);
    if (error == ROUTED_OK && options->socket)
        error = make_message(r);
    for (size_t i = 0; error == ROUTED_OK && i < r->count; i++) {
        r->items[i].path = make_path(options->path, i);
        error = r->items[i].path ? make_bytes(r, &r->items[i], options) : ROUTED_ERROR_MEMORY;
    }
    if (error != ROUTED_OK)
        load_requests_release(r);
    return error;
}

void load_requests_release(struct load_requests *r)
{
    for (size_t i = 0; r->items && i < r->count; i++) {
        memory_free(r->items[i].path);
        buffer_release(&r->items[i].bytes);
    }
    memory_free(r->items);
    memory_free(r->authority);
    buffer_release(&r->content);
    buffer_release(&r->message);
    *r = (struct load_requests){.count = 0};
}

const struct load_request *load_requests_next(struct load_requests *r)
{
    const struct load_request *request = &r->items[r->next];
    r->next = r->next + 1 < r->count ? r->next + 1 : 0;
    return request;
}
