#include "ffi/call.h"

#include "base/memory.h"

/* An id: generation, worker, slot. Generations start at 1, so no id is 0; a slot whose
 * generations are used up is given up, so no id comes twice. */
#define SLOT_BITS       22
#define WORKER_BITS     6
#define GENERATION_BITS 36
#define SLOTS_MAX       ((uint32_t)1 << SLOT_BITS)
#define SLOTS_FIRST     64

_Static_assert(SLOT_BITS + WORKER_BITS + GENERATION_BITS == 64, "an id has 64 bits");
_Static_assert(FFI_WORKERS_MAX == 1 << WORKER_BITS, "every worker has a number of its own");

#define SIZE_PREFIX 4

/* ---- payloads of the host ---- */

/* A frame as the decoder reads it: four bytes of size, then the payload. */
struct ffi_payload *ffi_payload_new(struct span payload)
{
    struct ffi_payload *p = memory_new(sizeof(*p));
    struct block *block = p ? block_new(payload.size + SIZE_PREFIX) : NULL;
    if (!block) {
        memory_free(p);
        return NULL;
    }
    uint8_t *bytes = block_data(block);
    for (int i = 0; i < SIZE_PREFIX; i++)
        bytes[i] = (uint8_t)(payload.size >> (24 - 8 * i));
    memcpy(bytes + SIZE_PREFIX, payload.data, payload.size);
    *p = (struct ffi_payload){NULL, {block, bytes, payload.size + SIZE_PREFIX}};
    return p;
}

void ffi_payload_free(struct ffi_payload *p)
{
    if (!p)
        return;
    slice_release(&p->bytes);
    memory_free(p);
}

size_t ffi_payload_weight(const struct ffi_payload *p)
{
    return p->bytes.size + 2 * sizeof(*p);
}

static void list_reset(struct ffi_payload_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

void ffi_payload_list_append(struct ffi_payload_list *l, struct ffi_payload *p)
{
    *l->last = p;
    l->last = &p->next;
}

struct ffi_payload *ffi_payload_list_take(struct ffi_payload_list *l)
{
    struct ffi_payload *p = l->first;
    if (!p)
        return NULL;
    l->first = p->next;
    if (!l->first)
        l->last = &l->first;
    return p;
}

void ffi_payload_list_join(struct ffi_payload_list *l, struct ffi_payload_list *from)
{
    if (!from->first)
        return;
    *l->last = from->first;
    l->last = from->last;
    list_reset(from);
}

void ffi_payload_list_release(struct ffi_payload_list *l)
{
    struct ffi_payload *p;
    while ((p = ffi_payload_list_take(l)))
        ffi_payload_free(p);
}

/* ---- slots ---- */

static bool grow(struct ffi_context *c)
{
    uint32_t count = c->slot_count ? c->slot_count * 2 : SLOTS_FIRST;
    if (count > SLOTS_MAX)
        return false;
    struct ffi_slot *slots = memory_resize(c->slots, count * sizeof(*slots));
    if (!slots)
        return false;
    for (uint32_t i = c->slot_count; i < count; i++)
        slots[i] = (struct ffi_slot){.generation = 1, .next_free = i + 1};
    c->slots = slots;
    c->first_free = c->slot_count;
    c->slot_count = count;
    return true;
}

static uint64_t take_slot(struct ffi_context *c, struct ffi_call *call)
{
    uint32_t number = c->first_free;
    struct ffi_slot *slot = &c->slots[number];
    c->first_free = slot->next_free;
    slot->call = call;
    return slot->generation++ << (SLOT_BITS + WORKER_BITS) | (uint64_t)c->number << SLOT_BITS |
           number;
}

static uint32_t slot_number(uint64_t id)
{
    return (uint32_t)(id & (SLOTS_MAX - 1));
}

static void give_slot(struct ffi_context *c, uint32_t number)
{
    struct ffi_slot *slot = &c->slots[number];
    slot->call = NULL;
    if (slot->generation >> GENERATION_BITS)
        return;
    slot->next_free = c->first_free;
    c->first_free = number;
}

/* ---- calls ---- */

struct ffi_call *ffi_call_new(struct ffi_context *c)
{
    if (c->first_free == c->slot_count && !grow(c))
        return NULL;
    struct ffi_call *call = memory_new_zeroed(sizeof(*call));
    if (!call)
        return NULL;
    call->id = take_slot(c, call);
    call->context = c;
    list_init(&call->ready);
    list_init(&call->answered);
    list_reset(&call->sent);
    list_reset(&call->taken);
    wire_decoder_init(&call->decoder, WIRE_RESPONSES, NULL);
    return call;
}

void ffi_call_free(struct ffi_call *call)
{
    give_slot(call->context, slot_number(call->id));
    list_remove(&call->ready);
    list_remove(&call->answered);
    buffer_release(&call->head);
    buffer_release(&call->body);
    ffi_payload_list_release(&call->sent);
    ffi_payload_list_release(&call->taken);
    wire_decoder_release(&call->decoder);
    memory_free(call);
}

unsigned ffi_call_worker(uint64_t id)
{
    return (unsigned)(id >> SLOT_BITS) & (FFI_WORKERS_MAX - 1);
}

struct ffi_call *ffi_call_find(const struct ffi_context *c, uint64_t id)
{
    uint32_t number = slot_number(id);
    struct ffi_call *call = number < c->slot_count ? c->slots[number].call : NULL;
    return call && call->id == id ? call : NULL;
}

void ffi_context_free(struct ffi_context *c)
{
    for (uint32_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].call)
            ffi_call_free(c->slots[i].call);
    memory_free(c->slots);
    memory_free(c);
}
