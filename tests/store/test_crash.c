/* SPDX-License-Identifier: MIT */
/* A durable server that is killed while clients work with it, and started again: what it has
 * acknowledged is there, and nothing twice. The clients keep a ledger of their own.
 *
 * KILLS=n in the environment is the long form (`make crash`), CUTS=n of it also cut the power. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/disk.h"
#include "store/crash_clients.h"

enum { PAGE = 1000, USUAL_KILLS = 15, USUAL_CUTS = 2 };

static const char *const last_names[] = {"unknown", "waiting",   "leased",
                                         "done",    "cancelled", "refused"};

/* ---- the comparison */

static bool fits(const struct line *line, const char *state)
{
    switch (line->last) {
    case WAITS:
        if (line->local)
            return true;
        return strcmp(state, "queued") == 0 || strcmp(state, "scheduled") == 0 ||
               strcmp(state, "blocked") == 0;
    case LEASED:
        return strcmp(state, "running") == 0;
    case DONE:
        return strcmp(state, "done") == 0;
    case CANCELLED:
        return strcmp(state, "cancelled") == 0;
    case UNKNOWN:
    case REFUSED:
        break;
    }
    return true;
}

static void compare_job(struct client *client, const cJSON *job)
{
    char path[TEXT_SIZE], expected[32];
    uint64_t id = (uint64_t)json_number(job, "id");
    const char *state = json_string(job, "state");
    snprintf(path, sizeof path, "/jobs/%" PRIu64 "/payload", id);
    const struct answer *answer = client_get(client, path);
    assert_int_equal(answer->status, 200);
    struct line *line = ledger_line((uint32_t)strtoul(answer->body, NULL, 10));
    snprintf(expected, sizeof expected, "%" PRIu32, (uint32_t)(line - ledger.lines));
    assert_string_equal(answer->body, expected);
    if (line->seen++ > 0)
        fail_msg("job %s is there twice", expected);
    if (line->last == REFUSED)
        fail_msg("job %s was refused, and is there", expected);
    if (line->id != 0 && line->id != id)
        fail_msg("job %s was %" PRIu64 ", and is %" PRIu64, expected, line->id, id);
    if (!line->unsure && line->last == WAITS && strcmp(state, "running") == 0 && !line->local) {
        assert_true(++ledger.surprises <= CLIENTS);
        line->unsure = true;
    }
    if (!line->unsure && !fits(line, state))
        fail_msg("job %s is %s; what was acknowledged last: %s", expected, state,
                 last_names[line->last]);
    if (json_number(job, "attempt") < line->attempt && !line->unsure && line->last == LEASED)
        fail_msg("job %s has lost an attempt", expected);
    line->id = id;
    line->blocked = strcmp(state, "blocked") == 0;
    line->final = strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 ||
                  strcmp(state, "cancelled") == 0;
    const cJSON *batch = cJSON_GetObjectItem(job, "batch");
    line->batch = cJSON_IsNumber(batch) ? (uint64_t)batch->valuedouble : 0;
    if (line->last == DONE && !line->unsure) {
        snprintf(path, sizeof path, "/jobs/%" PRIu64 "/output", id);
        snprintf(expected, sizeof expected, "output %" PRIu32, (uint32_t)(line - ledger.lines));
        assert_answer(client_get(client, path), 200, expected);
    }
    /* Whatever nobody knew is known now. */
    if (line->unsure || line->last == UNKNOWN) {
        line->last = line->local                       ? WAITS
                     : strcmp(state, "done") == 0      ? DONE
                     : strcmp(state, "cancelled") == 0 ? CANCELLED
                     : strcmp(state, "running") == 0   ? UNKNOWN /* by an unknown token */
                                                       : WAITS;
        line->unsure = line->last == UNKNOWN;
    }
}

static void compare(struct client *client)
{
    uint64_t after = 0;
    ledger.surprises = 0;
    for (uint32_t i = 0; i < ledger.len; i++) {
        ledger.lines[i].seen = 0;
        ledger.lines[i].held = ledger.lines[i].moved = false;
    }
    for (bool more = true; more;) {
        char path[TEXT_SIZE];
        snprintf(path, sizeof path, "/jobs?limit=%d&after=%" PRIu64, PAGE, after);
        const struct answer *answer = client_get_json(client, path);
        assert_int_equal(answer->status, 200);
        cJSON *list = cJSON_Parse(answer->body), *job;
        assert_non_null(list);
        cJSON_ArrayForEach(job, cJSON_GetObjectItem(list, "jobs")) compare_job(client, job);
        const cJSON *next = cJSON_GetObjectItem(list, "next");
        more = cJSON_IsNumber(next);
        after = more ? (uint64_t)next->valuedouble : 0;
        cJSON_Delete(list);
    }
    for (uint32_t i = 0; i < ledger.len; i++) {
        const struct line *line = &ledger.lines[i];
        if (line->seen == 0 && line->last != REFUSED && line->last != UNKNOWN)
            fail_msg("job %" PRIu32 " is lost; what was acknowledged last: %s", i,
                     last_names[line->last]);
        const struct line *other = &ledger.lines[line->after]; /* a local one may just have ended */
        if (line->seen > 0 && line->waits_for_one && !line->blocked && !line->final &&
            !other->local && !other->final && !line->again && !other->again)
            fail_msg("job %" PRIu32 " has not waited for job %" PRIu32, i, line->after);
    }
}

