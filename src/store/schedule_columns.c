/* SPDX-License-Identifier: MIT */
#include "store/schedule_columns.h"

#define AT(field)    offsetof(struct schedule_record, field)
#define FIELD(field) AT(field), COLUMN_KIND_OF(struct schedule_record, field)
#define TEXT(text)   AT(texts) + (text) * sizeof(const char *), COLUMN_TEXT

static const struct column asked_columns[] = {
    {"name", FIELD(name)},
    {"queue", FIELD(queue)},
    {"cron", FIELD(cron)},
    {"zone", FIELD(zone)},
    {"every", FIELD(every_us)},
    {"priority", FIELD(priority)},
    {"attempts", FIELD(attempts)},
    {"timeout", FIELD(timeout_us)},
    {"expires", FIELD(expires_us)},
    {"job_group", TEXT(JOBD_GROUP)},
    {"tags", TEXT(JOBD_TAGS)},
    {"late", FIELD(late)},
    {"alone", FIELD(alone)},
    {"fixed", FIELD(fixed)},
    {"type", AT(payload), COLUMN_BLOB_TYPE},
    {"payload", AT(payload), COLUMN_TYPED_BLOB},
    {"crc", 0, COLUMN_CRC},
    {"callback", TEXT(JOBD_CALLBACK)},
};

static const struct column place_columns[] = {
    {"name", FIELD(name)},          {"paused", FIELD(paused)},
    {"after_at", FIELD(after_us)},  {"floor_at", FIELD(floor_us)},
    {"since_at", FIELD(since_us)},  {"done_from", FIELD(done_from_us)},
    {"done_to", FIELD(done_to_us)}, {"last_at", FIELD(last_us)},
    {"last_job", FIELD(last_job)},  {"missed", FIELD(missed)},
    {"skipped", FIELD(skipped)},    {"crc", 0, COLUMN_CRC},
};

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

const struct table schedule_table = {"schedule", asked_columns, LEN(asked_columns)};
const struct table schedule_place_table = {"schedule_place", place_columns, LEN(place_columns)};
