/* Heads that an application must not get through to a client: response splitting, contradictory
 * lengths, wrong states, too much. */
#include "exchange/exchange.h"

#include "base/memory.h"
#include "exchange/parties.h"

static int respond_with(struct parties *p, struct field *fields, size_t count)
{
    struct http_response head = {.status = 200, .fields = {fields, count, count}};
    return exchange_respond(&p->x, &head);
}

static int inform_with(struct parties *p, uint16_t status, struct field *fields, size_t count)
{
    struct http_response head = {.status = status, .fields = {fields, count, count}};
    return exchange_inform(&p->x, &head);
}

/* Refused as a final and as an interim head, without a trace; a good head may follow. */
static void assert_field_refused(struct span name, struct span value)
{
    struct parties p;
    struct field f = {.text = name, .value = value, .name = field_lookup(name)};
    parties_open(&p, "GET", 0);
    assert_int_equal(inform_with(&p, 103, &f, 1), ROUTED_ERROR_RESPONSE);
    assert_int_equal(respond_with(&p, &f, 1), ROUTED_ERROR_RESPONSE);
    assert_int_equal(p.responds + p.informs + p.fails, 0);
    assert_int_equal(p.x.response_phase, EXCHANGE_HEAD);
    assert_int_equal(p.x.status, 0);
    assert_int_equal(parties_head(&p, 200, NULL, NULL), ROUTED_OK);
    parties_release(&p);
}

static void control_bytes_split_nothing(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char value[] = "a?b";
        char name[] = "x-?";
        value[1] = name[2] = (char)c;
        bool is_control = (c < 0x20 && c != '\t') || c == 0x7f;
        if (is_control)
            assert_field_refused(SPAN("x-a"), span_of(value, 3));
        if (!field_is_tchar((uint8_t)c))
            assert_field_refused(span_of(name, 3), SPAN("v"));
    }
    assert_field_refused(SPAN("x-a"), SPAN("v\r\nset-cookie: evil=1"));
    assert_field_refused(SPAN("x-a"), SPAN("v\n\nHTTP/1.1 200 OK"));
    assert_field_refused(SPAN("x-a"), SPAN("\r\n"));
    assert_field_refused(SPAN("x-a"), SPAN("v\0w"));
    assert_field_refused(SPAN("x-a: b\r\nx-c"), SPAN("v"));
    assert_field_refused(SPAN(""), SPAN("v"));
    assert_field_refused(SPAN("x a"), SPAN("v"));
}

static void blanks_around_a_value_are_no_part_of_it(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_head(&p, 200, "x-a", " \t inner \t"), ROUTED_OK);
    assert_span(buffer_span(&p.fields), "x-a: inner\n");
    parties_release(&p);
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_head(&p, 200, "x-a", " \t"), ROUTED_OK);
    assert_span(buffer_span(&p.fields), "x-a: \n");
    parties_release(&p);
}

static void bytes_above_ascii_are_kept(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_head(&p, 200, "x-a", "\x80\x85\xa0\xff"), ROUTED_OK);
    assert_span(buffer_span(&p.fields), "x-a: \x80\x85\xa0\xff\n");
    parties_release(&p);
}

static void statuses_are_checked(void **state)
{
    (void)state;
    static const uint16_t refused[] = {0, 1, 99, 100, 102, 103, 199, 1000, 10200, UINT16_MAX};
    static const uint16_t allowed[] = {200, 299, 404, 418, 599, 600, 999};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct parties p;
        parties_open(&p, "GET", 0);
        assert_int_equal(parties_head(&p, refused[i], NULL, NULL), ROUTED_ERROR_RESPONSE);
        assert_int_equal(p.responds + p.fails, 0);
        parties_release(&p);
    }
    for (size_t i = 0; i < COUNT_OF(allowed); i++) {
        struct parties p;
        parties_open(&p, "GET", 0);
        assert_int_equal(parties_head(&p, allowed[i], NULL, NULL), ROUTED_OK);
        assert_int_equal(p.status, allowed[i]);
        parties_release(&p);
    }
}

