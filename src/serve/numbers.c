#include "serve/numbers.h"

#include "base/decimal.h"
#include "front/server.h"

/* Adds what the process of HTTP/3 has under the same name, and hands on. */
struct adding {
    const struct serve_quic *quic;
    front_visit *visit;
    void *user;
};

static void on_own_number(void *user, const struct metric_name *name, uint64_t value)
{
    struct adding *a = user;
    a->visit(a->user, name, value + (a->quic ? serve_quic_count(a->quic, name->name) : 0));
}

static void visit_all(const struct serve_sources *s, front_visit *visit, void *user)
{
    static const struct metric_name restarts = {"quic.restarts", METRIC_COUNTER};
    static const struct metric_name losses = {"supervisor.losses", METRIC_COUNTER};
    struct adding adding = {s->quic, visit, user};
    front_server_metrics(s->front, on_own_number, &adding);
    visit(user, &restarts, s->quic ? atomic_load(&s->quic->restarts) : 0);
    visit(user, &losses, s->processes ? serve_processes_losses(s->processes) : 0);
}

struct listing {
    routed_metric *out;
    size_t max;
    size_t count;
};

static void on_number(void *user, const struct metric_name *name, uint64_t value)
{
    struct listing *listing = user;
    if (listing->count < listing->max)
        listing->out[listing->count] = (routed_metric){
            .name = name->name, .is_counter = name->kind == METRIC_COUNTER, .value = value};
    listing->count++;
}

size_t serve_numbers_list(const struct serve_sources *s, routed_metric *out, size_t max)
{
    struct listing listing = {out, max, 0};
    visit_all(s, on_number, &listing);
    return listing.count;
}

/* Text of any length into a place of fixed size, counting what did not fit. */
struct page {
    char *out;
    size_t size;
    size_t used;
};

static void put(struct page *p, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++, p->used++)
        if (p->used + 1 < p->size)
            p->out[p->used] = text[i];
}

static void on_member(void *user, const struct metric_name *name, uint64_t value)
{
    struct page *p = user;
    char digits[DECIMAL_MAX];
    put(p, p->used > 1 ? ",\"" : "\"", p->used > 1 ? 2 : 1);
    put(p, name->name, strlen(name->name));
    put(p, "\":", 2);
    put(p, digits, decimal_write(digits, value));
}

size_t serve_numbers_json(const struct serve_sources *s, char *out, size_t size)
{
    struct page p = {out, size, 0};
    put(&p, "{", 1);
    visit_all(s, on_member, &p);
    put(&p, "}", 1);
    if (size)
        out[p.used < size ? p.used : size - 1] = '\0';
    return p.used;
}
