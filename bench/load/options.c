#include "load/options.h"

#include "base/decimal.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: routed-load --port PORT [OPTION]...\n"
    "\n"
    "Sends requests, measures the answers, and prints one JSON object.\n"
    "\n"
    "  --host HOST            [127.0.0.1]\n"
    "  --path PATH            [/]\n"
    "  --spread N             \"{n}\" in the path becomes 0 to N-1 in turn [1]\n"
    "  --protocol PROTOCOL    h1, h1s (TLS), h2 (TLS), h2c, h3 [h1]\n"
    "  --connections N        [64]\n"
    "  --streams N            HTTP/2, HTTP/3: requests under way on each connection [1]\n"
    "  --pipeline N           HTTP/1.1: the same [1]\n"
    "  --requests N           [5000]\n"
    "  --duration SECONDS     so long instead of so many\n"
    "  --warmup N             requests before those that count [0]\n"
    "  --rate N               open loop: N requests a second at fixed times; latency counts from\n"
    "                         when a request was meant to begin [closed loop]\n"
    "  --patience SECONDS     without any byte for so long, what is under way is given up [10]\n"
    "  --body BYTES           POST that many bytes [GET]\n"
    "  --table BYTES          HTTP/3: the QPACK table that is offered for the fields of answers;\n"
    "                         0: none [65536, as browsers do]\n"
    "  --websocket echo|broadcast   messages of --body bytes on WebSockets\n"
    "  --reconnect            a connection for each request\n"
    "  --resume               these go on with the TLS session of an earlier one\n"
    "  --one-by-one           one request of the warm-up at a time, on each connection in turn\n"
    "  --hold                 say \"ready\" after the warm-up and wait for a line on standard\n"
    "                         input; keep the connections until that ends\n"
    "  --core N               run on this core only\n"
    "\n"
    "Exit status: 0 measured, 1 not, 64 usage.\n";

enum flag {
    FLAG_HOST = 1,
    FLAG_PORT,
    FLAG_PATH,
    FLAG_SPREAD,
    FLAG_PROTOCOL,
    FLAG_CONNECTIONS,
    FLAG_STREAMS,
    FLAG_PIPELINE,
    FLAG_REQUESTS,
    FLAG_DURATION,
    FLAG_WARMUP,
    FLAG_RATE,
    FLAG_PATIENCE,
    FLAG_BODY,
    FLAG_TABLE,
    FLAG_WEBSOCKET,
    FLAG_RECONNECT,
    FLAG_RESUME,
    FLAG_ONE_BY_ONE,
    FLAG_HOLD,
    FLAG_CORE,
    FLAG_HELP
};

static const struct option flags[] = {{"host", required_argument, NULL, FLAG_HOST},
                                      {"port", required_argument, NULL, FLAG_PORT},
                                      {"path", required_argument, NULL, FLAG_PATH},
                                      {"spread", required_argument, NULL, FLAG_SPREAD},
                                      {"protocol", required_argument, NULL, FLAG_PROTOCOL},
                                      {"connections", required_argument, NULL, FLAG_CONNECTIONS},
                                      {"streams", required_argument, NULL, FLAG_STREAMS},
                                      {"pipeline", required_argument, NULL, FLAG_PIPELINE},
                                      {"requests", required_argument, NULL, FLAG_REQUESTS},
                                      {"duration", required_argument, NULL, FLAG_DURATION},
                                      {"warmup", required_argument, NULL, FLAG_WARMUP},
                                      {"rate", required_argument, NULL, FLAG_RATE},
                                      {"patience", required_argument, NULL, FLAG_PATIENCE},
                                      {"body", required_argument, NULL, FLAG_BODY},
                                      {"table", required_argument, NULL, FLAG_TABLE},
                                      {"websocket", required_argument, NULL, FLAG_WEBSOCKET},
                                      {"reconnect", no_argument, NULL, FLAG_RECONNECT},
                                      {"resume", no_argument, NULL, FLAG_RESUME},
                                      {"one-by-one", no_argument, NULL, FLAG_ONE_BY_ONE},
                                      {"hold", no_argument, NULL, FLAG_HOLD},
                                      {"core", required_argument, NULL, FLAG_CORE},
                                      {"help", no_argument, NULL, FLAG_HELP},
                                      {NULL, 0, NULL, 0}};

/* ---- values ---- */

static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    return decimal_read(span_from(text), most, value) && *value >= least;
}

/* Digits with at most one point, above zero. */
static bool read_real(const char *text, double most, double *value)
{
    char *end;
    if (strspn(text, "0123456789.") != strlen(text))
        return false;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value > 0 && *value <= most;
}

/* The place of a word in a list that ends with NULL; -1: it is not there. */
static int find_word(const char *const *words, const char *text)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    return -1;
}

static const char *const protocols[] = {"h1", "h1s", "h2", "h2c", "h3", NULL};

const char *load_options_protocol_text(const struct load_options *o)
{
    return protocols[o->protocol];
}

static bool apply_protocol(struct load_options *o, const char *text)
{
    int place = find_word(protocols, text);
    if (place < 0)
        return false;
    o->protocol = (enum load_protocol_name)place;
    return true;
}