static void lengths_are_numbers(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-1",
                                      "+5",
                                      "5 5",
                                      "5,5",
                                      "5, 5",
                                      "0x5",
                                      "5.",
                                      "five",
                                      "9223372036854775808",
                                      "18446744073709551621"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_field_refused(SPAN("content-length"), span_from(bad[i]));
    struct parties p;
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_head(&p, 200, "content-length", " 007 "), ROUTED_OK);
    assert_int_equal(p.length, 7);
    assert_int_equal(buffer_size(&p.fields), 0);
    parties_release(&p);
}

static void two_lengths_are_refused(void **state)
{
    (void)state;
    static const char *const seconds[] = {"5", "6", ""};
    for (size_t i = 0; i < COUNT_OF(seconds); i++) {
        struct parties p;
        struct field fields[] = {parties_field("content-length", SPAN("5")),
                                 parties_field("content-length", span_from(seconds[i]))};
        parties_open(&p, "GET", 0);
        assert_int_equal(respond_with(&p, fields, 2), ROUTED_ERROR_RESPONSE);
        assert_int_equal(p.responds, 0);
        parties_release(&p);
    }
}

static void hop_by_hop_fields_stay_behind(void **state)
{
    (void)state;
    static const char *const names[] = {"connection",
                                        "keep-alive",
                                        "proxy-connection",
                                        "proxy-authenticate",
                                        "proxy-authorization",
                                        "te",
                                        "trailer",
                                        "transfer-encoding",
                                        "upgrade",
                                        "date"};
    struct field fields[COUNT_OF(names) + 2];
    fields[0] = parties_field("x-first", SPAN("1"));
    for (size_t i = 0; i < COUNT_OF(names); i++)
        fields[i + 1] = parties_field(names[i], SPAN("chunked"));
    fields[COUNT_OF(names) + 1] = parties_field("x-last", SPAN("2"));
    struct parties p;
    parties_open(&p, "GET", 0);
    assert_int_equal(respond_with(&p, fields, COUNT_OF(fields)), ROUTED_OK);
    assert_span(buffer_span(&p.fields), "x-first: 1\nx-last: 2\n");
    assert_false(p.x.close_after);
    parties_release(&p);
    parties_open(&p, "GET", 0);
    assert_int_equal(inform_with(&p, 103, fields, COUNT_OF(fields)), ROUTED_OK);
    assert_span(buffer_span(&p.fields), "x-first: 1\nx-last: 2\n");
    parties_release(&p);
}

/* RFC 9110 section 7.6.1: what Connection names is for one hop as well, wherever it stands. */
static void fields_that_connection_names_stay_behind(void **state)
{
    (void)state;
    struct field fields[] = {parties_field("x-before", SPAN("1")),
                             parties_field("x-kept", SPAN("2")),
                             parties_field("connection", SPAN("X-Before, close")),
                             parties_field("connection", SPAN(",x-after,, content-type")),
                             parties_field("x-after", SPAN("3")),
                             parties_field("content-type", SPAN("text/plain")),
                             parties_field("x-after", SPAN("4")),
                             parties_field("x-after-all", SPAN("5"))};
    struct parties p;
    parties_open(&p, "GET", 0);
    assert_int_equal(respond_with(&p, fields, COUNT_OF(fields)), ROUTED_OK);
    assert_span(buffer_span(&p.fields), "x-kept: 2\nx-after-all: 5\n");
    assert_true(p.x.close_after);
    parties_release(&p);
}

static void close_is_a_wish_of_the_application(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool closes;
    } cases[] = {
        {"close", true},   {"Close", true},      {"keep-alive, CLOSE", true}, {"keep-alive", false},
        {"closed", false}, {"\"close\"", false}, {"x-close, close-x", false}, {"", false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct parties p;
        parties_open(&p, "GET", 0);
        assert_int_equal(parties_head(&p, 200, "connection", cases[i].value), ROUTED_OK);
        assert_int_equal(p.x.close_after, cases[i].closes);
        parties_release(&p);
    }
}

