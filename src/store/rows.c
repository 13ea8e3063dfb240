/* SPDX-License-Identifier: MIT */
/* A job as two rows: one that never changes, and one that says how far it is, each as columns.h has
 * it. */
#include "store/columns.h"
#include "store/database_inside.h"
#include "store/schedules.h"

/* What a job that has not ended, or has, has in its row of progress; the first may have none. */
#define LIVES "coalesce(state, 0) < 3"
#define ENDED "state >= 3"
_Static_assert(JOBD_DONE == 3, "the first of the states that are ends, on disk");

/* ---- writing */

static bool has_text(const struct job_record *record, enum jobd_text text)
{
    return record->texts[text] != NULL && record->texts[text][0] != '\0';
}

/* At a start all jobs are looked through for those that come after others, those with a callback
 * and those that tell of a job: but not where there has never been one. An index, also one that
 * holds none of them, would cost each job: with any on its table, SQLite opens a savepoint for an
 * INSERT OR REPLACE. */
static enum database_result note_links(struct database *database, const struct job_record *record,
                                       struct problem *problem)
{
    bool links =
        has_text(record, JOBD_AFTER) || has_text(record, JOBD_CALLBACK) || record->source > 0;
    if (!links || database->links_noted)
        return DATABASE_OK;
    database->linked = database->links_noted = true;
    return database_step(database, SQL_NOTE_LINKS, 1, problem);
}

static enum database_result add_job(struct database *database, const struct job_record *record,
                                    struct problem *problem)
{
    const bool plain = columns_plain(&job_table, record);
    const enum statement which = plain ? SQL_ADD_PLAIN : SQL_ADD;
    const enum database_result result = plain ? DATABASE_OK : note_links(database, record, problem);
    if (result != DATABASE_OK)
        return result;
    columns_bind(&job_table, plain, database->statements[which], record);
    return database_step(database, which, 1, problem);
}

static enum database_result set_progress(struct database *database, const struct job_record *record,
                                         struct problem *problem)
{
    const bool plain = columns_plain(&progress_table, record);
    const enum statement which = plain ? SQL_SET_PLAIN : SQL_SET;
    columns_bind(&progress_table, plain, database->statements[which], record);
    return database_step(database, which, 1, problem);
}

/* A job, and what has become of it since, if anything has. */
static enum database_result add_whole(struct database *database, const struct job_record *record,
                                      struct problem *problem)
{
    enum database_result result = add_job(database, record, problem);
    return result == DATABASE_OK && record->settled ? set_progress(database, record, problem)
                                                    : result;
}

static enum database_result remove_row(struct database *database, enum statement which, uint64_t id,
                                       struct problem *problem)
{
    (void)sqlite3_bind_int64(database->statements[which], 1, (int64_t)id);
    return database_step(database, which, -1, problem);
}

/* It begins anew. */
static enum database_result replace_rows(struct database *database, const struct job_record *record,
                                         struct problem *problem)
{
    enum database_result result = remove_row(database, SQL_REMOVE_PROGRESS, record->id, problem);
    return result == DATABASE_OK ? add_whole(database, record, problem) : result;
}

/* ---- batches */

/* Made known by the first of its jobs. */
static enum database_result add_batch(struct database *database, const struct job_record *record,
                                      struct problem *problem)
{
    sqlite3_stmt *statement = database->statements[SQL_ADD_BATCH];
    if (record->batch != record->id)
        return DATABASE_OK;
    (void)sqlite3_bind_int64(statement, 1, (int64_t)record->batch);
    (void)sqlite3_bind_text(statement, 2, record->queue, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 3, record->batch_jobs);
    (void)sqlite3_bind_int64(statement, 4, record->created_us);
    const char *callback = record->batch_callback != NULL ? record->batch_callback : "";
    (void)sqlite3_bind_text(statement, 5, callback, -1, SQLITE_STATIC);
    return database_step(database, SQL_ADD_BATCH, -1, problem);
}

