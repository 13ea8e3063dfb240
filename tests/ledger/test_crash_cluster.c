/* SPDX-License-Identifier: MIT */
/* Three servers on one database with a synchronous standby, each of which is killed again and
 * again, as is the database, whose place the standby takes at times, while clients work with all of
 * them and remember what they were told. KILLS in the environment: how often. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/verify.h"
#include "ledger/ticks.h"
#include "support/chance.h"
#include "support/client.h"
#include "support/postgres.h"
#include "support/proxy.h"
#include "support/server.h"

enum {
    NODES = 3,
    CLIENTS = 4,
    KILLS = 10,
    JOBS_MAX = 200000, /* as many are kept */
    LEASE_SIZE = 64,
    BATCH = 3,
    BATCHES_MAX = 50000
};

/* What somebody was told of a job. */
struct known {
    uint64_t id;
    bool in;          /* a put was acknowledged */
    bool taken;       /* somebody was given it */
    bool asked;       /* somebody has said that it is done; perhaps in vain */
    unsigned endings; /* and was told so, not as a repetition */
};

struct worker {
    pthread_t thread;
    struct client *clients[NODES];
    struct chance chance;
    unsigned next, end; /* numbers of its own, which are its jobs' payloads */
};

static struct server *nodes[NODES];
static char url[POSTGRES_URL_SIZE], way[POSTGRES_URL_SIZE]; /* way: the first node's, by proxies */
static struct proxy *proxies[2];
static struct worker workers[CLIENTS];
static atomic_bool over;
static atomic_uint acknowledged;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct known *all;             /* by number; with the lock */
static unsigned batches[BATCHES_MAX]; /* acknowledged: the first of their jobs; with the lock */
static unsigned batches_len;
static char databases[2][100]; /* directories: one has a standby, */
static unsigned primary;       /* this one; the other is it */
static const char *config; /* the queue `ticks` is that of a schedule, and nobody takes from it */

/* ---- servers */

static struct server *start_node(unsigned i, const char *address)
{
    char data[POSTGRES_URL_SIZE + 16];
    snprintf(data, sizeof data, "JOBD_DATA=%s", i == 0 ? way : url);
    return server_spawn(&(struct server_plan){
        .arguments =
            (const char *const[]){"-l", address, "-w", "0", "-q", "10000", "--keep", "200000",
                                  "--memory", "256MiB", "--attempts", "1000", "-c", config, NULL},
        .environment = (const char *const[]){data, NULL}});
}

static void kill_node(unsigned i)
{
    char address[SERVER_ADDRESS_SIZE];
    snprintf(address, sizeof address, "%s", server_address(nodes[i]));
    server_kill(nodes[i]);
    server_forget(nodes[i]);
    nodes[i] = start_node(i, address);
    server_await_listening(nodes[i]);
}

/* Longer than the others wait for it, wherever it was. */
static void stand_still(unsigned i)
{
    server_suspend(nodes[i]);
    let_pass(1500);
    server_signal(nodes[i], SIGCONT);
}

/* Nothing of the first node's comes through, in the middle of whatever it is; then all of it. */
static void cut_off(int64_t ms)
{
    for (unsigned i = 0; i < 2; i++)
        proxy_block(proxies[i], true);
    let_pass(ms);
    for (unsigned i = 0; i < 2; i++)
        proxy_block(proxies[i], false);
}

static void control(const char *what, const char *directory, const char *other)
{
    char command[600];
    snprintf(command, sizeof command, "sh tests/postgres.sh %s %s %s", what, directory, other);
    assert_int_equal(system(command), 0);
}

/* The standby, which is a synchronous one, takes its place, and gets one of its own. */
static void promote(void)
{
    const char *before = databases[primary];
    primary = 1 - primary;
    control("stop", before, "");
    control("promote", databases[primary], "");
    control("standby", before, databases[primary]);
}

static void end_connections(void)
{
    postgres_ask(url,
                 "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                 " WHERE application_name = 'jobd'",
                 NULL, 0);
}

/* ---- clients */

static struct client *some_node(struct worker *worker)
{
    return worker->clients[chance_below(&worker->chance, NODES)];
}

/* Sends jobs with its next numbers. Those of which it is sure that they are not in may be used
 * again. */
static const struct answer *send_jobs(struct worker *worker, const char *path, unsigned jobs)
{
    char lines[BATCH * 24];
    size_t used = 0;
    verify(worker->next + jobs <= worker->end);
    for (unsigned i = 0; i < jobs; i++)
        used += (size_t)snprintf(lines + used, sizeof lines - used, "%u\n", worker->next + i);
    const struct answer *answer = client_send(some_node(worker), "POST", path, NULL, lines);
    if (answer->status != 503 && answer->status != 429)
        worker->next += jobs;
    return answer;
}

