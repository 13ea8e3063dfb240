/* SPDX-License-Identifier: MIT */
/* What endpoints have in common: answers, and the values of parameters. An answer_*() fills in the
 * call's reply and returns STEP_REPLY. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "api/route.h"

/* An error, as text or as a problem. */
enum step respond_error(struct call *call, unsigned status, const char *detail);
enum step respond_no_memory(struct call *call);
/* What the engine said, when it said no. */
enum step respond_result(struct call *call, enum jobd_result result);
/* 503: why nothing can be written down. */
enum step respond_store(struct call *call);
/* 400: allowed is ... */
enum step respond_bad_value(struct call *call, const char *name, const char *allowed);
/* Takes `object`, which may be NULL or incomplete (`whole` false) when memory was short. */
enum step respond_json(struct call *call, unsigned status, cJSON *object, bool whole);
/* A word for people, {"status": word} for programs. */
enum step respond_word(struct call *call, unsigned status, const char *word, const char *line);

/* False when the parameter's value is bad; the result is left alone when it is not there. */
bool parameter_duration(struct call *call, const char *name, int64_t max_us, int64_t *us);
bool parameter_number(struct call *call, const char *name, uint64_t min, uint64_t max,
                      uint64_t *number);