/* One of its jobs is removed next. */
static enum database_result count_in_batch(struct database *database,
                                           const struct job_record *record, struct problem *problem)
{
    sqlite3_stmt *statement = database->statements[SQL_COUNT_IN_BATCH];
    if (record->batch == 0)
        return DATABASE_OK;
    (void)sqlite3_bind_int64(statement, 1, (int64_t)record->batch);
    (void)sqlite3_bind_int64(statement, 2, record->state);
    (void)sqlite3_bind_int64(statement, 3, record->finished_us);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)record->id);
    return database_step(database, SQL_COUNT_IN_BATCH, -1, problem);
}

/* One is added that has ended: it was there before, so it has been counted when it is not there
 * now, as after a commit that failed and yet got to the disk. */
static enum database_result
count_no_longer(struct database *database, const struct job_record *record, struct problem *problem)
{
    sqlite3_stmt *statement = database->statements[SQL_COUNT_NO_LONGER];
    if (record->batch == 0 || !jobd_state_final(record->state))
        return DATABASE_OK;
    (void)sqlite3_bind_int64(statement, 1, (int64_t)record->batch);
    (void)sqlite3_bind_int64(statement, 2, record->state);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)record->id);
    return database_step(database, SQL_COUNT_NO_LONGER, -1, problem);
}

/* ---- changes */

static enum database_result add_rows(struct database *database, const struct job_record *record,
                                     struct problem *problem)
{
    if (record->id > database->highest && record->id < JOBD_ID_MAX)
        database->highest = record->id;
    enum database_result result = add_batch(database, record, problem);
    if (result == DATABASE_OK)
        result = count_no_longer(database, record, problem);
    return result == DATABASE_OK ? add_whole(database, record, problem) : result;
}

static enum database_result remove_rows(struct database *database, const struct job_record *record,
                                        struct problem *problem)
{
    enum database_result result = count_in_batch(database, record, problem);
    if (result == DATABASE_OK)
        result = remove_row(database, SQL_REMOVE_PROGRESS, record->id, problem);
    return result == DATABASE_OK ? remove_row(database, SQL_REMOVE_JOB, record->id, problem)
                                 : result;
}

/* ---- pauses: of a queue that is paused there is a row in `meta` */

static enum database_result pause_queue(struct database *database, const struct job_record *record,
                                        struct problem *problem)
{
    const enum statement which = record->paused ? SQL_PAUSE : SQL_RESUME;
    (void)sqlite3_bind_text(database->statements[which], 1, record->queue, -1, SQLITE_STATIC);
    return database_step(database, which, -1, problem);
}

enum database_result database_change(struct database *database, enum row_kind kind,
                                     const struct job_record *record, struct problem *problem)
{
    enum database_result result;
    switch (kind) {
    case ROW_ADD:
        return add_rows(database, record, problem);
    case ROW_REPLACE:
        return replace_rows(database, record, problem);
    case ROW_MOVE:
        return add_job(database, record, problem);
    case ROW_SET:
        return set_progress(database, record, problem);
    case ROW_AMEND:
        result = add_job(database, record, problem);
        return result == DATABASE_OK ? set_progress(database, record, problem) : result;
    case ROW_SCHEDULE:
    case ROW_SCHEDULE_STEP:
    case ROW_UNSCHEDULE:
    case ROW_UNSCHEDULE_ALL:
        return schedules_change(database, kind, record->schedule, problem);
    case ROW_PAUSE:
        return pause_queue(database, record, problem);
    case ROW_REMOVE:
        return remove_rows(database, record, problem);
    case ROW_REMOVE_BATCH:
        break;
    }
    return remove_row(database, SQL_REMOVE_BATCH, record->id, problem);
}

/* ---- reading */

struct rows {
    const char *what, *text; /* for people; a SELECT */
    bool (*each)(void *context, sqlite3_stmt *row);
    void *context;
};

/* Every row, until `each` says false. False then too, or when it cannot be read. */
static bool each_row(struct database *database, const struct rows *rows, struct problem *problem)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(database->handle, rows->text, -1, &row, NULL);
    bool good = code == SQLITE_OK;
    while (good && (code = sqlite3_step(row)) == SQLITE_ROW)
        good = rows->each(rows->context, row);
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
        (void)database_failed(database, rows->what, problem);
        good = false;
    }
    (void)sqlite3_finalize(row);
    return good;
}