static void put(struct worker *worker)
{
    unsigned number = worker->next;
    const struct answer *answer = send_jobs(worker, "/do", 1);
    if (answer->status != 202)
        return;
    uint64_t id = answer_job(answer);
    pthread_mutex_lock(&lock);
    all[number].id = id;
    all[number].in = true;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&acknowledged, 1);
}

/* The jobs of one have ids that follow each other, and the first is the batch's. */
static void put_batch(struct worker *worker)
{
    char location[256];
    unsigned first = worker->next;
    const struct answer *answer = send_jobs(worker, "/do?batch=lines", BATCH);
    if (answer->status != 202)
        return;
    const char *id = strrchr(answer_field(answer, "Location", location), '/');
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < BATCH; i++)
        all[first + i] = (struct known){.id = strtoull(id + 1, NULL, 10) + i,
                                        .in = true,
                                        .taken = all[first + i].taken,
                                        .asked = all[first + i].asked,
                                        .endings = all[first + i].endings};
    if (batches_len < BATCHES_MAX)
        batches[batches_len++] = first;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&acknowledged, BATCH);
}

static void work(struct worker *worker)
{
    char lease[256], path[300], room[256];
    const struct answer *answer = client_post(some_node(worker), "/take?lease=2s");
    if (answer->status != 200)
        return;
    unsigned number = (unsigned)strtoul(answer->body, NULL, 10);
    snprintf(lease, sizeof lease, "%s", answer_field(answer, "Location", room));
    pthread_mutex_lock(&lock);
    all[number].taken = all[number].asked = true;
    pthread_mutex_unlock(&lock);
    snprintf(path, sizeof path, "%s/done", lease);
    for (unsigned i = 0; i < 3; i++) { /* the same again where nobody has answered */
        answer = client_send(some_node(worker), "POST", path, NULL, "result");
        if (answer->status != 0 && answer->status != 503)
            break;
    }
    bool repeated = answer_field(answer, "Jobd-Repeated", room)[0] != '\0';
    if (answer->status != 200)
        return;
    pthread_mutex_lock(&lock);
    all[number].endings += !repeated;
    pthread_mutex_unlock(&lock);
}

static void *be_a_client(void *context)
{
    struct worker *worker = context;
    while (!atomic_load(&over)) {
        unsigned what = chance_below(&worker->chance, 12);
        if (what == 0)
            put_batch(worker);
        else if (what < 5)
            put(worker);
        else
            work(worker);
    }
    return NULL;
}

/* ---- what became of it */

static bool is_done(struct client *client, uint64_t id)
{
    return strcmp(json_string(client_job(client, id), "state"), "done") == 0;
}

static void check_batches(struct client *client)
{
    char path[64];
    for (unsigned i = 0; i < batches_len; i++) {
        uint64_t id = all[batches[i]].id;
        unsigned done = 0;
        for (unsigned j = 0; j < BATCH; j++)
            done += is_done(client, id + j);
        snprintf(path, sizeof path, "/batches/%llu", (unsigned long long)id);
        const cJSON *batch = client_json(client, path);
        assert_int_equal(json_number(batch, "jobs"), BATCH);
        assert_int_equal(json_number(batch, "done"), done);
        assert_true((cJSON_GetObjectItem(batch, "finished_at") != NULL) == (done == BATCH));
    }
    print_message("%u batches\n", batches_len);
}

static void check_all(struct client *client)
{
    unsigned in = 0, ended = 0;
    for (unsigned i = 0; i < JOBS_MAX; i++) {
        char path[64];
        const struct known *known = &all[i];
        in += known->in;
        ended += known->endings;
        if (known->endings > 1)
            fail_msg("job %u was ended %u times", i, known->endings);
        if (!known->in)
            continue;
        snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)known->id);
        const struct answer *answer = client_get_json(client, path);
        if (answer->status != 200)
            fail_msg("job %u, id %llu, is lost", i, (unsigned long long)known->id);
        bool done = strstr(answer->body, "\"state\":\"done\"") != NULL;
        if (known->endings == 1 && !done)
            fail_msg("job %u was done, and is %s", i, answer->body);
        if (done && !known->asked)
            fail_msg("job %u is done, and nobody has said so", i);
    }
    print_message("%u jobs in, %u ends\n", in, ended);
    assert_true(in > 0 && ended > 0);
}

