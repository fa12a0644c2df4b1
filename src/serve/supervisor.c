#include "serve/supervisor.h"

#include "base/memory.h"
#include "front/server.h"
#include "io/loop.h"
#include "serve/engine_process.h"
#include "serve/quic_process.h"
#include <stdio.h>

#define DELAY_FIRST_MS   100
#define DELAY_MAX_MS     5000
#define LIFE_OF_HEALTHY  10000
#define STOP_PATIENCE_MS 3000

struct slot {
    struct supervisor *supervisor;
    unsigned number; /* of an engine */
    bool is_quic;
    struct process process;
    bool is_running;
    bool was_ready;      /* this process was */
    bool was_once_ready; /* or one before it */
    struct loop_handle exited;
    struct loop_handle channel;
    struct loop_timer restart;
    milliseconds started_at;
    milliseconds delay; /* before the next start */
};

struct supervisor {
    const struct serve_processes_options *options;
    struct process *front;
    struct loop_handle from_front;
    struct loop_handle front_exited;
    struct loop *loop;
    atomic_uchar *alive;
    struct loop_timer patience; /* with engines that end */
    unsigned count;             /* of engines */
    unsigned running;           /* processes, that of HTTP/3 too */
    unsigned ready_count;       /* engines that were ready once */
    bool is_stopping;
    bool is_shut; /* HTTP/3 was told to end and does not start again */
    struct loop_timer quic_patience;
    struct front_datagrams sockets; /* of HTTP/3; they outlive its process */
    struct slot quic;
    struct slot slots[];
};

static void stop_engines(struct supervisor *s);
static void stop(struct supervisor *s);
static void start(struct slot *slot);

/* ---- processes ---- */

static void forget(struct slot *slot)
{
    struct loop *loop = slot->supervisor->loop;
    loop_forget(loop, &slot->exited);
    loop_forget(loop, &slot->channel);
    process_release(&slot->process);
    slot->is_running = false;
    slot->supervisor->running--;
}

static void plan_restart(struct slot *slot)
{
    struct supervisor *s = slot->supervisor;
    milliseconds now = loop_now(s->loop);
    if (now - slot->started_at >= LIFE_OF_HEALTHY)
        slot->delay = 0;
    loop_timer_set(s->loop, &slot->restart, now + slot->delay);
    slot->delay = slot->delay == 0 ? DELAY_FIRST_MS : slot->delay * 2;
    if (slot->delay > DELAY_MAX_MS)
        slot->delay = DELAY_MAX_MS;
}

static void start_again(struct slot *slot, int32_t pid, int code)
{
    struct supervisor *s = slot->supervisor;
    char name[32] = "HTTP/3";
    if (!slot->is_quic)
        snprintf(name, sizeof(name), "engine %u", slot->number);
    plan_restart(slot);
    log_write(s->options->log, LOG_WARNING, "%s (process %d) ended by %s %d; next start in %d ms",
              name, (int)pid, code < 0 ? "signal" : "exit", code < 0 ? -code : code,
              (int)(slot->restart.due - loop_now(s->loop)));
}

static void engine_ended(struct slot *slot, int32_t pid, int code)
{
    struct supervisor *s = slot->supervisor;
    atomic_store(&s->alive[slot->number], 0);
    if (s->is_stopping)
        return;
    if (s->ready_count == s->count || slot->was_ready) {
        start_again(slot, pid, code);
        return;
    }
    process_tell(s->front,
                 code == SUPERVISOR_EXIT_REFUSED ? SUPERVISOR_REFUSED : SUPERVISOR_FAILED);
    stop(s);
}

/* The engines answer what it has in flight, so they end after it. */
static void quic_ended(struct slot *slot, int32_t pid, int code)
{
    struct supervisor *s = slot->supervisor;
    serve_quic_abandon(s->options->quic, FRONT_QUIC_DOWN);
    bridge_endpoint_ring(s->options->endpoint); /* its connections are closed, and nobody said so */
    if (s->is_stopping) {
        stop_engines(s);
    } else if (!slot->was_once_ready) {
        process_tell(s->front, SUPERVISOR_FAILED);
    } else if (!s->is_shut) {
        atomic_fetch_add(&s->options->quic->restarts, 1);
        start_again(slot, pid, code);
    }
}

