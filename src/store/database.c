/* SPDX-License-Identifier: MIT */
/* The file: transactions, and opening, in this order: are all parts of it there; is it ours and
 * whole; set what must be so, and read it back; migrate the schema; prepare every statement, once.
 */
#include "store/database_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/columns.h"
#include "store/schedule_columns.h"

enum {
    APPLICATION_ID = 0x6a6f6264, /* "jobd" */
    IDS_AHEAD = 1000,            /* reserved with one write */
    AHEAD_BYTES = 1 << 20,
    LOG_SIZE_LIMIT = 16 << 20 /* to which the log's file is cut back */
};

static const struct {
    const char *what; /* for people */
    const char *text; /* NULL: made from the columns */
} statements[SQL_STATEMENTS] = {
    [SQL_BEGIN] = {"BEGIN", "BEGIN IMMEDIATE"},
    [SQL_COMMIT] = {"COMMIT", "COMMIT"},
    [SQL_ROLLBACK] = {"ROLLBACK", "ROLLBACK"},
    [SQL_ADD] = {"INSERT INTO job", NULL},
    [SQL_ADD_PLAIN] = {"INSERT INTO job", NULL},
    [SQL_SET] = {"INSERT INTO progress", NULL},
    [SQL_SET_PLAIN] = {"INSERT INTO progress", NULL},
    [SQL_JOB] = {"SELECT FROM job", NULL},
    [SQL_PROGRESS] = {"SELECT FROM progress", NULL},
    [SQL_REMOVE_JOB] = {"DELETE FROM job", "DELETE FROM job WHERE id = ?"},
    [SQL_REMOVE_PROGRESS] = {"DELETE FROM progress", "DELETE FROM progress WHERE id = ?"},
    [SQL_ADD_BATCH] = {"INSERT INTO batch",
                       "INSERT OR IGNORE INTO batch (id, queue, jobs, created, callback)"
                       " VALUES (?, ?, ?, ?, ?)"},
    /* A job is counted once, whatever is written twice. */
    [SQL_COUNT_IN_BATCH] = {"UPDATE batch",
                            "UPDATE batch SET done = done + (?2 = 3), failed = failed + (?2 = 4),"
                            " cancelled = cancelled + (?2 = 5), finished = max(finished, ?3)"
                            " WHERE id = ?1 AND EXISTS (SELECT 1 FROM job WHERE id = ?4)"},
    /* Nor does one count that is there again. */
    [SQL_COUNT_NO_LONGER] = {"UPDATE batch",
                             "UPDATE batch SET done = done - (?2 = 3), failed = failed - (?2 = 4),"
                             " cancelled = cancelled - (?2 = 5)"
                             " WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM job WHERE id = ?3)"},
    [SQL_REMOVE_BATCH] = {"DELETE FROM batch", "DELETE FROM batch WHERE id = ?"},
    [SQL_RESERVE] = {"INSERT INTO meta", "INSERT OR REPLACE INTO meta VALUES ('next_id', ?)"},
    [SQL_MARK] = {"INSERT INTO meta", "INSERT OR REPLACE INTO meta VALUES ('log', ?)"},
    [SQL_NOTE_LINKS] = {"INSERT INTO meta", "INSERT OR REPLACE INTO meta VALUES ('links', 1)"},
    [SQL_KEEP_TIMES] = {"INSERT INTO meta",
                        "INSERT OR REPLACE INTO meta VALUES"
                        " ('wall_us', ?), ('database_us', ?), ('serving_us', ?)"},
    [SQL_PAUSE] = {"INSERT INTO meta", "INSERT OR REPLACE INTO meta VALUES ('paused:' || ?, 1)"},
    [SQL_RESUME] = {"DELETE FROM meta", "DELETE FROM meta WHERE name = 'paused:' || ?"},
    [SQL_SCHEDULE] = {"INSERT INTO schedule", NULL},
    [SQL_PLACE] = {"INSERT INTO schedule_place", NULL},
    [SQL_REMOVE_SCHEDULE] = {"DELETE FROM schedule", "DELETE FROM schedule WHERE name = ?"},
    [SQL_REMOVE_PLACE] = {"DELETE FROM schedule_place",
                          "DELETE FROM schedule_place WHERE name = ?"},
    [SQL_CLEAR_SCHEDULES] = {"DELETE FROM schedule", "DELETE FROM schedule"},
    [SQL_CLEAR_PLACES] = {"DELETE FROM schedule_place", "DELETE FROM schedule_place"},
};

