/* SPDX-License-Identifier: MIT */
/* What a machine does to a server: no memory, no descriptors, calls that fail, clocks that jump,
 * time that stands still, clients that reset. It serves the next one and its counts agree.
 *
 * FAULT_TURNS: how many allocations fail in turn, 0 for all; FAULT_MS: how long they fail at
 * random; STOP_MS: how long the server is stopped. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/fault_requests.h"
#include "support/client.h"
#include "support/failing_server.h"
#include "support/sanitizers.h"
#include "support/server.h"
#include "support/service.h"

#define HOST      "Host: localhost\r\n"
#define QUEUE(of) of "{queue=\"default\"}"
#define FIRED     "jobd_schedule_instants_total{result=\"fired\"}"

static struct raw raw;

static int64_t number_from(const char *name, int64_t usual)
{
    const char *text = getenv(name);
    return text != NULL ? strtoll(text, NULL, 10) : usual;
}

/* ---- a server that can be made to fail */

static struct server *start_failing(const char *const *arguments, int64_t ahead_s)
{
    struct server *server = failing_spawn(arguments, ahead_s);
    server_await_listening(server);
    return server;
}

#define START_AHEAD(ahead_s, ...) start_failing(WORDS(__VA_ARGS__), ahead_s)
#define START_FAILING(...)        START_AHEAD(0, __VA_ARGS__)

static void calm(void)
{
    atomic_store(&failing->turn, 0);
    atomic_store(&failing->permille, 0);
    atomic_store(&failing->every, 0);
}

static void assert_well(struct server *server)
{
    assert_true(server_runs(server));
    struct client *client = client_new(server);
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    assert_answer(client_post(client, "/queues/default/purge"), 200, NULL);
    client_await_metric(client, "jobd_connections", 1);
    client_await_metric(client, "jobd_requests_parked", 0);
    client_await_metric(client, QUEUE("jobd_queue_running"), 0);
    client_await_metric(client, QUEUE("jobd_queue_queued"), 0);
    client_free(client);
}

static void fail_in_turn(struct server *server, void (*ask)(const struct server *server))
{
    int64_t turns = number_from("FAULT_TURNS", 40), turn = 0;
    ask(server);
    assert_well(server);
    for (bool failed = true; failed && (turns == 0 || turn < turns);) {
        uint64_t before = atomic_load(&failing->allocations_failed);
        atomic_store(&failing->turn, ++turn);
        ask(server);
        calm();
        failed = atomic_load(&failing->allocations_failed) != before;
        assert_well(server);
    }
    printf("allocations failed in turn: %llu\n",
           (unsigned long long)atomic_load(&failing->allocations_failed));
    assert_int_not_equal(atomic_load(&failing->allocations_failed), 0);
}

static void each_allocation_fails(void **state)
{
    (void)state;
    if (SANITIZERS)
        skip();
    fail_in_turn(START_FAILING("--sleep", "1ms"), ask_local);
    fail_in_turn(START_FAILING("-w", "0"), ask_remote);
    fail_in_turn(START_FAILING("-w", "2", "--", "/bin/cat"), ask_local);
    char url[SERVICE_URL_SIZE];
    int nobody = service_socket(url);
    fail_in_turn(START_FAILING("--post", url), ask_local);
    close(nobody);
    fail_in_turn(START_FAILING("--sleep", "1ms", "-d", temporary_directory()), ask_local);
}

static void each_allocation_of_plans_fails(void **state)
{
    const char *allow = "http://127.0.0.1:1";
    char data[256];
    (void)state;
    if (SANITIZERS)
        skip();
    snprintf(data, sizeof data, "%s/plans", temporary_directory());
    fail_in_turn(START_FAILING("--sleep", "1ms", "-q", "20", "--callback-allow", allow), ask_plans);
    fail_in_turn(START_FAILING("--sleep", "1ms", "-q", "20", "--callback-allow", allow, "-d", data),
                 ask_plans);
}