/* The clients get on. */
static void await_more(unsigned puts)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    unsigned target = atomic_load(&acknowledged) + puts;
    while (atomic_load(&acknowledged) < target)
        look_again(deadline_ms, "puts are acknowledged again");
}

static struct harms {
    unsigned killed, ended, stopped, restarted, promoted, cut_off;
} harms;

/* Some node is killed, or stands still; or all of the connections, or the database. */
static void harm(struct chance *chance)
{
    unsigned what = chance_below(chance, 8);
    if (what < NODES) {
        kill_node(what);
        harms.killed++;
    } else if (what == 3) {
        end_connections();
        harms.ended++;
    } else if (what == 4) {
        stand_still(chance_below(chance, NODES));
        harms.stopped++;
    } else if (what == 5) {
        control("stop", databases[primary], "");
        control("again", databases[primary], "");
        harms.restarted++;
    } else if (what == 6) {
        promote();
        harms.promoted++;
    } else {
        cut_off(1000 + (int64_t)chance_below(chance, 3000));
        harms.cut_off++;
    }
}

static void print_harms(void)
{
    print_message("%u servers killed, %u standbys promoted; %u times the database ended and began, "
                  "%u times all connections were ended, %u times a server stood still, %u times "
                  "one was cut off\n",
                  harms.killed, harms.promoted, harms.restarted, harms.ended, harms.stopped,
                  harms.cut_off);
}

static void write_url(char to[POSTGRES_URL_SIZE], const char *one, const char *other)
{
    snprintf(to, POSTGRES_URL_SIZE,
             "postgres://jobd@/postgres?host=%.100s,%.100s&target_session_attrs=read-write", one,
             other);
}

static void start_databases(void)
{
    char mine[2][100];
    for (unsigned i = 0; i < 2; i++)
        snprintf(databases[i], sizeof databases[i], "%s/crash%u", getenv("TEST_POSTGRES"), i);
    assert_int_equal(setenv("POSTGRES_OPTIONS",
                            "-c synchronous_standby_names=* -c wal_retrieve_retry_interval=100", 1),
                     0);
    control("start", databases[0], "");
    control("standby", databases[1], databases[0]);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(mine[i], sizeof mine[i], "%s/way%u", getenv("TEST_POSTGRES"), i);
        proxies[i] = proxy_new(mine[i], databases[i]);
    }
    write_url(url, databases[0], databases[1]);
    write_url(way, mine[0], mine[1]);
}

static void nothing_acknowledged_is_lost(void **state)
{
    const char *kills_text = getenv("KILLS");
    unsigned kills = kills_text != NULL ? (unsigned)strtoul(kills_text, NULL, 10) : KILLS;
    struct chance chance = chance_begin();
    (void)state;
    start_databases();
    all = calloc(JOBS_MAX, sizeof *all);
    assert_non_null(all);
    config = temporary_file("crash.json", "{\"queues\": {\"default\": {}, \"ticks\": {}}}");
    for (unsigned i = 0; i < NODES; i++) {
        nodes[i] = start_node(i, "127.0.0.1:0");
        server_await_listening(nodes[i]);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        workers[i].next = i * (JOBS_MAX / CLIENTS);
        workers[i].end = workers[i].next + JOBS_MAX / CLIENTS;
        workers[i].chance = chance_seeded(chance_below(&chance, 1U << 20));
        for (unsigned j = 0; j < NODES; j++)
            workers[i].clients[j] = client_new(nodes[j]);
    }
    const struct ticks ticks =
        ticks_begin(workers[0].clients[0], "every=1s&missed=all&queue=ticks", "ticks");
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, be_a_client, &workers[i]), 0);
    for (unsigned i = 0; i < kills; i++) {
        await_more(1 + chance_below(&chance, 60));
        harm(&chance);
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_get(workers[0].clients[0], "/readyz")->status != 200)
        look_again(deadline_ms, "the first server is ready");
    print_message("%d instants\n", ticks_end(workers[0].clients[0], &ticks));
    check_all(workers[0].clients[0]);
    check_batches(workers[0].clients[0]);
    print_harms();
    for (unsigned i = 0; i < CLIENTS; i++)
        for (unsigned j = 0; j < NODES; j++)
            client_free(workers[i].clients[j]);
    free(all);
}

static int stop_all(void **state)
{
    int result = server_stop_all(state);
    for (unsigned i = 0; i < 2; i++) {
        proxy_free(proxies[i]);
        control("stop", databases[i], "");
    }
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_acknowledged_is_lost, stop_all),
    };
    if (!postgres_is_there())
        return 0;
    return cmocka_run_group_tests_name("servers and their database are killed", tests, NULL, NULL);
}
