/* SPDX-License-Identifier: MIT */
#include "engine/schedule_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/journal_scene.h"

const char *const schedule_names[SCHEDULES] = {"a", "b", "c", "d"};

struct kept_schedule {
    bool there;
    struct schedule_record record; /* its texts are these, or last for ever */
    char tags[8];
    struct jobd_blob *payload;
};

static struct kept_schedule table[SCHEDULES], before[SCHEDULES];
static bool in_group;
static bool happened[SCHEDULES][INSTANTS];
static struct {
    unsigned schedule, instant;
} noted[64]; /* in this group */
static unsigned noted_len;

static unsigned number_of(const char *name)
{
    unsigned i = 0;
    while (i < SCHEDULES && strcmp(schedule_names[i], name) != 0)
        i++;
    verify(i < SCHEDULES);
    return i;
}

void schedule_disk_key(unsigned schedule, int64_t at_us, char key[32])
{
    snprintf(key, 32, "%s@%lld", schedule_names[schedule], (long long)(at_us / INSTANT_US));
}

static void keep_texts(struct kept_schedule *kept)
{
    kept->record.texts[JOBD_TAGS] = kept->tags;
    kept->record.payload = kept->payload;
}

static void begin_group(void)
{
    if (in_group)
        return;
    in_group = true;
    memcpy(before, table, sizeof before);
    for (unsigned i = 0; i < SCHEDULES; i++)
        (void)disk_share(before[i].payload);
}

static void keep_all(struct kept_schedule *kept, unsigned number,
                     const struct schedule_record *record)
{
    struct jobd_blob *former = kept->payload;
    kept->there = true;
    kept->record = *record;
    kept->payload = disk_share(record->payload);
    snprintf(kept->tags, sizeof kept->tags, "%s",
             record->texts[JOBD_TAGS] != NULL ? record->texts[JOBD_TAGS] : "");
    kept->record.name = schedule_names[number];
    kept->record.queue = strcmp(record->queue, "one") == 0 ? "one" : "two";
    kept->record.cron = kept->record.zone = "";
    memset(kept->record.texts, 0, sizeof kept->record.texts);
    keep_texts(kept);
    jobd_blob_unref(former);
}

static void keep_place(struct kept_schedule *kept, const struct schedule_record *record)
{
    struct schedule_record *own = &kept->record;
    verify(kept->there);
    own->paused = record->paused;
    own->after_us = record->after_us;
    own->floor_us = record->floor_us;
    own->since_us = record->since_us;
    own->done_from_us = record->done_from_us;
    own->done_to_us = record->done_to_us;
    own->last_us = record->last_us;
    own->last_job = record->last_job;
    own->missed = record->missed;
    own->skipped = record->skipped;
}

/* Jobs beside the plan have no such key. */
static void note_job(const struct job_record *record)
{
    const char *name = record->texts[JOBD_SCHEDULE], *at = strchr(record->key, '@');
    if (name == NULL || name[0] == '\0' || at == NULL)
        return;
    unsigned schedule = number_of(name), instant = (unsigned)strtoul(at + 1, NULL, 10);
    verify(instant < INSTANTS && noted_len < sizeof noted / sizeof noted[0]);
    verify(!happened[schedule][instant]);
    happened[schedule][instant] = true;
    noted[noted_len].schedule = schedule;
    noted[noted_len++].instant = instant;
}

void schedule_disk_write(enum row_kind kind, const struct job_record *record)
{
    const struct schedule_record *schedule = record->schedule;
    begin_group();
    if (kind == ROW_ADD)
        note_job(record);
    if (schedule == NULL)
        return;
    unsigned number = number_of(schedule->name);
    struct kept_schedule *kept = &table[number];
    if (kind == ROW_SCHEDULE) {
        keep_all(kept, number, schedule);
    } else if (kind == ROW_SCHEDULE_STEP) {
        keep_place(kept, schedule);
    } else {
        verify(kind == ROW_UNSCHEDULE && kept->there);
        jobd_blob_unref(kept->payload);
        memset(kept, 0, sizeof *kept);
        memset(happened[number], 0, sizeof happened[number]); /* it may begin anew */
    }
}

void schedule_disk_texts(const char *texts[JOBD_TEXTS])
{
    const char *name = texts[JOBD_SCHEDULE];
    memset(texts, 0, JOBD_TEXTS * sizeof *texts);
    if (name != NULL && name[0] != '\0')
        texts[JOBD_SCHEDULE] = schedule_names[number_of(name)];
}

/* A schedule that is deleted takes its instants along; a group that fails brings them back only as
 * far as the place of the schedule says, which is what is tested. */
void schedule_disk_end(bool good)
{
    for (unsigned i = 0; i < noted_len && !good; i++)
        happened[noted[i].schedule][noted[i].instant] = false;
    noted_len = 0;
    for (unsigned i = 0; i < SCHEDULES && in_group; i++) {
        jobd_blob_unref(good ? before[i].payload : table[i].payload);
        if (!good) {
            table[i] = before[i];
            keep_texts(&table[i]);
        }
    }
    in_group = false;
}

void schedule_disk_restore(struct jobd *jobd)
{
    for (unsigned i = 0; i < SCHEDULES; i++)
        if (table[i].there)
            verify(jobd_restore_schedule(jobd, &table[i].record));
}

void schedule_disk_clear(void)
{
    for (unsigned i = 0; i < SCHEDULES; i++)
        jobd_blob_unref(table[i].payload);
    memset(table, 0, sizeof table);
    memset(happened, 0, sizeof happened);
}

void schedule_disk_compare(struct jobd *jobd)
{
    for (unsigned i = 0; i < SCHEDULES; i++) {
        struct jobd_schedule_info info;
        const struct schedule_record *record = &table[i].record;
        bool seen = jobd_schedule_get(jobd, schedule_names[i], &info) == JOBD_OK;
        verify(seen == table[i].there);
        if (!seen)
            continue;
        verify(info.schedule.every_us == record->every_us &&
               strcmp(info.schedule.queue, record->queue) == 0 &&
               strcmp(info.schedule.texts[JOBD_TAGS], table[i].tags) == 0 &&
               info.payload == table[i].payload && info.schedule.alone == record->alone);
        verify(info.paused == record->paused && info.after_us == record->after_us &&
               info.last_us == record->last_us && info.last_job == record->last_job &&
               info.missed == record->missed && info.skipped == record->skipped);
        jobd_schedule_info_release(&info);
    }
}
