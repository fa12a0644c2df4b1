#include "bridge/runtime.h"

#include "base/memory.h"
#include "bridge/carrier.h"
#include "io/tcp_owner.h"

/* Without a descriptor or memory for another connection, the next attempt waits this long. */
#define ACCEPT_PAUSE 100

struct bridge_runtime {
    struct bridge_carrier_host carriers;
    struct loop *loop;
    struct loop_handle listener;
    struct loop_timer accept_again;
    struct loop_task empty;
    void (*on_empty)(void *user);
    void *user;
    bool is_listening;
};

/* Who can speak here speaks for the front, with any peer address and any field. */
static bool peer_is_allowed(const struct bridge_runtime *r, int fd, bool is_unix)
{
    const struct log *log = r->carriers.options.log;
    uint32_t user;
    int32_t process;
    bool is_known =
        is_unix ? socket_peer_credentials(fd, &user, &process) : tcp_owner_of_peer(fd, &user);
    if (is_known && (user == 0 || user == r->carriers.options.user))
        return true;
    if (is_known)
        log_write(log, LOG_WARNING, "bridge: connection of user %u refused", user);
    else
        log_write(log, LOG_WARNING, "bridge: connection of an unknown user refused");
    return false;
}

static void pause_accepting(struct bridge_runtime *r)
{
    loop_pause(r->loop, &r->listener);
    loop_timer_set(r->loop, &r->accept_again, loop_now(r->loop) + ACCEPT_PAUSE);
    log_write(r->carriers.options.log, LOG_WARNING, "bridge: no room for another connection");
}

/* One connection a turn: where several runtimes listen on one socket, each gets its share. */
static void on_listener_ready(struct loop_handle *h, unsigned events)
{
    struct bridge_runtime *r = LIST_ITEM(h, struct bridge_runtime, listener);
    struct socket_address peer;
    (void)events;
    int fd = socket_accept(h->fd, &peer);
    if (fd == SOCKET_EXHAUSTED)
        pause_accepting(r);
    if (fd < 0)
        return;
    bool is_unix = socket_address_is_unix(&peer);
    if (!peer_is_allowed(r, fd, is_unix))
        socket_close(fd);
    else if (bridge_carrier_open(&r->carriers, fd, is_unix))
        pause_accepting(r);
}

static void on_accept_again(struct loop_timer *t)
{
    struct bridge_runtime *r = LIST_ITEM(t, struct bridge_runtime, accept_again);
    loop_resume(r->loop, &r->listener);
}

static void on_empty_task(struct loop_task *t)
{
    struct bridge_runtime *r = LIST_ITEM(t, struct bridge_runtime, empty);
    void (*on_empty)(void *user) = r->on_empty;
    r->on_empty = NULL;
    if (on_empty)
        on_empty(r->user);
}

static void on_gone(struct bridge_carrier_host *host)
{
    struct bridge_runtime *r = LIST_ITEM(host, struct bridge_runtime, carriers);
    if (r->on_empty && host->count == 0)
        loop_task_defer(r->loop, &r->empty);
}

struct bridge_runtime *bridge_runtime_open(struct loop *loop,
                                           const struct bridge_runtime_options *options)
{
    struct bridge_runtime *r = memory_new_zeroed(sizeof(*r));
    if (!r)
        return NULL;
    r->loop = loop;
    r->carriers.channels.loop = loop;
    r->carriers.options = *options;
    r->carriers.on_gone = on_gone;
    list_init(&r->carriers.carriers);
    loop_timer_init(&r->accept_again, on_accept_again);
    loop_task_init(&r->empty, on_empty_task);
    r->listener.fd = options->listener;
    r->listener.on_ready = on_listener_ready;
    if ((options->bell && loop_attend(loop, options->bell)) ||
        loop_watch_level(loop, &r->listener)) {
        memory_free(r);
        return NULL;
    }
    r->is_listening = true;
    return r;
}

static void stop_listening(struct bridge_runtime *r)
{
    if (!r->is_listening)
        return;
    r->is_listening = false;
    loop_timer_clear(r->loop, &r->accept_again);
    loop_forget(r->loop, &r->listener);
}

void bridge_runtime_shut(struct bridge_runtime *r, void (*on_empty)(void *user), void *user)
{
    stop_listening(r);
    r->carriers.is_shut = true;
    r->on_empty = on_empty;
    r->user = user;
    struct list_link *next;
    for (struct list_link *i = r->carriers.carriers.next; i != &r->carriers.carriers; i = next) {
        next = i->next;
        bridge_carrier_close_idle(LIST_ITEM(i, struct bridge_carrier, link));
    }
    if (r->carriers.count == 0)
        loop_task_defer(r->loop, &r->empty);
}

void bridge_runtime_close(struct bridge_runtime *r)
{
    if (!r)
        return;
    r->on_empty = NULL;
    stop_listening(r);
    while (!list_is_empty(&r->carriers.carriers))
        bridge_carrier_close(LIST_ITEM(r->carriers.carriers.next, struct bridge_carrier, link),
                             ROUTED_ERROR_STOPPING);
    loop_task_cancel(&r->empty);
    bridge_channel_host_release(&r->carriers.channels);
    memory_free(r);
}

unsigned bridge_runtime_connections(const struct bridge_runtime *r)
{
    return r->carriers.count;
}
