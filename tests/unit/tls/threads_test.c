/* One context, many threads, reloads in between. */
#include "tls/client.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS    3
#define HANDSHAKES 20
#define RELOADS    10

static struct tls_context *context;
static atomic_uint running;
static atomic_uint failures;

/* No assertions off the main thread: cmocka jumps. */
static void *shake_hands(void *unused)
{
    (void)unused;
    for (int i = 0; i < HANDSHAKES; i++) {
        struct client c;
        client_open(&c, context, &(struct client_wish){.name = i % 2 ? "a.example" : "b.example"});
        if (client_shake(&c) != ROUTED_OK || c.result != 0)
            atomic_fetch_add(&failures, 1);
        client_close(&c);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void test_reload_under_load(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    pki_server("a", GNUTLS_PK_ECDSA, "a.example", NULL);
    pki_server("b", GNUTLS_PK_ECDSA, "b.example", NULL);
    struct tls_certificate_files files[] = {
        {.certificate = pki_path("a.pem"), .key = pki_path("a-key.pem")},
        {.certificate = pki_path("b.pem"), .key = pki_path("b-key.pem")}};
    context = client_context(
        &(struct tls_context_options){.certificates = files, .certificate_count = 2});
    atomic_store(&running, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, shake_hands, NULL), 0);
    for (int i = 0; i < RELOADS || atomic_load(&running); i++) {
        struct failure why;
        tls_context_tick(context, (milliseconds)(i + 1) * TLS_TICKET_KEY_LIFETIME);
        assert_int_equal(tls_context_rotate_tickets(context), ROUTED_OK);
        assert_false(tls_context_files_changed(context));
        assert_int_equal(tls_context_reload(context, &why), ROUTED_OK);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&failures), 0);
    tls_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reload_under_load)};
    return cmocka_run_group_tests(tests, pki_open_folder, pki_close_folder);
}
