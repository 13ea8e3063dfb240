/* SPDX-License-Identifier: MIT */
/* A durable server that is killed while clients work with it, and started again: what it has
 * acknowledged is there, and nothing twice. The clients keep a ledger of their own.
 *
 * KILLS=n in the environment is the long form (`make crash`), CUTS=n of it also cut the power. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "chance.h"
#include "client.h"
#include "server.h"
#include "verify.h"

enum {
    CLIENTS = 4,
    JOBS_MAX = 400000,
    TEXT_SIZE = 160,
    PAGE = 1000,
    USUAL_KILLS = 15,
    USUAL_CUTS = 2
};

/* What a job should be, by what its clients were told. */
enum last { UNKNOWN, WAITS, LEASED, DONE, CANCELLED, REFUSED };

static const char *const last_names[] = {"unknown", "waiting",   "leased",
                                         "done",    "cancelled", "refused"};

struct line {
    uint64_t id;      /* 0: not known */
    bool local;       /* workers of the server run it */
    enum last last;   /* acknowledged */
    bool unsure;      /* something was asked for after that, and not answered */
    bool held;        /* one client is at it */
    bool moved;       /* and meanwhile it was given to another */
    unsigned attempt; /* the last that somebody was given */
    char token[48];
    unsigned cancelled; /* the number of the last end that was its cancelling; 0: none */
    unsigned seen;      /* in the last comparison */
};

struct ledger {
    pthread_mutex_t lock;
    struct line *lines; /* a job is known by its payload, which is its number here */
    uint32_t len;
    uint64_t highest_id, highest_before; /* of all; of those before the last start */
    unsigned surprises;                  /* takes of this round that were not answered */
    unsigned kills, acknowledged, ends, deliveries, repeats;
};

static struct ledger ledger;

struct hand {
    struct client *client;
    struct chance chance;
    pthread_t thread;
    bool dead; /* the server has not answered */
};

static struct line *line_of(uint32_t number)
{
    verify(number < ledger.len);
    return &ledger.lines[number];
}

/* ---- what clients do */

static const struct answer *ask(struct hand *hand, const char *method, const char *path,
                                const char *body)
{
    const struct answer *answer = client_send(hand->client, method, path, NULL, body);
    hand->dead = answer->status == 0;
    return answer;
}

/* The client's job of this kind to go on with; NULL when it finds none. It is held. */
static struct line *pick(struct hand *hand, enum last last)
{
    struct line *found = NULL;
    pthread_mutex_lock(&ledger.lock);
    for (int tries = 0; tries < 20 && found == NULL && ledger.len > 0; tries++) {
        uint32_t back = chance_below(&hand->chance, ledger.len < 200 ? ledger.len : 200);
        struct line *line = line_of(ledger.len - 1 - back);
        if (line->last == last && !line->held && !line->unsure && !line->local)
            found = line;
    }
    if (found != NULL)
        found->held = true;
    pthread_mutex_unlock(&ledger.lock);
    return found;
}

/* Before something is asked for: until it is answered, nobody knows. */
static void intend(struct line *line)
{
    pthread_mutex_lock(&ledger.lock);
    line->unsure = true;
    pthread_mutex_unlock(&ledger.lock);
}

static void settle_locked(struct line *line, bool answered, bool good, enum last last)
{
    line->unsure = !answered || line->moved;
    if (good && !line->moved)
        line->last = last;
    line->held = line->moved = false;
}

static void settle(struct line *line, bool answered, bool good, enum last last)
{
    pthread_mutex_lock(&ledger.lock);
    settle_locked(line, answered, good, last);
    ledger.ends += good && (last == DONE || last == CANCELLED);
    if (good && last == CANCELLED)
        line->cancelled = ledger.ends;
    pthread_mutex_unlock(&ledger.lock);
}

