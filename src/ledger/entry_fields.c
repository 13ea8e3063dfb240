/* SPDX-License-Identifier: MIT */
#include "ledger/entry_fields.h"

#include <zlib.h>

#include "base/text.h"
#include "ledger/entry.h"

/* A type that is not here does not compile. */
#define KIND_OF(field)                                                                             \
    _Generic(((struct news *)NULL)->field,                                                         \
        uint8_t: FIELD_U8,                                                                         \
        uint32_t: FIELD_U32,                                                                       \
        int: FIELD_I32,                                                                            \
        int64_t: FIELD_I64,                                                                        \
        uint64_t: FIELD_U64,                                                                       \
        bool: FIELD_BOOL,                                                                          \
        const char *: FIELD_TEXT,                                                                  \
        const struct jobd_blob *: FIELD_BLOB,                                                      \
        struct jobd_blob *: FIELD_BLOB,                                                           \
        struct jobd_histogram: FIELD_HISTOGRAM)
#define FIELD(number, field, items)                                                                \
    {                                                                                              \
        number, ENTRY_FORMAT_FIRST, KIND_OF(field), items, offsetof(struct news, field)            \
    }
#define MOMENT(number, field, items)                                                               \
    {                                                                                              \
        number, ENTRY_FORMAT_FIRST, FIELD_TIME, items, offsetof(struct news, field)                \
    }

#define TEXT(number, text)                                                                         \
    {                                                                                              \
        number, ENTRY_FORMAT_FIRST, FIELD_TEXT, JOB | ONCE,                                        \
            offsetof(struct news, record.texts) + (text) * sizeof(const char *)                    \
    }

