/* The response side of a session: framing, order, early answers, tunnels, failures, ends. */
#include "peer.h"
#include "support/unit.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define DATE "date: " ORIGIN_DATE "\r\n"

static void expect_output(struct peer *p, const char *text)
{
    struct span output = buffer_span(&p->output);
    if (!span_equals(output, span_from(text)))
        fail_msg("\"%.*s\" was written for \"%s\"", (int)output.size, (const char *)output.data,
                 text);
    buffer_clear(&p->output);
}

/* ---- framing of responses ---- */

static void answer(struct peer *p, uint16_t status, const char *length, const char *body)
{
    struct exchange *x = p->origin.exchange;
    assert_int_equal(origin_respond(x, status, length), ROUTED_OK);
    if (body)
        assert_int_equal(origin_send(x, body), ROUTED_OK);
    assert_int_equal(exchange_end(x, NULL), ROUTED_OK);
    peer_turn(p);
}

static void test_framing(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        uint16_t status;
        const char *length;
        const char *body;
        const char *output;
        enum session_wait then;
    } cases[] = {
        {GET, 200, "2", "ok", "HTTP/1.1 200 OK\r\n" DATE "content-length: 2\r\n\r\nok",
         SESSION_IDLE},
        {GET, 200, "0", NULL, "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\n\r\n", SESSION_IDLE},
        {GET, 200, NULL, "hello-hello-hello",
         "HTTP/1.1 200 OK\r\n" DATE
         "transfer-encoding: chunked\r\n\r\n11\r\nhello-hello-hello\r\n0\r\n\r\n",
         SESSION_IDLE},
        {GET, 200, NULL, NULL,
         "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n0\r\n\r\n", SESSION_IDLE},
        {GET, 204, NULL, NULL, "HTTP/1.1 204 No Content\r\n" DATE "\r\n", SESSION_IDLE},
        {GET, 304, NULL, NULL, "HTTP/1.1 304 Not Modified\r\n" DATE "\r\n", SESSION_IDLE},
        {GET, 304, "7", NULL, "HTTP/1.1 304 Not Modified\r\n" DATE "content-length: 7\r\n\r\n",
         SESSION_IDLE},
        {GET, 299, "0", NULL, "HTTP/1.1 299 \r\n" DATE "content-length: 0\r\n\r\n", SESSION_IDLE},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "5", NULL,
         "HTTP/1.1 200 OK\r\n" DATE "content-length: 5\r\n\r\n", SESSION_IDLE},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "5", "hello",
         "HTTP/1.1 200 OK\r\n" DATE "content-length: 5\r\n\r\n", SESSION_IDLE},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, NULL, "hello",
         "HTTP/1.1 200 OK\r\n" DATE "\r\n", SESSION_IDLE},
        {"GET / HTTP/1.0\r\n\r\n", 200, "2", "ok",
         "HTTP/1.1 200 OK\r\n" DATE "content-length: 2\r\nconnection: close\r\n\r\nok",
         SESSION_LINGER},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "2", "ok",
         "HTTP/1.1 200 OK\r\n" DATE "content-length: 2\r\nconnection: keep-alive\r\n\r\nok",
         SESSION_IDLE},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, NULL, "ok",
         "HTTP/1.1 200 OK\r\n" DATE "connection: close\r\n\r\nok", SESSION_LINGER},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, "2", "ok",
         "HTTP/1.1 200 OK\r\n" DATE "content-length: 2\r\nconnection: close\r\n\r\nok",
         SESSION_LINGER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        peer_write_text(&p, cases[i].request);
        answer(&p, cases[i].status, cases[i].length, cases[i].body);
        expect_output(&p, cases[i].output);
        assert_int_equal(peer_wait(&p), cases[i].then);
        assert_int_equal(p.origin.closed, 1);
        assert_int_equal(p.origin.close_error, ROUTED_OK);
        assert_int_equal(p.origin.ended, 1);
        peer_close(&p);
    }
}

static void test_head_goes_out_before_the_body(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, GET);
    assert_int_equal(origin_respond(p.origin.exchange, 200, NULL), ROUTED_OK);
    assert_int_equal(p.origin.ready, 1);
    peer_turn(&p);
    expect_output(&p, "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n");
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    origin_send(p.origin.exchange, "hello");
    peer_turn(&p);
    expect_output(&p, "5\r\nhello\r\n");
    exchange_end(p.origin.exchange, NULL);
    assert_int_equal(p.origin.closed, 0); /* not from inside the application's call */
    peer_turn(&p);
    expect_output(&p, "0\r\n\r\n");
    assert_int_equal(p.origin.closed, 1);
    peer_close(&p);
}