static void put(struct hand *hand)
{
    char path[TEXT_SIZE], number[16];
    pthread_mutex_lock(&ledger.lock);
    verify(ledger.len < JOBS_MAX);
    uint32_t mine = ledger.len++;
    struct line *line = line_of(mine);
    *line =
        (struct line){.local = chance_below(&hand->chance, 4) == 0, .unsure = true, .held = true};
    pthread_mutex_unlock(&ledger.lock);
    snprintf(number, sizeof number, "%" PRIu32, mine);
    snprintf(path, sizeof path, "/do/%s?attempts=9&priority=%u%s", line->local ? "local" : "remote",
             chance_below(&hand->chance, 8),
             chance_below(&hand->chance, 8) == 0 ? "&delay=10ms" : "");
    const struct answer *answer = ask(hand, "POST", path, number);
    pthread_mutex_lock(&ledger.lock);
    settle_locked(line, answer->status != 0, answer->status != 0,
                  answer->status == 202 ? WAITS : REFUSED);
    if (answer->status == 202) {
        line->id = answer_job(answer);
        ledger.acknowledged++;
        if (line->id > ledger.highest_id)
            ledger.highest_id = line->id;
        verify(line->id > ledger.highest_before); /* also after a restart */
    }
    pthread_mutex_unlock(&ledger.lock);
}

/* Several jobs in one request, all or none. */
static void put_batch(struct hand *hand)
{
    char body[64];
    pthread_mutex_lock(&ledger.lock);
    uint32_t first = ledger.len;
    ledger.len += 3;
    for (uint32_t i = 0; i < 3; i++)
        *line_of(first + i) = (struct line){.unsure = true, .held = true};
    pthread_mutex_unlock(&ledger.lock);
    snprintf(body, sizeof body, "%" PRIu32 "\n%" PRIu32 "\n%" PRIu32 "\n", first, first + 1,
             first + 2);
    const struct answer *answer =
        client_send(hand->client, "POST", "/do/remote?attempts=9&batch=lines",
                    FIELDS("Accept: application/json"), body);
    hand->dead = answer->status == 0;
    cJSON *json = answer->status == 202 ? cJSON_Parse(answer->body) : NULL;
    pthread_mutex_lock(&ledger.lock);
    for (int i = 0; i < 3; i++) {
        struct line *line = line_of(first + (uint32_t)i);
        settle_locked(line, answer->status != 0, answer->status != 0,
                      json != NULL ? WAITS : REFUSED);
        if (json != NULL)
            line->id = (uint64_t)cJSON_GetNumberValue(
                cJSON_GetArrayItem(cJSON_GetObjectItem(json, "ids"), i));
        ledger.acknowledged += json != NULL;
    }
    pthread_mutex_unlock(&ledger.lock);
    cJSON_Delete(json);
}

/* What a lease's holder says of it. */
static void end_lease(struct hand *hand, struct line *line, uint32_t number)
{
    char path[TEXT_SIZE], body[32];
    unsigned which = chance_below(&hand->chance, 10);
    if (which >= 8) { /* keeps it */
        settle(line, true, false, LEASED);
        return;
    }
    intend(line);
    snprintf(body, sizeof body, "output %" PRIu32, number);
    snprintf(path, sizeof path, "%s/%s", line->token,
             which < 4   ? "done"
             : which < 5 ? "fail?delay=0ms"
             : which < 7 ? "release"
                         : "extend?lease=1h");
    const struct answer *answer = ask(hand, "POST", path, which < 4 ? body : NULL);
    settle(line, answer->status != 0, answer->status == 200,
           which < 4   ? DONE
           : which < 7 ? WAITS
                       : LEASED);
}