static void fail_at_random(uint32_t permille, uint32_t every)
{
    struct server *server = START_FAILING("-w", "2", "-q", "100", "--callback-allow",
                                          "http://127.0.0.1:1", "--", "/bin/cat");
    int64_t over_ms = now_ms() + number_from("FAULT_MS", 300);
    atomic_store(&failing->permille, permille);
    atomic_store(&failing->every, every);
    do {
        ask_local(server);
        ask_plans(server);
    } while (now_ms() < over_ms);
    calm();
    assert_well(server);
    printf("failed at random: %llu allocations, %llu calls\n",
           (unsigned long long)atomic_load(&failing->allocations_failed),
           (unsigned long long)atomic_load(&failing->calls_failed));
    assert_int_not_equal(
        atomic_load(&failing->allocations_failed) + atomic_load(&failing->calls_failed), 0);
}

static void allocations_fail_at_random(void **state)
{
    (void)state;
    if (SANITIZERS)
        skip();
    fail_at_random(20, 0);
}

static void calls_fail(void **state)
{
    (void)state;
    if (SANITIZERS)
        skip();
    fail_at_random(0, 13);
}

static long put_and_wait(struct client *client, const char *body, int64_t turn)
{
    static unsigned number;
    char key[32];
    snprintf(key, sizeof key, "Idempotency-Key: k%u", ++number);
    atomic_store(&failing->turn, turn);
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS(key, "Prefer: wait=5"), body);
    calm();
    return answer->status;
}

/* A payload does not stay behind when its put finds no memory, on a connection whose last put was a
 * good one. */
static void a_body_goes_with_its_put(void **state)
{
    enum { TURNS = 10, REFUSED = 200 };
    (void)state;
    if (SANITIZERS)
        skip();
    struct server *server = START_FAILING("--sleep", "0ms", "-q", "1000", "--keep", "0");
    struct client *client = client_new(server);
    char *body = raw_filled("", 'x', 4000, "");
    assert_int_equal(put_and_wait(client, body, 0), 200);
    int64_t before = atomic_load(&failing->live);
    /* Which allocation it is that makes the put a 429 depends on what else happens. */
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    for (unsigned refused = 0, turn = 0; refused < REFUSED; turn = turn % TURNS + 1) {
        assert_true(now_ms() < deadline_ms);
        (void)put_and_wait(client, body, 0);
        refused += put_and_wait(client, body, turn) == 429;
    }
    assert_int_equal(put_and_wait(client, body, 0), 200);
    assert_in_range(atomic_load(&failing->live), 0, before + REFUSED / 2);
    free(body);
    client_free(client);
    assert_well(server);
}

static double waiting_in(struct client *client)
{
    return json_number(client_json(client, "/queues/default"), "queued");
}

/* Whichever allocation fails, a job that is in is a 202, and one that is not is none: who is told
 * of a failure puts it in again. */
static void a_put_that_is_in_is_no_failure(void **state)
{
    enum { TURNS = 40 };
    static const char *const paths[] = {"/do", "/do?batch=lines"};
    (void)state;
    if (SANITIZERS)
        skip();
    struct server *server = START_FAILING("-w", "0", "-q", "1000");
    struct client *client = client_new(server);
    for (unsigned i = 0; i < 2 * TURNS; i++) {
        double before = waiting_in(client);
        struct client *other = client_new(server); /* on a used connection it would try twice */
        atomic_store(&failing->turn, i / 2 + 1);
        long status =
            client_send(other, "POST", paths[i % 2], FIELDS("Accept: application/json"), "job\n")
                ->status;
        calm();
        client_free(other);
        if (status != 0) /* else it has no answer */
            assert_int_equal(waiting_in(client) - before, status == 202);
    }
    client_free(client);
    assert_well(server);
}

/* ---- clocks */