static void test_no_date_when_there_is_none(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    p.options.date = NULL;
    peer_write_text(&p, GET);
    answer(&p, 200, "0", NULL);
    expect_output(&p, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    peer_close(&p);
}

/* Not in answers that say it themselves, nor in those that are not final. */
static void test_another_service_is_told_of(void **state)
{
    struct peer p;
    (void)state;
    struct field own = {SPAN("alt-svc"), SPAN("clear"), FIELD_OTHER};
    struct http_response head = {.status = 200, .fields = {&own, 1, 1}};
    struct http_response hints = {.status = 103, .fields = FIELD_LIST_EMPTY};
    peer_open(&p, &origin_waits);
    p.options.alt_svc = SPAN("h3=\":443\"");
    peer_write_text(&p, GET);
    assert_int_equal(exchange_inform(p.origin.exchange, &hints), ROUTED_OK);
    answer(&p, 200, "0", NULL);
    expect_output(&p, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n" DATE
                      "alt-svc: h3=\":443\"\r\ncontent-length: 0\r\n\r\n");
    peer_write_text(&p, GET);
    assert_int_equal(exchange_respond(p.origin.exchange, &head), ROUTED_OK);
    assert_int_equal(exchange_end(p.origin.exchange, NULL), ROUTED_OK);
    peer_turn(&p);
    expect_output(&p, "HTTP/1.1 200 OK\r\n" DATE
                      "alt-svc: clear\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    peer_close(&p);
}

/* A client that should have upgraded is told to what. */
static void test_upgrade_required(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, GET);
    origin_respond(p.origin.exchange, 426, "0");
    assert_int_equal(exchange_end(p.origin.exchange, NULL), ROUTED_OK);
    peer_turn(&p);
    expect_output(&p, "HTTP/1.1 426 Upgrade Required\r\n" DATE "content-length: 0\r\n"
                      "connection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    peer_close(&p);
}

static void test_fields_and_trailers(void **state)
{
    struct peer p;
    (void)state;
    struct field fields[] = {{SPAN("x-one"), SPAN("1"), FIELD_OTHER},
                             {SPAN("connection"), SPAN("x-one"), FIELD_CONNECTION},
                             {SPAN("date"), SPAN("never"), FIELD_DATE},
                             {SPAN("set-cookie"), SPAN("a=\xff"), FIELD_SET_COOKIE}};
    struct field trailers[] = {{SPAN("x-sum"), SPAN("7"), FIELD_OTHER},
                               {SPAN("content-length"), SPAN("7"), FIELD_CONTENT_LENGTH}};
    struct http_response head = {.status = 200, .fields = {fields, 4, 4}};
    struct field_list list = {trailers, 2, 2};
    peer_open(&p, &origin_waits);
    peer_write_text(&p, GET);
    assert_int_equal(exchange_respond(p.origin.exchange, &head), ROUTED_OK);
    assert_int_equal(exchange_end(p.origin.exchange, &list), ROUTED_OK);
    peer_turn(&p);
    expect_output(&p, "HTTP/1.1 200 OK\r\n" DATE "set-cookie: a=\xff\r\n"
                      "transfer-encoding: chunked\r\n\r\n0\r\nx-sum: 7\r\n\r\n");
    peer_close(&p);
}

static void test_inform(void **state)
{
    struct peer p;
    (void)state;
    struct field link = {SPAN("link"), SPAN("</a>"), FIELD_OTHER};
    struct http_response hints = {.status = 103, .fields = {&link, 1, 1}};
    peer_open(&p, &origin_waits);
    peer_write_text(&p, GET);
    assert_int_equal(exchange_inform(p.origin.exchange, &hints), ROUTED_OK);
    peer_turn(&p);
    expect_output(&p, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    answer(&p, 200, "0", NULL);
    peer_close(&p);

    peer_open(&p, &origin_waits);
    peer_write_text(&p, "GET / HTTP/1.0\r\n\r\n");
    assert_int_equal(exchange_inform(p.origin.exchange, &hints), ROUTED_OK);
    peer_turn(&p);
    expect_output(&p, "");
    peer_close(&p);
}

static void test_application_closes(void **state)
{
    struct peer p;
    (void)state;
    struct field fields[] = {{SPAN("connection"), SPAN("close"), FIELD_CONNECTION}};
    struct http_response head = {.status = 204, .fields = {fields, 1, 1}};
    peer_open(&p, &origin_waits);
    peer_write_text(&p, GET);
    exchange_respond(p.origin.exchange, &head);
    exchange_end(p.origin.exchange, NULL);
    peer_turn(&p);
    expect_output(&p, "HTTP/1.1 204 No Content\r\n" DATE "connection: close\r\n\r\n");
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_close(&p);
}

/* ---- output ---- */

static void answer_large(struct origin *o, struct exchange *x)
{
    (void)o;
    origin_respond(x, 200, "10000");
    struct slice body = {block_new(10000), NULL, 10000};
    memset(block_data(body.block), 'x', 10000);
    body.data = block_data(body.block);
    exchange_send(x, body);
    exchange_end(x, NULL);
}

/* Small answers are one span; large bodies are not copied. */
static void test_spans(void **state)
{
    struct peer p;
    struct span spans[8];
    (void)state;
    const struct origin_script large = {.on_request = answer_large};
    peer_open(&p, &origin_reads_then_answers);
    p.is_stuck = true;
    peer_write_text(&p, GET GET GET);
    assert_int_equal(p.origin.complete, 3);
    assert_int_equal(p.origin.closed, 0);
    assert_int_equal(p.session->ops->drain(p.session, spans, 8), 1);
    p.origin.script = &large;
    peer_write_text(&p, GET);
    p.origin.script = &origin_reads_then_answers;
    peer_write_text(&p, GET);
    assert_int_equal(p.session->ops->drain(p.session, spans, 8), 3);
    assert_int_equal(spans[1].size, 10000);
    assert_int_equal(p.session->ops->drain(p.session, spans, 2), 2);
    p.is_stuck = false;
    p.write_max = 7;
    peer_turn(&p);
    assert_int_equal(p.origin.closed, 5);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    char statuses[64];
    peer_statuses(&p, statuses, sizeof(statuses));
    assert_string_equal(statuses, "200,200,200,200,200");
    peer_close(&p);
}

static void test_closed_when_written(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    p.is_stuck = true;
    peer_write_text(&p, GET GET);
    assert_int_equal(p.origin.complete, 2);
    struct span span;
    assert_int_equal(p.session->ops->drain(p.session, &span, 1), 1);
    size_t half = span.size / 2;
    p.session->ops->drained(p.session, half - 1);
    assert_int_equal(p.origin.closed, 0);
    p.session->ops->drained(p.session, 1);
    assert_int_equal(p.origin.closed, 1);
    p.session->ops->drained(p.session, span.size - half);
    assert_int_equal(p.origin.closed, 2);
    peer_close(&p);
}

/* Sixteen answers wait for the transport; the seventeenth request waits for them. */
static void test_pipeline_depth(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    p.is_stuck = true;
    for (int i = 0; i < 17; i++)
        buffer_append_text(&p.held, GET);
    peer_turn(&p);
    assert_int_equal(p.origin.opened, 16);
    assert_int_equal(buffer_size(&p.held), strlen(GET));
    assert_false(p.session->wants_input);
    p.is_stuck = false;
    peer_turn(&p);
    assert_int_equal(p.origin.opened, 17);
    assert_int_equal(p.origin.closed, 17);
    assert_true(p.session->wants_input);
    peer_close(&p);
}

static void test_next_request_waits_for_the_answer(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, GET);
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    assert_true(p.session->wants_input);
    peer_write_text(&p, GET);
    assert_int_equal(p.origin.opened, 1);
    assert_false(p.session->wants_input);
    origin_respond(p.origin.exchange, 200, "0");
    assert_false(p.session->wants_input);
    exchange_end(p.origin.exchange, NULL);
    assert_true(p.session->wants_input); /* before the connection's next turn */
    assert_int_equal(p.origin.closed, 0);
    peer_turn(&p);
    assert_int_equal(p.origin.opened, 2);
    peer_close(&p);
}

static void shut_then_answer(struct origin *o, struct exchange *x)
{
    struct session *s = o->user;
    s->ops->shut(s);
    origin_answer_ok(x);
}

/* The host may say from inside a request that it is the last one. */
static void test_shut_from_inside_a_request(void **state)
{
    struct peer p;
    (void)state;
    const struct origin_script script = {.on_request = shut_then_answer};
    peer_open(&p, &script);
    p.origin.user = p.session;
    peer_write_text(&p, GET GET);
    assert_int_equal(p.origin.opened, 1);
    assert_true(peer_has(&p.output, "connection: close\r\n"));
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_close(&p);
}

/* ---- credit ---- */

static void test_response_credit(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    p.options.response_window = 10;
    p.is_stuck = true;
    peer_write_text(&p, GET);
    struct exchange *x = p.origin.exchange;
    origin_respond(x, 200, NULL);
    assert_int_equal(origin_send(x, "12345678"), ROUTED_OK);
    assert_int_equal(origin_send(x, "12345678"), ROUTED_OK); /* overshoots by one slice */
    assert_false(exchange_can_send(x));
    p.is_stuck = false;
    peer_turn(&p);
    assert_int_equal(p.origin.writable, 1);
    assert_int_equal(x->response_credit, 10);
    peer_close(&p);
}

static void test_request_credit(void **state)
{
    struct peer p;
    (void)state;
    for (int blocks = 0; blocks < 2; blocks++) {
        peer_open(&p, &origin_waits);
        p.gives_blocks = blocks;
        peer_write_text(&p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
        struct exchange *x = p.origin.exchange;
        assert_int_equal(buffer_size(&p.held), 5);
        assert_false(p.session->wants_input);
        assert_int_equal(peer_wait(&p), SESSION_ANSWER);
        exchange_grant(x, 3);
        assert_int_equal(p.origin.ready, 1);
        peer_turn(&p);
        assert_int_equal(buffer_size(&p.held), 2);
        exchange_grant(x, 7);
        peer_turn(&p);
        assert_int_equal(peer_wait(&p), SESSION_BODY);
        assert_true(p.session->wants_input);
        peer_write_text(&p, "56789");
        assert_int_equal(p.origin.complete, 1);
        assert_true(peer_has(&p.origin.view, " 0123456789 []"));
        peer_close(&p);
    }
}

/* The end of chunked content needs no credit. */
static void test_chunked_end_without_credit(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "3\r\nabcd\r\n");
    exchange_grant(p.origin.exchange, 3);
    peer_turn(&p);
    assert_int_equal(p.origin.refused, 0);
    assert_int_equal(p.origin.closed, 1); /* "d" is no CRLF */
    peer_close(&p);

    peer_open(&p, &origin_waits);
    peer_write_text(&p, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "3\r\nabc\r\n0\r\n\r\n");
    exchange_grant(p.origin.exchange, 3);
    peer_turn(&p);
    assert_int_equal(p.origin.complete, 1);
    peer_close(&p);
}

/* ---- Expect: 100-continue ---- */

#define EXPECT   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static void test_continue_when_granted(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, EXPECT);
    expect_output(&p, "");
    exchange_grant(p.origin.exchange, 1);
    exchange_grant(p.origin.exchange, 1);
    peer_turn(&p);
    expect_output(&p, CONTINUE);
    peer_write_text(&p, "ab");
    answer(&p, 200, "0", NULL);
    expect_output(&p, "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\n\r\n");
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

static void test_no_continue_once_content_began(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, EXPECT "a");
    exchange_grant(p.origin.exchange, 2);
    peer_turn(&p);
    expect_output(&p, "");
    peer_close(&p);

    peer_open(&p, &origin_reads_then_answers);
    peer_write_text(&p, EXPECT "ab");
    expect_output(&p, "HTTP/1.1 200 OK\r\n" DATE "content-length: 2\r\n\r\nok");
    peer_close(&p);
}

/* Whether content follows a final answer is the client's choice: only the close tells. */
static void test_final_answer_instead_of_continue(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, EXPECT);
    answer(&p, 413, "0", NULL);
    expect_output(&p, "HTTP/1.1 413 Content Too Large\r\n" DATE
                      "content-length: 0\r\nconnection: close\r\n\r\n");
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_close(&p);
}