static void take(struct hand *hand)
{
    char room[256];
    pthread_mutex_lock(&ledger.lock);
    unsigned before = ledger.ends;
    pthread_mutex_unlock(&ledger.lock);
    const struct answer *answer = ask(hand, "POST", "/take/remote?lease=1h", NULL);
    if (answer->status != 200)
        return;
    uint32_t number = (uint32_t)strtoul(answer->body, NULL, 10);
    pthread_mutex_lock(&ledger.lock);
    struct line *line = line_of(number);
    if (line->cancelled > before) { /* before it was taken, or after: nobody knows */
        line->unsure = true;
        line->moved = line->held;
        pthread_mutex_unlock(&ledger.lock);
        return;
    }
    /* Nobody else has it, unless the ledger does not know. */
    verify(line->last != LEASED || line->unsure);
    verify((line->last != DONE && line->last != CANCELLED && line->last != REFUSED) ||
           line->unsure);
    unsigned attempt = (unsigned)strtoul(answer_field(answer, "Jobd-Attempt", room), NULL, 10);
    ledger.deliveries++;
    ledger.repeats += attempt > 1;
    line->attempt = attempt;
    line->id = strtoull(answer_field(answer, "Jobd-Id", room), NULL, 10);
    snprintf(line->token, sizeof line->token, "/leases/%.32s",
             answer_field(answer, "Location", room) + strlen("/leases/"));
    line->last = LEASED;
    bool held = line->held; /* its putter, or who cancels it, is not answered yet */
    line->unsure = line->moved = held;
    line->held = true;
    pthread_mutex_unlock(&ledger.lock);
    if (!held)
        end_lease(hand, line, number);
}

static void go_on_with_lease(struct hand *hand)
{
    struct line *line = pick(hand, LEASED);
    if (line != NULL)
        end_lease(hand, line, (uint32_t)(line - ledger.lines));
}

/* A worker that was too slow: its job has ended or goes again, and nothing it says changes that. */
static void be_late(struct hand *hand)
{
    char path[TEXT_SIZE];
    struct line *line = pick(hand, chance_below(&hand->chance, 2) == 0 ? WAITS : CANCELLED);
    if (line == NULL)
        return;
    pthread_mutex_lock(&ledger.lock);
    bool known = line->token[0] != '\0' && line->last != LEASED;
    snprintf(path, sizeof path, "%s/done", line->token);
    pthread_mutex_unlock(&ledger.lock);
    long status = known ? ask(hand, "POST", path, "late")->status : 409;
    verify(status == 0 || status == 404 || status == 409);
    pthread_mutex_lock(&ledger.lock);
    settle_locked(line, true, false, line->last);
    pthread_mutex_unlock(&ledger.lock);
}

static void cancel(struct hand *hand)
{
    char path[TEXT_SIZE];
    struct line *line = pick(hand, chance_below(&hand->chance, 2) == 0 ? WAITS : LEASED);
    if (line == NULL)
        return;
    intend(line);
    snprintf(path, sizeof path, "/jobs/%" PRIu64, line->id);
    const struct answer *answer = ask(hand, "DELETE", path, NULL);
    settle(line, answer->status != 0, answer->status == 200 || answer->status == 202, CANCELLED);
}

static void retry(struct hand *hand)
{
    char path[TEXT_SIZE];
    struct line *line = pick(hand, CANCELLED);
    if (line == NULL)
        return;
    intend(line);
    snprintf(path, sizeof path, "/jobs/%" PRIu64 "/retry", line->id);
    const struct answer *answer = ask(hand, "POST", path, NULL);
    settle(line, answer->status != 0, answer->status == 202, WAITS);
}

static void *work(void *context)
{
    struct hand *hand = context;
    while (!hand->dead) {
        unsigned which = chance_below(&hand->chance, 20);
        if (which < 7)
            put(hand);
        else if (which < 8)
            put_batch(hand);
        else if (which < 13)
            take(hand);
        else if (which < 16)
            go_on_with_lease(hand);
        else if (which < 18)
            cancel(hand);
        else if (which < 19)
            be_late(hand);
        else
            retry(hand);
    }
    return NULL;
}

/* ---- the comparison */