static void the_wall_clock_jumps(void **state)
{
    static const int64_t days[] = {86400, -86400};
    (void)state;
    if (SANITIZERS)
        skip();
    for (int i = 0; i < 2; i++) {
        struct server *server = START_FAILING("-w", "0", "--attempts", "2");
        struct client *client = client_new(server);
        (void)client_put(client, "/do");
        assert_answer(client_post(client, "/take?lease=400ms"), 200, NULL);
        (void)client_put(client, "/do?delay=300ms");
        int64_t before_ms = now_ms();
        atomic_store(&failing->wall_ahead_s, days[i]);
        assert_answer(client_post(client, "/take?wait=10s"), 200, NULL); /* the delayed one */
        assert_true(now_ms() - before_ms >= 200);
        assert_answer(client_post(client, "/take?wait=10s"), 200, NULL); /* the lost one */
        assert_true(now_ms() - before_ms >= 300);
        /* Three takes of two jobs, both held: no more were due. */
        assert_int_equal(client_metric(client, QUEUE("jobd_job_wait_seconds_count")), 3);
        assert_int_equal(client_metric(client, QUEUE("jobd_queue_running")), 2);
        client_free(client);
    }
}

enum { DAY_S = 86400, YEAR_S = 365 * DAY_S, NEAR_S = 60 };

/* RFC 3339, UTC; 0 when there is none. */
static int64_t seconds_of(const char *text)
{
    struct tm parts = {0};
    return text != NULL && strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) != NULL ? timegm(&parts) : 0;
}

static void assert_near(const char *text, int64_t seconds)
{
    int64_t off_s = seconds_of(text) - seconds;
    if (off_s < -NEAR_S || off_s > NEAR_S)
        fail_msg("%s is %lld s off", text, (long long)off_s);
}

static const char *time_of(struct client *client, uint64_t id, const char *name)
{
    return json_string(client_job(client, id), name);
}

/* All that is shown follows it at once; a suspend looks the same. */
static void the_wall_clock_is_set(void **state)
{
    static const int64_t off_s[] = {YEAR_S, -YEAR_S, 10 * YEAR_S};
    (void)state;
    if (SANITIZERS)
        skip();
    for (size_t i = 0; i < sizeof off_s / sizeof off_s[0]; i++) {
        struct server *server = START_AHEAD(off_s[i], "-w", "0");
        struct client *client = client_new(server);
        uint64_t before = client_put(client, "/do?delay=1h"), taken = client_put(client, "/do");
        assert_near(time_of(client, before, "created_at"), time(NULL) + off_s[i]);
        atomic_store(&failing->wall_ahead_s, 0);
        assert_near(time_of(client, before, "created_at"), time(NULL));
        assert_near(time_of(client, before, "run_at"), time(NULL) + 3600);
        char room[256], path[300], line[SERVER_LINE_SIZE];
        const struct answer *answer = client_post(client, "/take?lease=1h");
        assert_int_equal(answer->status, 200);
        assert_near(answer_field(answer, "Jobd-Expires", room), time(NULL) + 3600);
        snprintf(path, sizeof path, "%s/extend?lease=2h", answer_field(answer, "Location", room));
        answer = client_post(client, path);
        assert_near(answer_field(answer, "Jobd-Expires", room), time(NULL) + 7200);
        assert_near(time_of(client, taken, "started_at"), time(NULL));
        client_free(client);
        server_signal(server, SIGTERM);
        (void)server_wait(server);
        server_last_line(server, ERR, line);
        assert_near(line, time(NULL));
    }
}

/* Also one that the kernel's own timers do not go by. */
static void schedules_go_by_the_clock_that_is_shown(void **state)
{
    static const int64_t off_s[] = {0, YEAR_S, -YEAR_S};
    (void)state;
    if (SANITIZERS)
        skip();
    for (size_t i = 0; i < sizeof off_s / sizeof off_s[0]; i++) {
        struct server *server = START_AHEAD(off_s[i], "-q", "100", "-w", "0");
        struct client *client = client_new(server);
        assert_answer(client_send(client, "PUT", "/schedules/often?every=1s", NULL, ""), 201, NULL);
        client_await_at_least(client, FIRED, 2);
        assert_answer(client_send(client, "DELETE", "/schedules/often", NULL, NULL), 200, NULL);
        double before = client_metric(client, FIRED);
        assert_answer(client_send(client, "PUT", "/schedules/late?every=366d", NULL, ""), 201,
                      NULL);
        atomic_fetch_add(&failing->wall_ahead_s, 367 * DAY_S);
        client_await_at_least(client, FIRED, before + 1);
        client_free(client);
    }
}

