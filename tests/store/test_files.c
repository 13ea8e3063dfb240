/* SPDX-License-Identifier: MIT */
/* The files of a server that keeps its jobs on disk: one that got lost while it was away is missed,
 * one that is somebody else's is not written to. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/ballast.h"
#include "support/client.h"
#include "support/server.h"

enum { PATH_SIZE = 200 };

static char folder[160];
static unsigned folders;

static const char *file_named(const char *name)
{
    static char paths[4][PATH_SIZE];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return path;
}

static void fresh_folder(void)
{
    snprintf(folder, sizeof folder, "%s/files-%u", temporary_directory(), ++folders);
}

static struct server *start_syncing(const char *when)
{
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-d",     folder, "-w", "0",
                                     "-q", "100000",      "--sync", when,   NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

static struct server *start(void)
{
    return start_syncing("commit");
}

static void end(struct server *server, struct client *client, int number)
{
    client_free(client);
    server_signal(server, number);
    assert_int_equal(server_wait(server), number == SIGKILL ? 128 + SIGKILL : 0);
}

static void refused_with(const char *text)
{
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-d", folder, NULL};
    char *out, *err;
    assert_int_equal(server_run(arguments, NULL, &out, &err), 1);
    if (strstr(err, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, err);
    assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1); /* one line */
    free(out);
    free(err);
}

/* A server that has acknowledged so many jobs, killed. */
static void kill_after_puts(unsigned puts)
{
    fresh_folder();
    struct server *server = start();
    struct client *client = client_new(server);
    for (unsigned i = 0; i < puts; i++)
        client_put(client, "/do");
    end(server, client, SIGKILL);
}

static void assert_jobs(unsigned jobs)
{
    struct server *server = start();
    struct client *client = client_new(server);
    assert_int_equal(client_metric(client, "jobd_queue_queued{queue=\"default\"}"), jobs);
    end(server, client, SIGKILL);
}

/* ---- the log */

#define LOST "its log jobd.db-wal is gone or empty"

static void a_lost_log_is_missed(void **state)
{
    static const unsigned puts[] = {0, 1, 3000};
    (void)state;
    for (size_t i = 0; i < sizeof puts / sizeof puts[0]; i++) {
        for (unsigned emptied = 0; emptied < 2; emptied++) {
            char line[SERVER_LINE_SIZE];
            kill_after_puts(puts[i]);
            assert_int_equal(emptied ? truncate(file_named("jobd.db-wal"), 0)
                                     : unlink(file_named("jobd.db-wal")),
                             0);
            refused_with(LOST);
            refused_with(LOST); /* it has not become better by that */
            refused_with(file_named("jobd.db-wal.lost"));
            close(open(file_named("jobd.db-wal.lost"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
            struct server *server = start();
            server_await_line(server, ERR, "jobd.db-wal is lost, and the last jobs with it", line);
            assert_int_equal(access(file_named("jobd.db-wal.lost"), F_OK), -1);
            struct client *client = client_new(server);
            client_put(client, "/do");
            end(server, client, SIGKILL);
            assert_int_equal(unlink(file_named("jobd.db-wal")), 0); /* it was for once */
            refused_with(LOST);
        }
    }
}

static void kill_unsynced(struct server *server)
{
    struct client *client = client_new(server);
    client_put(client, "/do");
    end(server, client, SIGKILL);
}

/* Where nothing is synced a power cut may leave the log's name alone. */
static void a_log_that_was_not_synced_may_be_empty(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    fresh_folder();
    kill_unsynced(start_syncing("off"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(truncate(file_named("jobd.db-wal"), 0), 0);
        struct server *server = start_syncing("off");
        server_await_line(server, ERR, "jobd.db-wal is lost, and the last jobs with it", line);
        assert_non_null(strstr(line, "it was not synced (--sync off)"));
        kill_unsynced(server);
    }
    assert_int_equal(rename(file_named("jobd.db-wal"), file_named("away")), 0);
    refused_with(LOST); /* no power cut does that */
    assert_int_equal(rename(file_named("away"), file_named("jobd.db-wal")), 0);
    kill_unsynced(start());
    assert_int_equal(truncate(file_named("jobd.db-wal"), 0), 0);
    refused_with(LOST); /* it has been synced since */
}

static void a_log_that_comes_back_is_enough(void **state)
{
    (void)state;
    kill_after_puts(10);
    assert_int_equal(rename(file_named("jobd.db-wal"), file_named("away")), 0);
    refused_with(LOST);
    assert_int_equal(rename(file_named("away"), file_named("jobd.db-wal")), 0);
    assert_jobs(10);
    assert_jobs(10);
}

/* As sqlite3(1): it copies the log into the database and deletes it. */
static void another_program_reads_it(void)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(file_named("jobd.db"), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "SELECT * FROM jobs", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    assert_int_equal(access(file_named("jobd.db-wal"), F_OK), -1);
}

static bool is_about(const struct inotify_event *event, const char *name)
{
    return event->len > 0 && strcmp(event->name, name) == 0;
}

/* Until the database has been written to, and its log after that, and then nothing for a while. */
static void await_rest(int watch)
{
    enum { QUIET_MS = 200 };
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    bool copied = false, marked = false;
    for (;;) {
        _Alignas(struct inotify_event) char events[4096];
        struct pollfd polls = {.fd = watch, .events = POLLIN};
        int ready = poll(&polls, 1, marked ? QUIET_MS : PATIENCE_MS);
        assert_true(now_ms() < deadline_ms);
        if (ready == 0 && marked)
            return;
        ssize_t size = read(watch, events, sizeof events);
        assert_true(size > 0);
        for (const char *at = events; at < events + size;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;
            copied |= is_about(event, "jobd.db");
            marked |= copied && is_about(event, "jobd.db-wal");
            at += sizeof *event + event->len;
        }
    }
}

static void a_log_that_was_copied_is_not_missed(void **state)
{
    (void)state;
    for (unsigned puts = 0; puts < 3000; puts = puts * 10 + 1) {
        kill_after_puts(puts);
        another_program_reads_it();
        assert_jobs(puts);
    }
    fresh_folder(); /* and at rest */
    struct server *server = start();
    struct client *client = client_new(server);
    int watch = inotify_init1(IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, folder, IN_MODIFY) >= 0);
    client_put(client, "/do");
    await_rest(watch);
    close(watch);
    end(server, client, SIGKILL);
    another_program_reads_it();
    assert_jobs(1);
}

static void after_a_tidy_end_it_needs_no_log(void **state)
{
    (void)state;
    fresh_folder();
    struct server *server = start();
    struct client *client = client_new(server);
    client_put(client, "/do");
    end(server, client, SIGTERM);
    assert_int_equal(unlink(file_named("jobd.db-wal")), 0);
    assert_jobs(1);
}

static void a_lost_database_is_missed(void **state)
{
    (void)state;
    for (unsigned emptied = 0; emptied < 2; emptied++) {
        kill_after_puts(5);
        assert_int_equal(
            emptied ? truncate(file_named("jobd.db"), 0) : unlink(file_named("jobd.db")), 0);
        refused_with("it is gone, but its log is there: put it back, or delete jobd.db-wal");
        refused_with("it is gone");
        assert_int_equal(unlink(file_named("jobd.db-wal")), 0);
        (void)unlink(file_named("jobd.db"));
        assert_jobs(0);
    }
}

/* ---- files of others */

static off_t size_of(const char *path)
{
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    return file.st_size;
}

static void files_of_others_are_left_alone(void **state)
{
    static const char *const names[] = {"ballast", "jobd.db", "jobd.db-wal", "jobd.db-journal"};
    const char *victim = temporary_file("victim", "mine");
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fresh_folder();
        assert_int_equal(mkdir(folder, 0700), 0);
        const char *path = file_named(names[i]);
        assert_int_equal(link(victim, path), 0);
        refused_with("it has 2 names (hard links)");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink(victim, path), 0);
        refused_with("it is a symbolic link, not a file of jobd: remove it");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink("/nowhere/at/all", path), 0);
        refused_with("it is a symbolic link");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        refused_with("it is no plain file: remove it");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        refused_with("it is no plain file");
        assert_int_equal(rmdir(path), 0);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
        if (chown(path, 12345, 12345) == 0)
            refused_with("it belongs to another user, of number 12345");
        assert_int_equal(size_of(victim), 4);
    }
}

