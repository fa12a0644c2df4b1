#include <routed/engine.h>
#include <routed/serve.h>
#include <stdio.h>

static int hello(routed_exchange *x, void *user)
{
    (void)user;
    return routed_response_format(x, "text/plain", "Hello, %s!\n", routed_request_param(x, "name"));
}

int main(void)
{
    routed_engine *engine = routed_engine_new();
    routed_engine_route(engine, "GET", "/hello/{name}", hello, NULL, NULL);
    routed_serve_options options;
    routed_serve_options_init(&options);
    options.port = 8080;
    routed_server *server;
    if (routed_serve(engine, &options, &server) != ROUTED_OK)
        return fprintf(stderr, "hello: %s\n", routed_last_error()), 1;
    return routed_server_wait(server);
}
