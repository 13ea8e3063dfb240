/* SPDX-License-Identifier: MIT */
/* Expressions of crontab(5): which are taken, what is said of others, which minutes they name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/chance.h"
#include "support/edge.h"
#include "base/calendar.h"
#include "base/cron.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

static struct cron parsed(const char *text)
{
    struct cron cron = {.minutes = 0};
    struct problem problem = {""};
    if (!cron_parse(text, &cron, &problem))
        fail_msg("\"%s\": %s", text, problem.text);
    return cron;
}

/* ---- texts */

/* Two texts that mean the same. */
static void alike(void **state)
{
    static const char *const pairs[][2] = {
        {"@hourly", "0 * * * *"},
        {"@daily", "0 0 * * *"},
        {"@midnight", "0 0 * * *"},
        {"@weekly", "0 0 * * 0"},
        {"@monthly", "0 0 1 * *"},
        {"@yearly", "0 0 1 1 *"},
        {"@annually", "0 0 1 1 *"},
        {" \t@daily\t", "@daily"},
        {"\t0  0 \t* *   * ", "0 0 * * *"},
        {"0 0 * * 7", "0 0 * * 0"},
        {"0 0 * * 7", "0 0 * * Sun"},
        {"0 0 * * sat-7", "0 0 * * 0,6"},
        {"0 0 * * fri-sun", "0 0 * * 0,5,6"},
        {"0 0 * * sun-tue", "0 0 * * 0-2"},
        {"0 0 * * sun-Sun,0-sun", "0 0 * * 7"},
        {"0 0 * * 0-7", "0 0 * * 0,1,2,3,4,5,6"},
        {"0 0 * jan,MAR-may/2,Dec *", "0 0 * 1,3,5,12 *"},
        {"*/15 * * * *", "0-59/15 * * * *"},
        {"*/60 */24 * * *", "0 */24 * * *"},
        {"007 0 01 012 *", "7 0 1 12 *"},
        {"5-5,5 0 1 1 *", "5 0 1 1 *"},
        {"0 0 1-31/31 * 1", "0 0 1 * mon"},
        {"0,1,1,0 0 1 1 1", "0-1 0 1 1 1"},
    };
    (void)state;
    for (size_t i = 0; i < LEN(pairs); i++) {
        struct cron one = parsed(pairs[i][0]), two = parsed(pairs[i][1]);
        bool same = one.minutes == two.minutes && one.hours == two.hours && one.days == two.days &&
                    one.months == two.months && one.weekdays == two.weekdays;
        if (!same)
            fail_msg("\"%s\" is not \"%s\"", pairs[i][0], pairs[i][1]);
    }
}

#define ALLOWED "@hourly @daily @midnight @weekly @monthly @yearly @annually"
#define FIVE                                                                                       \
    "; expected are five, minute, hour, day of month, month and day of week, or one of " ALLOWED

