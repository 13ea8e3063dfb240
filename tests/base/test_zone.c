/* SPDX-License-Identifier: MIT */
/* Time zones: names, files that are good, damaged or hostile, and the rule behind them. What the
 * system's own files say is compared with another implementation in test_plan. */
#include <errno.h>
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
#include "base/zone.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

static struct zone *parsed(const struct tzif *file)
{
    struct problem problem = {""};
    unsigned char *exact = malloc(file->size); /* the sanitizer sees its end */
    assert_non_null(exact);
    memcpy(exact, file->bytes, file->size);
    struct zone *zone = NULL;
    int error = zone_parse(&zone, exact, file->size, &problem);
    free(exact);
    assert_true(error == 0 || error == -EBADMSG);
    assert_true((zone == NULL) == (error != 0) && (error != 0) == (problem.text[0] != '\0'));
    return zone;
}

static void assert_span(const struct zone *zone, int64_t s, int64_t begin_s, int64_t end_s,
                        int32_t offset_s)
{
    struct zone_span span = zone_span(zone, s);
    assert_int_equal(span.begin_s, begin_s);
    assert_int_equal(span.end_s, end_s);
    assert_int_equal(span.offset_s, offset_s);
}

/* ---- names */

static void names(void **state)
{
    static const char *const bad[] = {
        "",
        "/",
        ".",
        "..",
        "../zoneinfo/Europe/Paris",
        "Europe/../Europe/Paris",
        "Europe/./Paris",
        "/usr/share/zoneinfo/Europe/Paris",
        "/Europe/Paris",
        "Europe//Paris",
        "Europe/Paris/",
        "Europe/",
        "Europe/Paris\n",
        " Europe/Paris",
        "Europe/Paris ",
        "Europe/Par\xc3\xads",
        "europe/paris",
        "utc",
        "localtime",
        "posixrules",
        "right/Europe/Paris",
        "posix/Europe/Paris",
        "tzdata.zi",
        "zone.tab",
        "Europe/Nowhere",
        "Europe",
        "Europe/Paris/Paris",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        ":Europe/Paris",
        "+01:00",
        "Z",
        "A/-x",
        ("Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "a"
         "aaa"),
    };
    (void)state;
    for (size_t i = 0; i < LEN(bad); i++) {
        struct problem problem = {""};
        struct zone *zone = NULL;
        int error = zone_open(&zone, bad[i], &problem);
        if (error != -EINVAL || zone != NULL || problem.text[0] != '"' ||
            strchr(problem.text, '\n') != NULL)
            fail_msg("\"%s\": %s", bad[i], problem.text);
    }
}

static void utc_needs_no_file(void **state)
{
    static const char *const utc[] = {"UTC", "Etc/UTC"};
    (void)state;
    for (size_t i = 0; i < LEN(utc); i++) {
        struct problem problem = {""};
        struct zone *zone;
        assert_int_equal(zone_open(&zone, utc[i], &problem), 0);
        assert_span(zone, 0, -ZONE_FOREVER_S, ZONE_FOREVER_S, 0);
        assert_span(zone, INT64_C(1) << 50, -ZONE_FOREVER_S, ZONE_FOREVER_S, 0);
        zone_free(zone);
    }
}

static void by_name(void **state)
{
    static const char *const good[] = {"Europe/Paris",
                                       "America/Argentina/Buenos_Aires",
                                       "America/Port-au-Prince",
                                       "GMT+0",
                                       "Etc/GMT-14",
                                       "EST5EDT",
                                       "Australia/Lord_Howe",
                                       "GMT",
                                       "America/New_York"};
    (void)state;
    if (access("/usr/share/zoneinfo/Europe/Paris", R_OK) != 0)
        skip();
    for (size_t i = 0; i < LEN(good); i++) {
        struct problem problem = {""};
        struct zone *zone;
        if (zone_open(&zone, good[i], &problem) != 0)
            fail_msg("%s: %s", good[i], problem.text);
        zone_free(zone);
    }
    struct problem problem = {""};
    struct zone *zone;
    assert_int_equal(zone_open(&zone, "Europe/P\"aris", &problem), -EINVAL);
    assert_string_equal(problem.text, "\"Europe/P\\\"aris\" is no time zone; an IANA name is "
                                      "expected, as in Europe/Paris");
}

/* ---- files */

static const struct zone_change changes[] = {{1000, 3600}, {2000, -3600}, {3000, 7200}};

static void spans(void **state)
{
    struct tzif file;
    (void)state;
    tzif_make(&file, 60, changes, LEN(changes), "");
    struct zone *zone = parsed(&file);
    assert_non_null(zone);
    assert_span(zone, -5, -ZONE_FOREVER_S, 1000, 60);
    assert_span(zone, 999, -ZONE_FOREVER_S, 1000, 60);
    assert_span(zone, 1000, 1000, 2000, 3600);
    assert_span(zone, 2999, 2000, 3000, -3600);
    assert_span(zone, 3000, 3000, ZONE_FOREVER_S, 7200);
    assert_span(zone, INT64_C(1) << 60, 3000, ZONE_FOREVER_S, 7200);
    zone_free(zone);
}