/* A batch has all its jobs, and counts what they are. */
static void compare_batch(struct client *client, uint64_t id)
{
    static const char *const states[] = {"queued", "scheduled", "running",
                                         "done",   "failed",    "cancelled"};
    enum { STATES = sizeof states / sizeof states[0] };
    char path[TEXT_SIZE];
    double counted[STATES], all = 0;
    snprintf(path, sizeof path, "/batches/%" PRIu64, id);
    const cJSON *batch = client_json(client, path);
    assert_int_equal(json_number(batch, "jobs"), BATCH);
    for (size_t i = 0; i < STATES; i++)
        all += counted[i] = json_number(batch, states[i]);
    assert_int_equal(all, BATCH);
    for (size_t i = 0; i < STATES; i++) {
        snprintf(path, sizeof path, "/jobs?batch=%" PRIu64 "&state=%s", id, states[i]);
        const cJSON *jobs = cJSON_GetObjectItem(client_json(client, path), "jobs");
        assert_int_equal(cJSON_GetArraySize(jobs), counted[i]);
    }
}

static void compare_batches(struct client *client)
{
    unsigned looked = 0;
    for (uint32_t i = ledger.len; i-- > 0 && looked < 10;) {
        const struct line *line = &ledger.lines[i];
        if (line->seen == 0 || line->batch == 0 || line->id != line->batch)
            continue;
        compare_batch(client, line->batch);
        looked++;
    }
}

/* The tokens that were given out are good, those that ended are not. */
static void compare_tokens(struct client *client)
{
    unsigned looked = 0;
    for (uint32_t i = ledger.len; i-- > 0 && looked < 40;) {
        struct line *line = &ledger.lines[i];
        char path[TEXT_SIZE];
        if (line->token[0] == '\0' || line->unsure)
            continue;
        looked++;
        snprintf(path, sizeof path, "%s/extend?lease=1h", line->token);
        long status = client_post(client, path)->status;
        if (line->last == LEASED ? status != 200 : status != 404 && status != 409)
            fail_msg("job %" PRIu32 ", %s: its token answers %ld", i, last_names[line->last],
                     status);
    }
}

/* ---- rounds */

static const char config[] =
    "{\"queues\": {\"remote\": {\"capacity\": 20000, \"workers\": 0},"
    " \"local\": {\"capacity\": 20000, \"workers\": 2, \"sleep\": \"1ms\"}}}";

static const char *config_file;

static const char *sync_when = "commit";

static struct server *spawn_on(const char *folder)
{
    const char *const arguments[] = {"-l",     "127.0.0.1:0", "-c",     config_file, "-d", folder,
                                     "--keep", "100000",      "--sync", sync_when,   NULL};
    return server_spawn(&(struct server_plan){.arguments = arguments});
}

static struct server *start_on(const char *folder)
{
    struct server *server = spawn_on(folder);
    server_await_listening(server);
    return server;
}

static void kill_server(struct server *server)
{
    server_kill(server);
    server_forget(server);
    ledger.kills++;
}

static void work_until_killed(struct server *server, struct chance *chance, unsigned most_ms)
{
    clients_start(server, chance);
    (void)poll(NULL, 0, 1 + (int)chance_below(chance, most_ms)); /* the moment of the kill */
    kill_server(server);
    clients_join();
}

static void check_server(struct server *server)
{
    struct client *client = client_new(server);
    compare(client);
    compare_batches(client);
    compare_tokens(client);
    client_free(client);
}

static void begin(void)
{
    ledger_begin();
    config_file = temporary_file("crash.json", config);
}

static unsigned from_environment(const char *name, unsigned usual)
{
    const char *given = getenv(name);
    return given != NULL ? (unsigned)strtoul(given, NULL, 10) : usual;
}