static void refused(void **state)
{
    static const char *const rows[][2] = {
        {"", "\"\" has 0 fields" FIVE},
        {" \t", "\" \\x09\" has 0 fields" FIVE},
        {"*", "\"*\" has 1 field" FIVE},
        {"0 0 * *", "\"0 0 * *\" has 4 fields" FIVE},
        {"0 0 * * * *", "\"0 0 * * * *\" has 6 fields" FIVE},
        {"@daily 0", "\"@daily 0\" has 2 fields" FIVE},
        {"@reboot", "\"@reboot\": allowed are " ALLOWED},
        {"@", "\"@\": allowed are " ALLOWED},
        {"@dail", "\"@dail\": allowed are " ALLOWED},
        {"@dailyy", "\"@dailyy\": allowed are " ALLOWED},
        {"60 0 * * *", "minute: \"60\": allowed is 0 to 59"},
        {"-1 0 * * *", "minute: \"-1\": allowed is 0 to 59"},
        {"+1 0 * * *", "minute: \"+1\": allowed is 0 to 59"},
        {"1.5 0 * * *", "minute: \"1.5\": allowed is 0 to 59"},
        {"0x1 0 * * *", "minute: \"0x1\": allowed is 0 to 59"},
        {"99999999999999999999 0 * * *", "minute: \"99999999999999999999\": allowed is 0 to 59"},
        {"0 24 * * *", "hour: \"24\": allowed is 0 to 23"},
        {"0 1-24 * * *", "hour: \"1-24\": allowed is 0 to 23"},
        {"0 0 0 * *", "day of month: \"0\": allowed is 1 to 31"},
        {"0 0 32 * *", "day of month: \"32\": allowed is 1 to 31"},
        {"0 0 L * *", "day of month: \"L\": allowed is 1 to 31"},
        {"0 0 ? * *", "day of month: \"?\": allowed is 1 to 31"},
        {"0 0 mon * *", "day of month: \"mon\": allowed is 1 to 31"},
        {"0 0 1 0 *", "month: \"0\": allowed is 1 to 12, or jan to dec"},
        {"0 0 1 13 *", "month: \"13\": allowed is 1 to 12, or jan to dec"},
        {"0 0 1 ja *", "month: \"ja\": allowed is 1 to 12, or jan to dec"},
        {"0 0 1 january *", "month: \"january\": allowed is 1 to 12, or jan to dec"},
        {"0 0 1 mon *", "month: \"mon\": allowed is 1 to 12, or jan to dec"},
        {"0 0 * * 8",
         "day of week: \"8\": allowed is 0 to 7, where both are Sunday, or sun to sat"},
        {"0 0 * * 5#2",
         "day of week: \"5#2\": allowed is 0 to 7, where both are Sunday, or sun to sat"},
        {"0 0 * * anm",
         "day of week: \"anm\": allowed is 0 to 7, where both are Sunday, or sun to sat"},
        {"0 22-2 * * *",
         "hour: \"22-2\": a range begins with the lower end; a list can have two of them"},
        {"0 0 * * fri-mon", "day of week: \"fri-mon\": a range begins with the lower end; a list "
                            "can have two of them"},
        {"0 1- * * *", "hour: \"1-\": allowed is 0 to 23"},
        {"0 1-2-3 * * *", "hour: \"1-2-3\": allowed is 0 to 23"},
        {"0 *-2 * * *", "hour: \"*-2\": allowed is 0 to 23"},
        {"0 ** * * *", "hour: \"**\": allowed is 0 to 23"},
        {"0 *5 * * *", "hour: \"*5\": allowed is 0 to 23"},
        {"5/15 0 * * *", "minute: \"5/15\": a step follows * or a range, as in 5-59/15"},
        {"*/0 0 * * *", "minute: \"*/0\": a step is 1 to 60 here"},
        {"*/ 0 * * *", "minute: \"*/\": a step is 1 to 60 here"},
        {"*/61 0 * * *", "minute: \"*/61\": a step is 1 to 60 here"},
        {"*/-1 0 * * *", "minute: \"*/-1\": a step is 1 to 60 here"},
        {"0 */25 * * *", "hour: \"*/25\": a step is 1 to 24 here"},
        {"*/2/2 0 * * *", "minute: \"*/2/2\": allowed is 0 to 59"},
        {", 0 * * *", "minute: \"\": a list has nothing between two commas, or at its end"},
        {"1, 0 * * *", "minute: \"\": a list has nothing between two commas, or at its end"},
        {"1,,2 0 * * *", "minute: \"\": a list has nothing between two commas, or at its end"},
        {"1,61 0 * * *", "minute: \"61\": allowed is 0 to 59"},
        {"0 0 * * *\n", "day of week: \"*\\x0a\": allowed is 0 to 7, where both are Sunday, or sun "
                        "to sat"},
    };
    struct edges edges;
    edges_open(&edges);
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        struct cron cron = {.minutes = 42};
        struct problem problem = {""};
        edges.used = 0;
        assert_false(
            cron_parse(edges_copy(&edges, rows[i][0], strlen(rows[i][0]) + 1), &cron, &problem));
        assert_string_equal(problem.text, rows[i][1]);
        assert_int_equal(cron.minutes, 42);
    }
    edges_close(&edges);
}

