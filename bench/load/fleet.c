#include "load/fleet.h"

#include "base/memory.h"
#include <routed/error.h>

#define TURN_MAX 100 /* milliseconds that a turn sleeps at most, */
#define REST_MAX 2   /* and one in which word from outside is awaited */

static const struct load_machine *machine_of(const struct load_options *o)
{
    if (o->socket)
        return &load_websocket_machine;
    if (o->protocol == LOAD_H3)
        return &load_http3_machine;
    return load_options_is_http2(o) ? &load_http2_machine : &load_http1_machine;
}

/* ---- life ---- */

static int make_parts(struct load_fleet *f)
{
    const struct load_options *o = f->options;
    if (socket_resolve(o->host, o->port, &f->address, 1) < 1)
        return ROUTED_ERROR_ADDRESS_UNKNOWN;
    int error = loop_open(&f->loop);
    if (error == ROUTED_OK)
        error = load_requests_init(&f->requests, o);
    if (error != ROUTED_OK)
        return error;
    if (o->protocol == LOAD_H3)
        f->quics = load_quic_context_new("localhost", o->resume);
    else if (load_options_is_secure(o))
        f->seals = load_seal_context_new(load_options_is_http2(o) ? "h2" : "http/1.1", "localhost",
                                         o->resume);
    if (load_options_is_secure(o) && !f->seals && !f->quics)
        return ROUTED_ERROR_MEMORY;
    f->room = memory_new(LOAD_READ_SIZE);
    f->plain = memory_new(LOAD_READ_SIZE);
    f->clients = memory_new_array(o->connections, sizeof(*f->clients));
    return f->room && f->plain && f->clients ? ROUTED_OK : ROUTED_ERROR_MEMORY;
}

int load_fleet_init(struct load_fleet *f, const struct load_options *options)
{
    *f = (struct load_fleet){.options = options};
    list_init(&f->idle);
    list_init(&f->closed);
    int error = make_parts(f);
    if (error != ROUTED_OK) {
        load_fleet_release(f);
        return error;
    }
    f->count = options->connections;
    for (uint32_t i = 0; i < f->count; i++) {
        load_client_init(&f->clients[i], f, machine_of(options));
        list_append(options->reconnect ? &f->idle : &f->closed, &f->clients[i].idle);
    }
    load_tally_init(&f->tally, loop_clock());
    return ROUTED_OK;
}

void load_fleet_release(struct load_fleet *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        load_client_release(&f->clients[i]);
    memory_free(f->clients);
    memory_free(f->room);
    memory_free(f->plain);
    load_requests_release(&f->requests);
    load_seal_context_free(f->seals);
    load_quic_context_free(f->quics);
    loop_free(f->loop);
}

bool load_fleet_has_ticket(const struct load_fleet *f)
{
    return f->quics ? load_quic_context_has_ticket(f->quics)
                    : load_seal_context_has_ticket(f->seals);
}

/* ---- who sends when ---- */

/* One more request, if there is one to be issued now. */
static bool take(struct load_fleet *f, microseconds *intended)
{
    if (!f->is_running || (f->goes_round && f->under_way) ||
        !load_pacer_take(&f->pacer, loop_clock(), intended))
        return false;
    f->under_way++;
    return true;
}

void load_fleet_offer(struct load_fleet *f, struct load_client *c)
{
    microseconds intended;
    list_remove(&c->idle);
    while (load_client_has_room(c)) {
        if (f->goes_round || !take(f, &intended)) {
            list_append(&f->idle, &c->idle);
            return;
        }
        load_client_send(c, intended);
    }
}

/* Requests go to those that are free, to each in turn; closed connections are made anew. */
static void pump(struct load_fleet *f)
{
    microseconds intended;
    while (!list_is_empty(&f->closed) && f->connecting < LOAD_CONNECTING_MAX && !f->is_broken) {
        struct load_client *c = LIST_ITEM(f->closed.next, struct load_client, idle);
        list_remove(&c->idle);
        load_client_open(c);
    }
    while (!list_is_empty(&f->idle) && take(f, &intended)) {
        struct load_client *c = LIST_ITEM(f->idle.next, struct load_client, idle);
        list_remove(&c->idle);
        load_client_send(c, intended);
        if (!list_is_linked(&c->idle) && load_client_has_room(c))
            list_append(&f->idle, &c->idle);
    }
}

