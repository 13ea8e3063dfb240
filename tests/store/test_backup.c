/* SPDX-License-Identifier: MIT */
/* GET /backup: the copy has all that was acknowledged, whatever goes on meanwhile; there is one at
 * a time; nothing of it is left, whoever goes away; and a disk that gets full takes its space back.
 */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "support/client.h"
#include "support/postgres.h"
#include "support/server.h"

enum { PATH_SIZE = 200, COPIES = 6, PUTTERS = 4, ACKNOWLEDGED_MAX = 1 << 20, LARGE = 60000 };

static char folder[PATH_SIZE];
static unsigned folders;

static void fresh_folder(void)
{
    snprintf(folder, sizeof folder, "%s/backup-%u", temporary_directory(), ++folders);
}

static struct server *start(void)
{
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-d",       folder,   "-q", "1000000",
                                     "-w", "0",           "--memory", "512MiB", NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

/* So much on disk that no socket takes a copy at once. */
static void put_large(struct client *client, unsigned count)
{
    char *payload = raw_filled("", 'x', LARGE, "");
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(client_send(client, "POST", "/do", NULL, payload)->status, 202);
    free(payload);
}

/* How many files without a name the server has open. */
static unsigned nameless(const struct server *server)
{
    char path[64], target[PATH_SIZE * 2];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)server_pid(server));
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        ssize_t size = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        target[size > 0 ? size : 0] = '\0';
        count += strstr(target, "/backup (deleted)") != NULL;
    }
    closedir(directory);
    return count;
}

static void await_nothing_left(const struct server *server)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    char path[PATH_SIZE + 16];
    while (nameless(server) > 0)
        look_again(deadline_ms, "the copy to be gone");
    snprintf(path, sizeof path, "%s/backup", folder);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* One that has begun to come; nobody reads on. */
static int begin_fetching(const struct server *server, struct raw *raw)
{
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "GET /backup HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    raw_read_until(fd, raw, "\r\n\r\n");
    assert_int_equal(raw_status(raw->text), 200);
    return fd;
}

/* ---- under load */

struct load {
    struct client *clients[PUTTERS];
    pthread_t threads[PUTTERS];
    pthread_mutex_t lock;
    uint64_t *acknowledged;
    size_t len;
    atomic_bool over;
};

static struct load load;

static size_t acknowledged(void)
{
    pthread_mutex_lock(&load.lock);
    size_t len = load.len;
    pthread_mutex_unlock(&load.lock);
    return len;
}

static void *put_on(void *client)
{
    while (!atomic_load(&load.over)) {
        const struct answer *answer = client_send(client, "POST", "/do", NULL, "payload");
        uint64_t id = answer->status == 202 ? answer_job(answer) : 0;
        pthread_mutex_lock(&load.lock);
        if (id != 0 && load.len < ACKNOWLEDGED_MAX)
            load.acknowledged[load.len++] = id;
        pthread_mutex_unlock(&load.lock);
    }
    return NULL;
}

static void begin_load(const struct server *server)
{
    load = (struct load){.len = 0};
    assert_int_equal(pthread_mutex_init(&load.lock, NULL), 0);
    load.acknowledged = calloc(ACKNOWLEDGED_MAX, sizeof *load.acknowledged);
    assert_non_null(load.acknowledged);
    for (int i = 0; i < PUTTERS; i++) {
        load.clients[i] = client_new(server);
        assert_int_equal(pthread_create(&load.threads[i], NULL, put_on, load.clients[i]), 0);
    }
}

static void end_load(void)
{
    atomic_store(&load.over, true);
    for (int i = 0; i < PUTTERS; i++) {
        assert_int_equal(pthread_join(load.threads[i], NULL), 0);
        client_free(load.clients[i]);
    }
    free(load.acknowledged);
    pthread_mutex_destroy(&load.lock);
}

static void save(const struct answer *answer, const char *path)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(answer->body, 1, answer->size, file), answer->size);
    assert_int_equal(fclose(file), 0);
}

static void assert_whole(sqlite3 *database)
{
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &row, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(row, 0), "ok");
    (void)sqlite3_finalize(row);
}

