#include "front/worker.h"

#include "base/memory.h"
#include "front/connection.h"
#include "front/protocols.h"
#include "front/quic.h"
#include "io/system.h"

#define ACCEPTS_A_TURN      64
#define ACCEPTS_AT_LAST     4096
#define ACCEPT_PAUSE_MS     100
#define TLS_TICK_MS         1000
#define REST_AFTER_MS       1000
#define QUIET_TRIES         16
#define MEMORY_HARD_PERCENT 95
#define LOG_LINES_MAX       65536 /* gathered before they are written, turn or not */

/* ---- accepting ---- */

static void pause_listener(struct front_listener *l)
{
    if (l->is_paused)
        return;
    loop_forget(l->worker->loop, &l->handle);
    l->is_paused = true;
}

static void pause_listeners(struct front_worker *w, milliseconds duration)
{
    for (unsigned i = 0; i < w->listener_count; i++)
        pause_listener(&w->listeners[i]);
    loop_timer_set(w->loop, &w->accept_timer, loop_now(w->loop) + duration);
}

/* Without memory for that the listener goes on sleeping. */
void front_worker_listen_again(struct front_worker *w)
{
    loop_timer_clear(w->loop, &w->accept_timer);
    for (unsigned i = 0; i < w->listener_count; i++) {
        struct front_listener *l = &w->listeners[i];
        if (l->is_paused && loop_watch_shared(w->loop, &l->handle) == ROUTED_OK)
            l->is_paused = false;
        if (l->is_paused)
            loop_timer_set(w->loop, &w->accept_timer, loop_now(w->loop) + ACCEPT_PAUSE_MS);
    }
}

static void on_accept_timer(struct loop_timer *t)
{
    front_worker_listen_again(LIST_ITEM(t, struct front_worker, accept_timer));
}

/* The first of a list that did not send anything that is still unread. */
static struct front_client *first_quiet(const struct list_link *list)
{
    const struct list_link *l = list->next;
    for (int i = 0; l != list && i < QUIET_TRIES; i++, l = l->next) {
        struct front_client *c = LIST_ITEM(l, struct front_client, idle_link);
        if (c->kind->is_quiet(c))
            return c;
    }
    return NULL;
}

/* The client that has been idle longest, or NULL. */
static struct front_client *idlest(const struct front_worker *w)
{
    struct front_client *c = first_quiet(&w->resting);
    return c ? c : first_quiet(&w->idle);
}

bool front_worker_evict(struct front_worker *w)
{
    struct front_client *c = idlest(w);
    if (!c)
        return false;
    metric_add(&w->metrics, FRONT_CONNECTIONS_EVICTED, 1);
    c->kind->close(c, ROUTED_ERROR_LIMIT);
    return true;
}

static bool has_memory(struct front_worker *w)
{
    uint64_t limit = w->shared->limits.memory;
    if (limit == ROUTED_NO_LIMIT || memory_held() < limit / 100 * MEMORY_HARD_PERCENT)
        return true;
    front_metrics_hit(&w->metrics, offsetof(routed_limits, memory));
    front_worker_evict(w);
    return false;
}

bool front_worker_is_full(const struct front_worker *w)
{
    const struct front_shared *shared = w->shared;
    return atomic_load_explicit(&shared->connections, memory_order_relaxed) >=
           shared->limits.connections;
}

bool front_worker_has_room(struct front_worker *w)
{
    if (!has_memory(w))
        return false;
    if (!front_worker_is_full(w) || idlest(w))
        return true;
    front_metrics_hit(&w->metrics, offsetof(routed_limits, connections));
    return false;
}

/* Nobody is closed for a client that is refused, nor before there is a client. */
bool front_worker_admit(struct front_worker *w, uint64_t key)
{
    struct front_shared *shared = w->shared;
    if (!address_table_enter(shared->addresses, key, shared->limits.connections_per_address)) {
        front_metrics_hit(&w->metrics, offsetof(routed_limits, connections_per_address));
        return false;
    }
    if (front_worker_is_full(w)) {
        front_metrics_hit(&w->metrics, offsetof(routed_limits, connections));
        front_worker_evict(w);
    }
    atomic_fetch_add_explicit(&shared->connections, 1, memory_order_relaxed);
    return true;
}

