/* SPDX-License-Identifier: MIT */
/* What endpoints have in common: replies, what a path names, and the values of parameters. A
 * respond_*() fills in the call's reply and returns STEP_REPLY. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/endpoint.h"
#include "api/job_values.h"
#include "base/json_out.h"

/* An error, as text or as a problem. */
enum step respond_error(struct call *call, unsigned status, const char *detail);
enum step respond_no_memory(struct call *call);
/* What the engine said, when it said no. */
enum step respond_result(struct call *call, enum jobd_result result);
/* The status of that, and what it says; 500: it is none that a client may get. */
unsigned result_status(enum jobd_result result, const char **detail);
/* 400: allowed is ... */
enum step respond_bad_value(struct call *call, const char *name, const char *allowed);
/* Takes `object`, which may be NULL or incomplete (`whole` false) when memory was short. */
enum step respond_json(struct call *call, unsigned status, cJSON *object, bool whole);
/* 200 and what has been written. */
enum step respond_written(struct call *call, struct json_out *out);
/* 200 and a line of text, as printf() would have it. */
__attribute__((format(printf, 2, 3))) enum step respond_printed(struct call *call,
                                                                const char *format, ...);
/* A line of one word for people, {"status": word} for programs. It must outlive the reply. */
enum step respond_word(struct call *call, unsigned status, const char *line);
/* What a client has sent, or a job has put out, with its type: takes the reference. NULL: no bytes.
 */
enum step respond_bytes(struct call *call, unsigned status, struct jobd_blob *bytes);
/* An endpoint's answer: 200 and its line; or what the engine said. */
enum step respond_line(struct call *call, enum jobd_result result);

/* What a blob of a request takes beside its bytes and its type, and malloc() for it, about. */
enum { BLOB_BYTES = sizeof(struct jobd_blob) + 16 };

#define TIME_VALUES     "an RFC 3339 time like 2026-12-01T09:00:00Z"
#define DURATION_VALUES "a duration like 250ms, 30s, 5m, 2h or 7d"

/* The moment that the wall clock calls so, as the engine takes it: never 0, which would be none. */
int64_t moment_of_wall(int64_t wall_us);

/* The name of the queue in the path, or the default one's. */
const char *path_queue(const struct call *call);
/* That queue, if it takes jobs in; JOBD_NO_QUEUE: there is none of that name. */
uint32_t path_declared_queue(const struct call *call);
/* Of one that gives jobs out. */
uint32_t path_giving_queue(const struct call *call);
/* The first of several words between commas, "" when it is longer than there is room for; returns
 * what follows its comma, NULL when there is none. */
const char *next_word(const char *words, char *word, size_t size);
/* The job's id in the path, or 0. */
uint64_t path_id(const struct call *call);

/* False when the parameter's value is bad; the result is left alone when it is not there. */
bool parameter_duration(struct call *call, const char *name, int64_t max_us, int64_t *us);
/* `true` or `false`. */
bool parameter_bool(struct call *call, const char *name, bool *value);
bool parameter_number(struct call *call, const char *name, uint64_t min, uint64_t max,
                      uint64_t *number);
/* Adds `next` to a page of a list: the id to go on after, null for 0. False when memory is short.
 */
bool add_next(cJSON *page, uint64_t next);
/* `limit`: how many a page of a list has at most. STEP_REPLY when its value is bad. */
enum { LIST_DEFAULT = 100, LIST_MAX = 1000 };
enum step parameter_limit(struct call *call, uint64_t *limit);