/* A clock far ahead makes no id that nobody can ask for; and one that was made is no reason for
 * more. */
static void ids_at_any_time(void **state)
{
    static const int64_t years[] = {-50, 0, 143, 374, 2000, 0};
    char folder[160], path[64];
    uint64_t before = 0;
    (void)state;
    if (SANITIZERS)
        skip();
    snprintf(folder, sizeof folder, "%s/ids", temporary_directory());
    for (size_t i = 0; i < 2 * sizeof years / sizeof years[0]; i++) {
        const int64_t ahead_s = years[i / 2] * YEAR_S;
        struct server *server = i % 2 == 0
                                    ? START_AHEAD(ahead_s, "-w", "0", "-q", "100")
                                    : START_AHEAD(ahead_s, "-w", "0", "-q", "100", "-d", folder);
        struct client *client = client_new(server);
        uint64_t id = client_put(client, "/do");
        assert_in_range(id, 1, UINT64_C(1) << 53);
        assert_true(i % 2 == 0 || id > before);
        before = i % 2 == 0 ? before : id;
        snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
        assert_answer(client_get(client, path), 200, NULL);
        client_free(client);
        server_signal(server, SIGTERM);
        (void)server_wait(server);
    }
}

static struct server *start_at(int64_t ahead_s, const char *folder)
{
    return START_AHEAD(ahead_s, "-w", "0", "-d", folder, "--attempts", "2", "--backoff", "1s..1s");
}

static void kill_it(struct server *server, struct client *client)
{
    client_free(client);
    server_kill(server);
}

/* A stored time makes no job wait longer than was asked for, whatever the clock was when it was
 * stored, and when it is read. */
static void delays_outlive_a_wrong_clock(void **state)
{
    (void)state;
    if (SANITIZERS)
        skip();
    for (unsigned set_right = 0; set_right < 2; set_right++) {
        char folder[160];
        snprintf(folder, sizeof folder, "%s/delays-%u", temporary_directory(), set_right);
        struct server *server = start_at(10 * YEAR_S, folder);
        struct client *client = client_new(server);
        uint64_t soon = client_put(client, "/do?delay=1s"),
                 later = client_put(client, "/do?delay=1h");
        if (set_right) { /* and something more is written */
            atomic_store(&failing->wall_ahead_s, 0);
            client_put(client, "/do?delay=2h");
        }
        kill_it(server, client);
        server = start_at(0, folder);
        client = client_new(server);
        assert_near(time_of(client, soon, "created_at"), time(NULL) + 10 * YEAR_S); /* as stored */
        assert_near(time_of(client, later, "run_at"), time(NULL) + 3600);
        assert_answer(client_post(client, "/take?wait=15s"), 200, NULL);
        assert_string_equal(time_of(client, soon, "state"), "running");
        assert_string_equal(time_of(client, later, "state"), "scheduled");
        kill_it(server, client);
        server = start_at(-10 * YEAR_S, folder); /* and once more, far behind */
        client = client_new(server);
        assert_near(time_of(client, later, "run_at"), time(NULL) - 10 * YEAR_S + 3600);
        atomic_store(&failing->wall_ahead_s, 0);
        assert_near(time_of(client, later, "run_at"), time(NULL) + 3600);
        assert_near(time_of(client, soon, "created_at"), time(NULL) + 10 * YEAR_S);
        kill_it(server, client);
    }
}