/* Five full lists fit; what is longer than that is no more than counted. */
static void lengths(void **state)
{
    static const struct {
        int low, high;
    } fields[] = {{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}};
    char text[4096];
    struct cron cron;
    struct problem problem = {""};
    size_t used = 0;
    (void)state;
    for (size_t i = 0; i < LEN(fields); i++)
        for (int value = fields[i].low; value <= fields[i].high; value++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%d%s", value,
                                     value < fields[i].high ? "," : " ");
    assert_true(cron_parse(text, &cron, &problem));
    assert_true(cron.minutes == (UINT64_C(1) << 60) - 1 && cron.hours == (1U << 24) - 1);
    assert_true(cron.days == 0xfffffffe && cron.months == 0x1ffe && cron.weekdays == 0x7f);
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(cron_parse(text, &cron, &problem));
    assert_string_equal(problem.text, "is longer than 512 bytes");
}

/* Does one of the fields begin with a star, as Vixie cron has it? */
static void stars(void **state)
{
    static const struct {
        const char *text;
        bool either, any_hours;
    } rows[] = {
        {"* * * * *", false, true},      {"0 0 1 * 1", true, false},
        {"0 0 */2 * 1", false, false},   {"0 0 1 * */2", false, false},
        {"0 0 *,1 * 1", false, false},   {"0 0 1,* * 1", true, false},
        {"0 0 1-31 * 0-7", true, false}, {"0 */2 1 * 1", true, true},
        {"0 0-23 * * *", false, false},  {"0 *,3 * * *", false, true},
        {"0 3,* * * *", false, false},   {"@hourly", false, true},
        {"@weekly", false, false},
    };
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        struct cron cron = parsed(rows[i].text);
        if (cron.either != rows[i].either || cron.any_hours != rows[i].any_hours)
            fail_msg("%s", rows[i].text);
    }
}

/* ---- minutes */

/* What cron_first() says from a day on, as a date; "never" within 100 years. */
static const char *first_date(const char *text, const char *from, char out[32])
{
    int year, month, day;
    struct cron cron = parsed(text);
    assert_int_equal(sscanf(from, "%d-%d-%d", &year, &month, &day), 3);
    int64_t s = calendar_days(year, month, day) * DAY_S, local;
    if (!cron_first(&cron, s, s + INT64_C(36525) * DAY_S, &local))
        return "never";
    struct date date = calendar_date(floor_div(local, DAY_S));
    int minute = (int)(local - floor_div(local, DAY_S) * DAY_S) / 60;
    snprintf(out, 32, "%04d-%02d-%02d %02d:%02d", (int)date.year, date.month, date.day, minute / 60,
             minute % 60);
    return out;
}

static void dates(void **state)
{
    static const char *const rows[][3] = {
        {"0 0 31 2 *", "2026-01-01", "never"},
        {"0 0 30,31 2 *", "1970-01-01", "never"},
        {"0 0 31 4,6,9,11 *", "2026-01-01", "never"},
        {"0 0 31 2 mon", "2026-01-01", "2026-02-02 00:00"}, /* either */
        {"0 0 31 2 */2", "2026-01-01", "never"},            /* both */
        {"59 23 31 * *", "2026-04-01", "2026-05-31 23:59"},
        {"0 0 29 2 *", "2026-01-01", "2028-02-29 00:00"},
        {"0 0 29 2 *", "2096-03-01", "2104-02-29 00:00"},
        {"0 0 29 2 *", "2000-02-29", "2000-02-29 00:00"},
        {"0 0 29 2 *", "1896-03-01", "1904-02-29 00:00"},
        {"0 0 29 2 */7", "2004-03-01", "2032-02-29 00:00"}, /* a Sunday */
        {"0 0 29 2 */7", "2088-03-01", "2128-02-29 00:00"}, /* 2100 has none */
        {"30 12 13 * fri", "2026-03-14", "2026-03-20 12:30"},
        {"30 12 */13 * fri", "2026-03-14", "2026-03-27 12:30"},
        {"0 0 1 jan *", "1969-12-31", "1970-01-01 00:00"},
        {"0 0 * * 4", "1970-01-01", "1970-01-01 00:00"},
        {"0 0 1 1 *", "2026-01-02", "2027-01-01 00:00"},
    };
    char shown[32];
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        const char *got = first_date(rows[i][0], rows[i][1], shown);
        if (strcmp(got, rows[i][2]) != 0)
            fail_msg("%s from %s: %s", rows[i][0], rows[i][1], got);
    }
}

