/* SPDX-License-Identifier: MIT */
/* News as bytes: what is written comes back, and what nobody has written is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/entry.h"
#include "ledger/entry_fields.h"
#include "jobd/schedule.h"
#include "store/columns.h"
#include "support/chance.h"

#define AT_US INT64_C(1800000000000000)

/* A job of which every field says something. */
static struct news full_news(struct jobd_blob *payload, struct jobd_blob *output)
{
    return (struct news){
        .kind = NEWS_JOB,
        .fresh = true,
        .has_extra = true,
        .node = 7,
        .record = {.id = JOBD_ID_MAX,
                   .queue = "some-queue",
                   .priority = 7,
                   .attempts = 1000,
                   .created_us = AT_US - 5,
                   .timeout_us = 1,
                   .key = "a key",
                   .trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                   .texts = {"group", "one\ntwo\n", "Accept: all\n", "nightly", "job 17\n",
                             "http://a/"},
                   .payload = payload,
                   .state = JOBD_RUNNING,
                   .attempt = 65534,
                   .ready_us = AT_US + INT64_C(400) * 86400 * 1000000,
                   .started_us = AT_US,
                   .finished_us = 1,
                   .expiry_us = AT_US + 9,
                   .delayed = true,
                   .by_wall = true,
                   .stopping = true,
                   .output_truncated = true,
                   .exited = true,
                   .exit_code = 255,
                   .token = "0123456789abcdef0123456789abcdef",
                   .source = -7,
                   .expires_us = INT64_MAX - 1,
                   .began_us = AT_US - 1,
                   .output = output,
                   .error = output,
                   .worker = output,
                   .progress = payload},
    };
}

static bool same_blob(const struct jobd_blob *one, const struct jobd_blob *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    return one->size == other->size && strcmp(one->type, other->type) == 0 &&
           memcmp(one->bytes, other->bytes, one->size) == 0;
}

static void assert_same_job(const struct job_record *one, const struct job_record *other)
{
    assert_int_equal(one->id, other->id);
    assert_string_equal(one->queue, other->queue);
    assert_int_equal(one->priority, other->priority);
    assert_int_equal(one->attempts, other->attempts);
    assert_int_equal(one->created_us, other->created_us);
    assert_int_equal(one->timeout_us, other->timeout_us);
    assert_string_equal(one->key, other->key);
    assert_string_equal(one->trace, other->trace);
    for (unsigned i = 0; i < JOBD_TEXTS; i++)
        assert_string_equal(one->texts[i], other->texts[i]);
    assert_true(same_blob(one->payload, other->payload));
    assert_true(same_blob(one->worker, other->worker));
    assert_true(same_blob(one->progress, other->progress));
    assert_int_equal(one->state, other->state);
    assert_int_equal(one->attempt, other->attempt);
    assert_int_equal(one->ready_us, other->ready_us);
    assert_int_equal(one->started_us, other->started_us);
    assert_int_equal(one->finished_us, other->finished_us);
    assert_int_equal(one->expiry_us, other->expiry_us);
    assert_int_equal(one->source, other->source);
    assert_true(one->delayed == other->delayed && one->stopping == other->stopping);
    assert_true(one->exited == other->exited && one->by_wall == other->by_wall);
    assert_true(one->output_truncated == other->output_truncated);
    assert_int_equal(one->exit_code, other->exit_code);
    assert_string_equal(one->token, other->token);
    assert_int_equal(one->expires_us, other->expires_us);
    assert_int_equal(one->source, other->source);
    assert_int_equal(one->began_us, other->began_us);
    assert_true(same_blob(one->worker, other->worker));
    assert_true(same_blob(one->progress, other->progress));
    assert_true(same_blob(one->output, other->output) && same_blob(one->error, other->error));
}

