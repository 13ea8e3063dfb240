/* SPDX-License-Identifier: MIT */
/* Finds the endpoint of a path and a method; and answers what has none, or parameters that its row
 * does not have: 404, 405 with Allow, OPTIONS, 400. */
#pragma once

#include <stdbool.h>

#include "api/endpoint.h"

struct route {
    const struct endpoint *endpoint; /* NULL: none */
    unsigned methods;                /* then those that the path has; 0: there is no such path */
};

/* Looks in all rows of `tables`, which NULL ends, and sets the request's subject. A row that has
 * the whole path must stand before rows that have a `*` in it, and hides them: /jobs/retry is no
 * job. */
struct route route_find(struct request *request, const struct endpoint *const *tables);
/* The answer to a request that has no endpoint. */
void route_refuse(struct call *call, const struct route *route);
/* Does the endpoint know all parameters of the request, and is each given once? False: the reply
 * says which is wrong. */
bool route_knows_parameters(struct call *call);