/* ---- 1xx ---- */

static void interim_heads_come_before_the_final_one(void **state)
{
    (void)state;
    struct parties p;
    struct field f = parties_field("link", SPAN("</a>"));
    parties_open(&p, "GET", 0);
    assert_int_equal(inform_with(&p, 103, &f, 1), ROUTED_OK);
    assert_int_equal(p.status, 103);
    assert_span(buffer_span(&p.fields), "link: </a>\n");
    assert_int_equal(inform_with(&p, 101, NULL, 0), ROUTED_ERROR_STATE);
    assert_int_equal(inform_with(&p, 99, NULL, 0), ROUTED_ERROR_STATE);
    assert_int_equal(inform_with(&p, 200, NULL, 0), ROUTED_ERROR_STATE);
    assert_int_equal(p.informs, 1);
    assert_int_equal(parties_head(&p, 200, NULL, NULL), ROUTED_OK);
    assert_int_equal(inform_with(&p, 103, NULL, 0), ROUTED_ERROR_STATE);
    parties_release(&p);
}

static void interim_heads_are_not_for_http_1_0(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    p.x.request.protocol = HTTP_1_0;
    assert_int_equal(inform_with(&p, 103, NULL, 0), ROUTED_OK);
    assert_int_equal(p.informs, 0);
    parties_release(&p);
}

static void interim_heads_are_counted(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    for (int i = 0; i < EXCHANGE_INFORMS_MAX; i++)
        assert_int_equal(inform_with(&p, 102, NULL, 0), ROUTED_OK);
    for (int i = 0; i < 70000; i++)
        if (inform_with(&p, 102, NULL, 0) != ROUTED_ERROR_LIMIT)
            fail_msg("number %d was passed on", i + EXCHANGE_INFORMS_MAX + 1);
    assert_int_equal(p.informs, EXCHANGE_INFORMS_MAX);
    assert_int_equal(parties_head(&p, 200, NULL, NULL), ROUTED_OK);
    parties_release(&p);
}

/* ---- how much ---- */