/* ---- early answers ---- */

static void test_early_answer(void **state)
{
    static const struct {
        const char *head;
        size_t rest; /* content that follows */
        enum session_wait then;
    } cases[] = {
        {"Content-Length: 65536\r\n\r\n", 65536, SESSION_IDLE},
        {"Content-Length: 65537\r\n\r\n", 65537, SESSION_LINGER},
        {"Transfer-Encoding: chunked\r\n\r\nfff0\r\n", 0xfff0, SESSION_IDLE},
        {"Transfer-Encoding: chunked\r\n\r\n10001\r\n", 0x10001, SESSION_LINGER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        bool chunked = cases[i].head[0] == 'T';
        peer_open(&p, &origin_waits);
        peer_write_text(&p, "POST / HTTP/1.1\r\nHost: a\r\n");
        peer_write_text(&p, cases[i].head);
        answer(&p, 200, "0", NULL);
        struct buffer rest = BUFFER_EMPTY;
        memset(buffer_reserve(&rest, cases[i].rest), 'x', cases[i].rest);
        buffer_commit(&rest, cases[i].rest);
        buffer_append_text(&rest, chunked ? "\r\n0\r\n\r\n" : "");
        peer_write(&p, buffer_span(&rest));
        assert_true(peer_wait(&p) == cases[i].then ||
                    (cases[i].then == SESSION_LINGER && peer_wait(&p) == SESSION_FINISHED));
        assert_int_equal(p.origin.complete, 0);
        assert_int_equal(p.origin.closed, 1);
        assert_int_equal(p.origin.close_error, ROUTED_OK);
        peer_write_text(&p, GET);
        assert_int_equal(p.origin.opened, cases[i].then == SESSION_IDLE ? 2 : 1);
        buffer_release(&rest);
        peer_close(&p);
    }
}

static void test_lingering_has_an_end(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    p.options.linger_max = 10;
    peer_write_text(&p, "junk\r\n");
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_write_text(&p, "01234");
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_write_text(&p, "0123456789");
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);
}

