/* Datagrams into an endpoint. The input is a script: which of the datagrams of a real client, whose
 * handshake and request are made anew for each input, are delivered, doubled, cut, changed, sent
 * from elsewhere or written by the fuzzer; how time passes; what the socket takes.
 *
 * The client's packets are sealed, so that changed bytes alone would reach little: bytes of the
 * script are also written into streams, into raw packets with the endpoint's own connection ids,
 * and over the frames of the client's packets before they are sealed. */
#include "support/unit.h"

#include "http3/stage.h"

struct script {
    const uint8_t *at;
    const uint8_t *end;
};

static uint8_t take(struct script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static struct span take_bytes(struct script *s, size_t size)
{
    size_t left = (size_t)(s->end - s->at);
    size = size < left ? size : left;
    struct span bytes = span_of(s->at, size);
    s->at += size;
    return bytes;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    void *state = NULL;
    (void)argc;
    (void)argv;
    stage_set_up(&state);
    stage_shared_tls = stage_tls("server");
    pki_close_folder(&state);
    return 0;
}

static uint8_t recorded[16][1500];
static size_t recorded_sizes[16];
static unsigned recorded_next;

static void record(struct stage *s, const struct stage_datagram *d)
{
    (void)s;
    if (!d->to_server || d->size > sizeof(recorded[0]))
        return;
    memcpy(recorded[recorded_next % 16], d->bytes, d->size);
    recorded_sizes[recorded_next++ % 16] = d->size;
}

/* What the next sealed packet says in place of its own frames. */
static struct span frames_wanted;
static bool frames_are_last; /* at the end of the packet, behind PADDING */

static void write_frames(uint8_t *frames, size_t size, bool is_long)
{
    if (frames_wanted.size == 0 || frames_wanted.size > size)
        return;
    if (!is_long)
        memset(frames, 0, size);
    memcpy(frames + (frames_are_last ? size - frames_wanted.size : 0), frames_wanted.data,
           frames_wanted.size);
    frames_wanted = SPAN_EMPTY;
}

static void act_on_frames(struct stage *s, struct script *script)
{
    static const uint8_t zeros[1100];
    struct client *c = &s->clients[0];
    uint8_t choice = take(script);
    int64_t id = -1;
    frames_wanted = take_bytes(script, take(script));
    frames_are_last = choice & 1;
    if (c->result == 0 && c->stream_count + 4 < CLIENT_STREAMS)
        id = client_open_stream(c, true);
    if (id >= 0)
        client_write(c, id, span_of(zeros, sizeof(zeros)), false);
}

static enum stage_fate choose_fate(struct stage *s, const struct stage_datagram *d, unsigned nth)
{
    struct script *script = s->user;
    (void)d;
    (void)nth;
    uint8_t choice = take(script);
    return choice < 160   ? STAGE_PASSES
           : choice < 190 ? STAGE_LOST
           : choice < 210 ? STAGE_DOUBLED
           : choice < 230 ? STAGE_LATE
                          : STAGE_BROKEN;
}

static void deliver(struct stage *s, uint8_t *bytes, size_t size, uint8_t where)
{
    struct stage_datagram d = {.local = where & 1 ? stage_address(9, where) : stage_seen(s, 0),
                               .remote = stage_address(1, STAGE_PORT),
                               .ecn = where >> 6,
                               .bytes = malloc(size ? size : 1),
                               .size = size};
    uint64_t before = s->bytes[0];
    memcpy(d.bytes, bytes, size);
    stage_deliver_to_server(s, &d);
    free(d.bytes);
    require(s->bytes[0] - before <= 3 * size);
}

/* One that the client sent before, with changes. */
static void replay(struct stage *s, struct script *script)
{
    uint8_t bytes[1500];
    unsigned which = take(script) % 16;
    size_t size = recorded_sizes[which];
    memcpy(bytes, recorded[which], size);
    for (unsigned changes = take(script) % 4; changes && size; changes--) {
        size_t at = ((size_t)take(script) << 3 | take(script) % 8) % size;
        bytes[at] = take(script);
    }
    uint8_t cut = take(script);
    deliver(s, bytes, cut > 200 ? size * (255u - cut) / 64 : size, take(script));
}

/* Bytes of the script behind a header that finds its connection. */
static void write_raw(struct stage *s, struct script *script)
{
    uint8_t bytes[1500] = {0};
    struct client *c = &s->clients[0];
    uint8_t first = take(script);
    size_t size = 1;
    bytes[0] = first;
    if (first & 0x80) {
        static const uint8_t version[] = {0, 0, 0, 1, 16};
        memcpy(bytes + 1, version, sizeof(version));
        size += sizeof(version);
    }
    const ngtcp2_cid *id = ngtcp2_conn_get_dcid(c->conn);
    memcpy(bytes + size, id->data, id->datalen);
    size += id->datalen;
    struct span rest = take_bytes(script, take(script));
    if (rest.size)
        memcpy(bytes + size, rest.data, rest.size);
    size += rest.size;
    deliver(s, bytes, take(script) % 2 ? 1200 : size, take(script));
}

static void act_on_streams(struct stage *s, struct script *script)
{
    struct client *c = &s->clients[0];
    uint8_t kind = take(script);
    if (c->result || c->stream_count + 4 > CLIENT_STREAMS)
        return;
    int64_t id = kind & 0x80       ? client_open_stream(c, kind & 1)
                 : c->stream_count ? c->streams[kind % c->stream_count].id
                                   : -1;
    if (id < 0)
        return;
    switch (kind >> 4 & 7) {
    case 0:
        ngtcp2_conn_shutdown_stream(c->conn, 0, id, take(script));
        return;
    case 1:
        ngtcp2_conn_shutdown_stream_read(c->conn, 0, id, take(script));
        return;
    case 2:
        ngtcp2_conn_shutdown_stream_write(c->conn, 0, id, take(script));
        return;
    case 3:
        if (client_stream(c, id)->sent == 0 && ngtcp2_is_bidi_stream(id))
            client_write_head(c, id, 17 + 3 * (kind & 1), kind & 2 ? "/3000" : "/wait", kind & 4);
        return;
    default:
        if (client_stream(c, id)->sent == 0)
            client_write(c, id, take_bytes(script, take(script)), kind & 8);
    }
}

static void act_on_connection(struct stage *s, struct script *script)
{
    struct client *c = &s->clients[0];
    switch (take(script) % 8) {
    case 0:
        s->behind_nat[0] = stage_address(2, take(script));
        return;
    case 1:
        if (c->is_done && c->result == 0)
            ngtcp2_conn_initiate_key_update(c->conn, s->now);
        return;
    case 2:
        if (s->fronts[0].connection)
            http3_connection_close(s->fronts[0].connection, ROUTED_ERROR_BUDGET);
        return;
    case 3:
        http3_endpoint_shut(s->endpoint);
        return;
    case 4:
        s->socket_room = take(script) % 4;
        return;
    case 5:
        s->socket_room = SIZE_MAX;
        http3_endpoint_writable(s->endpoint);
        return;
    case 6:
        c->is_deaf = !c->is_deaf;
        return;
    case 7:
        stage_run(s, (nanoseconds)take(script) * STAGE_SECOND / 8);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = {data, data + size};
    struct stage *s = stage_new();
    uint8_t setting = take(&script);
    s->user = &script;
    s->takes_anything = true;
    s->options.retry_from = setting & 1 ? 0 : 100;
    s->options.has_early_data = setting & 2;
    recorded_next = 0;
    memset(recorded_sizes, 0, sizeof(recorded_sizes));
    stage_open(s);
    s->tap = record;
    frames_wanted = SPAN_EMPTY;
    client_alter = write_frames;
    struct client *c = stage_client(s, NULL);
    if (setting & 4)
        stage_run(s, STAGE_SECOND / 5);
    if (setting & 8 && c->is_done)
        client_get(c, "/20000");
    s->fate = choose_fate;
    for (int steps = 0; script.at < script.end && steps < 100; steps++) {
        switch (take(&script) % 6) {
        case 0:
            replay(s, &script);
            break;
        case 1:
            write_raw(s, &script);
            break;
        case 2:
            act_on_streams(s, &script);
            break;
        case 3:
            act_on_connection(s, &script);
            break;
        case 4:
            act_on_frames(s, &script);
            break;
        default:
            stage_run(s, (nanoseconds)take(&script) * STAGE_TRANSIT / 16);
        }
    }
    s->fate = NULL;
    frames_wanted = SPAN_EMPTY;
    s->socket_room = SIZE_MAX;
    http3_endpoint_writable(s->endpoint);
    stage_run(s, STAGE_SECOND);
    c->is_silent = true;
    stage_run(s, 10 * STAGE_HOUR); /* three probe timeouts, of whatever round trips it made up */
    require(http3_endpoint_connections(s->endpoint) == 0);
    stage_close(s);
    return 0;
}
