/* SPDX-License-Identifier: MIT */
/* The table of endpoints: which path, which methods, which parameters; and all that follows from
 * a row: 404, 405 with Allow, OPTIONS of other sites' pages, HEAD, unknown or doubled parameters.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "api/auth.h"
#include "http/request.h"

enum {
    ROUTE_CAPTURE_SIZE = 80, /* a piece of a path: a queue's name or a job's id */
    ROUTE_PARAMETERS_MAX = 6,
    ROUTE_METHODS_MAX = 2
};

/* One request on its way through its endpoint. */
struct call {
    struct api *api;
    struct request *request;
    struct reply *reply;
    start_wait **start;
    char capture[ROUTE_CAPTURE_SIZE]; /* what stood for `*` in the path */
};

typedef enum step endpoint(struct call *call);

/* What a call concerns, for tokens that are good for one queue only. */
enum about { ABOUT_ALL, ABOUT_QUEUE, ABOUT_JOB, ABOUT_LEASE, ABOUT_FILTER };

struct route {
    const char *path; /* `*` stands for one piece */
    struct route_method {
        enum method method;
        endpoint *serve;
        enum scope scope; /* that a token needs */
    } methods[ROUTE_METHODS_MAX];
    enum about about;
    bool acts_on_get;   /* so HEAD would act too, and is refused */
    bool any_parameter; /* of whatever others add to the address */
    /* The ones there are, NULL at the end; for the first endpoint: another one takes none. */
    const char *parameters[ROUTE_PARAMETERS_MAX];
};

/* May the call do that? False when it has been answered instead. */
typedef bool route_guard(struct call *call, const struct route *route, enum scope scope);

/* What the guard says, where there is a row and a method; else true. */
bool route_admits(struct call *call, const struct route *routes, size_t routes_len,
                  route_guard *guard);
/* Serves the call by the row that matches; or answers it, when none does. */
enum step route_serve(struct call *call, const struct route *routes, size_t routes_len,
                      route_guard *guard);