/* ---- failures ---- */

static void test_failure_before_the_head(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, GET);
    exchange_fail(p.origin.exchange, ROUTED_ERROR_NO_ENGINE);
    assert_int_equal(p.origin.closed, 0);
    peer_turn(&p);
    expect_output(&p, "HTTP/1.1 503 Service Unavailable\r\n" DATE
                      "content-type: text/plain; charset=utf-8\r\nretry-after: 1\r\n"
                      "content-length: 20\r\n\r\nService Unavailable\n");
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_NO_ENGINE);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_write_text(&p, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange_fail(p.origin.exchange, ROUTED_ERROR_HANDLER);
    peer_turn(&p);
    expect_output(&p, "HTTP/1.1 500 Internal Server Error\r\n" DATE
                      "content-type: text/plain; charset=utf-8\r\ncontent-length: 22\r\n\r\n");
    peer_close(&p);
}

static void test_failure_after_the_head(void **state)
{
    static const struct {
        const char *request;
        const char *length;
        const char *output;
        bool reset;
    } cases[] = {
        {GET, NULL, "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
         false},
        {GET, "5", "HTTP/1.1 200 OK\r\n" DATE "content-length: 5\r\n\r\nok", false},
        {"GET / HTTP/1.0\r\n\r\n", NULL, "HTTP/1.1 200 OK\r\n" DATE "connection: close\r\n\r\nok",
         true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        peer_open(&p, &origin_waits);
        peer_write_text(&p, cases[i].request);
        origin_respond(p.origin.exchange, 200, cases[i].length);
        origin_send(p.origin.exchange, "ok");
        exchange_fail(p.origin.exchange, ROUTED_ERROR_BRIDGE_CLOSED);
        peer_turn(&p);
        expect_output(&p, cases[i].output);
        assert_int_equal(peer_wait(&p), SESSION_FINISHED);
        assert_int_equal(p.session->reset, cases[i].reset);
        assert_int_equal(p.origin.close_error, ROUTED_ERROR_BRIDGE_CLOSED);
        assert_int_equal(p.origin.ended, 1);
        peer_close(&p);
    }
}

static void test_bad_chunk_in_the_middle(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    exchange_grant(p.origin.exchange, 100);
    peer_write_text(&p, "5\r\nhello\r\nxyz\r\n" GET);
    assert_int_equal(p.origin.complete, 0);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_CHUNK);
    assert_true(peer_has(&p.output, "HTTP/1.1 400 Bad Request\r\n"));
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_close(&p);

    peer_open(&p, &origin_waits);
    peer_write_text(&p, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    exchange_grant(p.origin.exchange, 100);
    origin_respond(p.origin.exchange, 200, NULL);
    peer_write_text(&p, "5\r\nhello\r\nxyz\r\n" GET);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_CHUNK);
    assert_false(peer_has(&p.output, "0\r\n\r\n"));
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);
}

