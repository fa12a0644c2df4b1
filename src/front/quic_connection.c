#include "front/quic_connection.h"

#include "base/memory.h"
#include "front/client.h"
#include "front/patience.h"
#include "front/request.h"
#include "front/sockets.h"

struct front_quic_connection {
    struct front_client client;
    struct front_quic *quic;
    struct http3_connection *connection;
    struct http3_address peer; /* whose text the client has */
};

/* ---- for the worker ---- */

static struct front_quic_connection *connection_of(const struct front_client *client)
{
    return LIST_ITEM((void *)(uintptr_t)client, struct front_quic_connection, client);
}

static bool covers(const struct front_client *client, struct span authority)
{
    return http3_connection_covers(connection_of(client)->connection, authority);
}

static nanoseconds round_trip(const struct front_client *client)
{
    return http3_connection_round_trip(connection_of(client)->connection);
}

static bool is_quiet(const struct front_client *client)
{
    (void)client;
    return true;
}

static void rest(struct front_client *client)
{
    if (client->session) /* there was memory for it */
        client->session->ops->rest(client->session);
}

static void wake(struct front_client *client)
{
    struct front_quic_connection *c = connection_of(client);
    http3_connection_wake(c->connection);
    front_quic_want_turn(c->quic);
}

/* The endpoint is told once, for all of them. */
static void shut(struct front_client *client)
{
    (void)client;
}

/* It leaves the worker when its endpoint runs; until then nobody chooses it a second time. */
static void close_client(struct front_client *client, int error)
{
    struct front_quic_connection *c = connection_of(client);
    loop_timer_clear(client->worker->loop, &client->timer);
    list_remove(&client->idle_link);
    http3_connection_close(c->connection, error);
    front_quic_want_turn(c->quic);
}

static const struct front_client_kind kind = {.covers = covers,
                                              .round_trip = round_trip,
                                              .is_quiet = is_quiet,
                                              .rest = rest,
                                              .shut = shut,
                                              .wake = wake,
                                              .close = close_client};

static void on_timer(struct loop_timer *t)
{
    struct front_client *client = LIST_ITEM(t, struct front_client, timer);
    int error = ROUTED_OK;
    front_quic_tell_time(connection_of(client)->quic);
    if (front_patience_check(client, &error) != FRONT_GO_ON) {
        close_client(client, error);
        return;
    }
    wake(client); /* the timer is set again in front_quic_connection_note, when it is known what is
                     waited for now */
}

/* ---- what the sessions call ---- */

static bool is_same(const struct http3_address *a, const struct http3_address *b)
{
    return a->size == b->size && memcmp(a->storage, b->storage, a->size) == 0;
}

/* The path may have changed since the last request. */
static void follow(struct front_quic_connection *c)
{
    const struct http3_address *peer = http3_connection_peer(c->connection);
    if (is_same(peer, &c->peer))
        return;
    c->peer = *peer;
    struct socket_address address = front_sockets_address(peer);
    front_client_move(&c->client, &address);
}

static void on_exchange(void *host, struct exchange *x)
{
    struct front_quic_connection *c = connection_of(host);
    c->client.session = http3_connection_session(c->connection);
    c->client.tls = http3_connection_tls(c->connection);
    follow(c);
    front_request_begin(host, x);
}

static void on_ready(void *host)
{
    wake(host);
}

static uint64_t on_round_trip(void *host)
{
    return round_trip(host);
}

/* ---- for the endpoint ---- */

int front_quic_connection_open(struct front_quic *q, struct front_worker *w,
                               struct http3_connection *connection, struct session_host *out)
{
    const struct http3_address *peer = http3_connection_peer(connection);
    struct socket_address address = front_sockets_address(peer);
    uint64_t key = socket_address_key(&address, w->shared->address_seed);
    if (!front_worker_has_room(w) || !front_worker_admit(w, key))
        return ROUTED_ERROR_LIMIT;
    struct front_quic_connection *c = memory_new_zeroed(sizeof(*c));
    if (!c) {
        front_worker_client_gone(w, key);
        return ROUTED_ERROR_MEMORY;
    }
    c->quic = q;
    c->connection = connection;
    c->peer = *peer;
    c->client.kind = &kind;
    c->client.worker = w;
    c->client.may_move = true;
    c->client.idle_limit = offsetof(routed_limits, http3_idle_timeout);
    front_client_enter(&c->client, &address, key, on_timer);
    *out = (struct session_host){.on_exchange = on_exchange,
                                 .on_exchange_end = front_request_end,
                                 .on_ready = on_ready,
                                 .on_refused = front_request_refused,
                                 .on_limit = front_request_limited,
                                 .round_trip = on_round_trip,
                                 .host = &c->client};
    return ROUTED_OK;
}

void front_quic_connection_note(void *host, void *connection)
{
    struct front_client *client = connection;
    (void)host;
    client->session = http3_connection_session(connection_of(client)->connection);
    /* Who takes answers too slowly is the session's business: SESSION_WINDOW. */
    front_patience_note(client, client->session->wait, true);
    front_patience_set(client, CLOCK_NEVER);
}

void front_quic_connection_close(void *host, void *connection)
{
    struct front_client *client = connection;
    (void)host;
    front_client_leave(client);
    memory_free(connection_of(client));
}
