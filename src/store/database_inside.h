/* SPDX-License-Identifier: MIT */
/* What database.c (the file and its transactions), wal.c (its log), shrink.c (its space), rows.c (a
 * job as two rows), schedules.c (a schedule likewise) and columns.c (what is in them) share; no
 * other file includes this, or sqlite3.h. */
#pragma once

#include <sqlite3.h>

#include "store/database.h"

enum statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_ADD,
    SQL_ADD_PLAIN, /* without the columns behind `crc` */
    SQL_SET,
    SQL_SET_PLAIN,
    SQL_JOB, /* these two give a row */
    SQL_PROGRESS,
    SQL_REMOVE_JOB,
    SQL_REMOVE_PROGRESS,
    SQL_ADD_BATCH,
    SQL_COUNT_IN_BATCH,
    SQL_COUNT_NO_LONGER,
    SQL_REMOVE_BATCH,
    SQL_RESERVE,
    SQL_NOTE_LINKS,
    SQL_KEEP_TIMES,
    SQL_MARK,
    SQL_PAUSE,
    SQL_RESUME,
    SQL_SCHEDULE,
    SQL_PLACE,
    SQL_REMOVE_SCHEDULE,
    SQL_REMOVE_PLACE,
    SQL_CLEAR_SCHEDULES,
    SQL_CLEAR_PLACES,
    SQL_STATEMENTS
};

struct database {
    sqlite3 *handle;
    sqlite3_stmt *statements[SQL_STATEMENTS];
    uint64_t reserved, highest; /* ids: below this one they may be used; the highest that is */
    struct kept_times times;    /* as they were when it was opened */
    int log_pages, log_rest;    /* in the log; of those, such as a checkpoint leaves */
    bool linked;                /* some job has come after others, or with a callback; */
    bool links_noted;           /* in this file that is known to stand */
    bool marked;                /* the last commit has left the mark of wal.c */
    bool unsynced;              /* DATABASE_SYNC_OFF */
    const char *lost_log;       /* database_lost_log() */
};

/* The first column of the first row; 0 when there is none. False on an error. */
bool database_ask(struct database *database, const char *text, int64_t *number);

/* The marks of wal.c. */
enum { MARK_NONE = 0, MARK_LOG = 1, MARK_UNSYNCED_LOG = 2 };

/* In a transaction: sets the mark, or takes it out. */
enum database_result database_mark(struct database *database, bool marked, struct problem *problem);

/* DATABASE_FULL or DATABASE_BROKEN, by what SQLite said last. */
enum database_result database_failed(struct database *database, const char *what,
                                     struct problem *problem);

/* Runs a statement that gives no rows; it must have changed `rows` of them, unless that is
 * negative. */
enum database_result database_step(struct database *database, enum statement which, int rows,
                                   struct problem *problem);