static void test_content_max(void **state)
{
    static const struct {
        const char *request;
        const char *statuses;
    } cases[] = {
        {"Content-Length: 9\r\n\r\n123456789", "200"},
        {"Content-Length: 10\r\n\r\n1234567890", "200"},
        {"Content-Length: 11\r\n\r\n12345678901", "413"},
        {"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n", "200"},
        {"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\nhello-\r\n0\r\n\r\n", "413"},
        {"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", "413"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        char statuses[32];
        peer_open(&p, &origin_reads_then_answers);
        p.options.limits.content_max = 10;
        peer_write_text(&p, "POST / HTTP/1.1\r\nHost: a\r\n");
        peer_write_text(&p, cases[i].request);
        peer_statuses(&p, statuses, sizeof(statuses));
        assert_string_equal(statuses, cases[i].statuses);
        peer_close(&p);
    }
}

/* ---- what is no HTTP/1 ---- */

/* Where HTTP/2 may begin too, a first line like its preface and unlike a request gets no answer. */
static void test_invalid_preface(void **state)
{
    static const struct {
        const char *input;
        bool has_http2;
        const char *statuses;
    } cases[] = {
        {"INVALID CONNECTION PREFACE\r\n\r\n", true, ""},
        {"INVALID CONNECTION PREFACE\r\n\r\n", false, "400"},
        {"INVALID CONNECTION\r\n\r\n", true, "400"},
        {"INVALID /CONNECTION PREFACE\r\n\r\n", true, "400"},
        {"GET * HTTP/9.9\r\n\r\n", true, "505"},
        {GET "INVALID CONNECTION PREFACE\r\n\r\n", true, "200,400"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        char statuses[32];
        peer_open(&p, &origin_reads_then_answers);
        p.options.has_http2 = cases[i].has_http2;
        peer_write_text(&p, cases[i].input);
        peer_turn(&p);
        peer_statuses(&p, statuses, sizeof(statuses));
        assert_string_equal(statuses, cases[i].statuses);
        assert_int_equal(peer_wait(&p), SESSION_LINGER);
        assert_int_equal(p.origin.refused, 1);
        peer_close(&p);
    }
}

/* ---- the connection's calls ---- */

static void test_fail(void **state)
{
    static const struct {
        const char *input;
        int error;
        const char *statuses;
        enum session_wait then;
        unsigned refused;
    } cases[] = {
        {"", ROUTED_ERROR_REQUEST_TIMEOUT, "", SESSION_FINISHED, 0},
        {"", ROUTED_ERROR_OVERLOADED, "503", SESSION_LINGER, 1},
        {"GET / HT", ROUTED_ERROR_REQUEST_TIMEOUT, "408", SESSION_LINGER, 1},
        {"\r\n", ROUTED_ERROR_REQUEST_TIMEOUT, "", SESSION_FINISHED, 0},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel", ROUTED_ERROR_TOO_SLOW, "408",
         SESSION_LINGER, 0},
        {GET, ROUTED_ERROR_ENGINE_TIMEOUT, "504", SESSION_IDLE, 0},
        {"junk\r\n", ROUTED_ERROR_TIMEOUT, "400", SESSION_FINISHED, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        char statuses[32];
        peer_open(&p, &origin_waits);
        peer_write_text(&p, cases[i].input);
        (p.session->ops->fail)(p.session, cases[i].error); /* cmocka has a macro of that name */
        peer_turn(&p);
        peer_statuses(&p, statuses, sizeof(statuses));
        assert_string_equal(statuses, cases[i].statuses);
        assert_int_equal(peer_wait(&p), cases[i].then);
        assert_int_equal(p.origin.refused, cases[i].refused);
        peer_close(&p);
    }
}

static void test_half_close(void **state)
{
    static const struct {
        const char *input;
        unsigned opened;
        int close_error;
        const char *statuses;
    } cases[] = {
        {"", 0, 0, ""},
        {"\r\n", 0, 0, ""},
        {"GET / HTT", 0, 0, "400"},
        {"GET / HTTP/1.1\r\nHost: a\r\n", 0, 0, "400"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel", 1, ROUTED_ERROR_TRUNCATED,
         "400"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n", 1,
         ROUTED_ERROR_TRUNCATED, "400"},
        {GET GET, 2, 0, "200,200"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p;
        char statuses[32];
        peer_open(&p, &origin_reads_then_answers);
        peer_write_text(&p, cases[i].input);
        peer_end(&p);
        peer_statuses(&p, statuses, sizeof(statuses));
        assert_string_equal(statuses, cases[i].statuses);
        assert_int_equal(p.origin.opened, cases[i].opened);
        assert_int_equal(p.origin.closed, cases[i].opened);
        assert_int_equal(p.origin.close_error, cases[i].close_error);
        assert_int_equal(peer_wait(&p), SESSION_FINISHED);
        peer_close(&p);
    }
}

/* The answer to a complete request is delivered in full, and so is that to one still held. */
static void test_half_close_before_the_answer(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, GET GET);
    peer_end(&p);
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    answer(&p, 200, "0", NULL);
    assert_int_equal(p.origin.opened, 2);
    answer(&p, 200, "0", NULL);
    char statuses[32];
    peer_statuses(&p, statuses, sizeof(statuses));
    assert_string_equal(statuses, "200,200");
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);
}

static void test_shut(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    p.session->ops->shut(p.session);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);

    peer_open(&p, &origin_waits);
    peer_write_text(&p, GET);
    p.session->ops->shut(p.session);
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    answer(&p, 200, "0", NULL);
    expect_output(&p, "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\nconnection: close\r\n\r\n");
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_close(&p);
}