static void version_1(void **state)
{
    struct tzif file = {.size = 0};
    const struct zone_change early[] = {{-1000, 3600}, {1000, 0}};
    (void)state;
    tzif_block(&file, '\0', 60, early, LEN(early), 4);
    struct zone *zone = parsed(&file);
    assert_non_null(zone);
    assert_span(zone, -1001, -ZONE_FOREVER_S, -1000, 60);
    assert_span(zone, 0, -1000, 1000, 3600);
    assert_span(zone, 1000, 1000, ZONE_FOREVER_S, 0);
    zone_free(zone);
}

/* Cut anywhere it is refused; any byte changed, it is refused or is another zone. */
static void damaged(void **state)
{
    struct tzif file;
    (void)state;
    tzif_make(&file, 60, changes, LEN(changes), "CET-1CEST,M3.5.0,M10.5.0/3");
    for (size_t size = 0; size < file.size; size++) {
        struct tzif cut = file;
        cut.size = size;
        struct zone *zone = parsed(&cut);
        assert_null(zone);
    }
    for (size_t at = 0; at < file.size; at++)
        for (unsigned change = 1; change < 256; change++) {
            struct tzif other = file;
            other.bytes[at] ^= (unsigned char)change;
            struct zone *zone = parsed(&other);
            if (zone != NULL)
                for (int64_t s = 0; s < 10000; s += 500) {
                    struct zone_span span = zone_span(zone, s);
                    assert_true(span.begin_s <= s && s < span.end_s);
                }
            zone_free(zone);
        }
}

static void assert_refused(struct tzif *file, const char *why)
{
    struct problem problem = {""};
    struct zone *zone;
    assert_int_equal(zone_parse(&zone, file->bytes, file->size, &problem), -EBADMSG);
    assert_non_null(strstr(problem.text, why));
}

static void refused(void **state)
{
    static const struct zone_change backwards[] = {{2000, 0}, {1000, 60}};
    static const struct zone_change twice[] = {{2000, 0}, {2000, 60}};
    static const struct zone_change west[] = {{2000, -90000}}, east[] = {{2000, 93600}};
    static const struct zone_change late[] = {{INT64_MAX, 0}}, early[] = {{INT64_MIN, 0}};
    struct tzif file;
    (void)state;
    tzif_make(&file, 0, backwards, 2, "");
    assert_refused(&file, "a change of its clock");
    tzif_make(&file, 0, twice, 2, "");
    assert_refused(&file, "a change of its clock");
    tzif_make(&file, 0, west, 1, "");
    assert_refused(&file, "a change of its clock");
    tzif_make(&file, 0, east, 1, "");
    assert_refused(&file, "a change of its clock");
    tzif_make(&file, 0, late, 1, "");
    assert_refused(&file, "a change of its clock");
    tzif_make(&file, 0, early, 1, "");
    assert_refused(&file, "a change of its clock");
    tzif_make(&file, 0, changes, LEN(changes), "CET");
    assert_refused(&file, "the rule");
    tzif_make(&file, 0, changes, LEN(changes), "");
    file.bytes[file.size - 1] = 'x';
    assert_refused(&file, "the rule");
    tzif_make(&file, 0, NULL, 0, "");
    memset(file.bytes + 20, 0xff, 24); /* counts whose products overflow */
    assert_refused(&file, "damaged");
}

static void leap_seconds(void **state)
{
    struct tzif file = {.size = 0};
    (void)state;
    tzif_block(&file, '\0', 0, NULL, 0, 4);
    file.bytes[31] = 1;
    tzif_number(&file, 78796800, 4);
    tzif_number(&file, 1, 4);
    assert_refused(&file, "leap seconds");
}

/* ---- rules */

static void rules_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "CE-1",
        "CET",
        "CET-",
        "CET-25",
        "CET-1:60",
        "CET-1:00:60",
        "CET-1:",
        "<+1-1",
        "<+1>",
        "<+0>0x",
        "CET-1CEST",
        "CET-1CEST,",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.0,",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M0.5.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0/,M10.5.0",
        "CET-1CEST,J0,J365",
        "CET-1CEST,J1,J366",
        "CET-1CEST,0,366",
        "CET-1CEST,M3.5.0,M10.5.0/3x",
        "CET-1CEST-25,M3.5.0,M10.5.0/3",
        "CET-1CEST,M999999999999999999999.5.0,M10.5.0/3",
    };
    (void)state;
    for (size_t i = 0; i < LEN(bad); i++) {
        struct zone_rule rule;
        if (zone_rule_parse(bad[i], &rule))
            fail_msg("%s", bad[i]);
    }
}

static int64_t at(int year, int month, int day, int hour, int minute)
{
    return calendar_days(year, month, day) * DAY_S + hour * 3600 + minute * 60;
}

/* A zone of a rule alone. */
static struct zone *ruled(const char *rule)
{
    struct tzif file;
    tzif_make(&file, 1234, NULL, 0, rule);
    struct zone *zone = parsed(&file);
    if (zone == NULL)
        fail_msg("%s", rule);
    return zone;
}

