/* SPDX-License-Identifier: MIT */
/* The schedules of the store that is a table, and a ledger of their instants: none ever gets a
 * second job, over however many crashes. */
#pragma once

#include "engine/journal_store.h"
#include "jobd/schedule.h"

enum { SCHEDULES = 4, INSTANTS = 4000 };

#define INSTANT_US INT64_C(1000000)

extern const char *const schedule_names[SCHEDULES];

/* What a group has of them; a job that comes of one is noted. */
void schedule_disk_write(enum row_kind kind, const struct job_record *record);
/* Of a job's texts its schedule stays, one that lasts. */
void schedule_disk_texts(const char *texts[JOBD_TEXTS]);
/* The group is written, or not in any part. */
void schedule_disk_end(bool good);
void schedule_disk_restore(struct jobd *jobd);
void schedule_disk_clear(void);
/* What can be seen is on disk, and nothing else. */
void schedule_disk_compare(struct jobd *jobd);
/* The key of the job of an instant. */
void schedule_disk_key(unsigned schedule, int64_t at_us, char key[32]);
