#include "serve/engine_host.h"

#include "io/system.h"

int serve_engine_host_open(struct serve_engine_host *h, routed_engine *engine,
                           const struct bridge_endpoint *endpoint, unsigned number,
                           const routed_limits *limits, const struct log *log)
{
    h->engine = engine;
    h->loop = loop_new();
    if (!h->loop)
        return ROUTED_ERROR_SYSTEM;
    struct bridge_runtime_options options = {.listener = bridge_endpoint_listener(endpoint, number),
                                             .bell = bridge_endpoint_bell(endpoint, number),
                                             .application = engine_application(),
                                             .context = engine,
                                             .limits = limits,
                                             .log = log,
                                             .user = system_user()};
    h->runtime = bridge_runtime_open(h->loop, &options);
    if (h->runtime)
        return ROUTED_OK;
    loop_free(h->loop);
    h->loop = NULL;
    return ROUTED_ERROR_MEMORY;
}

void serve_engine_host_shut(struct serve_engine_host *h)
{
    engine_shut(h->engine, h->loop);
}

void serve_engine_host_cut(struct serve_engine_host *h)
{
    bridge_runtime_close(h->runtime);
    h->runtime = NULL;
}

void serve_engine_host_close(struct serve_engine_host *h)
{
    serve_engine_host_cut(h);
    loop_free(h->loop);
    *h = (struct serve_engine_host){0};
}