static void rules(void **state)
{
    static const struct {
        const char *rule;
        int begin[5], end[5]; /* a span, UTC */
        int32_t offset_s;
    } rows[] = {
        {"CET-1CEST,M3.5.0,M10.5.0/3", {2026, 3, 29, 1, 0}, {2026, 10, 25, 1, 0}, 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", {2399, 10, 31, 1, 0}, {2400, 3, 26, 1, 0}, 3600},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", {2025, 10, 26, 1, 0}, {2026, 3, 29, 1, 0}, 0},
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", {2026, 4, 4, 15, 0}, {2026, 10, 3, 15, 30}, 37800},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", {2026, 3, 29, 1, 0}, {2026, 10, 25, 1, 0}, -3600},
        {"EET-2EEST,M3.4.4/50,M10.4.4/50", {2026, 3, 28, 0, 0}, {2026, 10, 23, 23, 0}, 10800},
        {"XXX0YYY,J60/0,J61/0", {2024, 3, 1, 0, 0}, {2024, 3, 1, 23, 0}, 3600},
        {"XXX0YYY,59/0,60/1", {2024, 2, 29, 0, 0}, {2024, 3, 1, 0, 0}, 3600},
        {"XXX0YYY,59/0,60/1", {2023, 3, 1, 0, 0}, {2023, 3, 2, 0, 0}, 3600},
        {"XXX-24YYY24,M3.1.0/-167,M3.1.0/167", {2026, 2, 21, 1, 0}, {2026, 3, 8, 23, 0}, -86400},
    };
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        const int *b = rows[i].begin, *e = rows[i].end;
        struct zone *zone = ruled(rows[i].rule);
        int64_t begin_s = at(b[0], b[1], b[2], b[3], b[4]),
                end_s = at(e[0], e[1], e[2], e[3], e[4]);
        assert_span(zone, begin_s, begin_s, end_s, rows[i].offset_s);
        assert_span(zone, end_s - 1, begin_s, end_s, rows[i].offset_s);
        assert_int_equal(zone_span(zone, begin_s - 1).end_s, begin_s);
        assert_int_equal(zone_span(zone, end_s).begin_s, end_s);
        zone_free(zone);
    }
}

/* Summer time all year, as RFC 9636 writes it; and no summer time. */
static void one_time_all_year(void **state)
{
    static const struct {
        const char *rule;
        int32_t offset_s;
    } rows[] = {{"XXX3EDT4,0/0,J365/23", -14400}, {"<+0545>-5:45", 20700}, {"UTC0", 0}};
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        struct zone *zone = ruled(rows[i].rule);
        for (int64_t s = at(1960, 1, 1, 0, 0); s < at(2060, 1, 1, 0, 0); s += 3600)
            assert_int_equal(zone_span(zone, s).offset_s, rows[i].offset_s);
        zone_free(zone);
    }
}

/* The rule takes over where the list ends, even in the middle of a summer. */
static void rule_behind_changes(void **state)
{
    const struct zone_change last[] = {{at(2026, 1, 1, 0, 0), 3600}, {at(2026, 6, 1, 0, 0), 7200}};
    struct tzif file;
    (void)state;
    tzif_make(&file, 1234, last, LEN(last), "CET-1CEST,M3.5.0,M10.5.0/3");
    struct zone *zone = parsed(&file);
    assert_non_null(zone);
    assert_span(zone, at(2026, 5, 1, 0, 0), last[0].at_s, last[1].at_s, 3600);
    assert_span(zone, at(2026, 6, 1, 0, 0), last[1].at_s, at(2026, 10, 25, 1, 0), 7200);
    assert_span(zone, at(2026, 12, 1, 0, 0), at(2026, 10, 25, 1, 0), at(2027, 3, 28, 1, 0), 3600);
    zone_free(zone);
}

/* Spans follow each other without a gap, as far as anybody looks. */
static void spans_follow(void **state)
{
    struct zone *zone = ruled("CET-1CEST,M3.5.0,M10.5.0/3");
    struct zone_span span = zone_span(zone, at(-2000, 1, 1, 0, 0));
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct zone_span next = zone_span(zone, span.end_s);
        assert_int_equal(next.begin_s, span.end_s);
        assert_int_equal(next.offset_s, 10800 - span.offset_s);
        assert_int_equal(zone_span(zone, next.begin_s - 1).begin_s, span.begin_s);
        span = next;
    }
    zone_free(zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(utc_needs_no_file),
        cmocka_unit_test(by_name),
        cmocka_unit_test(spans),
        cmocka_unit_test(version_1),
        cmocka_unit_test(damaged),
        cmocka_unit_test(refused),
        cmocka_unit_test(leap_seconds),
        cmocka_unit_test(rules_refused),
        cmocka_unit_test(rules),
        cmocka_unit_test(one_time_all_year),
        cmocka_unit_test(rule_behind_changes),
        cmocka_unit_test(spans_follow),
    };
    return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
