/* SPDX-License-Identifier: MIT */
/* What endpoints have in common: replies, what a path names, and the values of parameters. Each
 * respond_*() fills in the call's reply and returns STEP_REPLY. None of these blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/endpoint.h"
#include "api/job_values.h"
#include "base/json_out.h"

/* An error, as a line of text or, where the client wants JSON, as a problem (RFC 9457). `detail` is
 * copied. */
enum step respond_error(struct call *call, unsigned status, const char *detail);
enum step respond_no_memory(struct call *call);
/* The error that the engine's result is for a client. */
enum step respond_result(struct call *call, enum jobd_result result);
/* Its status and its text; 500 for a result that no client should ever get. */
unsigned result_status(enum jobd_result result, const char **detail);
/* 400, which says what the parameter allows. */
enum step respond_bad_value(struct call *call, const char *name, const char *allowed);
/* Room for a small object, for json_out_begin(). */
enum { OBJECT_BYTES = 160 };
/* The JSON that has been written; 503 where memory was short for it. Takes it. */
enum step respond_written(struct call *call, unsigned status, struct json_out *out);
/* 200 and text, formatted as by printf(). */
__attribute__((format(printf, 2, 3))) enum step respond_printed(struct call *call,
                                                                const char *format, ...);
/* A line of one word; or, where the client wants JSON, {"status": word}. `line` is borrowed: it
 * must outlive the reply. */
enum step respond_word(struct call *call, unsigned status, const char *line);
/* A payload or an output, with its type. Takes the reference; NULL is an empty one. */
enum step respond_bytes(struct call *call, unsigned status, struct jobd_blob *bytes);
/* For `answer` of an endpoint that only says whether it worked: 200 and its line, or the error. */
enum step respond_line(struct call *call, enum jobd_result result);

/* About what a blob takes beside its bytes and its type, with what malloc() adds. */
enum { BLOB_BYTES = sizeof(struct jobd_blob) + 16 };

#define TIME_VALUES     "an RFC 3339 time like 2026-12-01T09:00:00Z"
#define DURATION_VALUES "a duration like 250ms, 30s, 5m, 2h or 7d"

/* A time of the wall clock as one of clock_now_us(), for the engine: never 0, which means none. */
int64_t moment_of_wall(int64_t wall_us);

/* The name of the queue in the path; "default" where it names none. */
const char *path_queue(const struct call *call);
/* That queue, if jobs can be put into it; else JOBD_NO_QUEUE. */
uint32_t path_declared_queue(const struct call *call);
/* That queue, if jobs can be taken from it; else JOBD_NO_QUEUE. */
uint32_t path_giving_queue(const struct call *call);
/* Copies the first of `words`, which commas separate, to `word`; "" when it does not fit. Returns
 * what follows its comma, NULL when it was the last. */
const char *next_word(const char *words, char *word, size_t size);
/* The number in the path, of a job or a batch; 0 when it is no such id. */
uint64_t path_id(const struct call *call);

/* The value of a parameter; one that is not given leaves the result alone. False: it is bad, and
 * nothing has been answered yet. */
bool parameter_duration(struct call *call, const char *name, int64_t max_us, int64_t *us);
/* `true` or `false`. */
bool parameter_bool(struct call *call, const char *name, bool *value);
bool parameter_number(struct call *call, const char *name, uint64_t min, uint64_t max,
                      uint64_t *number);
/* Writes `next` of a page of a list: the id after which the next page begins, null for 0. */
void write_next(struct json_out *page, uint64_t next);
/* `limit`: how many a page of a list has at most. STEP_REPLY when its value is bad. */
enum { LIST_DEFAULT = 100, LIST_MAX = 1000 };
enum step parameter_limit(struct call *call, uint64_t *limit);
