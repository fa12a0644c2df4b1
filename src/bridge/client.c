#include "bridge/client.h"

#include "base/memory.h"
#include "bridge/call.h"

const struct metric_name bridge_metric_names[BRIDGE_METRIC_COUNT] = {
    [BRIDGE_CONNECTS] = {"bridge.connects", METRIC_COUNTER},
    [BRIDGE_REUSES] = {"bridge.reuses", METRIC_COUNTER},
    [BRIDGE_CONNECT_FAILURES] = {"bridge.connect_failures", METRIC_COUNTER},
    [BRIDGE_RETRIES] = {"bridge.retries", METRIC_COUNTER},
    [BRIDGE_FRAMES_INVALID] = {"bridge.frames_invalid", METRIC_COUNTER},
    [BRIDGE_ENGINE_CLOSED] = {"bridge.engine_closed", METRIC_COUNTER},
    [BRIDGE_RESPONSES_INVALID] = {"bridge.responses_invalid", METRIC_COUNTER},
    [BRIDGE_TIMEOUTS] = {"bridge.timeouts", METRIC_COUNTER},
    [BRIDGE_CANCELLED] = {"bridge.cancelled", METRIC_COUNTER},
    [BRIDGE_QUEUED] = {"bridge.queued", METRIC_GAUGE},
    [BRIDGE_OPEN] = {"bridge.connections_open", METRIC_GAUGE},
    [BRIDGE_IDLE] = {"bridge.connections_idle", METRIC_GAUGE},
    [BRIDGE_LIMIT_CONNECT] = {"limit.engine_connect_timeout", METRIC_COUNTER},
    [BRIDGE_LIMIT_ANSWER] = {"limit.engine_answer_timeout", METRIC_COUNTER},
    [BRIDGE_LIMIT_STALL] = {"limit.engine_idle_timeout", METRIC_COUNTER},
    [BRIDGE_LIMIT_TOTAL] = {"limit.engine_total_timeout", METRIC_COUNTER},
    [BRIDGE_LIMIT_CONNECTIONS] = {"limit.engine_connections", METRIC_COUNTER},
    [BRIDGE_LIMIT_IDLE] = {"limit.engine_idle_connections", METRIC_COUNTER},
    [BRIDGE_LIMIT_EXPIRY] = {"limit.engine_idle_expiry", METRIC_COUNTER},
    [BRIDGE_LIMIT_QUEUE] = {"limit.queue_requests", METRIC_COUNTER},
    [BRIDGE_LIMIT_QUEUE_TIMEOUT] = {"limit.queue_timeout", METRIC_COUNTER},
};

static int face_open(void *state, struct loop *loop, const routed_limits *limits,
                     const struct log *log, void **context)
{
    const struct bridge_client_options *options = state;
    if (options->count == 0)
        return ROUTED_ERROR_ARGUMENT;
    struct bridge_client *client = memory_new_zeroed(sizeof(*client));
    if (!client)
        return ROUTED_ERROR_MEMORY;
    client->loop = loop;
    client->limits = limits;
    client->log = log;
    _Atomic uint64_t *row = options->rows ? metric_rows_take(options->rows) : NULL;
    client->metrics = (struct metric_set){.names = bridge_metric_names,
                                          .count = BRIDGE_METRIC_COUNT,
                                          .values = row ? row : client->numbers,
                                          .is_in_rows = row != NULL};
    int error = bridge_pool_init(&client->pool, loop, options, limits, log, &client->metrics);
    if (error) {
        memory_free(client);
        return error;
    }
    *context = client;
    return ROUTED_OK;
}

static void face_shut(void *context, struct loop *loop)
{
    (void)loop;
    struct bridge_client *client = context;
    bridge_pool_shut(&client->pool);
}

static void face_close(void *context)
{
    struct bridge_client *client = context;
    bridge_pool_release(&client->pool);
    memory_free(client);
}

static const struct metric_set *face_metrics(void *context)
{
    const struct bridge_client *client = context;
    return &client->metrics;
}

void bridge_client_face(struct face *out, const struct bridge_client_options *options)
{
    *out = (struct face){.application = &bridge_call_application,
                         .open = face_open,
                         .shut = face_shut,
                         .close = face_close,
                         .metrics = face_metrics,
                         .state = (void *)(uintptr_t)options};
}