static void test_kills_lose_nothing(void **state)
{
    char folder[TEXT_SIZE];
    struct chance chance = chance_begin();
    unsigned kills = from_environment("KILLS", USUAL_KILLS);
    (void)state;
    begin();
    for (unsigned i = 0, generation = 0; i < kills; i++) {
        if (i % 25 == 0) { /* now and then from an empty directory, so that it stays quick */
            ledger.len = 0;
            snprintf(folder, sizeof folder, "%s/kills-%u", temporary_directory(), generation++);
        }
        work_until_killed(start_on(folder), &chance, 150);
        if (chance_below(&chance, 4) == 0) { /* once more, while it starts */
            struct server *server = spawn_on(folder);
            (void)poll(NULL, 0, (int)chance_below(&chance, 15));
            kill_server(server);
        }
        struct server *server = start_on(folder);
        check_server(server);
        kill_server(server);
    }
    ledger_end("killed");
}

/* ---- power cuts */

/* Somebody else on the machine, who gets a mount namespace of his own when he is told to: it begins
 * with a copy of every mount that he sees. */
struct neighbour {
    pid_t pid;
    int talk; /* one end of a pair of sockets */
};

static struct neighbour neighbour_begin(void)
{
    int ends[2];
    char told;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct neighbour neighbour = {.pid = fork(), .talk = ends[0]};
    assert_true(neighbour.pid >= 0);
    if (neighbour.pid == 0) {
        close(ends[0]);
        bool good = read(ends[1], &told, 1) == 1 && unshare(CLONE_NEWNS) == 0 &&
                    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                    write(ends[1], &told, 1) == 1;
        _exit(good && read(ends[1], &told, 1) == 0 ? 0 : 1); /* until the test is over */
    }
    close(ends[1]);
    return neighbour;
}

static void neighbour_copies_mounts(const struct neighbour *neighbour)
{
    char word = 'x';
    assert_int_equal(write(neighbour->talk, &word, 1), 1);
    assert_int_equal(read(neighbour->talk, &word, 1), 1);
}

static void neighbour_end(const struct neighbour *neighbour)
{
    int status;
    close(neighbour->talk);
    assert_int_equal(waitpid(neighbour->pid, &status, 0), neighbour->pid);
}

/* With a copy of the mount elsewhere the next mount would find what was cut, which answers EIO. */
static void test_a_disk_is_nobody_elses(void **state)
{
    char path[TEXT_SIZE];
    struct stat file;
    (void)state;
    struct neighbour neighbour = neighbour_begin();
    if (!disk_make()) {
        neighbour_end(&neighbour);
        skip();
    }
    neighbour_copies_mounts(&neighbour);
    for (int cuts = 0; cuts < 2; cuts++) {
        snprintf(path, sizeof path, "%s/synced-%d", disk_folder(), cuts);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(fsync(fd), 0);
        assert_int_equal(write(fd, "y", 1), 1); /* not synced: cut off */
        close(fd);
        disk_cut_power();
        assert_int_equal(stat(path, &file), 0);
        assert_int_equal(file.st_size, 1);
    }
    disk_unmount();
    neighbour_end(&neighbour);
}

static void test_power_cuts_lose_nothing(void **state)
{
    char data[TEXT_SIZE];
    struct chance chance = chance_begin();
    (void)state;
    if (!disk_make())
        skip();
    snprintf(data, sizeof data, "%s/data", disk_folder());
    begin();
    for (unsigned i = 0; i < from_environment("CUTS", USUAL_CUTS); i++) {
        work_until_killed(start_on(data), &chance, 300);
        disk_cut_power();
        struct server *server = start_on(data);
        check_server(server);
        kill_server(server);
    }
    ledger_end("cut");
    disk_unmount();
}

/* The system writes one file, not the other, and the power fails: without syncs all may be lost,
 * but the next start is not kept from working. */
static void test_a_cut_without_syncs_is_no_end(void **state)
{
    char data[TEXT_SIZE], path[TEXT_SIZE + 16];
    (void)state;
    if (!disk_make())
        skip();
    snprintf(data, sizeof data, "%s/data", disk_folder());
    snprintf(path, sizeof path, "%s/jobd.db", data);
    config_file = temporary_file("crash.json", config);
    sync_when = "off";
    for (int cuts = 0; cuts < 3; cuts++) {
        struct server *server = start_on(data);
        struct client *client = client_new(server);
        client_put(client, "/do/remote");
        client_free(client);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(fsync(fd), 0);
        close(fd);
        kill_server(server);
        disk_cut_power();
    }
    kill_server(start_on(data));
    sync_when = "commit";
    disk_unmount();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_kills_lose_nothing, server_stop_all),
        cmocka_unit_test_teardown(test_a_disk_is_nobody_elses, server_stop_all),
        cmocka_unit_test_teardown(test_power_cuts_lose_nothing, server_stop_all),
        cmocka_unit_test_teardown(test_a_cut_without_syncs_is_no_end, server_stop_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
