/* SPDX-License-Identifier: MIT */
/* Instants of plans: clocks that are turned, what has been missed, and thousands of expressions in
 * the system's time zones beside another implementation (cron_table.py). */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/tzif.h"
#include "support/chance.h"
#include "base/calendar.h"
#include "base/plan.h"
#include "base/text.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])
#define ZONES     "/usr/share/zoneinfo"
#define S         INT64_C(1000000)

static struct plan planned(const char *cron, const char *tz)
{
    struct plan plan = {.every_us = 0};
    struct problem problem = {""};
    if (plan_cron(&plan, cron, tz, &problem) != 0)
        fail_msg("%s in %s: %s", cron, tz, problem.text);
    return plan;
}

/* 2026-03-29T01:00, UTC. */
static int64_t instant(const char *text)
{
    int year, month, day, hour, minute;
    assert_int_equal(sscanf(text, "%d-%d-%dT%d:%d", &year, &month, &day, &hour, &minute), 5);
    return (calendar_days(year, month, day) * DAY_S + hour * 3600 + minute * 60) * S;
}

static void say(char *out, size_t size, int64_t us)
{
    char text[TEXT_TIME_SIZE] = "never";
    if (us != PLAN_NEVER)
        text_time(us, text);
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%.16s", used > 0 ? " " : "", text);
}

/* ---- clocks that are turned */

struct row {
    const char *tz, *cron, *after, *then; /* UTC; `then`: the instants that follow */
};

static void check_rows(const struct row *rows, size_t count)
{
    if (access(ZONES "/Europe/Paris", R_OK) != 0)
        skip();
    for (size_t i = 0; i < count; i++) {
        struct plan plan = planned(rows[i].cron, rows[i].tz);
        char got[512] = "";
        int64_t at = instant(rows[i].after);
        size_t wanted = (strlen(rows[i].then) + 1) / sizeof "2026-03-29T01:00";
        for (size_t k = 0; k < (wanted > 0 ? wanted : 1); k++) {
            at = plan_next(&plan, at);
            say(got, sizeof got, at);
        }
        if (strcmp(got, rows[i].then) != 0)
            fail_msg("%s in %s after %s: %s, expected %s", rows[i].cron, rows[i].tz, rows[i].after,
                     got, rows[i].then);
        plan_release(&plan);
    }
}