/* Migrations: each brings the schema to the version that is its place here plus one, in a
 * transaction with the new user_version; a new file goes through all of them, so there is one way
 * to each version. One that was released is never changed: what is to be different comes behind it.
 * The first is followed by the tables of columns.h, without the columns that came later; those are
 * for a migration to add, with a default for the rows that are there. Times are microseconds since
 * 1970. */
static const char *const migrations[] = {
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    /* for people */
    "CREATE VIEW jobs AS SELECT id, queue,"
    " CASE coalesce(state, 0) WHEN 0 THEN iif(run_at / 1000000 > strftime('%s', 'now')"
    "  AND state IS NULL, 'scheduled', 'queued') WHEN 1 THEN 'scheduled' WHEN 2 THEN 'running'"
    "  WHEN 3 THEN 'done' WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled' END AS state,"
    " priority, coalesce(attempt, 0) AS attempt, attempts,"
    " datetime(created / 1000000, 'unixepoch') AS created_at,"
    " datetime(nullif(started, 0) / 1000000, 'unixepoch') AS started_at,"
    " datetime(nullif(finished, 0) / 1000000, 'unixepoch') AS finished_at,"
    " nullif(key, '') AS key, type, payload, output, CAST(error AS TEXT) AS error"
    " FROM job LEFT JOIN progress USING (id)",
    "ALTER TABLE progress ADD COLUMN began INTEGER NOT NULL DEFAULT 0",
    ("ALTER TABLE job ADD COLUMN job_group TEXT;"
     "ALTER TABLE job ADD COLUMN tags TEXT;"
     "ALTER TABLE job ADD COLUMN at INTEGER;"
     "ALTER TABLE job ADD COLUMN expiry INTEGER;"
     "ALTER TABLE job ADD COLUMN expiry_at INTEGER;"
     "ALTER TABLE job ADD COLUMN keep INTEGER;"
     "ALTER TABLE job ADD COLUMN unique_until INTEGER;"
     "ALTER TABLE job ADD COLUMN headers TEXT;"
     "ALTER TABLE progress ADD COLUMN errors BLOB;"
     "ALTER TABLE progress ADD COLUMN errors_at INTEGER;"
     /* the last four are of the jobs that are not in the other tables any more */
     "CREATE TABLE batch (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, jobs INTEGER NOT NULL,"
     " created INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0,"
     " failed INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,"
     " finished INTEGER NOT NULL DEFAULT 0);"
     "ALTER TABLE progress ADD COLUMN worker BLOB;"
     "ALTER TABLE progress ADD COLUMN progress BLOB;"
     "ALTER TABLE job ADD COLUMN schedule TEXT;"
     "CREATE TABLE schedule (name TEXT PRIMARY KEY, queue TEXT NOT NULL, cron TEXT NOT NULL,"
     " zone TEXT NOT NULL, every INTEGER NOT NULL, priority INTEGER NOT NULL,"
     " attempts INTEGER NOT NULL, timeout INTEGER NOT NULL, expires INTEGER NOT NULL,"
     " job_group TEXT NOT NULL, tags TEXT NOT NULL, late INTEGER NOT NULL,"
     " alone INTEGER NOT NULL, fixed INTEGER NOT NULL, type TEXT, payload BLOB,"
     " crc INTEGER NOT NULL);"
     "CREATE TABLE schedule_place (name TEXT PRIMARY KEY, paused INTEGER NOT NULL,"
     " after_at INTEGER NOT NULL, floor_at INTEGER NOT NULL, since_at INTEGER NOT NULL,"
     " done_from INTEGER NOT NULL, done_to INTEGER NOT NULL, last_at INTEGER NOT NULL, last_job "
     "INTEGER NOT NULL,"
     " missed INTEGER NOT NULL, skipped INTEGER NOT NULL, crc INTEGER NOT NULL);"
     "ALTER TABLE job ADD COLUMN after TEXT;"
     "ALTER TABLE job ADD COLUMN callback TEXT;"
     "ALTER TABLE job ADD COLUMN source INTEGER;"
     "ALTER TABLE batch ADD COLUMN callback TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE schedule ADD COLUMN callback TEXT NOT NULL DEFAULT ''"),
};

enum { VERSION = sizeof migrations / sizeof migrations[0] };

/* ---- transactions */