static bool fits(const struct line *line, const char *state)
{
    switch (line->last) {
    case WAITS:
        if (line->local)
            return true;
        return strcmp(state, "queued") == 0 || strcmp(state, "scheduled") == 0;
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
    struct line *line = line_of((uint32_t)strtoul(answer->body, NULL, 10));
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

static struct server *spawn_on(const char *folder)
{
    const char *const arguments[] = {"-l",   "127.0.0.1:0", "-c",      config_file, "-d",
                                     folder, "--keep",      "1000000", NULL};
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
    server_signal(server, SIGKILL);
    assert_int_equal(server_wait(server), 128 + SIGKILL);
    server_forget(server);
    ledger.kills++;
}

static void work_until_killed(struct server *server, struct chance *chance, unsigned most_ms)
{
    struct hand hands[CLIENTS];
    ledger.highest_before = ledger.highest_id;
    for (unsigned i = 0; i < CLIENTS; i++) {
        hands[i] = (struct hand){.client = client_new(server),
                                 .chance = {chance_below(chance, 1U << 30) * 2 + 1}};
        assert_int_equal(pthread_create(&hands[i].thread, NULL, work, &hands[i]), 0);
    }
    (void)poll(NULL, 0, 1 + (int)chance_below(chance, most_ms)); /* the moment of the kill */
    kill_server(server);
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(hands[i].thread, NULL), 0);
        client_free(hands[i].client);
    }
}

static void check_server(struct server *server)
{
    struct client *client = client_new(server);
    compare(client);
    compare_tokens(client);
    client_free(client);
}

static void begin_ledger(void)
{
    ledger = (struct ledger){.lock = PTHREAD_MUTEX_INITIALIZER,
                             .lines = calloc(JOBS_MAX, sizeof *ledger.lines)};
    config_file = temporary_file("crash.json", config);
    assert_non_null(ledger.lines);
}

static void end_ledger(const char *what)
{
    fprintf(stderr,
            "%s: %u kills, %u puts and %u ends acknowledged, 0 lost, 0 forgotten, 0 doubled; "
            "%u deliveries, %u of them again\n",
            what, ledger.kills, ledger.acknowledged, ledger.ends, ledger.deliveries,
            ledger.repeats);
    free(ledger.lines);
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
    begin_ledger();
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
    end_ledger("killed");
}

/* ---- power cuts */

static int run(const char *format, ...)
{
    char command[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    return system(command);
}

/* A file system that can be cut from its disk: the ext4 of a file. */
static bool mount_disk(const char *image, const char *folder)
{
    return run("mount -o loop %s %s 2>/dev/null", image, folder) == 0;
}

static void cut_power(const char *folder)
{
    const unsigned ext4_shutdown = 0x8004587d, without_flushing = 2;
    unsigned how = without_flushing;
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, ext4_shutdown, &how), 0);
    close(fd);
    assert_int_equal(run("umount %s", folder), 0);
}

static bool make_disk(const char *image, const char *folder)
{
    return geteuid() == 0 && mkdir(folder, 0700) == 0 &&
           run("truncate -s 256M %s && mkfs.ext4 -q -F %s 2>/dev/null", image, image) == 0 &&
           mount_disk(image, folder);
}

static void test_power_cuts_lose_nothing(void **state)
{
    char folder[TEXT_SIZE], image[TEXT_SIZE], data[TEXT_SIZE + 8];
    struct chance chance = chance_begin();
    (void)state;
    snprintf(folder, sizeof folder, "%s/disk", temporary_directory());
    snprintf(image, sizeof image, "%s/image", temporary_directory());
    snprintf(data, sizeof data, "%s/data", folder);
    if (!make_disk(image, folder)) {
        fprintf(stderr, "no root, or no loop devices: left out\n");
        skip();
    }
    begin_ledger();
    for (unsigned i = 0; i < from_environment("CUTS", USUAL_CUTS); i++) {
        work_until_killed(start_on(data), &chance, 300);
        cut_power(folder);
        assert_true(mount_disk(image, folder));
        struct server *server = start_on(data);
        check_server(server);
        kill_server(server);
    }
    end_ledger("cut");
    assert_int_equal(run("umount %s", folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_kills_lose_nothing, server_stop_all),
        cmocka_unit_test_teardown(test_power_cuts_lose_nothing, server_stop_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
