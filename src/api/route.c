/* SPDX-License-Identifier: MIT */
#include "api/route.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static bool path_matches(const char *pattern, const char *path, char capture[ROUTE_CAPTURE_SIZE])
{
    capture[0] = '\0';
    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '*') {
            if (*path++ != *pattern)
                return false;
            continue;
        }
        size_t length = strcspn(path, "/");
        if (length == 0 || length >= ROUTE_CAPTURE_SIZE)
            return false;
        memcpy(capture, path, length);
        capture[length] = '\0';
        path += length;
    }
    return *path == '\0';
}

static const struct route *find(const struct route *routes, size_t len, const char *path,
                                char capture[ROUTE_CAPTURE_SIZE])
{
    for (size_t i = 0; i < len; i++)
        if (path_matches(routes[i].path, path, capture))
            return &routes[i];
    return NULL;
}

static const struct route_method *method_for(const struct route *route, enum method method)
{
    if (method == METHOD_HEAD && !route->acts_on_get)
        method = METHOD_GET;
    for (int i = 0; i < ROUTE_METHODS_MAX; i++)
        if (route->methods[i].serve != NULL && route->methods[i].method == method)
            return &route->methods[i];
    return NULL;
}

/* route NULL: what any of them takes. */
static unsigned allowed(const struct route *route, bool options)
{
    static const enum method all[] = {METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_DELETE};
    unsigned set = options ? METHOD_OPTIONS : 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (route == NULL || method_for(route, all[i]) != NULL)
            set |= all[i];
    return set;
}

struct parameter_check {
    const char *const *known;
    unsigned seen; /* a bit for each of the route's parameters */
    char why[320]; /* "": nothing wrong */
};

static bool check_parameter(void *context, const char *name, const char *value)
{
    struct parameter_check *check = context;
    const char *const *known = check->known;
    char shown[64];
    if (*name == '\0' && *value == '\0') /* between two `&`: as parsers of forms see it, nothing */
        return true;
    if (*name == '\0')
        name = "without a name";
    unsigned i = 0;
    while (i < ROUTE_PARAMETERS_MAX && known[i] != NULL && strcmp(known[i], name) != 0)
        i++;
    if (i < ROUTE_PARAMETERS_MAX && known[i] != NULL) {
        if ((check->seen & 1U << i) != 0)
            snprintf(check->why, sizeof check->why, "parameter %s is given twice", known[i]);
        check->seen |= 1U << i;
        return check->why[0] == '\0';
    }
    int used =
        snprintf(check->why, sizeof check->why, "unknown parameter %s; there %s",
                 text_printable(name, shown, sizeof shown), known[0] != NULL ? "is" : "are none");
    for (i = 0; i < ROUTE_PARAMETERS_MAX && known[i] != NULL; i++)
        used += snprintf(check->why + used, sizeof check->why - (size_t)used, "%s %s",
                         i > 0 ? "," : "", known[i]);
    return false;
}

static enum step refuse(struct call *call, unsigned status, const char *why)
{
    reply_error(call->reply, call->request->wants_json, status, why);
    return STEP_REPLY;
}

/* The method is not one of the row's; NULL: it asks for the whole server. OPTIONS is for the pages
 * of another site alone, whose browser asks first. */
static enum step other_method(struct call *call, const struct route *route)
{
    const struct request *request = call->request;
    methods_list(allowed(route, request->cors_allowed), call->reply->allow);
    if (request->method != METHOD_OPTIONS || !request->cors_allowed)
        return refuse(call, 405, "method not allowed");
    call->reply->status = 204;
    return STEP_REPLY;
}

static enum step serve_row(struct call *call, const struct route *route, route_guard *guard)
{
    static const char *const none[ROUTE_PARAMETERS_MAX] = {NULL};
    const struct route_method *method = method_for(route, call->request->method);
    if (method == NULL)
        return other_method(call, route);
    if (!call->request->resumed && !guard(call, route, method->scope))
        return STEP_REPLY;
    if (!route->any_parameter && !call->request->resumed) {
        bool first = method->serve == route->methods[0].serve;
        struct parameter_check check = {.known = first ? route->parameters : none};
        request_parameters(call->request, check_parameter, &check);
        if (check.why[0] != '\0')
            return refuse(call, 400, check.why);
    }
    return method->serve(call);
}

bool route_admits(struct call *call, const struct route *routes, size_t routes_len,
                  route_guard *guard)
{
    const struct request *request = call->request;
    const struct route *route = find(routes, routes_len, request->path, call->capture);
    const struct route_method *method = route != NULL ? method_for(route, request->method) : NULL;
    return method == NULL || guard(call, route, method->scope);
}

enum step route_serve(struct call *call, const struct route *routes, size_t routes_len,
                      route_guard *guard)
{
    const struct request *request = call->request;
    const struct route *route = find(routes, routes_len, request->path, call->capture);
    if (route != NULL)
        return serve_row(call, route, guard);
    if (request->method == METHOD_OPTIONS && strcmp(request->path, "*") == 0)
        return other_method(call, NULL);
    return refuse(call, 404, "not found");
}