static void hour_is_restricted(void **state)
{
    static const struct row rows[] = {
        /* left out: at the end of the gap, once */
        {"Europe/Paris", "30 2 * * *", "2026-03-27T12:00",
         "2026-03-28T01:30 2026-03-29T01:00 2026-03-30T00:30"},
        {"Europe/Paris", "*/10 2 * * *", "2026-03-28T01:50",
         "2026-03-29T01:00 2026-03-30T00:00 2026-03-30T00:10"},
        {"Europe/Paris", "0 2,3 * * *", "2026-03-28T12:00",
         "2026-03-29T01:00 2026-03-30T00:00 2026-03-30T01:00"},
        {"Europe/Paris", "30 2,3 * * *", "2026-03-28T12:00", "2026-03-29T01:00 2026-03-29T01:30"},
        {"Europe/Paris", "30 0-23 * * *", "2026-03-29T00:00",
         "2026-03-29T00:30 2026-03-29T01:00 2026-03-29T01:30"},
        {"America/New_York", "0 2 * * *", "2026-03-07T12:00", "2026-03-08T07:00 2026-03-09T06:00"},
        /* twice: the first time */
        {"Europe/Paris", "30 2 * * *", "2026-10-24T12:00", "2026-10-25T00:30 2026-10-26T01:30"},
        {"Europe/Paris", "*/30 2,3 * * *", "2026-10-24T12:00",
         "2026-10-25T00:00 2026-10-25T00:30 2026-10-25T02:00 2026-10-25T02:30"},
        {"America/New_York", "30 1 * * *", "2026-10-31T12:00", "2026-11-01T05:30 2026-11-02T06:30"},
        /* begun between the two: it has been */
        {"America/New_York", "30 1 * * *", "2026-11-01T06:00", "2026-11-02T06:30"},
        /* a gap that begins at midnight, and one of a day */
        {"America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00", "2018-11-04T03:00 2018-11-05T02:00"},
        {"America/Sao_Paulo", "0 0 * * *", "2018-02-17T01:30", "2018-02-17T02:00 2018-02-18T03:00"},
        {"Asia/Beirut", "30 0 * * *", "2021-03-27T12:00", "2021-03-27T22:00 2021-03-28T21:30"},
        {"Asia/Beirut", "0 23 30 10 *", "2021-01-01T00:00", "2021-10-30T20:00"},
        {"Asia/Beirut", "30 23 30 10 *", "2021-01-01T00:00", "2021-10-30T20:30 2022-10-30T21:30"},
        {"Pacific/Apia", "0 3 * * *", "2011-12-28T20:00",
         "2011-12-29T13:00 2011-12-30T10:00 2011-12-30T13:00 2011-12-31T13:00"},
        {"Pacific/Apia", "0 3,4,5 30 12 *", "2011-12-01T00:00",
         "2011-12-30T10:00 2012-12-29T13:00"},
        /* half an hour */
        {"Australia/Lord_Howe", "15 2 * * *", "2026-10-02T20:00",
         "2026-10-03T15:30 2026-10-04T15:15"},
        {"Australia/Lord_Howe", "45 1 * * *", "2026-04-03T20:00",
         "2026-04-04T14:45 2026-04-05T15:15"},
        /* winter time that is the exception, and nights of Ramadan */
        {"Europe/Dublin", "30 1 * * *", "2026-03-28T12:00", "2026-03-29T01:00 2026-03-30T00:30"},
        {"Europe/Dublin", "30 1 * * *", "2026-10-24T12:00", "2026-10-25T00:30 2026-10-26T01:30"},
        {"Africa/Casablanca", "30 2 * * *", "2023-03-18T12:00",
         "2023-03-19T01:30 2023-03-20T02:30"},
        {"Africa/Casablanca", "30 2 * * *", "2023-04-22T12:00",
         "2023-04-23T02:00 2023-04-24T01:30"},
        /* behind all lists: by the rule */
        {"Europe/Paris", "30 2 * * *", "2399-03-27T12:00",
         "2399-03-28T01:00 2399-03-29T00:30 2399-03-30T00:30"},
        {"UTC", "0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00 2108-02-29T00:00"},
    };
    (void)state;
    check_rows(rows, LEN(rows));
}

static void hour_is_any(void **state)
{
    static const struct row rows[] = {
        /* every ten minutes, through both changes */
        {"Europe/Paris", "*/10 * * * *", "2026-03-29T00:40",
         "2026-03-29T00:50 2026-03-29T01:00 2026-03-29T01:10"},
        {"Europe/Paris", "*/10 * * * *", "2026-10-25T00:40",
         "2026-10-25T00:50 2026-10-25T01:00 2026-10-25T01:10"},
        {"Australia/Lord_Howe", "*/10 * * * *", "2026-10-03T15:10",
         "2026-10-03T15:20 2026-10-03T15:30 2026-10-03T15:40"},
        {"Australia/Lord_Howe", "*/10 * * * *", "2026-04-04T14:40",
         "2026-04-04T14:50 2026-04-04T15:00 2026-04-04T15:10"},
        {"Europe/Paris", "30 * * * *", "2026-10-25T00:00",
         "2026-10-25T00:30 2026-10-25T01:30 2026-10-25T02:30"},
        {"Australia/Lord_Howe", "45 * * * *", "2026-04-04T14:00",
         "2026-04-04T14:45 2026-04-04T15:15 2026-04-04T16:15"},
        /* what is left out is left out, what comes twice comes twice */
        {"Europe/Paris", "0 */2 * * *", "2026-03-28T22:00", "2026-03-28T23:00 2026-03-29T02:00"},
        {"Europe/Paris", "30 */2 * * *", "2026-10-24T23:00",
         "2026-10-25T00:30 2026-10-25T01:30 2026-10-25T03:30"},
        {"America/Sao_Paulo", "@hourly", "2018-11-04T01:30", "2018-11-04T02:00 2018-11-04T03:00"},
        {"Pacific/Apia", "0 */12 * * *", "2011-12-29T12:00",
         "2011-12-29T22:00 2011-12-30T10:00 2011-12-30T22:00"},
        {"Asia/Kathmandu", "@hourly", "2026-01-01T00:00", "2026-01-01T00:15 2026-01-01T01:15"},
    };
    (void)state;
    check_rows(rows, LEN(rows));
}

