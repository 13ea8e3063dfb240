/* SPDX-License-Identifier: MIT */
/* A copy of the database, page by page, by SQLite's own means for it: what the connection commits
 * in the meantime goes into the copy too, so that it never has to begin anew, and is what the
 * database was at the last step. Two writers would make it begin anew; here is one connection. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/database_inside.h"

enum { STEP_PAGES = 32 };

struct database_copy {
    struct database *from;
    sqlite3 *to;
    sqlite3_backup *backup;
    int fd;
};

/* ---- the file */

/* What is there of that name is no copy of ours any more. */
static int new_file(const char *path)
{
    (void)unlink(path);
    return open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Nothing in it need survive a crash, nor be seen by another connection. */
static bool open_target(struct database_copy *copy, const char *path, struct problem *problem)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    char *name = sqlite3_mprintf("%s%s", path[0] == '/' ? "" : "./", path); /* no URI */
    int code = name != NULL ? sqlite3_open_v2(name, &copy->to, flags, NULL) : SQLITE_NOMEM;
    sqlite3_free(name);
    if (code == SQLITE_OK)
        code = sqlite3_exec(copy->to,
                            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF;"
                            " PRAGMA synchronous = OFF",
                            NULL, NULL, NULL);
    return code == SQLITE_OK ||
           problem_set(problem, "%s",
                       copy->to != NULL ? sqlite3_errmsg(copy->to) : "out of memory");
}

static bool begin(struct database_copy *copy, const char *path, struct problem *problem)
{
    copy->fd = new_file(path);
    if (copy->fd < 0)
        return problem_set(problem, "%s: %s", path, strerror(errno));
    bool opened = open_target(copy, path, problem);
    (void)unlink(path); /* both that have it open go on */
    if (!opened)
        return false;
    copy->backup = sqlite3_backup_init(copy->to, "main", copy->from->handle, "main");
    return copy->backup != NULL || problem_set(problem, "%s", sqlite3_errmsg(copy->to));
}

/* ---- its life */

struct database_copy *database_copy_begin(struct database *database, const char *path,
                                          struct problem *problem)
{
    struct database_copy *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        (void)problem_set(problem, "out of memory");
        return NULL;
    }
    copy->from = database;
    copy->fd = -1;
    if (begin(copy, path, problem))
        return copy;
    database_copy_free(copy);
    return NULL;
}

/* A copy that says that it has a log would not be opened without it. */
static bool take_out_mark(struct database *database, struct problem *problem)
{
    if (!database->marked)
        return true;
    if (database_begin(database, problem) == DATABASE_OK &&
        database_commit(database, problem) == DATABASE_OK)
        return true;
    database_rollback(database);
    return false;
}

enum copy_step database_copy_step(struct database_copy *copy, struct problem *problem)
{
    if (!take_out_mark(copy->from, problem))
        return COPY_FAILED;
    int code = sqlite3_backup_step(copy->backup, STEP_PAGES);
    if (code == SQLITE_OK)
        return COPY_GOES_ON;
    if (code == SQLITE_DONE)
        code = sqlite3_backup_finish(copy->backup);
    else
        (void)sqlite3_backup_finish(copy->backup);
    copy->backup = NULL;
    if (code == SQLITE_OK)
        return COPY_DONE;
    (void)problem_set(problem, "%s",
                      (code & 0xff) == SQLITE_FULL ? "the disk has no room for it"
                                                   : sqlite3_errstr(code));
    return COPY_FAILED;
}

int database_copy_take(struct database_copy *copy)
{
    int fd = copy->fd;
    copy->fd = -1;
    return fd;
}

void database_copy_free(struct database_copy *copy)
{
    if (copy == NULL)
        return;
    (void)sqlite3_backup_finish(copy->backup);
    (void)sqlite3_close(copy->to);
    if (copy->fd >= 0)
        close(copy->fd);
    free(copy);
}

bool database_bytes(struct database *database, uint64_t *bytes)
{
    int64_t pages, size;
    if (!database_ask(database, "PRAGMA page_count", &pages) ||
        !database_ask(database, "PRAGMA page_size", &size))
        return false;
    *bytes = (uint64_t)pages * (uint64_t)size;
    return true;
}