static void test_abort(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    p.is_stuck = true;
    peer_write_text(&p, GET GET);
    p.origin.script = &origin_waits;
    peer_write_text(&p, GET);
    p.session->ops->abort(p.session, ROUTED_ERROR_CLIENT_GONE);
    assert_int_equal(p.origin.closed, 3);
    assert_int_equal(p.origin.ended, 3);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_CLIENT_GONE);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    struct span span;
    assert_int_equal(p.session->ops->drain(p.session, &span, 1), 0);
    peer_close(&p);
}

static void test_probe(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    assert_false(p.session->ops->probe(p.session));
    peer_write_text(&p, GET);
    assert_true(p.session->ops->probe(p.session));
    peer_turn(&p);
    expect_output(&p, CONTINUE);
    origin_respond(p.origin.exchange, 200, NULL);
    peer_turn(&p);
    buffer_clear(&p.output);
    assert_true(p.session->ops->probe(p.session));
    assert_false(p.session->ops->probe(p.session));
    origin_send(p.origin.exchange, "hello");
    assert_true(p.session->ops->probe(p.session));
    exchange_end(p.origin.exchange, NULL);
    peer_turn(&p);
    expect_output(&p, "05\r\nhello\r\n00\r\n\r\n");
    peer_close(&p);

    peer_open(&p, &origin_waits);
    peer_write_text(&p, "GET / HTTP/1.0\r\n\r\n");
    assert_false(p.session->ops->probe(p.session));
    peer_close(&p);
}

