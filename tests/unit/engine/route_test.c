#include "engine/carrier.h"

#include "engine/setup.h"
#include <stdio.h>

static int answer_with_user(routed_exchange *x, void *user)
{
    return routed_response_text(x, user);
}

static int answer_with_params(routed_exchange *x, void *user)
{
    char text[256] = "";
    size_t at = 0;
    (void)user;
    for (size_t i = 0; i < routed_request_param_count(x); i++) {
        const char *name;
        const char *value;
        assert_int_equal(routed_request_param_at(x, i, &name, &value), ROUTED_OK);
        assert_string_equal(routed_request_param(x, name), value);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s=%s;", name, value);
    }
    assert_int_equal(routed_request_param_at(x, 16, NULL, NULL), ROUTED_ERROR_ARGUMENT);
    return routed_response_text(x, text);
}

static void add(routed_engine *e, const char *method, const char *pattern)
{
    assert_int_equal(
        routed_engine_route(e, method, pattern, answer_with_user, (void *)(uintptr_t)pattern, NULL),
        ROUTED_OK);
}

static int setup(void **state)
{
    carrier_begin(state);
    return 0;
}

static void expect(struct carrier *c, const char *method, const char *target, int status,
                   const char *body)
{
    carrier_do(c, method, target);
    assert_int_equal(c->status, status);
    assert_body(c, body);
}

static void test_precedence(void **state)
{
    struct carrier *c = *state;
    add(c->engine, "GET", "/");
    add(c->engine, "GET", "/users/me");
    add(c->engine, "GET", "/users/{id}");
    add(c->engine, "GET", "/users/{id}/posts");
    add(c->engine, "GET", "/users/{*rest}");
    add(c->engine, "GET", "/users/me/{what}/x");
    engine_freeze(c->engine);
    expect(c, "GET", "/", 200, "/");
    expect(c, "GET", "/users/me", 200, "/users/me");
    expect(c, "GET", "/users/42", 200, "/users/{id}");
    expect(c, "GET", "/users/42/posts", 200, "/users/{id}/posts");
    expect(c, "GET", "/users/42/other", 200, "/users/{*rest}");
    /* The choices "me" and then "{what}" lead nowhere and are taken back. */
    expect(c, "GET", "/users/me/posts", 200, "/users/{id}/posts");
    expect(c, "GET", "/users/me/posts/x", 200, "/users/me/{what}/x");
    expect(c, "GET", "/users/me/posts/y", 200, "/users/{*rest}");
    expect(c, "GET", "/users/", 200, "/users/{*rest}");
    expect(c, "GET", "/users", 404, "Not Found\n");
    expect(c, "GET", "/users//posts", 200, "/users/{*rest}");
    expect(c, "GET", "//", 404, "Not Found\n");
    expect(c, "GET", "/Users/me", 404, "Not Found\n");
}

static void test_methods(void **state)
{
    struct carrier *c = *state;
    add(c->engine, "GET", "/a");
    add(c->engine, "PUT", "/a");
    add(c->engine, "POST", "/{x}");
    add(c->engine, "*", "/any");
    add(c->engine, NULL, "/null");
    add(c->engine, "OPTIONS", "/own");
    engine_freeze(c->engine);
    expect(c, "GET", "/a", 200, "/a");
    expect(c, "PUT", "/a", 200, "/a");
    /* A path may match several patterns: the first with the method answers. */
    expect(c, "POST", "/a", 200, "/{x}");
    expect(c, "DELETE", "/a", 405, "Method Not Allowed\n");
    assert_field(c, "allow: GET, HEAD, OPTIONS, POST, PUT");
    expect(c, "get", "/a", 405, "Method Not Allowed\n");
    expect(c, "DELETE", "/b", 405, "Method Not Allowed\n");
    assert_field(c, "allow: OPTIONS, POST");
    expect(c, "BREW", "/any", 200, "/any");
    expect(c, "OPTIONS", "/any", 200, "/any");
    expect(c, "TRACE", "/null", 200, "/null");
    expect(c, "OPTIONS", "/own", 200, "/own");
}