const struct entry_field entry_fields[] = {
    FIELD(1, record.id, JOB | GONE | LEASE | BATCH),
    FIELD(2, fresh, JOB | BATCH | SCHEDULE),
    FIELD(3, record.queue, JOB | QUEUE | BATCH),
    FIELD(4, record.priority, JOB | ONCE),
    FIELD(5, record.attempts, JOB),
    MOMENT(6, record.created_us, JOB | BATCH | ONCE),
    MOMENT(7, record.run_at_us, JOB | ONCE),
    FIELD(8, record.timeout_us, JOB | ONCE),
    FIELD(9, record.key, JOB | ONCE),
    FIELD(10, record.trace, JOB | ONCE),
    FIELD(11, record.payload, JOB | ONCE),
    FIELD(12, record.state, JOB),
    FIELD(13, record.attempt, JOB | LEASE),
    MOMENT(14, record.ready_us, JOB),
    MOMENT(15, record.started_us, JOB | LEASE),
    MOMENT(16, record.finished_us, JOB | BATCH),
    FIELD(17, record.delayed, JOB),
    FIELD(18, record.stopping, JOB),
    FIELD(19, record.output_truncated, JOB),
    FIELD(20, record.exited, JOB),
    FIELD(21, record.exit_code, JOB),
    FIELD(22, record.token, JOB | LEASE),
    MOMENT(23, record.expires_us, JOB),
    MOMENT(24, record.began_us, JOB | LEASE),
    FIELD(25, record.output, JOB),
    FIELD(26, record.error, JOB),
    FIELD(27, has_extra, JOB),
    FIELD(28, node, JOB | NODE),
    FIELD(29, word, LEASE),
    FIELD(30, paused, QUEUE),
    FIELD(31, totals.admitted, QUEUE),
    FIELD(32, totals.done, QUEUE),
    FIELD(33, totals.failed, QUEUE),
    FIELD(34, totals.cancelled, QUEUE),
    FIELD(35, totals.retried, QUEUE),
    FIELD(36, waited, QUEUE),
    FIELD(37, ran, QUEUE),
    FIELD(38, waiting, QUEUE),
    FIELD(39, running, QUEUE),
    MOMENT(40, until_us, NODE),
    FIELD(41, totals.moved_in, QUEUE),
    FIELD(42, totals.moved_out, QUEUE),
    FIELD(43, totals.expired, QUEUE),
    TEXT(44, JOBD_GROUP),
    TEXT(45, JOBD_TAGS),
    MOMENT(46, record.expiry_us, JOB | ONCE),
    MOMENT(47, record.expiry_at_us, JOB | ONCE),
    FIELD(48, record.by_wall, JOB),
    FIELD(49, record.expired, JOB),
    FIELD(50, record.unexpiring, JOB),
    FIELD(51, record.keep_us, JOB | ONCE),
    FIELD(52, record.errors, JOB),
    MOMENT(53, record.errors_us, JOB),
    MOMENT(54, record.unique_until_us, JOB | ONCE),
    FIELD(55, retained, JOB | BATCH),
    FIELD(56, stays, JOB),
    TEXT(57, JOBD_HEADERS),
    TEXT(58, JOBD_SCHEDULE),
    FIELD(59, record.worker, JOB),
    FIELD(60, record.progress, JOB),
    FIELD(61, has_said, JOB),
    FIELD(62, said_truncated, JOB),
    FIELD(63, said, JOB),
    TEXT(64, JOBD_AFTER),
    TEXT(65, JOBD_CALLBACK),
    FIELD(66, record.source, JOB | ONCE),
    FIELD(67, pinned, JOB | BATCH),
    FIELD(68, promises, JOB | BATCH),
    FIELD(69, deliveries, JOB | BATCH),
    FIELD(70, holds, JOB),
    FIELD(71, record.batch_callback, BATCH | ONCE),
    FIELD(72, batch_trace, BATCH),
    FIELD(80, record.batch_jobs, BATCH | ONCE),
    FIELD(81, gone, BATCH | SCHEDULE),
    FIELD(82, ended[JOBD_DONE], BATCH),
    FIELD(83, ended[JOBD_FAILED], BATCH),
    FIELD(84, ended[JOBD_CANCELLED], BATCH),
    FIELD(100, schedule.name, SCHEDULE),
    FIELD(101, schedule.queue, SCHEDULE | ONCE),
    FIELD(102, schedule.cron, SCHEDULE | ONCE),
    FIELD(103, schedule.zone, SCHEDULE | ONCE),
    FIELD(104, schedule.every_us, SCHEDULE | ONCE),
    FIELD(105, schedule.priority, SCHEDULE | ONCE),
    FIELD(106, schedule.attempts, SCHEDULE | ONCE),
    FIELD(107, schedule.timeout_us, SCHEDULE | ONCE),
    FIELD(108, schedule.expires_us, SCHEDULE | ONCE),
    FIELD(109, schedule.late, SCHEDULE | ONCE),
    FIELD(110, schedule.alone, SCHEDULE | ONCE),
    FIELD(111, schedule.fixed, SCHEDULE | ONCE),
    FIELD(112, schedule.payload, SCHEDULE | ONCE),
    FIELD(113, schedule.texts[JOBD_GROUP], SCHEDULE | ONCE),
    FIELD(114, schedule.texts[JOBD_TAGS], SCHEDULE | ONCE),
    FIELD(115, schedule.paused, SCHEDULE),
    MOMENT(116, schedule.after_us, SCHEDULE),
    MOMENT(117, schedule.floor_us, SCHEDULE),
    MOMENT(118, schedule.since_us, SCHEDULE),
    MOMENT(119, schedule.done_from_us, SCHEDULE),
    MOMENT(120, schedule.done_to_us, SCHEDULE),
    MOMENT(121, schedule.last_us, SCHEDULE),
    FIELD(122, schedule.last_job, SCHEDULE),
    FIELD(123, schedule.missed, SCHEDULE),
    FIELD(124, schedule.skipped, SCHEDULE),
    FIELD(125, schedule.texts[JOBD_HEADERS], SCHEDULE | ONCE),
    FIELD(126, schedule.texts[JOBD_CALLBACK], SCHEDULE | ONCE),
};

const size_t entry_fields_len = sizeof entry_fields / sizeof entry_fields[0];

enum wire_form wire_of(const struct entry_field *field)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_I32:
    case FIELD_I64:
    case FIELD_TIME:
        return WIRE_SIGNED;
    case FIELD_TEXT:
    case FIELD_BLOB:
    case FIELD_HISTOGRAM:
        return WIRE_BYTES;
    case FIELD_U8:
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_BOOL:
        break;
    }
    return WIRE_NUMBER;
}

const char *const entry_usual_types[USUAL_TYPES] = {"",
                                                    TYPE_TEXT,
                                                    "application/json",
                                                    "application/octet-stream",
                                                    "application/x-www-form-urlencoded",
                                                    "text/plain"};

bool entry_knows(size_t offset)
{
    bool known = false;
    for (size_t i = 0; i < entry_fields_len && !known; i++)
        known = entry_fields[i].offset == offsetof(struct news, record) + offset;
    return known;
}

uint32_t entry_checksum(const unsigned char *bytes, size_t size)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, size);
}
