/* pages.c: answers that are ready at once. */
#include "page.h"
#include "showcase.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define FIELDS_MAX    900
#define REDIRECTS_MAX 1000

static int show_page(routed_exchange *x, void *user)
{
    (void)user;
    const char *protocol = routed_request_protocol(x);
    struct text html = TEXT_EMPTY;
    text_add(&html, page_before_protocol);
    text_add(&html, protocol ? protocol : "?");
    text_add(&html, page_after_protocol);
    int error = html.failed ? ROUTED_ERROR_MEMORY : routed_response_html(x, html.bytes);
    text_free(&html);
    return error;
}

static int show_json(routed_exchange *x, void *user)
{
    (void)user;
    return routed_response_json(x, "{\"ok\":true}");
}

static int show_text(routed_exchange *x, void *user)
{
    (void)user;
    return routed_response_text(x, "hello");
}

static int show_status(routed_exchange *x, void *user)
{
    (void)user;
    int64_t status;
    if (routed_request_param_number(x, "code", &status) != ROUTED_OK || status < 200 ||
        status > 999)
        return routed_response_error(x, 400);
    routed_response_status(x, (int)status);
    return routed_response_format(x, "text/plain; charset=utf-8", "status %d\n", (int)status);
}

static int show_fields(routed_exchange *x, void *user)
{
    (void)user;
    int64_t count;
    if (routed_request_param_number(x, "n", &count) != ROUTED_OK || count > FIELDS_MAX)
        return routed_response_error(x, 400);
    for (int i = 1; i <= (int)count; i++) {
        char name[32], value[16];
        snprintf(name, sizeof(name), "x-field-%d", i);
        snprintf(value, sizeof(value), "%d", i);
        int error = routed_response_add_field(x, name, value);
        if (error != ROUTED_OK)
            return error;
    }
    return routed_response_text(x, "fields\n");
}

static int show_hints(routed_exchange *x, void *user)
{
    (void)user;
    static const routed_field links[] = {{"link", "</style.css>; rel=preload; as=style"}};
    int error = routed_response_inform(x, 103, links, 1);
    return error == ROUTED_OK ? routed_response_text(x, "hinted\n") : error;
}

static int redirect(routed_exchange *x, void *user)
{
    (void)user;
    int64_t left;
    if (routed_request_param_number(x, "n", &left) != ROUTED_OK || left > REDIRECTS_MAX)
        return routed_response_error(x, 400);
    if (left == 0)
        return show_json(x, user);
    char location[32] = "/json";
    if (left > 1)
        snprintf(location, sizeof(location), "/redirect/%d", (int)(left - 1));
    return routed_response_redirect(x, 302, location);
}

/* The client learns that something failed, and nothing else. */
static int fail(routed_exchange *x, void *user)
{
    (void)x;
    (void)user;
    return ROUTED_ERROR_HANDLER;
}

/* ---- routes and their parameters ---- */

static int show_route(routed_exchange *x, void *user)
{
    (void)user;
    const char *name, *value;
    struct text json = TEXT_EMPTY;
    text_add(&json, "{\"route\":");
    text_add_json(&json, routed_request_pattern(x));
    text_add(&json, ",\"params\":{");
    for (size_t i = 0; routed_request_param_at(x, i, &name, &value) == ROUTED_OK; i++) {
        text_add(&json, i ? "," : "");
        text_add_json(&json, name);
        text_add(&json, ":");
        text_add_json(&json, value);
    }
    text_add(&json, "}}");
    int error = json.failed ? ROUTED_ERROR_MEMORY : routed_response_json(x, json.bytes);
    text_free(&json);
    return error;
}

static int guard_shop(routed_exchange *x, void *user)
{
    (void)user;
    int error = routed_response_set_field(x, "x-shop", "open");
    if (error != ROUTED_OK)
        return error;
    if (strcmp(routed_request_path(x), "/shop/closed") == 0)
        return routed_response_error(x, 403);
    return ROUTED_NEXT;
}

static int add_shop(routed_engine *engine)
{
    static const char *const patterns[] = {"", "/items/{id}", "/items/{id}/reviews/{review}",
                                           "/closed"};
    routed_group *shop = routed_engine_group(engine, "/shop");
    if (!shop)
        return ROUTED_ERROR_MEMORY;
    int error = routed_group_use(shop, guard_shop, NULL, NULL);
    for (size_t i = 0; error == ROUTED_OK && i < sizeof(patterns) / sizeof(patterns[0]); i++)
        error = routed_group_route(shop, "GET", patterns[i], show_route, NULL, NULL);
    return error;
}

int add_pages(routed_engine *engine)
{
    int error = add_shop(engine);
    add_route(&error, engine, "GET", "/", show_page, NULL);
    add_route(&error, engine, "GET", "/json", show_json, NULL);
    add_route(&error, engine, "GET", "/text", show_text, NULL);
    add_route(&error, engine, "*", "/status/{code}", show_status, NULL);
    add_route(&error, engine, "GET", "/fields/{n}", show_fields, NULL);
    add_route(&error, engine, "GET", "/hints", show_hints, NULL);
    add_route(&error, engine, "GET", "/redirect/{n}", redirect, NULL);
    add_route(&error, engine, "GET", "/fail", fail, NULL);
    add_route(&error, engine, "GET", "/users/{id}", show_route, NULL);
    add_route(&error, engine, "GET", "/files/{*path}", show_route, NULL);
    return error;
}
