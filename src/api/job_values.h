/* SPDX-License-Identifier: MIT */
/* What may be said of a job: as parameters, as JSON, in a schedule of the file. */
#pragma once

#include "jobd/queue.h"

enum { JOB_TIME_MIN_US = 1000 }; /* of its timeout, and how long it is kept */

#define PRIORITY_VALUES "0 to 7"
#define ATTEMPTS_VALUES "1 to 1000"
#define JOB_TIME_VALUES "a duration from 1ms, like 30s, 5m, 2h or 7d"
#define WORD_VALUES     "1 to 64 visible ASCII characters" /* a key, a tag */
#define TAGS_VALUES     "at most 8"

_Static_assert(JOBD_PRIORITIES - 1 == 7 && JOBD_ATTEMPTS_MAX == 1000 && JOBD_TAGS_MAX == 8 &&
                   JOBD_GROUP_SIZE - 1 == 64 && JOBD_TAG_SIZE - 1 == 64,
               "the texts say it");