/* A schedule of which every field says something. */
static struct schedule_record full_schedule(const struct jobd_blob *payload)
{
    return (struct schedule_record){
        .name = "nightly",
        .queue = "some-queue",
        .cron = "0 3 * * *",
        .zone = "Europe/Paris",
        .every_us = INT64_MAX,
        .priority = 7,
        .attempts = 1000,
        .timeout_us = 1,
        .expires_us = 2,
        .texts = {"group", "one\ntwo\n", "Accept: all\n", "", "", "http://a/"},
        .late = JOBD_LATE_ALL,
        .alone = true,
        .fixed = true,
        .payload = payload,
        .paused = true,
        .after_us = AT_US - 1,
        .floor_us = 3,
        .since_us = AT_US - 4,
        .done_from_us = AT_US - 7,
        .done_to_us = AT_US - 6,
        .last_us = AT_US - 5,
        .last_job = JOBD_ID_MAX,
        .missed = 8,
        .skipped = UINT64_MAX};
}

static void assert_same_schedule(const struct schedule_record *one,
                                 const struct schedule_record *other)
{
    assert_string_equal(one->name, other->name);
    assert_string_equal(one->queue, other->queue);
    assert_string_equal(one->cron, other->cron);
    assert_string_equal(one->zone, other->zone);
    for (unsigned i = 0; i < JOBD_TEXTS; i++)
        if (i != JOBD_SCHEDULE && i != JOBD_AFTER) /* which a schedule has not */
            assert_string_equal(one->texts[i], other->texts[i]);
    assert_true(same_blob(one->payload, other->payload));
    assert_true(one->every_us == other->every_us && one->timeout_us == other->timeout_us);
    assert_true(one->expires_us == other->expires_us && one->late == other->late);
    assert_true(one->priority == other->priority && one->attempts == other->attempts);
    assert_true(one->alone == other->alone && one->fixed == other->fixed);
    assert_true(one->paused == other->paused && one->after_us == other->after_us);
    assert_true(one->floor_us == other->floor_us && one->since_us == other->since_us);
    assert_true(one->done_from_us == other->done_from_us);
    assert_true(one->done_to_us == other->done_to_us && one->last_us == other->last_us);
    assert_true(one->last_job == other->last_job && one->missed == other->missed);
    assert_true(one->skipped == other->skipped);
}

/* One of each kind; entry_release() is the caller's. */
static void write_all(struct entry *entry, const struct news *job)
{
    entry_begin(entry, ENTRY_FORMAT, AT_US, 42);
    entry_add(entry, job);
    entry_add(entry, &(struct news){.kind = NEWS_GONE, .record = {.id = 3}});
    entry_add(entry, &(struct news){.kind = NEWS_LEASE,
                                    .record = {.id = 4, .token = job->record.token, .attempt = 2},
                                    .word = 2});
    entry_add(entry, &(struct news){.kind = NEWS_QUEUE,
                                    .record = {.queue = "q"},
                                    .paused = true,
                                    .totals = {.admitted = UINT64_MAX, .failed = 1},
                                    .waited = {.counts = {[0] = 1, [17] = 300}, .sum_us = 9},
                                    .waiting = 5,
                                    .running = UINT32_MAX});
    entry_add(entry, &(struct news){.kind = NEWS_NODE, .node = 9, .until_us = AT_US + 60});
    entry_add(entry, &(struct news){.kind = NEWS_BATCH,
                                    .fresh = true,
                                    .record = {.id = 40,
                                               .batch_jobs = 7,
                                               .queue = "q",
                                               .created_us = AT_US - 3,
                                               .finished_us = AT_US},
                                    .ended = {[JOBD_DONE] = 5, [JOBD_FAILED] = UINT32_MAX}});
    entry_add(entry, &(struct news){.kind = NEWS_BATCH, .gone = true, .record = {.id = 41}});
    entry_add(entry, &(struct news){.kind = NEWS_SCHEDULE,
                                    .fresh = true,
                                    .schedule = full_schedule(job->record.payload)});
    assert_true(entry_end(entry));
}