static void welcome(struct front_worker *w, int fd, const struct socket_address *peer,
                    bool is_secure)
{
    uint64_t key = socket_address_key(peer, w->shared->address_seed);
    if (!front_worker_admit(w, key))
        socket_close(fd);
    else if (!front_connection_open(w, fd, peer, key, is_secure))
        metric_add(&w->metrics, FRONT_ACCEPT_FAILURES, 1);
}

/* Out of descriptors, which the kernel says with an empty queue too. A client stays in the queue:
 * an idle connection gives its descriptor at once; without one the listener sleeps, so the loop
 * does not spin. */
static bool make_room_for_descriptor(struct front_worker *w, int listener)
{
    if (!socket_has_input(listener))
        return false;
    metric_add(&w->metrics, FRONT_ACCEPT_FAILURES, 1);
    if (front_worker_evict(w))
        return true;
    pause_listeners(w, ACCEPT_PAUSE_MS);
    return false;
}

/* False: nobody waits, or nobody may come in. */
static bool accept_client(struct front_listener *l)
{
    struct front_worker *w = l->worker;
    int listener = l->handle.fd;
    if (l->is_secure && w->handshakes >= w->shared->limits.handshakes) {
        front_metrics_hit(&w->metrics, offsetof(routed_limits, handshakes));
        pause_listener(l);
        return false;
    }
    if (!front_worker_has_room(w)) {
        if (front_worker_is_full(w) && socket_has_input(listener))
            front_plea_send(&w->plea);
        pause_listeners(w, ACCEPT_PAUSE_MS);
        return false;
    }
    struct socket_address peer;
    int fd = socket_accept(listener, &peer);
    if (fd >= 0)
        welcome(w, fd, &peer, l->is_secure);
    return fd >= 0 || fd == SOCKET_DEAD ||
           (fd == SOCKET_EXHAUSTED && make_room_for_descriptor(w, listener));
}

static void accept_clients(struct front_listener *l, unsigned most)
{
    for (unsigned i = 0; i < most && !l->is_paused && accept_client(l); i++)
        ;
}

static void on_client(struct loop_handle *h, unsigned events)
{
    (void)events;
    accept_clients(LIST_ITEM(h, struct front_listener, handle), ACCEPTS_A_TURN);
}

/* The listeners that a full house of handshakes paused go on. */
void front_worker_handshake_over(struct front_worker *w)
{
    if (w->handshakes-- == w->shared->limits.handshakes)
        front_worker_listen_again(w);
}

int front_worker_add_listener(struct front_worker *w, int fd, bool is_secure)
{
    struct front_listener *l = &w->listeners[w->listener_count];
    int error = w->listener_count < FRONT_LISTENERS_MAX ? ROUTED_OK : ROUTED_ERROR_LIMIT;
    if (!error) {
        *l = (struct front_listener){
            .handle = {.fd = fd, .on_ready = on_client}, .worker = w, .is_secure = is_secure};
        error = loop_watch_shared(w->loop, &l->handle);
    }
    if (error)
        socket_close(fd);
    else
        w->listener_count++;
    return error;
}

void front_worker_close_listeners(struct front_worker *w, unsigned keep)
{
    loop_timer_clear(w->loop, &w->accept_timer);
    for (; w->listener_count > keep; w->listener_count--) {
        struct front_listener *last = &w->listeners[w->listener_count - 1];
        loop_forget(w->loop, &last->handle);
        socket_close(last->handle.fd);
    }
}

/* ---- idle connections ---- */

void front_worker_client_idle(struct front_worker *w, struct front_client *c)
{
    list_append(&w->idle, &c->idle_link);
    if (!loop_timer_is_set(&w->rest_timer))
        loop_timer_set(w->loop, &w->rest_timer, loop_now(w->loop) + REST_AFTER_MS);
}

