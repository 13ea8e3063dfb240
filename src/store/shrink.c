/* SPDX-License-Identifier: MIT */
/* Space that jobs have left in the file, given back in steps. A file can do that when it keeps a
 * map of its pages, from the beginning or since it was rewritten (SQLite's auto_vacuum). Some is
 * kept, so that a queue that fills and empties need not grow the file each time. */
#include "store/database_inside.h"

enum {
    STEP_PAGES = 64,          /* at a time: what a put may have to wait for */
    KEPT_PAGES = 256,         /* free ones that stay, at least; */
    KEPT_SHARE = 4,           /* or so many parts of what is used */
    REWRITE_PAGES_MAX = 16384 /* used; rewriting takes as much memory, and space */
};

/* Free pages that are too many. */
static int64_t surplus(int64_t pages, int64_t free)
{
    int64_t kept = (pages - free) / KEPT_SHARE;
    return free - (kept > KEPT_PAGES ? kept : KEPT_PAGES);
}

static bool count(struct database *database, int64_t *pages, int64_t *free)
{
    return database_ask(database, "PRAGMA page_count", pages) &&
           database_ask(database, "PRAGMA freelist_count", free);
}

bool database_can_shrink(struct database *database)
{
    int64_t pages, free;
    return database->has_map && count(database, &pages, &free) && surplus(pages, free) > 0;
}

enum database_result database_shrink(struct database *database, struct problem *problem)
{
    char *text = NULL;
    int64_t pages = 0, free = 0;
    enum database_result result = database_begin(database, problem);
    if (result != DATABASE_OK)
        return result;
    if (count(database, &pages, &free)) {
        int64_t most = surplus(pages, free);
        text = sqlite3_mprintf("PRAGMA incremental_vacuum(%lld)",
                               (long long)(most < STEP_PAGES ? most : STEP_PAGES));
    }
    if (text == NULL || sqlite3_exec(database->handle, text, NULL, NULL, NULL) != SQLITE_OK)
        result = database_failed(database, "incremental_vacuum", problem);
    sqlite3_free(text);
    if (result == DATABASE_OK)
        result = database_commit(database, problem);
    if (result != DATABASE_OK)
        database_rollback(database);
    return result;
}

/* A file without a map that is mostly free gets one. It stays as it is when there is no space or no
 * memory for that. */
bool database_prepare_to_shrink(struct database *database, struct problem *problem)
{
    int64_t mode, pages, free;
    if (!database_ask(database, "PRAGMA auto_vacuum", &mode) || !count(database, &pages, &free))
        return problem_set(problem, "%s", sqlite3_errmsg(database->handle));
    database->has_map = mode == 2;
    if (database->has_map || surplus(pages, free) <= 0 || free < pages / 2 ||
        pages - free > REWRITE_PAGES_MAX)
        return true;
    int code = sqlite3_exec(database->handle, "PRAGMA auto_vacuum = 2; VACUUM", NULL, NULL, NULL);
    database->has_map = code == SQLITE_OK;
    return code == SQLITE_OK || (code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_NOMEM ||
           problem_set(problem, "VACUUM: %s", sqlite3_errmsg(database->handle));
}
