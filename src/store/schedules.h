/* SPDX-License-Identifier: MIT */
/* A schedule as two rows: what was asked for, and how far it is. For the thread that owns the
 * database. */
#pragma once

#include "store/database.h"

/* In a transaction: one of the kinds that are about schedules. */
enum database_result schedules_change(struct database *database, enum row_kind kind,
                                      const struct schedule_record *record,
                                      struct problem *problem);

/* How many there are; false when the database cannot be read. */
bool schedules_count(struct database *database, uint32_t *count, struct problem *problem);

/* Each of them, by name; `record` is NULL when its rows are damaged. False when the database cannot
 * be read, memory is short, or `each` said so, which then has said why. */
bool schedules_scan(struct database *database,
                    bool (*each)(void *context, const char *name,
                                 const struct schedule_record *record),
                    void *context, struct problem *problem);