/* A busy connection keeps its buffers between requests; one that stays idle gives them back. */
static void on_rest_timer(struct loop_timer *t)
{
    struct front_worker *w = LIST_ITEM(t, struct front_worker, rest_timer);
    while (!list_is_empty(&w->idle)) {
        struct front_client *c = LIST_ITEM(w->idle.next, struct front_client, idle_link);
        if (loop_now(w->loop) < c->wait_since + REST_AFTER_MS) {
            loop_timer_set(w->loop, &w->rest_timer, c->wait_since + REST_AFTER_MS);
            return;
        }
        list_remove(&c->idle_link);
        list_append(&w->resting, &c->idle_link);
        c->kind->rest(c);
    }
    http1_spare_release(&w->http1_spare);
    spare_release(&w->blocks);
}

/* ---- what connections ask for ---- */

struct block *front_worker_read_block(struct front_worker *w)
{
    if (w->read_block && block_is_unshared(w->read_block))
        return w->read_block;
    block_release(w->read_block);
    w->read_block = block_new(FRONT_READ_SIZE);
    return w->read_block;
}

static void flush_log(struct loop_task *t)
{
    struct front_worker *w = LIST_ITEM(t, struct front_worker, log_task);
    access_log_flush(&w->shared->access_log, &w->log_lines, &w->metrics);
}

void front_worker_log_request(struct front_worker *w, const struct access_record *r)
{
    if (access_log_append(&w->log_lines, r))
        loop_task_defer(w->loop, &w->log_task);
    else
        metric_add(&w->metrics, FRONT_LOG_DROPPED, 1);
    if (buffer_size(&w->log_lines) > LOG_LINES_MAX)
        flush_log(&w->log_task);
}

static void end_if_drained(struct front_worker *w)
{
    if (w->phase == FRONT_WORKER_DRAINING && list_is_empty(&w->clients))
        w->phase = FRONT_WORKER_ENDED;
}

void front_worker_client_gone(struct front_worker *w, uint64_t address_key)
{
    address_table_leave(w->shared->addresses, address_key);
    atomic_fetch_sub_explicit(&w->shared->connections, 1, memory_order_relaxed);
    front_worker_listen_again(w);
    end_if_drained(w);
}

/* ---- life ---- */

static void on_drain_deadline(struct loop_timer *t)
{
    struct front_worker *w = LIST_ITEM(t, struct front_worker, drain_timer);
    front_metrics_hit(&w->metrics, offsetof(routed_limits, drain_timeout));
    front_worker_cut(w);
}

/* Once a second: files that changed, a reload that was asked for, ticket keys that grew old. */
static void on_tls_timer(struct loop_timer *t)
{
    struct front_worker *w = LIST_ITEM(t, struct front_worker, tls_timer);
    struct front_shared *shared = w->shared;
    struct failure why;
    bool is_asked = atomic_exchange(&shared->wants_reload, false);
    if (is_asked || tls_context_files_changed(shared->tls)) {
        if (tls_context_reload(shared->tls, &why) == ROUTED_OK)
            log_write(&shared->log, LOG_INFO, "certificates loaded anew");
        else
            log_write(&shared->log, LOG_ERROR, "the old certificates stay in use: %s", why.text);
    }
    tls_context_tick(shared->tls, loop_now(w->loop));
    loop_timer_set(w->loop, t, loop_now(w->loop) + TLS_TICK_MS);
}

int front_worker_init(struct front_worker *w, struct front_shared *shared, unsigned number)
{
    w->shared = shared;
    front_plea_init(&w->plea, w);
    w->number = number;
    shared->workers[number] = w;
    list_init(&w->clients);
    list_init(&w->idle);
    list_init(&w->resting);
    loop_timer_init(&w->rest_timer, on_rest_timer);
    loop_task_init(&w->log_task, flush_log);
    loop_timer_init(&w->accept_timer, on_accept_timer);
    loop_timer_init(&w->drain_timer, on_drain_deadline);
    loop_timer_init(&w->tls_timer, on_tls_timer);
    w->random.state = system_random();
    w->date_seconds = -1;
    http1_spare_init(&w->http1_spare);
    front_protocols_init(w);
    if (shared->tls) {
        w->sealed_block = block_new(FRONT_READ_SIZE);
        if (!w->sealed_block)
            return ROUTED_ERROR_MEMORY;
    }
    if (front_metrics_init(&w->metrics, shared->rows) != ROUTED_OK)
        return ROUTED_ERROR_MEMORY;
    int error = loop_open(&w->loop);
    return error || !shared->has_http3 ? error : front_quic_open(&w->quic, w);
}