static void test_head_and_options(void **state)
{
    struct carrier *c = *state;
    add(c->engine, "GET", "/a");
    add(c->engine, "GET", "/b");
    add(c->engine, "HEAD", "/b");
    add(c->engine, "DELETE", "/c");
    engine_freeze(c->engine);
    expect(c, "HEAD", "/a", 200, "");
    assert_int_equal(c->length, 2);
    assert_int_equal(c->ends, 1);
    expect(c, "HEAD", "/c", 405, "");
    expect(c, "OPTIONS", "/a", 204, "");
    assert_field(c, "allow: GET, HEAD, OPTIONS");
    assert_int_equal(c->length, HTTP_LENGTH_UNKNOWN);
    expect(c, "OPTIONS", "/c", 204, "");
    assert_field(c, "allow: DELETE, OPTIONS");
    expect(c, "OPTIONS", "/d", 404, "Not Found\n");
    expect(c, "OPTIONS", "*", 204, "");
    assert_field(c, "allow: DELETE, GET, HEAD, OPTIONS");
    expect(c, "GET", "*", 404, "Not Found\n");
}

static void add_params(routed_engine *e, const char *pattern)
{
    assert_int_equal(routed_engine_route(e, "GET", pattern, answer_with_params, NULL, NULL),
                     ROUTED_OK);
}

static void test_params(void **state)
{
    struct carrier *c = *state;
    add_params(c->engine, "/u/{id}");
    add_params(c->engine, "/u/{other}/{x}");
    add_params(c->engine, "/f/{*path}");
    engine_freeze(c->engine);
    expect(c, "GET", "/u/a%20b", 200, "id=a b;");
    expect(c, "GET", "/u/a+b", 200, "id=a+b;");
    expect(c, "GET", "/u/1/2", 200, "other=1;x=2;");
    /* Decoded once, and after the path was cut at its slashes. */
    expect(c, "GET", "/u/a%2Fb", 200, "id=a/b;");
    expect(c, "GET", "/u/%2541", 200, "id=%41;");
    expect(c, "GET", "/u/%c3%a9", 200, "id=\xc3\xa9;");
    expect(c, "GET", "/f/a/b/c", 200, "path=a/b/c;");
    expect(c, "GET", "/f/a%2fb/", 200, "path=a/b/;");
    expect(c, "GET", "/f/", 200, "path=;");
    expect(c, "GET", "/f", 404, "Not Found\n");
    expect(c, "GET", "/u/", 404, "Not Found\n");
}

static void test_broken_escapes(void **state)
{
    static const char *const targets[] = {"/u/%",   "/u/a%4",   "/u/%zz", "/u/%4g",
                                          "/u/%00", "/u/a%%41", "/u/%-1", "/u/ok%2"};
    struct carrier *c = *state;
    add_params(c->engine, "/u/{id}");
    engine_freeze(c->engine);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        expect(c, "GET", targets[i], 400, "Bad Request\n");
    /* What is text in the pattern is compared as received. */
    expect(c, "GET", "/%75/1", 404, "Not Found\n");
}

static int check_numbers(routed_exchange *x, void *user)
{
    int64_t number = 7;
    size_t size = 0;
    (void)user;
    assert_int_equal(routed_request_param_number(x, "n", &number), ROUTED_OK);
    assert_int_equal(number, 42);
    assert_int_equal(routed_request_param_number(x, "none", &number), ROUTED_ERROR_ARGUMENT);
    assert_string_equal(routed_request_param_raw(x, "n"), "%342");
    assert_null(routed_request_param(x, "none"));
    assert_int_equal(routed_request_query_number(x, "ms", -1), 250);
    assert_int_equal(routed_request_query_number(x, "bad", -1), -1);
    assert_int_equal(routed_request_query_number(x, "none", -1), -1);
    assert_string_equal(routed_request_query_param(x, "t", &size), "a b&c");
    assert_int_equal(size, 5);
    assert_string_equal(routed_request_query_param(x, "flag", NULL), "");
    assert_null(routed_request_query_param(x, "broken", NULL));
    assert_null(routed_request_query_param(x, "m", NULL));
    assert_string_equal(routed_request_pattern(x), "/n/{n}");
    return routed_response_empty(x, 204);
}

static void test_numbers_and_query(void **state)
{
    struct carrier *c = *state;
    routed_engine_route(c->engine, "GET", "/n/{n}", check_numbers, NULL, NULL);
    engine_freeze(c->engine);
    expect(c, "GET", "/n/%342?ms=250&bad=1x&t=a+b%26c&flag&broken=%4&&ms=9", 204, "");
}