/* The time that a server is away is not its workers': by whatever the wall clock says. */
static void leases_stand_still_meanwhile(void **state)
{
    static const int64_t later_s[] = {DAY_S, 2 * DAY_S, -YEAR_S, 10 * YEAR_S, 0};
    char room[256], location[256], path[300], folder[160];
    (void)state;
    if (SANITIZERS)
        skip();
    snprintf(folder, sizeof folder, "%s/leases", temporary_directory());
    struct server *server = start_at(0, folder);
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do?timeout=1h");
    const struct answer *answer = client_post(client, "/take?lease=10m");
    snprintf(location, sizeof location, "%s", answer_field(answer, "Location", room));
    for (size_t i = 0; i < sizeof later_s / sizeof later_s[0]; i++) {
        kill_it(server, client);
        server = start_at(later_s[i], folder);
        client = client_new(server);
        assert_string_equal(time_of(client, id, "state"), "running");
        snprintf(path, sizeof path, "%s/extend?lease=%zum", location, 2 * i + 1);
        answer = client_post(client, path);
        assert_answer(answer, 200, NULL);
        assert_near(answer_field(answer, "Jobd-Expires", room),
                    time(NULL) + later_s[i] + 120 * (int64_t)i + 60);
    }
    snprintf(path, sizeof path, "%s/extend?lease=3h", location); /* its timeout goes on too */
    answer = client_post(client, path);
    assert_near(answer_field(answer, "Jobd-Expires", room), time(NULL) + 3600);
    snprintf(path, sizeof path, "%s/done", location);
    assert_answer(client_post(client, path), 200, "done\n");
    assert_near(time_of(client, id, "finished_at"), time(NULL));
    kill_it(server, client);
}

static void it_stands_still(void **state)
{
    struct server *server = server_start("-w", "0", "--attempts", "2", "--header-timeout", "300ms");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    assert_answer(client_post(client, "/take?lease=500ms"), 200, NULL);
    int slow = raw_connect(server), parked = raw_connect(server);
    assert_true(raw_send(slow, "GET /heal"));
    char request[128];
    snprintf(request, sizeof request, "GET /jobs/%llu?wait=1s HTTP/1.1\r\n" HOST "\r\n",
             (unsigned long long)id);
    assert_true(raw_send(parked, request));
    client_await_metric(client, "jobd_requests_parked", 1);
    server_suspend(server);
    let_pass(number_from("STOP_MS", 1500));
    server_signal(server, SIGCONT);
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    raw_read_until_close(slow, &raw);
    /* Or without a word, when it stood still before it had taken the connection up. */
    assert_true(raw.size == 0 || raw_status(raw.text) == 408);
    close(slow);
    raw_read_answer(parked, &raw); /* its time is over too */
    assert_int_equal(raw_status(raw.text), 200);
    close(parked);
    assert_answer(client_post(client, "/take?wait=10s"), 200, NULL); /* its lease is over */
    assert_int_equal(json_number(client_job(client, id), "attempt"), 2);
    client_await_metric(client, "jobd_connections", 1);
    client_await_metric(client, "jobd_requests_parked", 0);
    client_free(client);
}

/* ---- descriptors */

