/* SPDX-License-Identifier: MIT */
/* GET /openapi.json: what there is, for tools, in OpenAPI 3.1. Paths, methods, parameters, scopes,
 * answers and the fields of their headers come from the rows that the server goes by itself; what
 * parameters, fields and answers look like stands in openapi/openapi.json. */
#pragma once

#include "api/endpoint.h"
#include "base/json.h"

/* Of all tables, NULL at their end: what is described. Before any request. */
void openapi_init(const struct endpoint *const *tables);

/* The description, to be deleted; NULL when memory is short, or something is not described: then
 * `missing` says what, if it is not NULL. */
cJSON *openapi_json(const struct endpoint *const *tables, char missing[128]);