enum database_result database_failed(struct database *database, const char *what,
                                     struct problem *problem)
{
    int code = sqlite3_extended_errcode(database->handle);
    (void)problem_set(problem, "%s: %s (%d)", what, sqlite3_errmsg(database->handle), code);
    return (code & 0xff) == SQLITE_FULL ? DATABASE_FULL : DATABASE_BROKEN;
}

enum database_result database_step(struct database *database, enum statement which, int rows,
                                   struct problem *problem)
{
    sqlite3_stmt *statement = database->statements[which];
    int code = sqlite3_step(statement);
    enum database_result result = DATABASE_OK;
    if (code != SQLITE_DONE)
        result = database_failed(database, statements[which].what, problem);
    if (result == DATABASE_OK && rows >= 0 && sqlite3_changes(database->handle) != rows) {
        (void)problem_set(problem, "%s: %d rows changed, not %d", statements[which].what,
                          sqlite3_changes(database->handle), rows);
        result = DATABASE_BROKEN;
    }
    (void)sqlite3_reset(statement); /* says again what the step has said */
    return result;
}

enum database_result database_begin(struct database *database, struct problem *problem)
{
    return database_step(database, SQL_BEGIN, -1, problem);
}

enum database_result database_mark(struct database *database, bool marked, struct problem *problem)
{
    int mark = !marked ? MARK_NONE : database->unsynced ? MARK_UNSYNCED_LOG : MARK_LOG;
    (void)sqlite3_bind_int(database->statements[SQL_MARK], 1, mark);
    return database_step(database, SQL_MARK, 1, problem);
}

enum database_result database_commit(struct database *database, struct problem *problem)
{
    uint64_t reserved = database->reserved;
    enum database_result result = DATABASE_OK;
    if (database->highest >= reserved) {
        reserved = database->highest + IDS_AHEAD;
        (void)sqlite3_bind_int64(database->statements[SQL_RESERVE], 1, (int64_t)reserved);
        result = database_step(database, SQL_RESERVE, 1, problem);
    }
    if (result == DATABASE_OK && database->marked)
        result = database_mark(database, false, problem);
    if (result == DATABASE_OK)
        result = database_step(database, SQL_COMMIT, -1, problem);
    if (result == DATABASE_OK) {
        database->reserved = reserved;
        database->marked = false;
    }
    return result;
}

enum database_result database_keep_times(struct database *database, const struct kept_times *times,
                                         struct problem *problem)
{
    sqlite3_stmt *statement = database->statements[SQL_KEEP_TIMES];
    (void)sqlite3_bind_int64(statement, 1, times->wall_us);
    (void)sqlite3_bind_int64(statement, 2, times->database_us);
    (void)sqlite3_bind_int64(statement, 3, times->serving_us);
    return database_step(database, SQL_KEEP_TIMES, 3, problem);
}

struct kept_times database_times(const struct database *database)
{
    return database->times;
}

void database_rollback(struct database *database)
{
    struct problem ignored; /* what has led here is what counts */
    database->highest = 0;
    database->links_noted = false;                     /* perhaps; twice does no harm */
    if (sqlite3_get_autocommit(database->handle) == 0) /* some errors have rolled back already */
        (void)database_step(database, SQL_ROLLBACK, -1, &ignored);
}

uint64_t database_first_id(const struct database *database)
{
    return database->reserved;
}

/* ---- opening */

