/* Handshakes and requests over QUIC. */
#include "http3/stage.h"

static void a_request_is_answered(void **state)
{
    (void)state;
    struct stage *s = stage_start();
    struct client *c = stage_connect(s, NULL);
    assert_int_equal(s->opened, 1);
    assert_int_equal(http3_endpoint_connections(s->endpoint), 1);
    stage_get(s, c, 5);
    stage_get(s, c, 1000000);
    assert_int_equal(stage_count(s, HTTP3_HANDSHAKES), 1);
    assert_int_equal(stage_count(s, HTTP3_RETRIES), 0);
    assert_int_equal(stage_count(s, HTTP3_KEY_UPDATES), 0);
    assert_true(s->joined_most > 5);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}