static void calendar(void **state)
{
    (void)state;
    for (int64_t day = -800000, weekday = calendar_weekday(day); day < 800000; day++, weekday++) {
        struct date date = calendar_date(day), next = calendar_date(day + 1);
        bool last = date.day == calendar_month_days(date.year, date.month);
        assert_int_equal(calendar_days(date.year, date.month, date.day), day);
        assert_int_equal(calendar_weekday(day), weekday % 7);
        assert_int_equal(next.day, last ? 1 : date.day + 1);
        assert_int_equal(next.year, last && date.month == 12 ? date.year + 1 : date.year);
    }
    assert_int_equal(calendar_days(1970, 1, 1), 0);
    assert_int_equal(calendar_days(2000, 3, 1), 11017);
    assert_int_equal(calendar_weekday(0), 4);
}

/* ---- any expression, minute by minute */

static uint64_t some_bits(struct chance *chance, int low, int high)
{
    uint64_t bits = UINT64_C(1) << (low + (int)chance_below(chance, (unsigned)(high - low + 1)));
    unsigned shape = chance_below(chance, 4);
    for (int i = low; i <= high; i++)
        if (shape == 0 || chance_below(chance, 1U << (2 * shape)) == 0)
            bits |= UINT64_C(1) << i;
    return bits;
}

static struct cron some_cron(struct chance *chance)
{
    return (struct cron){
        .minutes = some_bits(chance, 0, 59),
        .hours = (uint32_t)some_bits(chance, 0, 23),
        .days = (uint32_t)some_bits(chance, 1, 31),
        .months = (uint16_t)some_bits(chance, 1, 12),
        .weekdays = (uint8_t)some_bits(chance, 0, 6),
        .either = chance_below(chance, 2) == 0,
    };
}

static bool names(const struct cron *cron, int64_t minute)
{
    int64_t day = floor_div(minute, 1440);
    int of_day = (int)(minute - day * 1440);
    struct date date = calendar_date(day);
    bool of_month = (cron->days >> date.day & 1) != 0;
    bool of_week = (cron->weekdays >> calendar_weekday(day) & 1) != 0;
    return (cron->minutes >> of_day % 60 & 1) != 0 && (cron->hours >> of_day / 60 & 1) != 0 &&
           (cron->months >> date.month & 1) != 0 &&
           (cron->either ? of_month || of_week : of_month && of_week);
}

static void check_range(const struct cron *cron, int64_t from_s, int64_t end_s)
{
    int64_t first = 0, last = 0, got;
    uint64_t count = 0;
    for (int64_t minute = -floor_div(-from_s, 60); minute * 60 < end_s; minute++)
        if (names(cron, minute)) {
            first = count == 0 ? minute * 60 : first;
            last = minute * 60;
            count++;
        }
    assert_int_equal(cron_count(cron, from_s, end_s), count);
    assert_true(cron_first(cron, from_s, end_s, &got) == (count > 0));
    assert_true(count == 0 || got == first);
    assert_true(cron_last(cron, from_s, end_s, &got) == (count > 0));
    assert_true(count == 0 || got == last);
}

static void by_brute_force(void **state)
{
    struct chance chance = chance_begin();
    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct cron cron = some_cron(&chance);
        int64_t from_s = ((int64_t)chance_below(&chance, 200000) - 100000) * 43200 +
                         (int64_t)chance_below(&chance, 7200) - 3600;
        int64_t length = chance_below(&chance, i % 10 == 0 ? 40 * DAY_S : 2 * DAY_S);
        check_range(&cron, from_s, from_s + length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alike),          cmocka_unit_test(refused), cmocka_unit_test(lengths),
        cmocka_unit_test(stars),          cmocka_unit_test(dates),   cmocka_unit_test(calendar),
        cmocka_unit_test(by_brute_force),
    };
    return cmocka_run_group_tests_name("cron", tests, NULL, NULL);
}