static void on_exit_of_process(struct loop_handle *h, unsigned events)
{
    struct slot *slot = LIST_ITEM(h, struct slot, exited);
    int code;
    (void)events;
    if (!process_collect(&slot->process, &code))
        return;
    int32_t pid = slot->process.pid;
    forget(slot);
    if (slot->is_quic)
        quic_ended(slot, pid, code);
    else
        engine_ended(slot, pid, code);
}

static void on_channel_of_process(struct loop_handle *h, unsigned events)
{
    struct slot *slot = LIST_ITEM(h, struct slot, channel);
    struct supervisor *s = slot->supervisor;
    (void)events;
    int byte = process_hear(&slot->process);
    if (byte < 0)
        loop_forget(s->loop, &slot->channel); /* its exit is told by the other descriptor */
    if (byte != SUPERVISOR_READY || slot->was_ready)
        return;
    slot->was_ready = true;
    if (slot->is_quic)
        atomic_store(&s->options->quic->state, FRONT_QUIC_UP);
    if (slot->was_once_ready)
        return;
    slot->was_once_ready = true;
    if (slot->is_quic || ++s->ready_count == s->count)
        process_tell(s->front, SUPERVISOR_READY);
}

static void on_restart(struct loop_timer *t)
{
    start(LIST_ITEM(t, struct slot, restart));
}

/* In a fresh child: what belongs to the supervisor must not stay open here, or its end would go
 * unnoticed. */
static void leave_supervisor(struct supervisor *s)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->slots[i].is_running)
            process_release(&s->slots[i].process);
    if (s->quic.is_running)
        process_release(&s->quic.process);
    process_release(s->front);
    loop_free(s->loop);
}

static _Noreturn void become(struct slot *slot, int32_t supervisor)
{
    struct supervisor *s = slot->supervisor;
    struct process self = slot->process;
    leave_supervisor(s);
    process_die_with_parent(supervisor);
    if (slot->is_quic)
        serve_quic_process_run(s->options, &s->sockets, &self, s->alive);
    front_datagrams_close(&s->sockets);
    serve_engine_process_run(s->options, slot->number, &self, &s->alive[slot->number]);
}

static void start(struct slot *slot)
{
    struct supervisor *s = slot->supervisor;
    int32_t self = process_self();
    int result = process_fork(&slot->process);
    if (result == PROCESS_CHILD)
        become(slot, self);
    slot->started_at = loop_now(s->loop);
    if (result < 0) {
        plan_restart(slot);
        return;
    }
    slot->is_running = true;
    slot->was_ready = false;
    s->running++;
    slot->exited = (struct loop_handle){.fd = slot->process.exited, .on_ready = on_exit_of_process};
    slot->channel =
        (struct loop_handle){.fd = slot->process.channel, .on_ready = on_channel_of_process};
    loop_watch_level(s->loop, &slot->exited);
    loop_watch_level(s->loop, &slot->channel);
}

/* ---- the front ---- */

static void tell_all(struct supervisor *s, char byte)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->slots[i].is_running)
            process_tell(&s->slots[i].process, byte);
}

static void tell_quic(struct supervisor *s, char byte)
{
    if (s->quic.is_running)
        process_tell(&s->quic.process, byte);
}

static void stop_engines(struct supervisor *s)
{
    tell_all(s, SUPERVISOR_STOP);
    loop_timer_set(s->loop, &s->patience, loop_now(s->loop) + STOP_PATIENCE_MS);
}

/* HTTP/3 ends within `time`, or is ended. */
static void shut_quic(struct supervisor *s, char byte, milliseconds time)
{
    s->is_shut = true;
    milliseconds end = clock_after(loop_now(s->loop), clock_after(time, STOP_PATIENCE_MS));
    loop_timer_clear(s->loop, &s->quic.restart);
    loop_timer_set(s->loop, &s->quic_patience, end);
    tell_quic(s, byte);
}

static void stop(struct supervisor *s)
{
    if (s->is_stopping)
        return;
    s->is_stopping = true;
    for (unsigned i = 0; i < s->count; i++)
        loop_timer_clear(s->loop, &s->slots[i].restart);
    if (!s->is_shut)
        shut_quic(s, SUPERVISOR_CUT, 0);
    if (!s->quic.is_running)
        stop_engines(s);
}

