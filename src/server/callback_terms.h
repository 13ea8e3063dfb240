/* SPDX-License-Identifier: MIT */
/* From the options to the terms of callbacks: which URLs are allowed, and the secret to sign
 * with. */
#pragma once

#include "base/problem.h"
#include "run/callbacks.h"
#include "server/options.h"

/* For callbacks_change() or callbacks_terms_free(). NULL: `problem` names the option's place and
 * says what is wrong. Blocks on the file. */
struct callbacks_terms *callback_terms_read(const struct options *options, struct problem *problem);
