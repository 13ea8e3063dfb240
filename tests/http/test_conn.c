/* SPDX-License-Identifier: MIT */
/* The phases of a connection: which moves are legal, which deadlines hold, who wins. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/conn.h"

static const struct conn_times times = {.header_ms = 1000,
                                        .body_ms = 2000,
                                        .reply_ms = 3000,
                                        .idle_ms = 4000,
                                        .slowest_bytes_per_s = 100};

/* One that has taken these steps. */
static struct conn conn_in(const enum phase *steps, size_t len)
{
    struct conn conn = {.times = &times};
    for (size_t i = 0; i < len; i++)
        assert_true(conn_enter(&conn, steps[i], clock_coarse_ms()));
    return conn;
}
#define CONN_IN(...)                                                                               \
    conn_in((const enum phase[]){__VA_ARGS__},                                                     \
            sizeof((const enum phase[]){__VA_ARGS__}) / sizeof(enum phase))
#define TO_REPLY  PHASE_NEW, PHASE_HEADER, PHASE_REPLY
#define TO_STREAM TO_REPLY, PHASE_STREAM

/* A broken invariant ends the process. */
static bool move_is_legal(enum phase from, enum phase to)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct conn conn = {.word = from};
        struct conn_state seen = conn_state(&conn);
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        (void)conn_move(&conn, &seen, to, 0);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status);
}

static void test_moves(void **state)
{
    /* In the order of the phases: one letter each, as the head of conn.h draws them. */
    static const char names[] = "FNHBRPSsIC";
    static const char *const legal[] = {"N",   "HCF",   "BRICF", "RICF", "RPSICF",
                                        "RIF", "SsICF", "SICF",  "HCF",  "CF"};
    (void)state;
    assert_int_equal(sizeof names - 1, PHASES);
    for (unsigned from = 0; from < PHASES; from++)
        for (unsigned to = 0; to < PHASES; to++) {
            bool wanted = false;
            for (const char *c = legal[from]; *c != '\0'; c++)
                wanted = wanted || *c == names[to];
            if (move_is_legal((enum phase)from, (enum phase)to) != wanted)
                fail_msg("%c to %c is %s", names[from], names[to], wanted ? "legal" : "illegal");
        }
}

static int64_t left_ms(const struct conn *conn)
{
    return conn_state(conn).deadline_ms - clock_coarse_ms();
}

static void assert_left(const struct conn *conn, int64_t ms)
{
    assert_in_range(left_ms(conn), ms - 500, ms);
}

static void test_deadlines(void **state)
{
    (void)state;
    struct conn conn = CONN_IN(PHASE_NEW);
    assert_left(&conn, 1000);
    conn = CONN_IN(PHASE_NEW, PHASE_HEADER, PHASE_BODY);
    assert_left(&conn, 2000);
    conn = CONN_IN(TO_REPLY);
    assert_left(&conn, 3000);
    conn_extend_deadline(&conn, 1000);
    assert_left(&conn, 13000);
    conn = CONN_IN(TO_REPLY, PHASE_PARKED);
    assert_int_equal(conn_state(&conn).deadline_ms, 0);
    conn = CONN_IN(TO_STREAM);
    assert_left(&conn, 3000);
    conn = CONN_IN(TO_STREAM, PHASE_STREAM_PARKED);
    assert_int_equal(conn_state(&conn).deadline_ms, 0);
    conn = CONN_IN(TO_REPLY, PHASE_IDLE);
    assert_left(&conn, 4000);
    conn = CONN_IN(TO_REPLY, PHASE_IDLE, PHASE_HEADER);
    assert_left(&conn, 1000);
}

/* The time for a connection's first header runs from its beginning. */
static void test_first_header(void **state)
{
    (void)state;
    struct conn conn = {.times = &times};
    struct conn_state seen = conn_state(&conn);
    assert_true(conn_move(&conn, &seen, PHASE_NEW, 17));
    assert_true(conn_enter(&conn, PHASE_HEADER, clock_coarse_ms()));
    assert_int_equal(conn_state(&conn).deadline_ms, 17);
}

static void test_cut_is_final(void **state)
{
    (void)state;
    struct conn conn = CONN_IN(TO_REPLY);
    struct conn_state seen = conn_state(&conn), old = seen;
    assert_true(conn_move(&conn, &seen, PHASE_CUT, 5));
    assert_false(conn_enter(&conn, PHASE_STREAM, clock_coarse_ms()));
    assert_false(conn_enter(&conn, PHASE_IDLE, clock_coarse_ms()));
    conn_extend_deadline(&conn, 1000);
    assert_false(conn_move(&conn, &old, PHASE_PARKED, 0)); /* not what was seen */
    assert_int_equal(old.phase, PHASE_CUT);
    assert_int_equal(old.deadline_ms, 5);
}

/* ---- to serve and to cut, at the same time */

enum { ROUNDS = 20000 };

static struct conn contested;
static pthread_barrier_t line;
static bool was_cut;

static void *cut(void *context)
{
    (void)context;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&line);
        struct conn_state seen = {.phase = PHASE_NEW, .deadline_ms = 1};
        was_cut = conn_move(&contested, &seen, PHASE_CUT, 2);
        pthread_barrier_wait(&line);
    }
    return NULL;
}

static void test_one_wins(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_barrier_init(&line, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, cut, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        contested = (struct conn){.times = &times};
        struct conn_state seen = conn_state(&contested);
        assert_true(conn_move(&contested, &seen, PHASE_NEW, 1));
        pthread_barrier_wait(&line);
        bool entered = conn_enter(&contested, PHASE_HEADER, clock_coarse_ms());
        pthread_barrier_wait(&line);
        assert_true(entered != was_cut);
        assert_int_equal(conn_phase(&contested), entered ? PHASE_HEADER : PHASE_CUT);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_barrier_destroy(&line), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_first_header), cmocka_unit_test(test_cut_is_final),
        cmocka_unit_test(test_one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