static void without_descriptors_it_does_not_spin(void **state)
{
    enum { SHARE = 5, LASTS_MS = 1000 };
    /* The command ends meanwhile; or it could not even start, and goes again. */
    struct server *server =
        server_start("--attempts", "50", "--backoff", "100ms..100ms", "--", "/bin/sleep", "0.5");
    struct client *client = client_new(server);
    struct rlimit before, none;
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "running");
    assert_int_equal(prlimit(server_pid(server), RLIMIT_NOFILE, NULL, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(prlimit(server_pid(server), RLIMIT_NOFILE, &none, NULL), 0);
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "GET /healthz HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    server_await_lines(server, ERR, "not accepting for 100 ms", 1);
    int64_t used_ms = server_cpu_ms(server);
    /* Its thread waits anew, with a limit below what it waits for. */
    assert_int_equal(client_send(client, "PUT", "/schedules/tick?every=1h", NULL, NULL)->status,
                     201);
    let_pass(LASTS_MS);
    assert_in_range(server_cpu_ms(server) - used_ms, 0, LASTS_MS / SHARE);
    assert_int_equal(prlimit(server_pid(server), RLIMIT_NOFILE, &before, NULL), 0);
    raw_read_until_close(fd, &raw);
    assert_int_equal(raw_status(raw.text), 200);
    close(fd);
    client_await_state(client, id, "done");
    client_await_metric(client, "jobd_connections", 1);
    client_free(client);
}

/* Its threads can wait for nothing, and hear of the end all the same. */
static void without_descriptors_it_ends(void **state)
{
    struct rlimit few;
    (void)state;
    if (SANITIZERS)
        skip(); /* they open files of their own at the end */
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    assert_answer(client_get(client, "/healthz"), 200, "ok\n"); /* it is connected */
    assert_int_equal(prlimit(server_pid(server), RLIMIT_NOFILE, NULL, &few), 0);
    few.rlim_cur = 1;
    assert_int_equal(prlimit(server_pid(server), RLIMIT_NOFILE, &few, NULL), 0);
    assert_int_equal(client_send(client, "PUT", "/schedules/tick?every=1h", NULL, NULL)->status,
                     201);
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
}

/* ---- resets */

static void reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}

static void clients_reset(void **state)
{
    static const char *const texts[] = {
        "",
        "GET /hea",
        "GET /healthz HTTP/1.1\r\nHost: lo",
        "POST /do HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nhalf",
        "GET /healthz HTTP/1.1\r\n" HOST "\r\n",
        "GET /jobs/%llu?wait=1m HTTP/1.1\r\n" HOST "\r\n",
        "POST /do?block=1m HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
        "POST /take?wait=1m HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
        "GET /jobs/%llu/payload HTTP/1.1\r\n" HOST "\r\n",
    };
    enum { TEXTS = sizeof texts / sizeof texts[0], TAKES = TEXTS - 2, LARGE = TEXTS - 1 };
    struct server *server = server_start("-w", "0", "-q", "1", "--max-body", "4MiB");
    struct client *client = client_new(server);
    char *payload = raw_filled("", 'x', 4 << 20, ""), text[256];
    (void)state;
    const struct answer *answer = client_send(client, "POST", "/do", NULL, payload);
    assert_answer(answer, 202, NULL);
    unsigned long long id = answer_job(answer);
    for (int i = 0; i < TEXTS; i++) {
        if (i == TAKES)
            assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
        for (int late = 0; late < 2; late++) { /* at once, and when it has seen it */
            int fd = raw_connect(server);
            snprintf(text, sizeof text, texts[i], id);
            assert_true(raw_send(fd, text));
            if (late && strstr(text, "=1m") != NULL)
                client_await_metric(client, "jobd_requests_parked", 1);
            else if (late && i == LARGE)
                raw_read_until(fd, &raw, "\r\n\r\n");
            else if (late)
                client_await_metric(client, "jobd_connections", 2);
            reset(fd);
            client_await_metric(client, "jobd_connections", 1);
            client_await_metric(client, "jobd_requests_parked", 0);
        }
    }
    assert_int_equal(client_metric(client, QUEUE("jobd_queue_queued")), 1);
    free(payload);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(clients_reset),
        TEST(it_stands_still),
        TEST(without_descriptors_it_does_not_spin),
        TEST(without_descriptors_it_ends),
        TEST(the_wall_clock_jumps),
        TEST(the_wall_clock_is_set),
        TEST(schedules_go_by_the_clock_that_is_shown),
        TEST(ids_at_any_time),
        TEST(delays_outlive_a_wrong_clock),
        TEST(leases_stand_still_meanwhile),
        TEST(calls_fail),
        TEST(a_body_goes_with_its_put),
        TEST(a_put_that_is_in_is_no_failure),
        TEST(allocations_fail_at_random),
        TEST(each_allocation_fails),
        TEST(each_allocation_of_plans_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