/* The face closes here, not at the end of the thread: until then its numbers can be read. */
void front_worker_release(struct front_worker *w)
{
    if (w->is_face_open && w->shared->face.close)
        w->shared->face.close(w->context);
    if (w->quic)
        front_quic_close(w->quic);
    if (w->loop)
        front_worker_close_listeners(w, 0);
    loop_free(w->loop);
    front_quic_free(w->quic);
    http1_spare_release(&w->http1_spare);
    spare_release(&w->blocks);
    block_release(w->read_block);
    block_release(w->sealed_block);
    buffer_release(&w->log_lines);
    front_metrics_release(&w->metrics);
}

void front_worker_keep_certificates(struct front_worker *w)
{
    loop_timer_set(w->loop, &w->tls_timer, loop_now(w->loop) + TLS_TICK_MS);
}

int front_worker_open(struct front_worker *w)
{
    const struct face *face = &w->shared->face;
    w->context = face->state;
    int error = ROUTED_OK;
    if (face->open)
        error = face->open(face->state, w->loop, &w->shared->limits, &w->shared->log, &w->context);
    w->is_face_open = error == ROUTED_OK;
    w->phase = error ? FRONT_WORKER_ENDED : FRONT_WORKER_RUNNING;
    return error;
}

void front_worker_tell_time(struct front_worker *w)
{
    w->now = loop_now(w->loop);
    if (w->shared->quic_state)
        front_protocols_follow(w);
    int64_t seconds = loop_wall_seconds(w->loop);
    if (seconds == w->date_seconds)
        return;
    w->date_seconds = seconds;
    http_date_write(w->date, seconds);
}

void front_worker_run(struct front_worker *w)
{
    while (w->phase != FRONT_WORKER_ENDED)
        loop_turn(w->loop, -1);
    if (w->quic) /* or the kernel would go on giving it datagrams of other workers */
        front_quic_close(w->quic);
    access_log_flush(&w->shared->access_log, &w->log_lines, &w->metrics);
}

void front_worker_drain(struct front_worker *w, milliseconds timeout)
{
    if (w->phase != FRONT_WORKER_RUNNING)
        return;
    /* Who has connected already would be reset. */
    for (unsigned i = 0; i < w->listener_count; i++)
        accept_clients(&w->listeners[i], ACCEPTS_AT_LAST);
    w->phase = FRONT_WORKER_DRAINING;
    front_worker_close_listeners(w, 0);
    struct list_link *next;
    for (struct list_link *l = w->clients.next; l != &w->clients; l = next) {
        next = l->next;
        struct front_client *c = LIST_ITEM(l, struct front_client, link);
        c->kind->shut(c);
    }
    if (w->quic)
        front_quic_shut(w->quic);
    if (w->shared->face.shut)
        w->shared->face.shut(w->context, w->loop);
    loop_timer_set(w->loop, &w->drain_timer, clock_after(loop_now(w->loop), timeout));
    end_if_drained(w);
}

void front_worker_cut(struct front_worker *w)
{
    if (w->phase == FRONT_WORKER_RUNNING)
        front_worker_drain(w, 0);
    if (w->phase != FRONT_WORKER_DRAINING)
        return;
    loop_timer_clear(w->loop, &w->drain_timer);
    w->was_cut = true;
    if (w->quic)
        front_quic_close(w->quic);
    while (!list_is_empty(&w->clients)) {
        struct front_client *c = LIST_ITEM(w->clients.next, struct front_client, link);
        c->kind->close(c, ROUTED_ERROR_STOPPING);
    }
    end_if_drained(w);
}
