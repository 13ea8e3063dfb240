/* SPDX-License-Identifier: MIT */
/* The texts of a job as one blob, so that few jobs that have some share one copy, and the many that
 * have none pay nothing. jobd_text() in jobd/queue.h reads it. */
#pragma once

#include "jobd/queue.h"

/* Of those that are neither NULL nor "". *words is the caller's reference; NULL when there are
 * none. False when memory is short. */
__attribute__((warn_unused_result)) bool words_new(const char *const texts[JOBD_TEXTS],
                                                   struct jobd_blob **words);
/* What that blob counts for. */
size_t words_weight(const char *const texts[JOBD_TEXTS]);
