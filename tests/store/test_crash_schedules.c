/* SPDX-License-Identifier: MIT */
/* A durable server with schedules that is killed at any moment and stays away for some: each
 * instant has one job, or is missed as was asked for.
 *
 * SCHEDULE_KILLS=n in the environment is a longer form. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "support/chance.h"
#include "support/client.h"

enum { USUAL_KILLS = 10 };

static struct server *start_on(const char *folder)
{
    const char *const arguments[] = {"-l",      "127.0.0.1:0", "-d", folder,   "-q",
                                     "100000",  "-w",          "2",  "--keep", "100000",
                                     "--sleep", "1ms",         NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

static void kill_server(struct server *server)
{
    server_kill(server);
    server_forget(server);
}

static void put(struct client *client, const char *path)
{
    assert_int_equal(client_send(client, "PUT", path, NULL, NULL)->status, 201);
}

/* One number of the database, by another program. */
static int64_t ask(const char *folder, const char *sql)
{
    char path[300];
    sqlite3 *handle;
    sqlite3_stmt *row;
    snprintf(path, sizeof path, "%s/jobd.db", folder);
    assert_int_equal(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    return number;
}

/* Every second from the first to the last has a job. */
#define SPAN                                                                                       \
    "SELECT strftime('%s', substr(max(key), 5)) - strftime('%s', substr(min(key), 5)) + 1"         \
    " FROM job WHERE schedule = 'all'"

static void compare(const char *folder)
{
    static const char twice[] = "SELECT count(*) - count(DISTINCT key) FROM job"
                                " WHERE schedule <> ''";
    static const char jobs[] = "SELECT count(*) FROM job WHERE schedule = 'all'";
    /* Of the other those that have a job and those that were missed. */
    static const char once[] =
        "SELECT (SELECT count(*) FROM job WHERE schedule = 'one')"
        " + (SELECT missed FROM schedule_place WHERE name = 'one')"
        " - (SELECT (last_at - 1000000 * strftime('%s', substr(key, 5))) / 1000000 + 1"
        "    FROM schedule_place, (SELECT min(key) AS key FROM job WHERE schedule = 'one')"
        "    WHERE name = 'one')";
    assert_int_equal(ask(folder, twice), 0);
    assert_int_equal(ask(folder, jobs), ask(folder, SPAN));
    assert_int_equal(ask(folder, "SELECT missed FROM schedule_place WHERE name = 'all'"), 0);
    assert_int_equal(ask(folder, once), 0);
}

static int64_t until_second_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return 1000 - now.tv_nsec / 1000000;
}

static void test_kills_double_no_instant(void **state)
{
    char folder[200];
    struct chance chance = chance_begin();
    const char *given = getenv("SCHEDULE_KILLS");
    unsigned kills = given != NULL ? (unsigned)strtoul(given, NULL, 10) : USUAL_KILLS;
    (void)state;
    snprintf(folder, sizeof folder, "%s/schedules", temporary_directory());
    struct server *server = start_on(folder);
    struct client *client = client_new(server);
    put(client, "/schedules/all?every=1s&missed=all");
    put(client, "/schedules/one?every=1s");
    /* Each has had an instant then, from which compare() counts. */
    client_await_at_least(client, "jobd_schedule_instants_total{result=\"fired\"}", 3);
    client_free(client);
    for (unsigned i = 0; i < kills; i++) {
        /* near the instant, where there is most to be torn apart */
        let_pass(until_second_ms() + (int64_t)chance_below(&chance, 12));
        kill_server(server);
        let_pass((int64_t)chance_below(&chance, 4) * 700);
        server = start_on(folder);
    }
    let_pass(1100);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    compare(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_kills_double_no_instant, server_stop_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
