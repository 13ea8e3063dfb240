/* SPDX-License-Identifier: MIT */
/* From a path and a method to an endpoint, and all that follows from its row: 404, 405 with Allow,
 * OPTIONS of other sites' pages, HEAD, unknown or doubled parameters. */
#pragma once

#include <stdbool.h>

#include "api/endpoint.h"

struct route {
    const struct endpoint *endpoint; /* NULL: none */
    unsigned methods;                /* then: that the path has; 0: there is no such path */
};

/* In which row of which table, NULL at their end. The request gets its subject. Where a path is
 * written out in one row, rows behind it that have a `*` in its place do not count: /jobs/retry is
 * no job. Such a row stands before those. */
struct route route_find(struct request *request, const struct endpoint *const *tables);
/* Answers a request that has no endpoint. */
void route_refuse(struct call *call, const struct route *route);
/* A request that has parameters: does its endpoint know all of them, and is each given once? Else
 * it is answered. */
bool route_knows_parameters(struct call *call);