/* The front is gone: nobody waits for answers. */
static void abandon(struct supervisor *s)
{
    shut_quic(s, SUPERVISOR_CUT, 0);
    stop(s);
}

static void on_byte(struct supervisor *s, int byte, const struct process_gift *gift)
{
    switch (byte) {
    case SUPERVISOR_SHUT:
        tell_all(s, SUPERVISOR_SHUT);
        if (s->options->quic)
            shut_quic(s, SUPERVISOR_SHUT, atomic_load(&s->options->quic->drain_timeout));
        break;
    case SUPERVISOR_CUT:
        shut_quic(s, SUPERVISOR_CUT, 0);
        break;
    case SUPERVISOR_RELOAD:
    case SUPERVISOR_REOPEN:
        tell_quic(s, (char)byte);
        break;
    case SUPERVISOR_SOCKET:
        front_datagrams_add(&s->sockets, gift->fd, gift->number);
        break;
    case SUPERVISOR_QUIC:
        start(&s->quic);
        break;
    case SUPERVISOR_STOP: /* SUPERVISOR_CUT may follow */
        stop(s);
        break;
    default:
        break;
    }
}

static void on_front(struct loop_handle *h, unsigned events)
{
    struct supervisor *s = LIST_ITEM(h, struct supervisor, from_front);
    struct process_gift gift;
    (void)events;
    int byte = process_hear_gift(s->front, &gift);
    on_byte(s, byte, &gift);
    if (byte >= 0)
        return;
    loop_forget(s->loop, &s->from_front);
    abandon(s);
}

/* The channel stays open as long as any copy of the front's end does, and the host may have
 * forked copies of its own: so the process itself is watched, too. */
static void on_exit_of_front(struct loop_handle *h, unsigned events)
{
    struct supervisor *s = LIST_ITEM(h, struct supervisor, front_exited);
    (void)events;
    loop_forget(s->loop, &s->front_exited);
    abandon(s);
}

static void on_patience(struct loop_timer *t)
{
    struct supervisor *s = LIST_ITEM(t, struct supervisor, patience);
    for (unsigned i = 0; i < s->count; i++)
        if (s->slots[i].is_running)
            process_kill(&s->slots[i].process);
}

static void on_quic_patience(struct loop_timer *t)
{
    struct supervisor *s = LIST_ITEM(t, struct supervisor, quic_patience);
    if (!s->quic.is_running)
        return;
    atomic_store(&s->options->quic->outcome, ROUTED_ERROR_TIMEOUT);
    process_kill(&s->quic.process);
}

/* ---- life ---- */

static struct supervisor *supervisor_new(const struct serve_processes_options *options,
                                         struct process *front, atomic_uchar *alive)
{
    unsigned count = bridge_endpoint_count(options->endpoint);
    struct supervisor *s = memory_new_zeroed(sizeof(*s) + count * sizeof(struct slot));
    struct loop *loop = s ? loop_new() : NULL;
    if (!loop)
        return NULL;
    s->options = options;
    s->front = front;
    s->alive = alive;
    s->count = count;
    s->loop = loop;
    s->from_front = (struct loop_handle){.fd = front->channel, .on_ready = on_front};
    s->front_exited = (struct loop_handle){.fd = front->exited, .on_ready = on_exit_of_front};
    loop_timer_init(&s->patience, on_patience);
    loop_timer_init(&s->quic_patience, on_quic_patience);
    s->quic = (struct slot){.supervisor = s, .is_quic = true};
    loop_timer_init(&s->quic.restart, on_restart);
    for (unsigned i = 0; i < count; i++) {
        s->slots[i] = (struct slot){.supervisor = s, .number = i};
        loop_timer_init(&s->slots[i].restart, on_restart);
    }
    return s;
}

_Noreturn void serve_supervisor_run(const struct serve_processes_options *options,
                                    struct process *front, atomic_uchar *alive)
{
    struct supervisor *s = supervisor_new(options, front, alive);
    if (!s || loop_watch_level(s->loop, &s->from_front) != ROUTED_OK) {
        process_tell(front, SUPERVISOR_FAILED);
        process_end(1);
    }
    loop_watch_level(s->loop, &s->front_exited);
    for (unsigned i = 0; i < s->count; i++)
        start(&s->slots[i]);
    while (!s->is_stopping || s->running)
        loop_turn(s->loop, -1);
    process_end(0);
}
