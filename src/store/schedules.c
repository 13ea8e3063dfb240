/* SPDX-License-Identifier: MIT */
#include "store/schedules.h"

#include "store/database_inside.h"
#include "store/schedule_columns.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

/* ---- writing */

static enum database_result write_row(struct database *database, enum statement which,
                                      const struct table *table,
                                      const struct schedule_record *record, struct problem *problem)
{
    columns_bind(table, false, database->statements[which], record);
    return database_step(database, which, 1, problem);
}

static enum database_result remove_both(struct database *database, const char *name,
                                        struct problem *problem)
{
    static const enum statement which[] = {SQL_REMOVE_PLACE, SQL_REMOVE_SCHEDULE};
    enum database_result result = DATABASE_OK;
    for (size_t i = 0; i < LEN(which) && result == DATABASE_OK; i++) {
        (void)sqlite3_bind_text(database->statements[which[i]], 1, name, -1, SQLITE_STATIC);
        result = database_step(database, which[i], -1, problem);
    }
    return result;
}

static enum database_result remove_all(struct database *database, struct problem *problem)
{
    enum database_result result = database_step(database, SQL_CLEAR_PLACES, -1, problem);
    return result == DATABASE_OK ? database_step(database, SQL_CLEAR_SCHEDULES, -1, problem)
                                 : result;
}

enum database_result schedules_change(struct database *database, enum row_kind kind,
                                      const struct schedule_record *record, struct problem *problem)
{
    enum database_result result = DATABASE_OK;
    if (kind == ROW_UNSCHEDULE_ALL)
        return remove_all(database, problem);
    if (kind == ROW_UNSCHEDULE)
        return remove_both(database, record->name, problem);
    if (kind == ROW_SCHEDULE)
        result = write_row(database, SQL_SCHEDULE, &schedule_table, record, problem);
    return result == DATABASE_OK
               ? write_row(database, SQL_PLACE, &schedule_place_table, record, problem)
               : result;
}

/* ---- reading */

bool schedules_count(struct database *database, uint32_t *count, struct problem *problem)
{
    int64_t number;
    if (!database_ask(database, "SELECT count(*) FROM schedule", &number))
        return problem_set(problem, "%s", sqlite3_errmsg(database->handle));
    *count = number < UINT32_MAX / 2 ? (uint32_t)number : UINT32_MAX / 2;
    return true;
}

struct schedule_scan {
    bool (*each)(void *context, const char *name, const struct schedule_record *record);
    void *context;
    struct problem *problem;
};

/* The place first: the texts of both are the name, which stays that of the schedule. */
static bool scan_row(const struct schedule_scan *scan, sqlite3_stmt *row)
{
    const int place = schedule_table.len;
    struct schedule_record record = {.name = NULL};
    bool whole = columns_read(&schedule_place_table, false, row, place, &record) &&
                 columns_whole(&schedule_place_table, false, row, place, &record);
    bool good = columns_read(&schedule_table, false, row, 0, &record);
    whole = good && whole && columns_whole(&schedule_table, false, row, 0, &record);
    if (!good)
        (void)problem_set(scan->problem, "out of memory");
    good = good && scan->each(scan->context, record.name, whole ? &record : NULL);
    columns_release(&schedule_table, &record);
    return good;
}

static char *scan_text(void)
{
    char *asked = columns_list(&schedule_table, false),
         *place = columns_list(&schedule_place_table, false);
    char *text = NULL;
    if (asked != NULL && place != NULL)
        text = sqlite3_mprintf("SELECT %s, %s FROM schedule LEFT JOIN schedule_place USING (name)"
                               " ORDER BY schedule.name",
                               asked, place);
    sqlite3_free(asked);
    sqlite3_free(place);
    return text;
}

bool schedules_scan(struct database *database,
                    bool (*each)(void *context, const char *name,
                                 const struct schedule_record *record),
                    void *context, struct problem *problem)
{
    const struct schedule_scan scan = {each, context, problem};
    sqlite3_stmt *row = NULL;
    char *text = scan_text();
    if (text == NULL)
        return problem_set(problem, "out of memory");
    int code = sqlite3_prepare_v2(database->handle, text, -1, &row, NULL);
    bool good = code == SQLITE_OK;
    while (good && (code = sqlite3_step(row)) == SQLITE_ROW)
        good = scan_row(&scan, row);
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
        (void)database_failed(database, "schedules", problem);
        good = false;
    }
    (void)sqlite3_finalize(row);
    sqlite3_free(text);
    return good;
}