static void test_comes_back(void **state)
{
    (void)state;
    struct jobd_blob *payload = jobd_blob_text("bytes"), *output = jobd_blob_new(2, "x/unusual");
    memcpy(output->bytes, "\0\xff", 2);
    struct news job = full_news(payload, output), news;
    struct entry entry = {.bytes = NULL};
    struct entry_reader reader;
    uint64_t next_id;
    write_all(&entry, &job);
    assert_int_equal(entry_open(&reader, entry.bytes, entry.size, AT_US, &next_id), ENTRY_OK);
    assert_int_equal(next_id, 42);
    assert_int_equal(entry_next(&reader, &news), ENTRY_OK);
    assert_true(news.kind == NEWS_JOB && news.fresh && news.has_extra && news.node == 7);
    assert_same_job(&news.record, &job.record);
    entry_release_news(&news);
    assert_int_equal(entry_next(&reader, &news), ENTRY_OK);
    assert_true(news.kind == NEWS_GONE && news.record.id == 3);
    assert_int_equal(entry_next(&reader, &news), ENTRY_OK);
    assert_true(news.kind == NEWS_LEASE && news.word == 2 && news.record.attempt == 2);
    assert_int_equal(entry_next(&reader, &news), ENTRY_OK);
    assert_true(news.kind == NEWS_QUEUE && news.paused && news.totals.admitted == UINT64_MAX);
    assert_true(news.waited.counts[0] == 1 && news.waited.counts[17] == 300);
    assert_true(news.waited.sum_us == 9 && news.ran.sum_us == 0 && news.running == UINT32_MAX);
    assert_int_equal(entry_next(&reader, &news), ENTRY_OK);
    assert_true(news.kind == NEWS_NODE && news.node == 9 && news.until_us == AT_US + 60);
    assert_int_equal(entry_next(&reader, &news), ENTRY_OK);
    assert_true(news.kind == NEWS_BATCH && news.fresh && news.record.id == 40);
    assert_true(news.record.batch_jobs == 7 && strcmp(news.record.queue, "q") == 0);
    assert_true(news.record.created_us == AT_US - 3 && news.record.finished_us == AT_US);
    assert_true(news.ended[JOBD_DONE] == 5 && news.ended[JOBD_FAILED] == UINT32_MAX);
    assert_int_equal(entry_next(&reader, &news), ENTRY_OK);
    assert_true(news.kind == NEWS_BATCH && news.gone && news.record.id == 41);
    assert_int_equal(entry_next(&reader, &news), ENTRY_OK);
    const struct schedule_record schedule = full_schedule(payload);
    assert_true(news.kind == NEWS_SCHEDULE && news.fresh && !news.gone);
    assert_same_schedule(&news.schedule, &schedule);
    entry_release_news(&news);
    assert_int_equal(entry_next(&reader, &news), ENTRY_END);
    entry_release(&entry);
    jobd_blob_unref(payload);
    jobd_blob_unref(output);
}

/* Whatever the bytes are, it ends. */
static enum entry_result read_all(const unsigned char *bytes, size_t size)
{
    struct entry_reader reader;
    struct news news;
    uint64_t next_id;
    enum entry_result result = entry_open(&reader, bytes, size, AT_US, &next_id);
    if (result != ENTRY_OK)
        return result;
    while ((result = entry_next(&reader, &news)) == ENTRY_OK)
        entry_release_news(&news);
    return result;
}