/* ---- tunnels ---- */

#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"

static void enter_tunnel(struct origin *o, struct exchange *x)
{
    struct http_response head = {.status = 101};
    (void)o;
    assert_int_equal(x->request.upgrade, HTTP_UPGRADE_WEBSOCKET);
    assert_int_equal(exchange_respond(x, &head), ROUTED_OK);
    exchange_grant(x, 4);
}

static const struct origin_script tunnels = {.on_request = enter_tunnel};

static void test_tunnel(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &tunnels);
    peer_write_text(&p, UPGRADE "\x01\n\x02GET");
    expect_output(&p, "HTTP/1.1 101 Switching Protocols\r\n" DATE
                      "connection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_int_equal(peer_wait(&p), SESSION_TUNNEL);
    assert_int_equal(buffer_size(&p.origin.body), 4);
    assert_false(p.session->wants_input);
    exchange_grant(p.origin.exchange, 100);
    peer_turn(&p);
    assert_int_equal(buffer_size(&p.origin.body), 6);
    origin_send(p.origin.exchange, "raw");
    peer_turn(&p);
    expect_output(&p, "raw");
    peer_end(&p);
    assert_int_equal(p.origin.complete, 1);
    assert_int_equal(peer_wait(&p), SESSION_TUNNEL);
    exchange_end(p.origin.exchange, NULL);
    peer_turn(&p);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(p.origin.close_error, ROUTED_OK);
    assert_int_equal(peer_wait(&p), SESSION_FINISHED);
    peer_close(&p);
}

static void test_tunnel_later_and_ended_by_the_application(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_waits);
    peer_write_text(&p, UPGRADE);
    enter_tunnel(&p.origin, p.origin.exchange);
    peer_turn(&p);
    peer_write_text(&p, "ab");
    assert_int_equal(buffer_size(&p.origin.body), 2);
    exchange_end(p.origin.exchange, NULL);
    peer_turn(&p);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(peer_wait(&p), SESSION_LINGER);
    peer_close(&p);
}

/* ---- memory ---- */

/* A kept connection allocates nothing for its second small request, and little is left at rest. */
static void test_memory(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_write_text(&p, GET);
    buffer_reserve(&p.output, 4096);
    size_t held = memory_held();
    uint8_t block[] = GET;
    for (int i = 0; i < 3; i++) {
        struct span span;
        memory_fault_set(1);
        p.origin.script = &origin_waits;
        assert_int_equal(p.session->ops->feed(p.session, NULL, span_of(block, sizeof(block) - 1)),
                         sizeof(block) - 1);
        origin_respond(p.origin.exchange, 200, "2");
        exchange_send(p.origin.exchange, slice_static(SPAN("ok")));
        exchange_end(p.origin.exchange, NULL);
        assert_int_equal(p.session->ops->drain(p.session, &span, 1), 1);
        p.session->ops->drained(p.session, span.size);
        assert_false(memory_fault_fired());
        memory_fault_set(0);
        assert_int_equal(peer_wait(&p), SESSION_IDLE);
        assert_int_equal(memory_held(), held);
    }
    peer_close(&p);
}