static bool apply_websocket(struct load_options *o, const char *text)
{
    static const char *const uses[] = {"none", "echo", "broadcast", NULL};
    int place = find_word(uses, text);
    if (place < 0)
        return false;
    o->socket = (enum load_socket_use)place;
    return true;
}

static bool read_seconds(const char *text, microseconds *value)
{
    double seconds;
    if (!read_real(text, 86400, &seconds))
        return false;
    *value = (microseconds)(seconds * 1e6);
    return *value > 0;
}

static bool apply_duration(struct load_options *o, const char *text)
{
    o->requests = UINT64_MAX;
    return read_seconds(text, &o->duration);
}

static bool apply(struct load_options *o, int flag, const char *text)
{
    uint64_t number = 0;
    bool is_right = true;
    switch (flag) {
    case FLAG_HOST:
        o->host = text;
        return true;
    case FLAG_PORT:
        is_right = read_number(text, 1, UINT16_MAX, &number);
        o->port = (uint16_t)number;
        return is_right;
    case FLAG_PATH:
        o->path = text;
        return text[0] == '/';
    case FLAG_SPREAD:
        is_right = read_number(text, 1, LOAD_SPREAD_MAX, &number);
        o->spread = (uint32_t)number;
        return is_right;
    case FLAG_PROTOCOL:
        return apply_protocol(o, text);
    case FLAG_CONNECTIONS:
        is_right = read_number(text, 1, LOAD_CONNECTIONS_MAX, &number);
        o->connections = (uint32_t)number;
        return is_right;
    case FLAG_STREAMS:
    case FLAG_PIPELINE:
        is_right = read_number(text, 1, LOAD_DEPTH_MAX, &number);
        o->depth = (uint32_t)number;
        return is_right;
    case FLAG_REQUESTS:
        return read_number(text, 1, UINT64_MAX - 1, &o->requests);
    case FLAG_DURATION:
        return apply_duration(o, text);
    case FLAG_WARMUP:
        return read_number(text, 0, UINT64_MAX - 1, &o->warmup);
    case FLAG_RATE:
        return read_real(text, 1e7, &o->rate);
    case FLAG_PATIENCE:
        return read_seconds(text, &o->patience);
    case FLAG_BODY:
        is_right = read_number(text, 0, LOAD_BODY_MAX, &number);
        o->body = (int64_t)number;
        return is_right;
    case FLAG_TABLE:
        is_right = read_number(text, 0, LOAD_TABLE_MAX, &number);
        o->table = (int64_t)number;
        return is_right;
    case FLAG_WEBSOCKET:
        return apply_websocket(o, text);
    case FLAG_CORE:
        is_right = read_number(text, 0, 1023, &number);
        o->core = (int)number;
        return is_right;
    case FLAG_RECONNECT:
        return o->reconnect = true;
    case FLAG_RESUME:
        return o->reconnect = o->resume = true;
    case FLAG_ONE_BY_ONE:
        return o->one_by_one = true;
    default:
        return o->hold = true;
    }
}

/* What does not go together; NULL: nothing. */
static const char *find_contradiction(const struct load_options *o)
{
    if (o->port == 0)
        return "--port is needed";
    if (o->socket && (load_options_is_http2(o) || o->protocol == LOAD_H3))
        return "--websocket goes with h1 and h1s";
    if (o->socket && o->reconnect)
        return "--websocket does not go with --reconnect";
    if (o->socket == LOAD_SOCKET_BROADCAST && o->depth > 1)
        return "--websocket broadcast has one message under way";
    if (o->resume && !load_options_is_secure(o))
        return "--resume goes with h1s, h2 and h3";
    if (o->table >= 0 && o->protocol != LOAD_H3)
        return "--table goes with h3";
    return NULL;
}

enum load_options_outcome load_options_read(struct load_options *o, int argc, char **argv)
{
    *o = (struct load_options){.host = "127.0.0.1",
                               .path = "/",
                               .spread = 1,
                               .connections = 64,
                               .depth = 1,
                               .requests = 5000,
                               .duration = CLOCK_NEVER,
                               .patience = 10 * 1000000,
                               .body = -1,
                               .table = -1,
                               .core = -1};
    int flag, place = 0;
    while ((flag = getopt_long(argc, argv, "", flags, &place)) != -1) {
        if (flag == '?')
            return LOAD_OPTIONS_WRONG;
        if (flag == FLAG_HELP) {
            fputs(help, stdout);
            return LOAD_OPTIONS_DONE;
        }
        if (!apply(o, flag, optarg)) {
            fprintf(stderr, "routed-load: --%s: %s makes no sense here\n", flags[place].name,
                    optarg);
            return LOAD_OPTIONS_WRONG;
        }
    }
    const char *contradiction = optind < argc ? "only options are taken" : find_contradiction(o);
    if (!contradiction)
        return LOAD_OPTIONS_RUN;
    fprintf(stderr, "routed-load: %s\n", contradiction);
    return LOAD_OPTIONS_WRONG;
}