static void test_refused_patterns(void **state)
{
    static const char *const patterns[] = {"",         "a",           "/{",       "/}",    "/{}",
                                           "/{*}",     "/{*a}/b",     "/a?b",     "/a#b",  "/a b",
                                           "/{a}/{a}", "/{a}/b/{*a}", "/{a b}",   "/x{a}", "/{a}y",
                                           "/{a/b}",   "/\x01",       "/\xc3\xa9"};
    struct carrier *c = *state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        assert_int_equal(
            routed_engine_route(c->engine, "GET", patterns[i], answer_with_user, NULL, NULL),
            ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_engine_route(c->engine, "G T", "/", answer_with_user, NULL, NULL),
                     ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_engine_route(c->engine, "", "/", answer_with_user, NULL, NULL),
                     ROUTED_ERROR_ARGUMENT);
    assert_int_equal(routed_engine_route(c->engine, "GET", "/", NULL, NULL, NULL),
                     ROUTED_ERROR_ARGUMENT);
    add(c->engine, "GET", "/{a}/b");
    assert_int_equal(
        routed_engine_route(c->engine, "GET", "/{other}/b", answer_with_user, NULL, NULL),
        ROUTED_ERROR_ARGUMENT);
    add(c->engine, "POST", "/{other}/b");
}

static void test_limits_of_patterns(void **state)
{
    struct carrier *c = *state;
    char pattern[512];
    size_t at = 0;
    for (int i = 0; i < 16; i++)
        at += (size_t)snprintf(pattern + at, sizeof(pattern) - at, "/{p%d}", i);
    add_params(c->engine, pattern);
    snprintf(pattern + at, sizeof(pattern) - at, "/{p16}");
    assert_int_equal(routed_engine_route(c->engine, "GET", pattern, answer_with_params, NULL, NULL),
                     ROUTED_ERROR_ARGUMENT);
    at = 0;
    for (int i = 0; i < 64; i++)
        at += (size_t)snprintf(pattern + at, sizeof(pattern) - at, "/s");
    add(c->engine, "GET", pattern);
    snprintf(pattern + at, sizeof(pattern) - at, "/s");
    assert_int_equal(routed_engine_route(c->engine, "GET", pattern, answer_with_user, NULL, NULL),
                     ROUTED_ERROR_ARGUMENT);
}

static void test_frozen(void **state)
{
    struct carrier *c = *state;
    assert_int_equal(engine_freeze(c->engine), ROUTED_OK);
    assert_int_equal(routed_engine_route(c->engine, "GET", "/", answer_with_user, NULL, NULL),
                     ROUTED_ERROR_STATE);
    assert_null(routed_engine_group(c->engine, "/g"));
    assert_int_equal(engine_freeze(c->engine), ROUTED_OK);
}

static void test_unfrozen_engine_serves_nothing(void **state)
{
    struct carrier *c = *state;
    carrier_do(c, "GET", "/");
    assert_int_equal(c->failed, ROUTED_ERROR_STATE);
}

/* What the lookups of all routes cost in an engine with that many, per hundred lookups. */
static size_t steps_among(size_t count)
{
    static char patterns[1000][48];
    routed_engine *e = routed_engine_new();
    for (size_t i = 0; i < count; i++) {
        snprintf(patterns[i], sizeof(patterns[i]), "/api/v%zu/items/{id}/part%zu", i % 50, i);
        add(e, "GET", patterns[i]);
    }
    engine_freeze(e);
    size_t steps = 0;
    for (size_t i = 0; i < count; i++) {
        char path[64];
        struct route_match match;
        struct http_request request = {.method = SPAN("GET")};
        snprintf(path, sizeof(path), "/api/v%zu/items/77/part%zu", i % 50, i);
        request.path = span_from(path);
        engine_route_match(&match, e, &request);
        assert_int_equal(match.answer, ROUTE_HANDLER);
        assert_string_equal(match.route->pattern, patterns[i]);
        steps += match.steps;
    }
    routed_engine_free(e);
    return 100 * steps / count;
}

static void test_lookup_does_not_grow_with_routes(void **state)
{
    (void)state;
    size_t few = steps_among(10);
    size_t many = steps_among(1000);
    /* Five segments are five visits and, for those that are text, at least one slot each. */
    assert_true(few >= 900);
    assert_true(many * 10 <= few * 12); /* the hash may be a fifth less lucky */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, carrier_finish)
    const struct CMUnitTest tests[] = {
        TEST(test_precedence),
        TEST(test_methods),
        TEST(test_head_and_options),
        TEST(test_params),
        TEST(test_broken_escapes),
        TEST(test_numbers_and_query),
        TEST(test_refused_patterns),
        TEST(test_limits_of_patterns),
        TEST(test_frozen),
        TEST(test_unfrozen_engine_serves_nothing),
        TEST(test_lookup_does_not_grow_with_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