struct count {
    bool (*each)(void *context, const struct database_queue *queue);
    void *context;
};

static bool count_row(void *context, sqlite3_stmt *row)
{
    const struct count *count = context;
    const char *name = (const char *)sqlite3_column_text(row, 0);
    const struct database_queue queue = {.name = name != NULL ? name : "",
                                         .jobs = (uint64_t)sqlite3_column_int64(row, 1),
                                         .waiting = (uint64_t)sqlite3_column_int64(row, 2)};
    return count->each(count->context, &queue);
}

bool database_count(struct database *database,
                    bool (*each)(void *context, const struct database_queue *queue), void *context,
                    struct problem *problem)
{
    struct count count = {each, context};
    const struct rows rows = {"count",
                              "SELECT queue, count(*), sum(" LIVES ")"
                              " FROM job LEFT JOIN progress USING (id) GROUP BY queue",
                              count_row, &count};
    return each_row(database, &rows, problem);
}

bool database_promised(struct database *database, uint32_t *promised, struct problem *problem)
{
    int64_t jobs = 0, batches;
    bool good = database_ask(database, "SELECT count(*) FROM batch WHERE callback <> ''", &batches);
    if (good && database->linked)
        good = database_ask(database,
                            "SELECT count(*) FROM job LEFT JOIN progress USING (id)"
                            " WHERE " LIVES " AND callback <> '' AND source = 0",
                            &jobs);
    if (!good)
        (void)database_failed(database, "promised", problem);
    else
        *promised = jobs + batches < UINT32_MAX ? (uint32_t)(jobs + batches) : UINT32_MAX;
    return good;
}

struct batch_scan {
    void (*each)(void *context, const struct batch_record *batch);
    void *context;
};

static bool batch_row(void *context, sqlite3_stmt *row)
{
    const struct batch_scan *batches = context;
    const char *queue = (const char *)sqlite3_column_text(row, 1);
    const char *callback = (const char *)sqlite3_column_text(row, 8);
    const struct batch_record record = {
        .id = (uint64_t)sqlite3_column_int64(row, 0),
        .queue = queue != NULL ? queue : "",
        .jobs = (uint32_t)sqlite3_column_int64(row, 2),
        .created_us = sqlite3_column_int64(row, 3),
        .ended = {[JOBD_DONE] = (uint32_t)sqlite3_column_int64(row, 4),
                  [JOBD_FAILED] = (uint32_t)sqlite3_column_int64(row, 5),
                  [JOBD_CANCELLED] = (uint32_t)sqlite3_column_int64(row, 6)},
        .finished_us = sqlite3_column_int64(row, 7),
        .callback = callback != NULL ? callback : "",
    };
    batches->each(batches->context, &record);
    return true;
}

bool database_batches(struct database *database,
                      void (*each)(void *context, const struct batch_record *batch), void *context,
                      struct problem *problem)
{
    struct batch_scan batches = {each, context};
    const struct rows rows = {"batches",
                              "SELECT id, queue, jobs, created, done, failed, cancelled, finished,"
                              " callback FROM batch ORDER BY finished, id",
                              batch_row, &batches};
    return each_row(database, &rows, problem);
}

struct afters {
    void (*each)(void *context, const char *after);
    void *context;
};

static bool after_row(void *context, sqlite3_stmt *row)
{
    const struct afters *afters = context;
    const char *after = (const char *)sqlite3_column_text(row, 0);
    if (after != NULL)
        afters->each(afters->context, after);
    return true;
}

bool database_after(struct database *database, void (*each)(void *context, const char *after),
                    void *context, struct problem *problem)
{
    struct afters afters = {each, context};
    const struct rows rows = {"after",
                              "SELECT after FROM job LEFT JOIN progress USING (id)"
                              " WHERE after <> '' AND " LIVES
                              " UNION ALL SELECT 'job ' || source || char(10)"
                              " FROM job LEFT JOIN progress USING (id)"
                              " WHERE source > 0 AND " LIVES,
                              after_row, &afters};
    return !database->linked || each_row(database, &rows, problem);
}