static void test_damage_is_refused(void **state)
{
    (void)state;
    struct jobd_blob *payload = jobd_blob_text("bytes");
    struct news job = full_news(payload, payload);
    struct entry entry = {.bytes = NULL};
    write_all(&entry, &job);
    for (size_t size = 0; size < entry.size; size++)
        assert_int_equal(read_all(entry.bytes, size), ENTRY_DAMAGED);
    for (size_t bit = 0; bit < 8 * entry.size; bit++) {
        entry.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
        assert_int_not_equal(read_all(entry.bytes, entry.size), ENTRY_END);
        entry.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    assert_int_equal(read_all(entry.bytes, entry.size), ENTRY_END);
    entry_release(&entry);
    jobd_blob_unref(payload);
}

/* With a sum that is right: as one who writes wrongly would. */
static void seal(struct entry *entry)
{
    size_t size = entry->size - 4;
    uint32_t sum = entry_checksum(entry->bytes, size);
    for (unsigned i = 0; i < 4; i++)
        entry->bytes[size + i] = (unsigned char)(sum >> 8 * i);
}

static void test_wrong_bytes_do_no_harm(void **state)
{
    (void)state;
    struct chance chance = chance_begin();
    struct jobd_blob *payload = jobd_blob_text("bytes");
    struct news job = full_news(payload, payload);
    struct entry entry = {.bytes = NULL};
    for (unsigned i = 0; i < 20000; i++) {
        write_all(&entry, &job);
        for (unsigned j = 0; j <= chance_below(&chance, 4); j++)
            entry.bytes[chance_below(&chance, (unsigned)entry.size - 4)] =
                (unsigned char)chance_below(&chance, 256);
        seal(&entry);
        (void)read_all(entry.bytes, entry.size);
    }
    entry_release(&entry);
    jobd_blob_unref(payload);
}

static void test_a_newer_format_is_known_as_such(void **state)
{
    (void)state;
    struct entry entry = {.bytes = NULL};
    entry_begin(&entry, ENTRY_FORMAT + 1, AT_US, 1);
    assert_true(entry_end(&entry));
    assert_int_equal(read_all(entry.bytes, entry.size), ENTRY_NEWER);
    entry_release(&entry);
}

static void test_unknown_fields_are_skipped(void **state)
{
    /* GONE, id 3, a number 90, a signed 91, bytes 92, the end of the item, the end. */
    static const unsigned char item[] = {2,    1 << 2, 3,    0xe8, 0x02, 5,   0xed, 0x02,
                                         0x7f, 0xf2,   0x02, 2,    'x',  'y', 0};
    struct entry entry = {.bytes = NULL};
    struct entry_reader reader;
    struct news news;
    uint64_t next_id;
    (void)state;
    entry_begin(&entry, ENTRY_FORMAT, AT_US, 1);
    entry.bytes = realloc(entry.bytes, 256);
    entry.room = 256;
    memcpy(entry.bytes + entry.size, item, sizeof item);
    entry.size += sizeof item;
    assert_true(entry_end(&entry));
    assert_int_equal(entry_open(&reader, entry.bytes, entry.size, AT_US, &next_id), ENTRY_OK);
    assert_int_equal(entry_next(&reader, &news), ENTRY_OK);
    assert_true(news.kind == NEWS_GONE && news.record.id == 3);
    assert_int_equal(entry_next(&reader, &news), ENTRY_END);
    entry_release(&entry);
}

/* What an SQLite file keeps of a job the log keeps too, but for what follows from the rest. */
static void test_every_column_is_a_field(void **state)
{
    const struct table *const tables[] = {&job_table, &progress_table};
    static const char *const derived[] = {"crc", "flags", "run_at", "at", "type", "output_type"};
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        for (int j = 0; j < tables[i]->len; j++) {
            const struct column *column = &tables[i]->columns[j];
            bool follows = false;
            for (size_t k = 0; k < sizeof derived / sizeof derived[0]; k++)
                follows = follows || strcmp(column->name, derived[k]) == 0;
            if (!follows && !entry_knows(column->offset))
                fail_msg("entry_fields.c has no field for the column %s", column->name);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_wrong_bytes_do_no_harm),
        cmocka_unit_test(test_a_newer_format_is_known_as_such),
        cmocka_unit_test(test_unknown_fields_are_skipped),
        cmocka_unit_test(test_every_column_is_a_field),
    };
    return cmocka_run_group_tests_name("entries", tests, NULL, NULL);
}