/* It has the first `len` that were acknowledged. */
static void assert_has(const char *path, size_t len)
{
    sqlite3 *database;
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_whole(database);
    assert_int_equal(sqlite3_prepare_v2(database, "SELECT 1 FROM job WHERE id = ?", -1, &row, NULL),
                     SQLITE_OK);
    for (size_t i = 0; i < len; i++) {
        pthread_mutex_lock(&load.lock);
        uint64_t id = load.acknowledged[i];
        pthread_mutex_unlock(&load.lock);
        (void)sqlite3_bind_int64(row, 1, (sqlite3_int64)id);
        if (sqlite3_step(row) != SQLITE_ROW)
            fail_msg("job %llu was acknowledged before, and is not in the copy",
                     (unsigned long long)id);
        (void)sqlite3_reset(row);
    }
    (void)sqlite3_finalize(row);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* From the copy alone another server goes on. */
static void assert_starts(const char *copy, const struct answer *answer, uint64_t id)
{
    char path[PATH_SIZE + 16];
    snprintf(folder, sizeof folder, "%s", copy);
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s/jobd.db", folder);
    save(answer, path);
    struct server *server = start();
    struct client *client = client_new(server);
    assert_string_equal(json_string(client_job(client, id), "state"), "queued");
    assert_int_equal(client_post(client, "/take")->size, LARGE); /* the first of all */
    assert_true(client_put(client, "/do") > id);
    client_free(client);
}

static void a_copy_under_load_is_whole(void **state)
{
    char path[PATH_SIZE], copy[PATH_SIZE];
    const struct answer *answer = NULL;
    (void)state;
    fresh_folder();
    struct server *server = start();
    struct client *client = client_new(server);
    put_large(client, 20); /* so that a copy takes a while */
    begin_load(server);
    for (int i = 0; i < COPIES; i++) {
        int64_t deadline_ms = now_ms() + PATIENCE_MS;
        while (acknowledged() < 400U * (unsigned)(i + 1))
            look_again(deadline_ms, "jobs to be acknowledged");
        size_t len = acknowledged();
        answer = client_get(client, "/backup");
        assert_int_equal(answer->status, 200);
        assert_field(answer, "Content-Type", "application/vnd.sqlite3");
        snprintf(path, sizeof path, "%s/copy-%d.db", temporary_directory(), i);
        save(answer, path);
        assert_has(path, len);
    }
    uint64_t first = load.acknowledged[0];
    end_load();
    await_nothing_left(server);
    snprintf(copy, sizeof copy, "%s/copy", temporary_directory());
    assert_starts(copy, answer, first);
    client_free(client);
}

/* Reads the rest of what begin_fetching() has begun; how many jobs are in the copy. */
static int finish_fetching(int fd, struct raw *raw)
{
    char path[PATH_SIZE];
    sqlite3 *database;
    sqlite3_stmt *row;
    const char *body = strstr(raw->text, "\r\n\r\n") + 4, *length;
    ssize_t size = raw->text + raw->size - body;
    assert_non_null(length = strstr(raw->text, "Content-Length: "));
    long left = strtol(length + strlen("Content-Length: "), NULL, 10);
    snprintf(path, sizeof path, "%s/fetched.db", temporary_directory());
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    do {
        assert_int_equal(fwrite(body, 1, (size_t)size, file), size);
        left -= size;
        body = raw->text;
        size = left > 0 ? recv(fd, raw->text, sizeof raw->text, 0) : 0;
    } while (size > 0);
    assert_int_equal(left, 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_whole(database);
    assert_int_equal(sqlite3_prepare_v2(database, "SELECT count(*) FROM job", -1, &row, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    int jobs = sqlite3_column_int(row, 0);
    (void)sqlite3_finalize(row);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    return jobs;
}

/* A server with large jobs, whose backup is being fetched. */
struct fetching {
    struct server *server;
    struct client *client;
    struct raw *raw;
    int fd;
};

static struct fetching start_fetching(void)
{
    struct fetching all = {.raw = calloc(1, sizeof *all.raw)};
    assert_non_null(all.raw);
    fresh_folder();
    all.server = start();
    all.client = client_new(all.server);
    put_large(all.client, 200);
    all.fd = begin_fetching(all.server, all.raw);
    return all;
}

static void end_fetching(struct fetching *all)
{
    close(all->fd);
    free(all->raw);
    client_free(all->client);
}

/* What comes while it is fetched is not in it, and does not wait for that. */
static void a_copy_is_of_one_moment(void **state)
{
    struct fetching all = start_fetching();
    (void)state;
    put_large(all.client, 20);
    client_await_metric(all.client, "jobd_queue_queued{queue=\"default\"}", 220);
    assert_int_equal(finish_fetching(all.fd, all.raw), 200);
    await_nothing_left(all.server);
    end_fetching(&all);
}

/* ---- one at a time */

static void there_is_one_at_a_time(void **state)
{
    struct fetching all = start_fetching();
    (void)state;
    const struct answer *answer = client_get(all.client, "/backup");
    assert_answer(answer, 503, "another backup is being made or fetched\n");
    assert_field(answer, "Retry-After", "10");
    assert_int_equal(client_send(all.client, "HEAD", "/backup", NULL, NULL)->status, 200);
    close(all.fd); /* it goes away: the next is let in */
    await_nothing_left(all.server);
    all.fd = begin_fetching(all.server, all.raw);
    assert_int_equal(finish_fetching(all.fd, all.raw), 200);
    end_fetching(&all);
}

/* Before it was made, while it is, when it has been. */
static void clients_leave_at_any_moment(void **state)
{
    (void)state;
    fresh_folder();
    struct server *server = start();
    struct client *client = client_new(server);
    put_large(client, 20);
    for (int i = 0; i < 40; i++) {
        int fd = raw_connect(server);
        assert_true(raw_send(fd, "GET /backup HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        for (int puts = 0; puts < i % 8; puts++)
            (void)client_put(client, "/do");
        close(fd);
    }
    await_nothing_left(server);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_get(client, "/backup")->status != 200)
        look_again(deadline_ms, "those that were left to be over");
    client_free(client);
}

static void a_server_that_ends_does_not_wait(void **state)
{
    struct fetching all = start_fetching();
    (void)state;
    server_signal(all.server, SIGTERM);
    assert_int_equal(server_wait(all.server), 0);
    end_fetching(&all);
}

/* ---- a full disk */

static bool small_disk(const char *size)
{
    fresh_folder();
    assert_int_equal(mkdir(folder, 0700), 0);
    return mount("none", folder, "tmpfs", 0, size) == 0;
}

static void a_copy_needs_room(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    if (!small_disk("size=24m"))
        skip();
    struct server *server = start();
    struct client *client = client_new(server);
    put_large(client, 50);
    const struct answer *answer = client_get(client, "/backup");
    assert_int_equal(answer->status, 503);
    assert_non_null(strstr(answer->body, "the disk has no room for it"));
    server_await_line(server, ERR, "backup: the disk has no room for it", line);
    (void)client_put(client, "/do");
    assert_int_equal(client_metric(client, "jobd_store_failing"), 0);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    client_free(client);
    assert_int_equal(umount(folder), 0);
}

/* Jobs come before a copy that somebody fetches slowly. */
static void a_full_disk_takes_a_copy_back(void **state)
{
    char line[SERVER_LINE_SIZE];
    struct raw *raw = calloc(1, sizeof *raw);
    (void)state;
    if (!small_disk("size=64m")) {
        free(raw);
        skip();
    }
    struct server *server = start();
    struct client *client = client_new(server);
    put_large(client, 200);
    int fd = begin_fetching(server, raw);
    /* 64 - 4 of ballast - 12 of the copy - 12 + log: this many only have room without the copy. One
     * by one: the line comes some time after the cut, and there is room for 12 more alone. */
    for (unsigned puts = 0; server_count_lines(server, ERR, "backup: cut") == 0; puts++) {
        assert_true(puts < 2000);
        put_large(client, 1);
    }
    server_await_line(server, ERR, "backup: cut, as the disk is full", line);
    assert_int_equal(client_metric(client, "jobd_store_failing"), 0);
    put_large(client, 10);
    do
        raw->size = 0;
    while (recv(fd, raw->text, sizeof raw->text, 0) > 0);
    close(fd);
    await_nothing_left(server);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    client_free(client);
    free(raw);
    assert_int_equal(umount(folder), 0);
}

/* ---- where there is nothing to copy */

static void without_a_directory_there_is_none(void **state)
{
    char url[POSTGRES_URL_SIZE];
    (void)state;
    struct server *server =
        server_spawn(&(struct server_plan){.arguments = FIELDS("-l", "127.0.0.1:0")});
    server_await_listening(server);
    struct client *client = client_new(server);
    assert_answer(client_get(client, "/backup"), 501,
                  "the jobs are in memory: there are backups with --data DIR\n");
    client_free(client);
    if (!postgres_is_there())
        return;
    postgres_fresh(url);
    server =
        server_spawn(&(struct server_plan){.arguments = FIELDS("-l", "127.0.0.1:0", "-d", url)});
    server_await_listening(server);
    client = client_new(server);
    assert_answer(client_get(client, "/backup"), 501,
                  "the jobs are in a PostgreSQL database: copy that with pg_dump\n");
    client_free(client);
}

static void it_is_for_admins(void **state)
{
    (void)state;
    fresh_folder();
    const char *tokens =
        temporary_file("tokens", "admin one-one-one-one-one\nread+data two-two-two-two-two\n");
    assert_int_equal(chmod(tokens, 0600), 0);
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = FIELDS("-l", "127.0.0.1:0", "-d", folder, "--token-file", tokens)});
    server_await_listening(server);
    struct client *client = client_new(server);
    assert_int_equal(client_get(client, "/backup")->status, 401);
    const struct answer *answer = client_send(
        client, "GET", "/backup", FIELDS("Authorization: Bearer two-two-two-two-two"), NULL);
    assert_answer(answer, 403, "insufficient scope: admin is needed\n");
    answer = client_send(client, "GET", "/backup",
                         FIELDS("Authorization: Bearer one-one-one-one-one"), NULL);
    assert_int_equal(answer->status, 200);
    client_free(client);
}

#define EACH(test) cmocka_unit_test_teardown(test, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(a_copy_under_load_is_whole),
        EACH(a_copy_is_of_one_moment),
        EACH(there_is_one_at_a_time),
        EACH(clients_leave_at_any_moment),
        EACH(a_server_that_ends_does_not_wait),
        EACH(a_copy_needs_room),
        EACH(a_full_disk_takes_a_copy_back),
        EACH(without_a_directory_there_is_none),
        EACH(it_is_for_admins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
