/* SPDX-License-Identifier: MIT */
#include "api/route.h"

#include <stdio.h>
#include <string.h>

#include "api/respond.h"
#include "base/text.h"

/* ---- paths */

enum fit { FIT_NONE, FIT_STAR, FIT_WRITTEN_OUT };

static enum fit path_fit(const char *pattern, const char *path, char subject[REQUEST_SUBJECT_SIZE])
{
    enum fit fit = FIT_WRITTEN_OUT;
    subject[0] = '\0';
    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '*') {
            if (*path++ != *pattern)
                return FIT_NONE;
            continue;
        }
        size_t length = strcspn(path, "/%"); /* an encoded slash has stayed one */
        if (length == 0 || length >= REQUEST_SUBJECT_SIZE)
            return FIT_NONE;
        memcpy(subject, path, length);
        subject[length] = '\0';
        path += length;
        fit = FIT_STAR;
    }
    return *path == '\0' ? fit : FIT_NONE;
}

static enum fit fit_of(const struct endpoint *endpoint, struct request *request)
{
    enum fit fit = FIT_NONE;
    for (int i = 0; i < ENDPOINT_PATHS_MAX && endpoint->paths[i] != NULL && fit == FIT_NONE; i++)
        fit = path_fit(endpoint->paths[i], request->path, request->subject);
    return fit;
}

struct route route_find(struct request *request, const struct endpoint *const *tables)
{
    struct route route = {NULL, 0};
    enum fit least = FIT_STAR;
    for (; *tables != NULL; tables++)
        for (const struct endpoint *row = *tables; row->methods != 0; row++) {
            enum fit fit = fit_of(row, request);
            if (fit < least)
                continue;
            if ((row->methods & request->method) != 0)
                return (struct route){.endpoint = row};
            route.methods |= row->methods;
            least = fit;
        }
    return route;
}

/* OPTIONS is for the pages of another site alone, whose browser asks first. */
void route_refuse(struct call *call, const struct route *route)
{
    static const unsigned any =
        GET_OR_HEAD | METHOD_POST | METHOD_PUT | METHOD_PATCH | METHOD_DELETE;
    const struct request *request = call->request;
    bool asks = request->method == METHOD_OPTIONS;
    unsigned methods = asks && strcmp(request->path, "*") == 0 ? any : route->methods;
    if (methods == 0) {
        (void)respond_error(call, 404, "not found");
        return;
    }
    call->reply->allow = methods | (request->cors_allowed ? METHOD_OPTIONS : 0);
    if (asks && request->cors_allowed)
        call->reply->status = 204;
    else
        (void)respond_error(call, 405, "method not allowed");
}

/* ---- parameters */

struct parameter_check {
    const char *const *known;
    const char *repeated;
    unsigned seen; /* a bit for each of them */
    char why[512]; /* "": nothing wrong */
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
    while (i < ENDPOINT_PARAMETERS_MAX && known[i] != NULL && strcmp(known[i], name) != 0)
        i++;
    if (i < ENDPOINT_PARAMETERS_MAX && known[i] != NULL) {
        if ((check->seen & 1U << i) != 0 &&
            (check->repeated == NULL || strcmp(known[i], check->repeated) != 0))
            snprintf(check->why, sizeof check->why, "parameter %s is given twice", known[i]);
        check->seen |= 1U << i;
        return check->why[0] == '\0';
    }
    int used =
        snprintf(check->why, sizeof check->why, "unknown parameter %s; there %s",
                 text_printable(name, shown, sizeof shown), known[0] != NULL ? "is" : "are none");
    for (i = 0; i < ENDPOINT_PARAMETERS_MAX && known[i] != NULL; i++)
        used += snprintf(check->why + used, sizeof check->why - (size_t)used, "%s %s",
                         i > 0 ? "," : "", known[i]);
    return false;
}

bool route_knows_parameters(struct call *call)
{
    const struct endpoint *endpoint = call->request->endpoint;
    if (endpoint->any_parameter)
        return true;
    struct parameter_check check = {.known = endpoint->parameters, .repeated = endpoint->repeated};
    request_parameters(call->request, check_parameter, &check);
    if (check.why[0] != '\0')
        (void)respond_error(call, 400, check.why);
    return check.why[0] == '\0';
}
