/* streaming.c: an answer that is made while it is sent, from a thread of its own.
 *
 *     curl -N http://127.0.0.1:8080/primes
 *
 * The thread may block: it sleeps while the client is slower than it, and ends when the client
 * has left. */
#include <pthread.h>
#include <routed/serve.h>
#include <stdio.h>

static int is_prime(unsigned number)
{
    for (unsigned divisor = 2; divisor * divisor <= number; divisor++)
        if (number % divisor == 0)
            return 0;
    return 1;
}

/* ROUTED_ERROR_AGAIN means that the window is full: wait until it opens, for ten seconds. */
static int write_line(routed_exchange *x, const char *line, size_t size)
{
    int error;
    do {
        error = routed_response_write(x, line, size);
    } while (error == ROUTED_ERROR_AGAIN && routed_response_wait(x, 10000) == ROUTED_OK);
    return error;
}

static void *find_primes(void *user)
{
    routed_exchange *x = user;
    int error = ROUTED_OK;
    for (unsigned number = 2; number < 10000000 && error == ROUTED_OK; number++) {
        char line[16];
        if (is_prime(number))
            error = write_line(x, line, (size_t)snprintf(line, sizeof(line), "%u\n", number));
    }
    if (error == ROUTED_OK)
        routed_response_end(x);
    else
        routed_response_fail(x, error);
    routed_exchange_release(x);
    return NULL;
}

static int primes(routed_exchange *x, void *user)
{
    (void)user;
    pthread_t thread;
    routed_response_set_field(x, "content-type", "text/plain");
    int error = routed_response_begin(x, ROUTED_LENGTH_UNKNOWN);
    if (error != ROUTED_OK)
        return error;
    routed_exchange_retain(x); /* for the thread, which gives it back */
    if (pthread_create(&thread, NULL, find_primes, x) != 0) {
        routed_exchange_release(x);
        return ROUTED_ERROR_MEMORY;
    }
    pthread_detach(thread);
    return ROUTED_OK;
}

int main(void)
{
    routed_server *server;
    routed_serve_options options;
    routed_serve_options_init(&options);
    options.port = 8080;

    routed_engine *engine = routed_engine_new();
    if (!engine || routed_engine_route(engine, "GET", "/primes", primes, NULL, NULL) != ROUTED_OK)
        return 1;
    if (routed_serve(engine, &options, &server) != ROUTED_OK) {
        fprintf(stderr, "%s\n", routed_last_error());
        return 1;
    }
    puts("Listening on http://127.0.0.1:8080/primes");
    return routed_server_wait(server) != ROUTED_OK;
}