/* All memory but what the session itself holds. */
static void forget(struct peer *p)
{
    buffer_release(&p->held);
    buffer_release(&p->output);
    buffer_release(&p->origin.view);
    http1_spare_release(&p->spare);
}

/* What a request needs is the worker's again once it is answered. */
static void test_memory_of_idle(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    size_t fresh = memory_held();
    peer_write_text(&p, GET);
    assert_int_equal(p.spare.turn_count, 1);
    assert_int_equal(p.spare.output_count, 1);
    forget(&p);
    assert_int_equal(memory_held(), fresh);
    peer_write_text(&p, GET);
    assert_int_equal(p.origin.opened, 2);
    peer_close(&p);
}

/* A head in pieces leaves the memory of its longest line, until the connection rests. */
static void test_memory_at_rest(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    size_t fresh = memory_held();
    peer_write_text(&p, "GET / HT");
    peer_write_text(&p, "TP/1.1\r\nhost: x\r\n\r\n");
    forget(&p);
    assert_true(memory_held() > fresh);
    p.session->ops->rest(p.session);
    forget(&p);
    assert_int_equal(memory_held(), fresh);
    peer_write_text(&p, GET);
    assert_int_equal(p.origin.opened, 2);
    peer_close(&p);
}

static void answer_chunked(struct origin *o, struct exchange *x)
{
    struct field trailer = {SPAN("x-sum"), SPAN("1"), FIELD_OTHER};
    struct field_list trailers = {&trailer, 1, 1};
    (void)o;
    origin_respond(x, 200, NULL);
    origin_send(x, "small");
    exchange_send(x, slice_copy(span_of((uint8_t[4000]){0}, 4000)));
    exchange_end(x, &trailers);
}

static const struct origin_script answers_chunked = {.on_request = origin_grant_all,
                                                     .on_end = answer_chunked};

/* The n-th allocation fails, for every n: the connection is lost at worst. */
static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    bool fired = true;
    for (uint64_t nth = 1; fired; nth++) {
        struct peer p;
        peer_open(&p, &answers_chunked);
        buffer_reserve(&p.output, 65536);
        buffer_reserve(&p.origin.view, 4096);
        buffer_reserve(&p.origin.body, 4096);
        buffer_append_text(&p.held,
                           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                           "Connection: x-y\r\nX-Y: 1\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"
                           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 02\r\n\r\nab");
        memory_fault_set(nth);
        struct span rest = buffer_span(&p.held);
        while (rest.size) {
            size_t size = rest.size < 9 ? rest.size : 9;
            size_t taken = p.session->ops->feed(p.session, NULL, span_part(rest, 0, size));
            rest = span_after(rest, taken);
            peer_flush(&p);
        }
        fired = memory_fault_fired();
        memory_fault_set(0);
        assert_int_equal(p.origin.opened, p.origin.closed);
        assert_int_equal(p.origin.opened, p.origin.ended);
        if (!fired)
            assert_int_equal(p.origin.complete, 2);
        peer_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_head_goes_out_before_the_body),
        cmocka_unit_test(test_no_date_when_there_is_none),
        cmocka_unit_test(test_another_service_is_told_of),
        cmocka_unit_test(test_upgrade_required),
        cmocka_unit_test(test_fields_and_trailers),
        cmocka_unit_test(test_inform),
        cmocka_unit_test(test_application_closes),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_closed_when_written),
        cmocka_unit_test(test_pipeline_depth),
        cmocka_unit_test(test_next_request_waits_for_the_answer),
        cmocka_unit_test(test_response_credit),
        cmocka_unit_test(test_request_credit),
        cmocka_unit_test(test_chunked_end_without_credit),
        cmocka_unit_test(test_continue_when_granted),
        cmocka_unit_test(test_no_continue_once_content_began),
        cmocka_unit_test(test_final_answer_instead_of_continue),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_lingering_has_an_end),
        cmocka_unit_test(test_failure_before_the_head),
        cmocka_unit_test(test_failure_after_the_head),
        cmocka_unit_test(test_bad_chunk_in_the_middle),
        cmocka_unit_test(test_content_max),
        cmocka_unit_test(test_invalid_preface),
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_half_close_before_the_answer),
        cmocka_unit_test(test_shut),
        cmocka_unit_test(test_shut_from_inside_a_request),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_tunnel_later_and_ended_by_the_application),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_of_idle),
        cmocka_unit_test(test_memory_at_rest),
        cmocka_unit_test(test_every_allocation_fails_once),
    };
    return cmocka_run_group_tests_name("http1 session", tests, NULL, NULL);
}
