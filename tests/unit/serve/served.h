/* A small engine behind routed_serve, and clients for it. */
#ifndef TESTS_SERVE_SERVED_H
#define TESTS_SERVE_SERVED_H

#include "ffi/host.h"

#include <dirent.h>
#include <routed/engine.h>
#include <routed/serve.h>
#include <stdatomic.h>

static inline int served_hello(routed_exchange *x, void *user)
{
    (void)user;
    return routed_response_text(x, "hello");
}

/* Never answers. */
static inline int served_hang(routed_exchange *x, void *user)
{
    (void)x;
    (void)user;
    return ROUTED_OK;
}

/* Says that it has begun, and never answers. */
static inline int served_hint(routed_exchange *x, void *user)
{
    static const routed_field link = {"link", "</a>"};
    (void)user;
    return routed_response_inform(x, 103, &link, 1);
}

static inline int served_process(routed_exchange *x, void *user)
{
    (void)user;
    return routed_response_format(x, "text/plain", "process %d.", (int)getpid());
}

static inline routed_engine *new_engine(void)
{
    routed_engine *engine = routed_engine_new();
    assert_non_null(engine);
    assert_int_equal(routed_engine_route(engine, "GET", "/", served_hello, NULL, NULL), ROUTED_OK);
    assert_int_equal(routed_engine_route(engine, "GET", "/hang", served_hang, NULL, NULL),
                     ROUTED_OK);
    assert_int_equal(routed_engine_route(engine, "POST", "/hint", served_hint, NULL, NULL),
                     ROUTED_OK);
    assert_int_equal(routed_engine_route(engine, "GET", "/process", served_process, NULL, NULL),
                     ROUTED_OK);
    return engine;
}

static inline routed_serve_options options_of(int mode)
{
    routed_serve_options options;
    routed_serve_options_init(&options);
    options.mode = mode;
    options.workers = 2;
    options.engines = 2;
    return options;
}

static inline routed_server *serve_engine(routed_engine *engine,
                                          const routed_serve_options *options)
{
    routed_server *server = NULL;
    if (routed_serve(engine, options, &server) != ROUTED_OK)
        fail_msg("%s", routed_last_error());
    assert_non_null(server);
    return server;
}

static inline int ask(const routed_server *server, const char *request)
{
    int client = connect_port(routed_server_port(server));
    write_text(client, request);
    return client;
}

static inline void expect_hello(const routed_server *server)
{
    int client = ask(server, GET("/"));
    expect_answer(client, "HTTP/1.1 200 ", "hello");
    close(client);
}

/* The process that answers. */
static inline int process_of(const routed_server *server)
{
    char text[1024];
    int client = ask(server, GET("/process"));
    read_until(client, text, sizeof(text), ".");
    close(client);
    const char *number = strstr(text, "process ");
    return number ? atoi(number + 8) : 0;
}

/* Of a thread that was joined the kernel may still be tidying up: it is on its way out, by the
 * flags of its stat (proc(5)). */
static inline bool is_thread_here(const char *number)
{
    char path[64];
    char text[512] = "";
    unsigned flags = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", number);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    const char *name_end = strrchr(text, ')');
    const unsigned is_exiting = 0x4;
    return name_end && sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
           !(flags & is_exiting);
}

static inline unsigned count_threads(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder))
        count += e->d_name[0] != '.' && is_thread_here(e->d_name);
    closedir(folder);
    assert_true(count > 0);
    return count;
}

/* Entries of /proc/self/fd and the like. */
static inline unsigned count_entries(const char *path)
{
    unsigned count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static inline uint64_t number_of(const routed_server *server, const char *name)
{
    routed_metric metrics[256];
    return value_of(metrics, routed_server_metrics(server, metrics, 256), name);
}

#endif