static void never(void **state)
{
    static const struct row rows[] = {
        {"UTC", "0 0 31 2 *", "2026-01-01T00:00", "never"},
        {"Europe/Paris", "0 0 31 2 *", "2026-01-01T00:00", "never"},
        {"Africa/Casablanca", "* * 30,31 2 *", "2026-01-01T00:00", "never"},
        /* the clock never shows it: on such a Sunday midnight is left out */
        {"Asia/Beirut", "0 */24 25-31 3 */7", "2026-01-01T00:00", "never"},
    };
    (void)state;
    check_rows(rows, LEN(rows));
}

/* ---- every */

static void every(void **state)
{
    static const struct {
        const char *every;
        int64_t after_us, next_us;
    } rows[] = {
        {"5m", 0, 300 * S},
        {"5m", 300 * S - 1, 300 * S},
        {"5m", 300 * S, 600 * S},
        {"5m", -1, 0},
        {"5m", -300 * S - 1, -300 * S},
        {"1s", 1, S},
        {"1500ms", 1500000, 3000000},
        {"7d", INT64_C(1774742400) * S, INT64_C(1775088000) * S},
        {"366d", INT64_MAX - 1, PLAN_NEVER},
        {"1s", INT64_MIN, INT64_MIN / S * S},
    };
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        struct plan plan;
        struct problem problem;
        assert_int_equal(plan_every(&plan, rows[i].every, &problem), 0);
        assert_int_equal(plan_next(&plan, rows[i].after_us), rows[i].next_us);
        if (rows[i].next_us != PLAN_NEVER && rows[i].after_us > -S) {
            assert_int_equal(plan_last(&plan, rows[i].after_us, rows[i].next_us), rows[i].next_us);
            assert_int_equal(plan_count(&plan, rows[i].after_us, rows[i].next_us), 1);
        }
        plan_release(&plan);
    }
}

static void refused(void **state)
{
    static const char *const rows[][3] = {
        {"61 * * * *", "UTC", "cron: minute: \"61\": allowed is 0 to 59"},
        {"* * * * *", "", "tz: \"\""},
        {"* * * * *", "../../etc/passwd", "tz: \"../../etc/passwd\""},
        {"999ms", NULL, "every: \"999ms\": a duration of 1s to 366d is expected, as in 5m"},
        {"0s", NULL, "every: \"0s\""},
        {"367d", NULL, "every: \"367d\""},
        {"5", NULL, "every: \"5\""},
        {"-5m", NULL, "every: \"-5m\""},
        {"", NULL, "every: \"\""},
    };
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        struct plan plan = {.every_us = 42};
        struct problem problem = {""};
        int error = rows[i][1] != NULL ? plan_cron(&plan, rows[i][0], rows[i][1], &problem)
                                       : plan_every(&plan, rows[i][0], &problem);
        assert_int_equal(error, -EINVAL);
        if (strncmp(problem.text, rows[i][2], strlen(rows[i][2])) != 0)
            fail_msg("%s: %s", rows[i][0], problem.text);
        assert_int_equal(plan.every_us, 42);
    }
}

/* ---- what has been missed */

static void missed(void **state)
{
    struct plan plan = planned("0 3 * * *", "UTC");
    int64_t after = instant("2025-11-01T03:00"), until = instant("2026-11-01T02:59"), list[101];
    (void)state;
    assert_int_equal(plan_count(&plan, after, until), 364);
    assert_int_equal(plan_count(&plan, after - 1, until), 365);
    assert_int_equal(plan_last(&plan, after, until), instant("2026-10-31T03:00"));
    assert_int_equal(plan_list(&plan, after, until, list, 100), 100);
    assert_int_equal(list[0], instant("2026-07-24T03:00"));
    assert_int_equal(list[99], instant("2026-10-31T03:00"));
    until = instant("2025-11-03T03:00");
    assert_int_equal(plan_list(&plan, after, until, list, 100), 2);
    assert_int_equal(list[0], instant("2025-11-02T03:00"));
    assert_int_equal(list[1], until);
    assert_int_equal(plan_list(&plan, after, until, list, 0), 0);
    assert_int_equal(plan_last(&plan, after, until - 1), instant("2025-11-02T03:00"));
    assert_int_equal(plan_last(&plan, until, until), PLAN_NEVER);
    assert_int_equal(plan_last(&plan, until, after), PLAN_NEVER);
    assert_int_equal(plan_count(&plan, until, after), 0);
    assert_int_equal(plan_list(&plan, until, after, list, 100), 0);
    plan_release(&plan);
}

