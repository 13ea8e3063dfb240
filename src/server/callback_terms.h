/* SPDX-License-Identifier: MIT */
/* From the options to who may be told by callbacks, and with which secret. */
#pragma once

#include "base/problem.h"
#include "run/callbacks.h"
#include "server/options.h"

/* NULL: `problem` names the option's place and says what is wrong. Blocks on the file. */
struct callbacks_terms *callback_terms_read(const struct options *options, struct problem *problem);
