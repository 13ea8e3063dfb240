/* SPDX-License-Identifier: MIT */
/* Do answers have the header fields that /openapi.json describes? The polite client asks this of
 * every answer that it gets, in whichever test, and server_stop_all() fails when one was not as
 * described: it had a field that the description of its operation and status does not name, or not
 * one that it says always comes. Any thread may ask. */
#pragma once

#include "api/endpoint.h"
#include "base/json.h"

/* All there are, NULL at their end. */
extern const struct endpoint *const described_tables[];

/* The description, made when it is first asked for; it lives as long as the program. */
const cJSON *described(void);
/* What a reference leads to; what is none, itself. NULL: nothing. */
const cJSON *described_thing(const cJSON *object);
/* Of that request; NULL when there is none. `path` may have parameters. */
const cJSON *described_operation(const char *method, const char *path);
/* Its answer of that status, "default" where that is not named. `operation` NULL: what any other
 * request may get. */
const cJSON *described_answer(const cJSON *operation, long status);

/* `head` is the status line and the fields. */
void described_check(const char *method, const char *path, long status, const char *head);
/* False when one was not as described since this was asked last, and `why` says which. */
enum { DESCRIBED_WHY_SIZE = 512 };
bool described_well(char why[DESCRIBED_WHY_SIZE]);

/* One field after the other: starts at the head, NULL when there is none any more. */
const char *described_next_field(const char *at, char name[64]);