/* Clocks may say anything. The work is bounded, and nothing wraps. */
static void any_clock(void **state)
{
    static const char *const texts[] = {"* * * * *", "0 0 31 2 *", "0 0 29 2 */7", "0 0 1 1 *"};
    static const int64_t clocks[] = {INT64_MIN,     INT64_MIN + 1, -S,       -1, 0, 1, S,
                                     INT64_MAX / 2, INT64_MAX - 1, INT64_MAX};
    (void)state;
    for (size_t i = 0; i < LEN(texts); i++) {
        struct plan plan = planned(texts[i], "UTC");
        for (size_t a = 0; a < LEN(clocks); a++) {
            int64_t next = plan_next(&plan, clocks[a]);
            assert_true(next > clocks[a] || next == PLAN_NEVER);
            for (size_t b = 0; b < LEN(clocks); b++) {
                int64_t last = plan_last(&plan, clocks[a], clocks[b]);
                uint64_t count = plan_count(&plan, clocks[a], clocks[b]);
                assert_true((last == PLAN_NEVER) == (count == 0));
                assert_true(last == PLAN_NEVER || (last > clocks[a] && last <= clocks[b]));
                assert_true(count <= UINT64_C(100) * 366 * 1440 + 1);
            }
        }
        plan_release(&plan);
    }
}

/* ---- beside another implementation */

static unsigned wrong;

static void check_line(const char *line, char *fields[7])
{
    struct plan plan = planned(fields[1], fields[0]);
    int64_t after = strtoll(fields[2], NULL, 10) * S, until = strtoll(fields[3], NULL, 10) * S;
    uint64_t count = strtoull(fields[4], NULL, 10);
    int64_t at = after, last = count > 0 ? strtoll(fields[6], NULL, 10) * S : PLAN_NEVER;
    bool same = plan_count(&plan, after, until) == count && plan_last(&plan, after, until) == last;
    char *next = fields[5];
    for (uint64_t i = 0; same && i < (count < 5 ? count : 5); i++) {
        at = plan_next(&plan, at);
        same = at == strtoll(next, &next, 10) * S;
    }
    if (same && count <= 5) {
        at = plan_next(&plan, at);
        same = at == PLAN_NEVER || at > until;
    }
    if (!same && wrong++ < 5)
        print_error("%s: count %" PRIu64 ", last %" PRId64 "\n", line,
                    plan_count(&plan, after, until), plan_last(&plan, after, until) / S);
    plan_release(&plan);
}

static void table(void **state)
{
    struct chance chance = chance_begin();
    const char *lines = getenv("LINES_OF_CRON");
    char command[256], line[1024], copy[1024];
    unsigned count = 0, expected = lines != NULL ? (unsigned)strtoul(lines, NULL, 10) : 2000;
    (void)state;
    if (access(ZONES "/Europe/Paris", R_OK) != 0 || system("python3 -c 'import zoneinfo'") != 0)
        skip();
    snprintf(command, sizeof command, "python3 tests/base/cron_table.py %u %u " ZONES,
             chance_below(&chance, 1U << 30), expected);
    FILE *out = popen(command, "re");
    assert_non_null(out);
    for (wrong = 0; fgets(line, sizeof line, out) != NULL; count++) {
        char *rest = copy, *fields[7];
        line[strcspn(line, "\n")] = '\0';
        memcpy(copy, line, sizeof copy);
        for (size_t i = 0; i < LEN(fields); i++)
            assert_non_null(fields[i] = strsep(&rest, "|"));
        check_line(line, fields);
    }
    assert_int_equal(pclose(out), 0);
    assert_int_equal(count, expected);
    assert_int_equal(wrong, 0);
}

/* ---- any clock and any expression, minute by minute */

enum { START_MINUTE = 29000000, MINUTES = 20000 };

/* A clock that is turned, often and widely, at whole minutes. */
static struct zone *some_zone(struct chance *chance)
{
    static const char *const rules[] = {"", "CET-1CEST,M3.5.0,M10.5.0/3", "XXX12YYY-12,J60,J300"};
    struct zone_change changes[TZIF_CHANGES];
    struct problem problem = {""};
    struct tzif file;
    size_t count = chance_below(chance, 30);
    int64_t minute = START_MINUTE - 1000 + chance_below(chance, 2000);
    unsigned largest = chance_below(chance, 3) == 0 ? 1440 : 120;
    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct zone_change){
            minute * 60, ((int32_t)chance_below(chance, 2 * largest) - (int32_t)largest) * 60};
        minute += 1 + chance_below(chance, chance_below(chance, 4) == 0 ? 100 : 2000);
    }
    tzif_make(&file, 0, changes, count, rules[chance_below(chance, LEN(rules))]);
    struct zone *zone;
    assert_int_equal(zone_parse(&zone, file.bytes, file.size, &problem), 0);
    return zone;
}