void load_fleet_connected(struct load_fleet *f, struct load_client *c)
{
    f->connecting--;
    f->ready++;
    f->tally.connects++;
    if (!c->has_waiting)
        return;
    c->has_waiting = false;
    load_client_send(c, c->waiting);
}

void load_fleet_answered(struct load_fleet *f, microseconds intended, uint16_t status)
{
    microseconds now = loop_clock();
    f->under_way--;
    f->losses = 0;
    if (status == 0)
        f->tally.errors[LOAD_ERROR_PROTOCOL]++;
    else if (status >= 300)
        f->tally.errors[LOAD_ERROR_STATUS]++;
    else
        load_tally_answer(&f->tally, intended, now);
}

void load_fleet_lost(struct load_fleet *f, struct load_client *c, enum load_error error,
                     uint32_t count)
{
    f->under_way -= count;
    f->losses++;
    if (error)
        f->tally.errors[error] += count ? count : 1;
    /* A message that went to all has lost a hearer. */
    if (f->round_left) {
        f->round_left = 0;
        f->under_way = 0;
    }
    f->is_broken = f->losses > (uint64_t)f->count + 1000;
    list_append(f->options->reconnect ? &f->idle : &f->closed, &c->idle);
}

/* ---- runs ---- */

/* Large content on a busy machine takes its time: as long as bytes move, somebody works on it. */
static bool has_hope(struct load_fleet *f, microseconds now)
{
    if (f->moved != f->moved_before) {
        f->moved_before = f->moved;
        f->progress = now;
    }
    return now - f->progress <= f->options->patience;
}

static int longest_turn(const struct load_fleet *f)
{
    microseconds patience = f->options->patience / 1000 + 1;
    return patience < TURN_MAX ? (int)patience : TURN_MAX;
}

bool load_fleet_connect(struct load_fleet *f)
{
    f->progress = loop_clock();
    if (f->options->reconnect)
        return true;
    while (f->ready < f->count && !f->is_broken && has_hope(f, loop_clock())) {
        pump(f);
        loop_turn(f->loop, longest_turn(f));
    }
    return f->ready == f->count;
}

/* Milliseconds until there is something to do. Times that are nearer than the clock of the loop
 * can tell are awaited without sleeping: this process has a core of its own. */
static int sleep_for(const struct load_fleet *f)
{
    microseconds now = loop_clock(), next = load_pacer_next(&f->pacer, now);
    if (f->pacer.interval <= 0 || list_is_empty(&f->idle) || next == CLOCK_NEVER)
        return longest_turn(f);
    if (next < now + 2000)
        return 0;
    microseconds wait = (next - now) / 1000 - 1;
    return wait < (microseconds)longest_turn(f) ? (int)wait : longest_turn(f);
}

void load_fleet_rest(struct load_fleet *f)
{
    loop_turn(f->loop, REST_MAX);
}

static void give_up(struct load_fleet *f)
{
    f->tally.errors[LOAD_ERROR_TIMEOUT] += f->under_way;
    f->under_way = 0;
    f->round_left = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        struct load_client *c = &f->clients[i];
        if (c->under_way == 0 && !c->has_waiting)
            continue;
        load_client_close(c);
        list_append(f->options->reconnect ? &f->idle : &f->closed, &c->idle);
    }
}

/* The bytes of connections that are still open count for what is measured from here on. */
static void count_bytes(struct load_fleet *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct stream *s = &f->clients[i].stream;
        if (!stream_is_open(s))
            continue;
        f->tally.bytes_in += s->bytes_in;
        f->tally.bytes_out += s->bytes_out;
        s->bytes_in = s->bytes_out = 0;
    }
}

void load_fleet_run(struct load_fleet *f, double rate, uint64_t most, microseconds duration)
{
    count_bytes(f);
    microseconds now = loop_clock();
    load_tally_init(&f->tally, now);
    load_pacer_init(&f->pacer, rate, most, now, duration);
    f->progress = now;
    f->is_running = true;
    while (!f->is_broken) {
        now = loop_clock();
        bool is_over = load_pacer_is_over(&f->pacer, now);
        if (is_over && f->under_way == 0)
            break;
        if (f->under_way == 0 && !list_is_empty(&f->idle))
            f->progress = now;
        if (!has_hope(f, now))
            break;
        pump(f);
        loop_turn(f->loop, sleep_for(f));
    }
    f->is_running = false;
    give_up(f);
    count_bytes(f);
}