/* What is put in its place while a server runs. */
static void the_ballast_is_made_anew(void **state)
{
    const char *victim = temporary_file("victim", "mine");
    (void)state;
    fresh_folder();
    assert_int_equal(mkdir(folder, 0700), 0);
    const char *path = file_named("ballast");
    for (int kind = 0; kind < 3; kind++) {
        assert_int_equal(kind == 0   ? link(victim, path)
                         : kind == 1 ? symlink(victim, path)
                                     : mkfifo(path, 0600),
                         0);
        assert_true(ballast_hold(path, 0));
        assert_int_equal(size_of(path), BALLAST_BYTES);
        assert_int_equal(size_of(victim), 4);
        assert_true(ballast_release(path));
    }
}

static void a_directory_that_others_write_in(void **state)
{
    static const struct {
        mode_t mode;
        gid_t group;
        size_t lines;
    } rows[] = {{0700, 0, 0}, {0755, 0, 0}, {0770, 0, 0}, {0770, 12345, 1}, {0777, 0, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fresh_folder();
        assert_int_equal(mkdir(folder, 0700), 0);
        assert_int_equal(chmod(folder, rows[i].mode), 0);
        if (rows[i].group != 0 && chown(folder, geteuid(), rows[i].group) != 0)
            continue;
        struct server *server = start();
        assert_int_equal(server_count_lines(server, ERR, "others can write in this directory"),
                         rows[i].lines);
        end(server, client_new(server), SIGKILL);
    }
}

#define TEST(test) cmocka_unit_test_teardown(test, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lost_log_is_missed),
        TEST(a_log_that_was_not_synced_may_be_empty),
        TEST(a_log_that_comes_back_is_enough),
        TEST(a_log_that_was_copied_is_not_missed),
        TEST(after_a_tidy_end_it_needs_no_log),
        TEST(a_lost_database_is_missed),
        TEST(files_of_others_are_left_alone),
        TEST(the_ballast_is_made_anew),
        TEST(a_directory_that_others_write_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
