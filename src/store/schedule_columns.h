/* SPDX-License-Identifier: MIT */
/* The columns of a schedule, as those of columns.h; of struct schedule_record. What stands here was
 * written to disk by somebody: no row is changed, moved or removed. */
#pragma once

#include "store/columns.h"

extern const struct table schedule_table;       /* what was asked for; written with each put */
extern const struct table schedule_place_table; /* how far it is; and with each instant */
