#include "serve/threads.h"

#include "base/memory.h"
#include "io/system.h"
#include "serve/engine_host.h"

struct engine_thread {
    struct serve_engine_host host;
    pthread_t thread;
    bool is_open;
    bool is_started;
    struct loop_message shut_message;
};

struct serve_threads {
    unsigned count;
    struct engine_thread members[];
};

static void *run(void *argument)
{
    struct engine_thread *t = argument;
    loop_run(t->host.loop);
    return NULL;
}

static void on_shut(struct loop_message *m)
{
    serve_engine_host_shut(&LIST_ITEM(m, struct engine_thread, shut_message)->host);
}

static int start_one(struct engine_thread *t, unsigned number)
{
    char name[16] = "routed-engine-0";
    name[14] = (char)('0' + number % 10);
    t->shut_message.on_delivery = on_shut;
    int error = system_thread_start(&t->thread, name, run, t);
    t->is_started = error == ROUTED_OK;
    return error;
}

int serve_threads_start(struct serve_threads **out, routed_engine *engine,
                        const struct bridge_endpoint *endpoint, const routed_limits *limits,
                        const struct log *log, struct failure *why)
{
    unsigned count = bridge_endpoint_count(endpoint);
    struct serve_threads *t = memory_new_zeroed(sizeof(*t) + count * sizeof(struct engine_thread));
    *out = t;
    if (!t)
        return failure_set(why, ROUTED_ERROR_MEMORY, "out of memory");
    t->count = count;
    for (unsigned i = 0; i < count; i++) {
        int error = serve_engine_host_open(&t->members[i].host, engine, endpoint, i, limits, log);
        t->members[i].is_open = error == ROUTED_OK;
        if (!error)
            error = start_one(&t->members[i], i);
        if (error) {
            serve_threads_free(t);
            *out = NULL;
            return failure_set(why, error, "start engine %u: %s", i, routed_error_text(error));
        }
    }
    return ROUTED_OK;
}

void serve_threads_shut(struct serve_threads *t)
{
    for (unsigned i = 0; i < t->count; i++)
        loop_post(t->members[i].host.loop, &t->members[i].shut_message);
}

void serve_threads_end(struct serve_threads *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        struct engine_thread *member = &t->members[i];
        if (member->is_started) {
            loop_stop(member->host.loop);
            pthread_join(member->thread, NULL);
            member->is_started = false;
        }
        if (member->is_open)
            serve_engine_host_cut(&member->host);
    }
}

void serve_threads_free(struct serve_threads *t)
{
    if (!t)
        return;
    serve_threads_end(t);
    for (unsigned i = 0; i < t->count; i++)
        if (t->members[i].is_open)
            serve_engine_host_close(&t->members[i].host);
    memory_free(t);
}