static struct cron some_cron(struct chance *chance)
{
    static const char *const minutes[] = {"0", "*", "*/10", "7,31-33", "59"};
    static const char *const hours[] = {"*", "*/2", "0", "2", "0-23", "1,2,13-15", "23"};
    static const char *const days[] = {"* * *", "*/2 * *", "* * mon", "1-15 * fri", "* * */3"};
    char text[64];
    struct cron cron;
    struct problem problem = {""};
    snprintf(text, sizeof text, "%s %s %s", minutes[chance_below(chance, LEN(minutes))],
             hours[chance_below(chance, LEN(hours))], days[chance_below(chance, LEN(days))]);
    assert_true(cron_parse(text, &cron, &problem));
    return cron;
}

static bool shows(const struct cron *cron, int64_t from_s, int64_t end_s)
{
    int64_t local;
    return cron_first(cron, from_s, end_s, &local);
}

/* Walks on with the clock, and keeps how far it has ever been. */
static size_t walk(const struct plan *plan, int64_t *instants)
{
    size_t count = 0;
    int64_t furthest = INT64_MIN;
    for (int64_t minute = START_MINUTE - 10000; minute < START_MINUTE + MINUTES; minute++) {
        int64_t local = minute * 60 + zone_span(plan->zone, minute * 60).offset_s;
        int64_t from = plan->cron.any_hours || furthest == INT64_MIN ? local : furthest + 60;
        if (shows(&plan->cron, from, local + 60) && minute >= START_MINUTE)
            instants[count++] = minute * 60 * S;
        furthest = local > furthest ? local : furthest;
    }
    return count;
}

static void check_between(const struct plan *plan, const int64_t *instants, size_t count,
                          int64_t after, int64_t until)
{
    int64_t list[7];
    size_t first = 0, end = count;
    while (first < count && instants[first] <= after)
        first++;
    while (end > first && instants[end - 1] > until)
        end--;
    size_t listed = end - first < LEN(list) ? end - first : LEN(list);
    assert_int_equal(plan_count(plan, after, until), end - first);
    assert_int_equal(plan_last(plan, after, until), end > first ? instants[end - 1] : PLAN_NEVER);
    assert_int_equal(plan_list(plan, after, until, list, LEN(list)), listed);
    assert_memory_equal(list, instants + end - listed, listed * sizeof list[0]);
}

static void by_brute_force(void **state)
{
    struct chance chance = chance_begin();
    static int64_t instants[MINUTES];
    const int64_t begin = START_MINUTE * INT64_C(60) * S, length = MINUTES * INT64_C(60) * S;
    (void)state;
    for (int i = 0; i < 150; i++) {
        struct plan plan = {.cron = some_cron(&chance), .zone = some_zone(&chance)};
        size_t count = walk(&plan, instants);
        int64_t at = begin - 1;
        for (size_t k = 0; k < count; k++) {
            at = plan_next(&plan, at);
            assert_int_equal(at, instants[k]);
            assert_int_equal(plan_next(&plan, at - 1), at);
        }
        assert_true(plan_next(&plan, at) >= begin + length);
        check_between(&plan, instants, count, begin - 1, begin + length - 1);
        for (int k = 0; k < 20; k++) {
            int64_t after = begin + (int64_t)chance_below(&chance, MINUTES) * 60 * S - k % 3 + 1;
            int64_t until = begin + (int64_t)chance_below(&chance, MINUTES) * 60 * S - k % 2;
            check_between(&plan, instants, after < until ? count : 0, after, until);
        }
        plan_release(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hour_is_restricted),
        cmocka_unit_test(hour_is_any),
        cmocka_unit_test(never),
        cmocka_unit_test(every),
        cmocka_unit_test(refused),
        cmocka_unit_test(missed),
        cmocka_unit_test(any_clock),
        cmocka_unit_test(by_brute_force),
        cmocka_unit_test(table),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