bool database_ask(struct database *database, const char *text, int64_t *number)
{
    sqlite3 *handle = database->handle;
    sqlite3_stmt *row;
    if (sqlite3_prepare_v2(handle, text, -1, &row, NULL) != SQLITE_OK)
        return false;
    int code = sqlite3_step(row);
    *number = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    (void)sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

/* The first column of the first row; false on an error. */
static bool ask_text(sqlite3 *handle, const char *text, char *out, size_t size)
{
    sqlite3_stmt *row;
    if (sqlite3_prepare_v2(handle, text, -1, &row, NULL) != SQLITE_OK)
        return false;
    int code = sqlite3_step(row);
    snprintf(out, size, "%s", code == SQLITE_ROW ? (const char *)sqlite3_column_text(row, 0) : "");
    (void)sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

static int log_grew(void *context, sqlite3 *handle, const char *name, int pages)
{
    struct database *database = context;
    (void)handle;
    (void)name;
    database->log_pages = pages;
    return SQLITE_OK;
}

/* Sets what must be so, and looks whether it is. */
static bool configure(struct database *database, enum database_sync sync, struct problem *problem)
{
    static const char *const syncs[] = {"2", "1", "0"};
    char synchronous[40], limit[48], limited[24];
    snprintf(synchronous, sizeof synchronous, "PRAGMA synchronous = %s", syncs[sync]);
    snprintf(limit, sizeof limit, "PRAGMA journal_size_limit = %d", LOG_SIZE_LIMIT);
    snprintf(limited, sizeof limited, "%d", LOG_SIZE_LIMIT);
    const struct {
        const char *set, *ask, *expected;
    } settings[] = {
        /* Of a new file; what it is for another, shrink.c knows. Before anything is written. */
        {"PRAGMA auto_vacuum = 2", NULL, NULL},
        {"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"},
        {synchronous, "PRAGMA synchronous", syncs[sync]},
        {"PRAGMA wal_autocheckpoint = 0", "PRAGMA wal_autocheckpoint", "0"},
        {limit, "PRAGMA journal_size_limit", limited},
        {"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "2"}, /* no file elsewhere */
        {"PRAGMA cell_size_check = 1", "PRAGMA cell_size_check", "1"},
        {"PRAGMA trusted_schema = 0", "PRAGMA trusted_schema", "0"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        char value[32];
        if (sqlite3_exec(database->handle, settings[i].set, NULL, NULL, NULL) != SQLITE_OK ||
            (settings[i].ask != NULL &&
             !ask_text(database->handle, settings[i].ask, value, sizeof value)))
            return problem_set(problem, "%s: %s", settings[i].set,
                               sqlite3_errmsg(database->handle));
        if (settings[i].ask != NULL && strcmp(value, settings[i].expected) != 0)
            return problem_set(problem, "%s, but it is %s", settings[i].set, value);
    }
    (void)sqlite3_wal_hook(database->handle, log_grew, database);
    return true;
}

#define DAMAGED                                                                                    \
    "it is damaged (%s): restore a copy, or save what can be read with the sqlite3 tool's "        \
    ".recover and move it away"

/* Reads only: what is not ours stays as it is. *version 0: it is empty. */
static bool is_ours(struct database *database, int64_t *version, struct problem *problem)
{
    sqlite3 *handle = database->handle;
    int64_t application, tables;
    char check[96];
    if (sqlite3_exec(handle, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL) != SQLITE_OK ||
        !database_ask(database, "PRAGMA application_id", &application) ||
        !database_ask(database, "PRAGMA user_version", version) ||
        !database_ask(database, "SELECT count(*) FROM sqlite_schema", &tables)) {
        switch (sqlite3_errcode(handle)) {
        case SQLITE_BUSY:
            return problem_set(problem, "another process uses it");
        case SQLITE_NOTADB:
            return problem_set(problem, "not an SQLite database; move it away");
        case SQLITE_CORRUPT:
            return problem_set(problem, DAMAGED, sqlite3_errmsg(handle));
        default:
            return problem_set(problem, "%s", sqlite3_errmsg(handle));
        }
    }
    if (application != APPLICATION_ID && (application != 0 || *version != 0 || tables > 0))
        return problem_set(problem, "it is a database of another program: move it away");
    if (*version > VERSION)
        return problem_set(problem,
                           "its schema is of version %lld, this jobd knows %d: start a newer jobd",
                           (long long)*version, VERSION);
    if (!ask_text(handle, "PRAGMA quick_check(1)", check, sizeof check))
        return problem_set(problem, DAMAGED, sqlite3_errmsg(handle));
    if (strcmp(check, "ok") != 0)
        return problem_set(problem, DAMAGED, check);
    return true;
}

/* Without a text for a statement nothing was asked of the handle, which has nothing to say then. */
static const char *sql_error(const struct database *database, int code)
{
    return code == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(database->handle);
}

static char *migration_text(int64_t version)
{
    char *job = columns_create(&job_table), *progress = columns_create(&progress_table);
    bool first = version == 0;
    char *text = NULL;
    if (job != NULL && progress != NULL)
        text = sqlite3_mprintf("BEGIN IMMEDIATE; PRAGMA application_id = %d; %s; %s; %s;"
                               " PRAGMA user_version = %lld; COMMIT",
                               APPLICATION_ID, migrations[version], first ? job : "",
                               first ? progress : "", (long long)version + 1);
    sqlite3_free(job);
    sqlite3_free(progress);
    return text;
}

static bool migrate(struct database *database, int64_t version, struct problem *problem)
{
    for (; version < VERSION; version++) {
        char *text = migration_text(version);
        int code =
            text != NULL ? sqlite3_exec(database->handle, text, NULL, NULL, NULL) : SQLITE_NOMEM;
        sqlite3_free(text);
        if (code != SQLITE_OK)
            return problem_set(problem, "to version %lld: %s", (long long)version + 1,
                               sql_error(database, code));
    }
    return true;
}

static char *row_text(const struct table *table)
{
    char *columns = columns_list(table, false), *text = NULL;
    if (columns != NULL)
        text = sqlite3_mprintf("SELECT %s FROM %s WHERE id = ?", columns, table->name);
    sqlite3_free(columns);
    return text;
}

static char *statement_text(enum statement which)
{
    const bool plain = which == SQL_ADD_PLAIN || which == SQL_SET_PLAIN;
    if (which == SQL_ADD || which == SQL_ADD_PLAIN)
        return columns_insert(&job_table, plain, NULL);
    if (which == SQL_SET || which == SQL_SET_PLAIN)
        return columns_insert(&progress_table, plain, "EXISTS (SELECT 1 FROM job WHERE id = ?1)");
    if (which == SQL_JOB || which == SQL_PROGRESS)
        return row_text(which == SQL_JOB ? &job_table : &progress_table);
    if (which == SQL_SCHEDULE)
        return columns_insert(&schedule_table, false, NULL);
    if (which == SQL_PLACE)
        return columns_insert(&schedule_place_table, false, NULL);
    return sqlite3_mprintf("%s", statements[which].text);
}

static bool prepare(struct database *database, struct problem *problem)
{
    int64_t next_id, links;
    sqlite3 *handle = database->handle;
    struct kept_times *times = &database->times;
    if (!database_ask(database, "SELECT value FROM meta WHERE name = 'next_id'", &next_id) ||
        !database_ask(database, "SELECT value FROM meta WHERE name = 'links'", &links) ||
        !database_ask(database, "SELECT value FROM meta WHERE name = 'wall_us'", &times->wall_us) ||
        !database_ask(database, "SELECT value FROM meta WHERE name = 'database_us'",
                      &times->database_us) ||
        !database_ask(database, "SELECT value FROM meta WHERE name = 'serving_us'",
                      &times->serving_us))
        return problem_set(problem, "%s", sqlite3_errmsg(handle));
    /* A clock far ahead once made ids that nobody can ask for: they are left out. */
    if (next_id > (int64_t)JOBD_FIRST_ID_MAX &&
        !database_ask(database, "SELECT max(id) + 1 FROM job WHERE id < 3 << 51", &next_id))
        return problem_set(problem, "%s", sqlite3_errmsg(handle));
    database->reserved = next_id > 0 ? (uint64_t)next_id : 1;
    database->linked = database->links_noted = links != 0;
    for (int i = 0; i < SQL_STATEMENTS; i++) {
        char *text = statement_text((enum statement)i);
        int code = text != NULL
                       ? sqlite3_prepare_v3(database->handle, text, -1, SQLITE_PREPARE_PERSISTENT,
                                            &database->statements[i], NULL)
                       : SQLITE_NOMEM;
        sqlite3_free(text);
        if (code != SQLITE_OK)
            return problem_set(problem, "%s", sql_error(database, code));
    }
    return true;
}

/* The log as it was found. `lost`: there is a file that says to go on without it. */
struct log_file {
    bool there, empty, lost;
    char *lost_path;
};

/* SQLite makes either file anew when it is missing, and drops a log without a database. */
static bool look_for_log(const char *path, struct log_file *log, struct problem *problem)
{
    struct stat file;
    char *log_path = sqlite3_mprintf("%s-wal", path);
    log->lost_path = sqlite3_mprintf("%s-wal.lost", path);
    if (log_path == NULL || log->lost_path == NULL) {
        sqlite3_free(log_path);
        return problem_set(problem, "out of memory");
    }
    log->there = stat(log_path, &file) == 0;
    log->empty = log->there && file.st_size == 0;
    log->lost = access(log->lost_path, F_OK) == 0;
    sqlite3_free(log_path);
    if (log->there && !log->empty && (stat(path, &file) != 0 || file.st_size == 0))
        return problem_set(problem, "it is gone, but its log is there: put it back, or delete "
                                    "jobd.db-wal to begin anew");
    return true;
}

/* Why to go on without the log that the mark speaks of; NULL: it may not be done. One that nobody
 * has synced is emptied by a power cut; its name is synced always. */
static const char *excuse(const struct log_file *log, int64_t mark)
{
    return log->lost                                 ? "as jobd.db-wal.lost said"
           : log->empty && mark == MARK_UNSYNCED_LOG ? "as it was not synced (--sync off)"
                                                     : NULL;
}

/* Nothing is written before that is clear. */
static bool has_its_log(struct database *database, const struct log_file *log,
                        struct problem *problem)
{
    int64_t tables, mark = MARK_NONE;
    const char *text = "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'";
    if (!database_ask(database, text, &tables) ||
        (tables > 0 && !database_ask(database, "SELECT value FROM meta WHERE name = 'log'", &mark)))
        return problem_set(problem, "%s", sqlite3_errmsg(database->handle));
    database->marked = mark != MARK_NONE;
    if (!database->marked || (log->there && !log->empty))
        return true;
    database->lost_log = excuse(log, mark);
    return database->lost_log != NULL ||
           problem_set(problem,
                       "its log jobd.db-wal is gone or empty, and with it the last jobs and "
                       "results that were acknowledged: put it back; or, to go on without them, "
                       "create the file %s",
                       log->lost_path);
}

/* SQLite would let others read it. A start reads all of it, which takes the system a tenth of the
 * time when it knows. */
static bool make_ready(const char *path, struct problem *problem)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return problem_set(problem, "%s", strerror(errno));
    struct stat file;
    if (fstat(fd, &file) == 0) /* the system takes so much at a time of it, and drops the rest */
        for (off_t at = 0; at < file.st_size; at += AHEAD_BYTES)
            (void)posix_fadvise(fd, at, AHEAD_BYTES, POSIX_FADV_WILLNEED);
    close(fd);
    return true;
}

static bool open_file(struct database *database, const char *path, struct problem *problem)
{
    if (!make_ready(path, problem))
        return false;
    char *name = sqlite3_mprintf("%s%s", path[0] == '/' ? "" : "./", path); /* no URI */
    int code = name != NULL ? sqlite3_open_v2(name, &database->handle,
                                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL)
                            : SQLITE_NOMEM;
    sqlite3_free(name);
    if (code == SQLITE_OK && sqlite3_extended_result_codes(database->handle, 1) == SQLITE_OK &&
        sqlite3_db_config(database->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) == SQLITE_OK)
        return true;
    return problem_set(problem, "%s",
                       database->handle != NULL ? sqlite3_errmsg(database->handle)
                                                : "out of memory");
}

/* The permission to go on without a log is used up when that is on disk. */
static bool use_up(struct database *database, const struct log_file *log, struct problem *problem)
{
    if (database->lost_log != NULL && (database_begin(database, problem) != DATABASE_OK ||
                                       database_commit(database, problem) != DATABASE_OK))
        return false;
    return !log->lost || unlink(log->lost_path) == 0 ||
           problem_set(problem, "%s: %s", log->lost_path, strerror(errno));
}

static bool open_all(struct database *database, const char *path, enum database_sync sync,
                     struct problem *problem)
{
    int64_t version = 0;
    struct log_file log = {.lost_path = NULL};
    database->unsynced = sync == DATABASE_SYNC_OFF;
    bool good = look_for_log(path, &log, problem) && open_file(database, path, problem) &&
                is_ours(database, &version, problem) && has_its_log(database, &log, problem) &&
                configure(database, sync, problem) && migrate(database, version, problem) &&
                prepare(database, problem) && use_up(database, &log, problem);
    sqlite3_free(log.lost_path);
    return good;
}

struct database *database_open(const char *path, enum database_sync sync, struct problem *problem)
{
    struct problem why;
    /* Nobody asks how much memory it has; counting takes a lock of its own each time. It listens
     * only before its first use in this process. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    struct database *database = calloc(1, sizeof *database);
    if (database != NULL ? open_all(database, path, sync, &why)
                         : problem_set(&why, "out of memory"))
        return database;
    (void)problem_set(problem, "%s: %s", path, why.text);
    database_close(database);
    return NULL;
}

const char *database_lost_log(const struct database *database)
{
    return database->lost_log;
}

void database_close(struct database *database)
{
    if (database == NULL)
        return;
    for (int i = 0; i < SQL_STATEMENTS; i++)
        (void)sqlite3_finalize(database->statements[i]);
    (void)sqlite3_close(database->handle);
    free(database);
}

const char *database_library(void)
{
    return sqlite3_libversion();
}