struct pauses {
    void (*each)(void *context, const char *queue);
    void *context;
};

static bool pause_row(void *context, sqlite3_stmt *row)
{
    const struct pauses *pauses = context;
    const char *queue = (const char *)sqlite3_column_text(row, 0);
    if (queue != NULL)
        pauses->each(pauses->context, queue);
    return queue != NULL;
}

bool database_pauses(struct database *database, void (*each)(void *context, const char *queue),
                     void *context, struct problem *problem)
{
    struct pauses pauses = {each, context};
    const struct rows rows = {"pauses",
                              "SELECT substr(name, 8) FROM meta"
                              " WHERE name >= 'paused:' AND name < 'paused;'",
                              pause_row, &pauses};
    return each_row(database, &rows, problem);
}

struct job_scan {
    struct database *database;
    bool (*each)(void *context, uint64_t id, const struct job_record *record);
    void *context;
    struct problem *problem;
};

/* As it was put in. */
static void begin(struct job_record *record)
{
    record->token = "";
    record->delayed = record->run_at_us > 0;
    record->by_wall = record->at_us > 0;
    record->state = record->delayed ? JOBD_SCHEDULED : JOBD_QUEUED;
    record->ready_us = record->run_at_us;
}

/* What most jobs that wait have not the scan does not read: it is asked for by the id. */
static bool find(const struct job_scan *scan, enum statement which, int64_t id)
{
    sqlite3_stmt *row = scan->database->statements[which];
    (void)sqlite3_bind_int64(row, 1, id);
    if (sqlite3_step(row) == SQLITE_ROW)
        return true;
    (void)database_failed(scan->database, "scan", scan->problem);
    return false;
}

static bool scan_row(void *context, sqlite3_stmt *row)
{
    const struct job_scan *scan = context;
    sqlite3_stmt *whole_job = scan->database->statements[SQL_JOB];
    sqlite3_stmt *progress = scan->database->statements[SQL_PROGRESS];
    const int64_t id = sqlite3_column_int64(row, 0);
    struct job_record record = {.id = 0};
    const bool plain = columns_are_plain(&job_table, row, 0);
    const bool begun = sqlite3_column_type(row, columns_width(&job_table, true)) != SQLITE_NULL;
    bool good = (plain || find(scan, SQL_JOB, id)) && (!begun || find(scan, SQL_PROGRESS, id));
    row = plain ? row : whole_job;
    if (good && !(columns_read(&job_table, plain, row, 0, &record) &&
                  (!begun || columns_read(&progress_table, false, progress, 0, &record))))
        good = problem_set(scan->problem, "out of memory");
    if (!begun)
        begin(&record);
    bool whole = good && columns_whole(&job_table, plain, row, 0, &record) &&
                 (!begun || (columns_whole(&progress_table, false, progress, 0, &record) &&
                             (unsigned)record.state < JOBD_STATES));
    good = good && scan->each(scan->context, record.id, whole ? &record : NULL);
    columns_release(&job_table, &record);
    columns_release(&progress_table, &record);
    (void)sqlite3_reset(whole_job);
    (void)sqlite3_reset(progress);
    return good;
}

static char *scan_text(bool ended)
{
    char *job = columns_list(&job_table, true), *text = NULL;
    if (job != NULL)
        text = sqlite3_mprintf(
            "SELECT %s, progress.id FROM job LEFT JOIN progress USING (id) %s", job,
            ended ? "WHERE " ENDED " ORDER BY finished, id" : "WHERE " LIVES " ORDER BY job.id");
    sqlite3_free(job);
    return text;
}

bool database_scan(struct database *database, bool ended,
                   bool (*each)(void *context, uint64_t id, const struct job_record *record),
                   void *context, struct problem *problem)
{
    struct job_scan scan = {database, each, context, problem};
    char *text = scan_text(ended);
    const struct rows rows = {"scan", text, scan_row, &scan};
    bool good =
        text != NULL ? each_row(database, &rows, problem) : problem_set(problem, "out of memory");
    sqlite3_free(text);
    return good;
}