static void the_number_of_fields_is_limited(void **state)
{
    (void)state;
    static struct field fields[EXCHANGE_RESPONSE_FIELDS_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        fields[i] = parties_field("x", SPAN("y"));
    for (size_t count = EXCHANGE_RESPONSE_FIELDS_MAX - 1; count <= COUNT_OF(fields); count++) {
        struct parties p;
        parties_open(&p, "GET", 0);
        assert_int_equal(respond_with(&p, fields, count),
                         count <= EXCHANGE_RESPONSE_FIELDS_MAX ? ROUTED_OK : ROUTED_ERROR_RESPONSE);
        parties_release(&p);
    }
}

static void the_bytes_of_a_head_are_limited(void **state)
{
    (void)state;
    static char value[EXCHANGE_RESPONSE_HEAD_MAX + 1];
    memset(value, 'v', sizeof(value));
    for (size_t total = EXCHANGE_RESPONSE_HEAD_MAX - 1; total <= EXCHANGE_RESPONSE_HEAD_MAX + 1;
         total++) {
        struct parties p;
        struct field fields[] = {parties_field("x-a", span_of(value, 1000)),
                                 parties_field("x-b", span_of(value, total - 1000 - 6))};
        parties_open(&p, "GET", 0);
        assert_int_equal(respond_with(&p, fields, 2),
                         total <= EXCHANGE_RESPONSE_HEAD_MAX ? ROUTED_OK : ROUTED_ERROR_RESPONSE);
        parties_release(&p);
    }
}

static void as_many_trailers_as_fields(void **state)
{
    (void)state;
    static struct field fields[EXCHANGE_RESPONSE_FIELDS_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        fields[i] = parties_field("x", SPAN("1"));
    for (size_t count = EXCHANGE_RESPONSE_FIELDS_MAX - 1; count <= COUNT_OF(fields); count++) {
        struct parties p;
        struct field_list trailers = {fields, count, count};
        parties_open(&p, "GET", 0);
        parties_head(&p, 200, NULL, NULL);
        assert_int_equal(exchange_end(&p.x, &trailers),
                         count <= EXCHANGE_RESPONSE_FIELDS_MAX ? ROUTED_OK : ROUTED_ERROR_RESPONSE);
        parties_release(&p);
    }
}

static void trailers_are_checked_and_filtered(void **state)
{
    (void)state;
    struct parties p;
    struct field good[] = {parties_field("x-sum", SPAN(" 1 ")),
                           parties_field("content-length", SPAN("5")),
                           parties_field("set-cookie", SPAN("a=b")),
                           parties_field("transfer-encoding", SPAN("chunked"))};
    struct field_list trailers = {good, COUNT_OF(good), COUNT_OF(good)};
    parties_open(&p, "GET", 0);
    parties_head(&p, 200, NULL, NULL);
    assert_int_equal(exchange_end(&p.x, &trailers), ROUTED_OK);
    assert_span(buffer_span(&p.fields), "x-sum: 1\n");
    parties_release(&p);
    struct field bad = parties_field("x-sum", SPAN("1\r\n\r\nHTTP/1.1 200 OK"));
    trailers = (struct field_list){&bad, 1, 1};
    parties_open(&p, "GET", 0);
    parties_head(&p, 200, NULL, NULL);
    assert_int_equal(exchange_end(&p.x, &trailers), ROUTED_ERROR_RESPONSE);
    assert_int_equal(p.failed, ROUTED_ERROR_RESPONSE);
    assert_int_equal(p.ends, 0);
    parties_release(&p);
    trailers = (struct field_list){good, 1, 1};
    parties_open(&p, "GET", 0);
    parties_head(&p, 200, NULL, NULL);
    memory_fault_set(1);
    assert_int_equal(exchange_end(&p.x, &trailers), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
    assert_int_equal(p.failed, ROUTED_ERROR_MEMORY);
    assert_int_equal(p.ends, 0);
    parties_release(&p);
}

static void without_memory_nothing_was_sent(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    memory_fault_set(1);
    assert_int_equal(parties_head(&p, 200, "x-a", "1"), ROUTED_ERROR_MEMORY);
    memory_fault_set(1);
    struct field f = parties_field("x-a", SPAN("1"));
    assert_int_equal(inform_with(&p, 103, &f, 1), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
    assert_int_equal(p.responds + p.informs, 0);
    assert_int_equal(parties_head(&p, 200, "x-a", "1"), ROUTED_OK);
    parties_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_bytes_split_nothing),
        cmocka_unit_test(blanks_around_a_value_are_no_part_of_it),
        cmocka_unit_test(bytes_above_ascii_are_kept),
        cmocka_unit_test(statuses_are_checked),
        cmocka_unit_test(lengths_are_numbers),
        cmocka_unit_test(two_lengths_are_refused),
        cmocka_unit_test(hop_by_hop_fields_stay_behind),
        cmocka_unit_test(fields_that_connection_names_stay_behind),
        cmocka_unit_test(close_is_a_wish_of_the_application),
        cmocka_unit_test(interim_heads_come_before_the_final_one),
        cmocka_unit_test(interim_heads_are_not_for_http_1_0),
        cmocka_unit_test(interim_heads_are_counted),
        cmocka_unit_test(the_number_of_fields_is_limited),
        cmocka_unit_test(the_bytes_of_a_head_are_limited),
        cmocka_unit_test(as_many_trailers_as_fields),
        cmocka_unit_test(trailers_are_checked_and_filtered),
        cmocka_unit_test(without_memory_nothing_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
