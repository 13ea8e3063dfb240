/* SPDX-License-Identifier: MIT */
/* What people write for numbers, durations and sizes, and what they are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "support/chance.h"
#include "support/edge.h"
#include "base/text.h"
#include "base/utf8.h"

enum { UNTOUCHED = 0x5a5a5a5a };
#define MS        UINT64_C(1000)
#define S         (1000 * MS)
#define DAY       (86400 * S)
#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

/* Thirty nines: more than any number holds. */
#define NINES "999999999999999999999999999999"

struct row {
    const char *text;
    bool good;
    uint64_t value;
};

static bool number(const char *text, uint64_t *value)
{
    return text_to_number(text, UINT64_MAX, value);
}

static bool duration(const char *text, uint64_t *value)
{
    int64_t us = (int64_t)*value;
    bool good = text_to_duration(text, &us);
    *value = (uint64_t)us;
    return good;
}

/* Each text ends where memory ends; a refused one leaves the value as it was. */
static void read_rows(bool (*read)(const char *, uint64_t *), const struct row *rows, size_t len)
{
    struct edges edges;
    unsigned wrong = 0;
    edges_open(&edges);
    for (size_t i = 0; i < len; i++) {
        uint64_t value = UNTOUCHED, expected = rows[i].good ? rows[i].value : UNTOUCHED;
        edges.used = 0;
        bool good = read(edges_copy(&edges, rows[i].text, strlen(rows[i].text) + 1), &value);
        if (good == rows[i].good && value == expected)
            continue;
        print_error("\"%s\": %s, %llu\n", rows[i].text, good ? "taken" : "refused",
                    (unsigned long long)value);
        wrong++;
    }
    edges_close(&edges);
    assert_int_equal(wrong, 0);
}

static void numbers(void **state)
{
    static const struct row rows[] = {
        {"0", true, 0},
        {"1", true, 1},
        {"007", true, 7},
        {"00000000000000000000000000000000000000001", true, 1},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"99999999999999999999", false, 0},
        {NINES NINES NINES, false, 0},
        {"", false, 0},
        {" ", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"\t1", false, 0},
        {"1\n", false, 0},
        {"+1", false, 0},
        {"-1", false, 0},
        {"-0", false, 0},
        {"0x10", false, 0},
        {"1e3", false, 0},
        {"1.0", false, 0},
        {"1,000", false, 0},
        {"1_000", false, 0},
        {"1a", false, 0},
        {"a", false, 0},
        {"\xd9\xa3", false, 0}, /* a digit, but Arabic */
        {"1\xc2\xa0", false, 0},
    };
    (void)state;
    read_rows(number, rows, LEN(rows));
}

static void a_number_is_at_most_its_max(void **state)
{
    static const uint64_t maxima[] = {0, 1, 9, 10, 65535, UINT64_C(1) << 53, UINT64_MAX - 1};
    (void)state;
    for (size_t i = 0; i < LEN(maxima); i++) {
        char text[32];
        uint64_t value = UNTOUCHED;
        snprintf(text, sizeof text, "%llu", (unsigned long long)maxima[i] + 1);
        assert_false(text_to_number(text, maxima[i], &value));
        assert_int_equal(value, UNTOUCHED);
        snprintf(text, sizeof text, "%llu", (unsigned long long)maxima[i]);
        assert_true(text_to_number(text, maxima[i], &value));
        assert_int_equal(value, maxima[i]);
        char room[TEXT_NUMBER_SIZE];
        assert_string_equal(text_number(maxima[i], room), text);
    }
}

static void durations(void **state)
{
    static const struct row rows[] = {
        {"0s", true, 0},
        {"0d", true, 0},
        {"1ms", true, MS},
        {"250ms", true, 250 * MS},
        {"30s", true, 30 * S},
        {"1.5m", true, 90 * S},
        {"2h", true, 7200 * S},
        {"7d", true, 7 * DAY},
        {"0.001ms", true, 1},
        {"1.5ms", true, 1500},
        {"0.999s", true, 999 * MS},
        {"1.05s", true, 1050 * MS},
        {"1.050s", true, 1050 * MS},
        {"0.1d", true, DAY / 10},
        {"007.500s", true, 7500 * MS},
        {"36600d", true, 36600 * DAY}, /* a hundred years */
        {"36601d", false, 0},
        {"3162240000s", true, 36600 * DAY},
        {"3162240001s", false, 0},
        {"3162240000001ms", false, 0},
        {"213503983d", false, 0}, /* past 2^64 microseconds: less than a day, if it wrapped */
        {"18446744073709551615d", false, 0},
        {"18446744073709551616ms", false, 0},
        {NINES "s", false, 0},
        {"1." NINES "s", false, 0},
        {"1.0000s", false, 0},
        {"1.s", false, 0},
        {".5s", false, 0},
        {"1.5", false, 0},
        {"1.5.5s", false, 0},
        {"1,5s", false, 0},
        {"5", false, 0},
        {"s", false, 0},
        {"", false, 0},
        {" 1s", false, 0},
        {"1 s", false, 0},
        {"1s ", false, 0},
        {"-1s", false, 0},
        {"+1s", false, 0},
        {"1S", false, 0},
        {"1MS", false, 0},
        {"1us", false, 0},
        {"1w", false, 0},
        {"1sec", false, 0},
        {"1h30m", false, 0},
        {"1e3s", false, 0},
        {"0x1s", false, 0},
    };
    (void)state;
    read_rows(duration, rows, LEN(rows));
}

static void durations_are_written(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {{86400000000, "1d"}, {90000000000, "25h"},   {5400000000, "90m"}, {60000000, "1m"},
                {61000000, "61s"},   {1500000, "1500ms"},    {1000, "1ms"},       {500, "0.500ms"},
                {1500, "1.500ms"},   {1000001, "1000.001ms"}};
    char text[TEXT_DURATION_SIZE];
    int64_t us;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        text_duration(rows[i].us, text);
        assert_string_equal(text, rows[i].text);
        assert_true(text_to_duration(text, &us));
        assert_int_equal(us, rows[i].us);
    }
    text_duration(INT64_MAX, text); /* has room */
}

static void sizes(void **state)
{
    static const struct row rows[] = {
        {"0", true, 0},
        {"1", true, 1},
        {"1000", true, 1000},
        {"64KiB", true, 65536},
        {"10MiB", true, 10485760},
        {"1GiB", true, UINT64_C(1) << 30},
        {"0GiB", true, 0},
        {"1073741824GiB", true, UINT64_C(1) << 60},
        {"1073741825GiB", false, 0},
        {"1099511627776MiB", true, UINT64_C(1) << 60},
        {"1099511627777MiB", false, 0},
        {"1152921504606846976", true, UINT64_C(1) << 60},
        {"1152921504606846977", false, 0},
        {"17179869184GiB", false, 0}, /* 2^64 bytes: nothing, if it wrapped */
        {"18446744073709551616", false, 0},
        {NINES "KiB", false, 0},
        {"", false, 0},
        {"KiB", false, 0},
        {"1.5KiB", false, 0},
        {"64 KiB", false, 0},
        {" 64KiB", false, 0},
        {"64KiB ", false, 0},
        {"-1", false, 0},
        {"+1KiB", false, 0},
        {"64kib", false, 0},
        {"64K", false, 0},
        {"64KB", false, 0},
        {"64B", false, 0},
        {"1TiB", false, 0},
        {"0x40", false, 0},
    };
    (void)state;
    read_rows(text_to_size, rows, LEN(rows));
}

static void times(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {999, "1970-01-01T00:00:00.000Z"}, /* cut, not rounded */
        {1000, "1970-01-01T00:00:00.001Z"},
        {999999, "1970-01-01T00:00:00.999Z"},
        {1000000, "1970-01-01T00:00:01.000Z"},
        {INT64_C(951782400123456), "2000-02-29T00:00:00.123Z"},
        {INT64_C(1709251199999999), "2024-02-29T23:59:59.999Z"},
        {INT64_C(1709251200000000), "2024-03-01T00:00:00.000Z"},
        {INT64_C(2147483648000000), "2038-01-19T03:14:08.000Z"},
        {INT64_C(4107542399000000), "2100-02-28T23:59:59.000Z"}, /* no leap year */
        {INT64_C(4107542400000000), "2100-03-01T00:00:00.000Z"},
        {INT64_C(253402300799999999), "9999-12-31T23:59:59.999Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000, "1969-12-31T23:59:59.999Z"},
        {-1001, "1969-12-31T23:59:59.998Z"},
        {-1000000, "1969-12-31T23:59:59.000Z"},
        {-1500000, "1969-12-31T23:59:58.500Z"},
        {INT64_C(-30610224000000000), "1000-01-01T00:00:00.000Z"},
    };
    struct edges edges;
    (void)state;
    edges_open(&edges);
    for (size_t i = 0; i < LEN(rows); i++) {
        edges.used = 0;
        char *out = edges_room(&edges, TEXT_TIME_SIZE);
        text_time(rows[i].us, out);
        assert_string_equal(out, rows[i].text);
    }
    /* No such date: but a text, and no longer than others. */
    text_time(INT64_MAX, edges_room(&edges, TEXT_TIME_SIZE));
    assert_non_null(memchr(edges.ends[1] - TEXT_TIME_SIZE, '\0', TEXT_TIME_SIZE));
    text_time(INT64_MIN, edges_room(&edges, TEXT_TIME_SIZE));
    assert_non_null(memchr(edges.ends[2] - TEXT_TIME_SIZE, '\0', TEXT_TIME_SIZE));
    edges_close(&edges);
}

static bool moment(const char *text, uint64_t *value)
{
    int64_t us = (int64_t)*value;
    bool good = text_to_time(text, &us);
    *value = (uint64_t)us;
    return good;
}

static void moments(void **state)
{
    static const struct row rows[] = {
        {"1970-01-01T00:00:00Z", true, (uint64_t)INT64_C(0)},
        {"2026-12-01T09:00:00Z", true, (uint64_t)INT64_C(1796115600000000)},
        {"2026-12-01t09:00:00z", true, (uint64_t)INT64_C(1796115600000000)},
        {"2026-12-01T09:00:00+01:00", true, (uint64_t)INT64_C(1796112000000000)},
        {"2026-12-01T09:00:00-05:30", true, (uint64_t)INT64_C(1796135400000000)},
        {"2024-02-29T23:59:59.999999Z", true, (uint64_t)INT64_C(1709251199999999)},
        {"2000-02-29T12:00:00.5+14:00", true, (uint64_t)INT64_C(951775200500000)},
        {"0001-01-01T00:00:00Z", true, (uint64_t)INT64_C(-62135596800000000)},
        {"9999-12-31T23:59:59.999Z", true, (uint64_t)INT64_C(253402300799999000)},
        {"1999-12-31T23:59:59-23:59", true, (uint64_t)INT64_C(946771139000000)},
        {"2026-12-01 09:00:00 01:00", true,
         (uint64_t)INT64_C(1796112000000000)}, /* as a query has it */
        {"2026-12-01T09:00:00.123456789Z", true, (uint64_t)INT64_C(1796115600123456)},
        {"2016-12-31T23:59:60Z", true, (uint64_t)INT64_C(1483228800000000)},
        {"2026-12-01T09:00:00-00:00", true, (uint64_t)INT64_C(1796115600000000)},
        {"", false, 0},
        {"2026", false, 0},
        {"2026-12-01", false, 0},
        {"2026-12-01T09:00:00", false, 0},
        {"2026-12-01T09:00Z", false, 0},
        {"2026-13-01T09:00:00Z", false, 0},
        {"2026-00-01T09:00:00Z", false, 0},
        {"2026-04-31T09:00:00Z", false, 0},
        {"2025-02-29T09:00:00Z", false, 0},
        {"1900-02-29T09:00:00Z", false, 0},
        {"2026-12-00T09:00:00Z", false, 0},
        {"2026-12-01T24:00:00Z", false, 0},
        {"2026-12-01T09:60:00Z", false, 0},
        {"2026-12-01T09:00:61Z", false, 0},
        {"2026-12-01T09:00:00.Z", false, 0},
        {"2026-12-01T09:00:00+24:00", false, 0},
        {"2026-12-01T09:00:00+01", false, 0},
        {"2026-12-01T09:00:00+0100", false, 0},
        {"2026-12-01T09:00:00Zz", false, 0},
        {" 2026-12-01T09:00:00Z", false, 0},
        {"0000-01-01T00:00:00Z", false, 0},
        {"26-12-01T09:00:00Z", false, 0},
        {"1s", false, 0},
        {"-2026-12-01T09:00:00Z", false, 0},
    };
    (void)state;
    read_rows(moment, rows, LEN(rows));
}

/* What is written can be read, on every day for some centuries. */
static void moments_are_read_as_written(void **state)
{
    (void)state;
    for (int64_t day = -200000; day < 200000; day++) {
        char text[TEXT_TIME_SIZE];
        int64_t us = day * (int64_t)DAY + day % 86400 * (int64_t)S, read_us = 0;
        text_time(us, text);
        assert_true(text_to_time(text, &read_us));
        assert_int_equal(read_us, us);
    }
}

static void printable(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        const char *shown;
    } rows[] = {
        {"", 4, ""},
        {"plain ~ text", 64, "plain ~ text"},
        {"\t\n\r\x01\x1f", 64, "\\x09\\x0a\\x0d\\x01\\x1f"},
        {"a\x7fz", 64, "a\\x7fz"},
        {"gr\xc3\xbc\xc3\x9f", 64, "gr\\xc3\\xbc\\xc3\\x9f"},
        {"\xff\x80", 64, "\\xff\\x80"},
        {"say \"hi\"", 64, "say \\\"hi\\\""},
        {"a\\n", 64, "a\\\\n"},
        {"'%s'", 64, "'%s'"},
        {"\x1b[31m", 64, "\\x1b[31m"},
        {"abc", 4, "abc"},
        {"abcd", 4, "..."},
        {"abcd", 5, "abcd"},
        {"abcde", 5, "a..."},
        {"abcdefg", 8, "abcdefg"},
        {"abcdefgh", 8, "abcd..."},
        {"abcde\n", 10, "abcde\\x0a"}, /* whole or not at all */
        {"abcde\n", 9, "abcde..."},
        {"ab\nabcd", 9, "ab..."},
        {"ab\nabcd", 10, "ab\\x0a..."},
        {"\n\n", 8, "\\x0a..."},
        {"\n\n", 9, "\\x0a\\x0a"},
        {"\n\n", 7, "..."},
        {"\"\"\"", 6, "\\\"..."},
        {"\"\"\"", 7, "\\\"\\\"\\\""},
    };
    struct edges edges;
    (void)state;
    edges_open(&edges);
    for (size_t i = 0; i < LEN(rows); i++) {
        edges.used = 0;
        char *out = edges_room(&edges, rows[i].size);
        assert_ptr_equal(text_printable(rows[i].text, out, rows[i].size), out);
        assert_string_equal(out, rows[i].shown);
    }
    edges_close(&edges);
}

/* Any text in any room: what is shown is the start of what would be, as long as it can be. */
static void printable_at_random(void **state)
{
    struct chance chance = chance_begin();
    struct edges edges;
    (void)state;
    edges_open(&edges);
    for (unsigned run = 0; run < 20000; run++) {
        char text[24] = "", whole[4 * sizeof text + 4];
        unsigned length = chance_below(&chance, sizeof text);
        for (unsigned i = 0; i < length; i++)
            text[i] = (char)(chance_below(&chance, 2) ? 'a' : 1 + (int)chance_below(&chance, 255));
        text_printable(text, whole, sizeof whole);
        for (const char *c = whole; *c != '\0'; c++)
            assert_true(*c >= 0x20 && *c <= 0x7e);
        size_t size = 4 + chance_below(&chance, 60), all = strlen(whole);
        edges.used = 0;
        char *out = text_printable(text, edges_room(&edges, size), size);
        if (all < size) {
            assert_string_equal(out, whole);
            continue;
        }
        size_t shown = strlen(out);
        assert_true(shown < size && shown + 4 >= size); /* an escape more is up to 4 */
        assert_string_equal(out + shown - 3, "...");
        assert_memory_equal(out, whole, shown - 3);
    }
    edges_close(&edges);
}

static void bytes_become_utf8(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
        bool sound;
    } rows[] = {
        {"", 0, "", true},
        {"plain", 5, "plain", true},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true},
        {"a\0b", 3,
         "a\xef\xbf\xbd"
         "b",
         false},
        {"\xff", 1, "\xef\xbf\xbd", false},
        {"\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd", false},                 /* overlong */
        {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", false}, /* a surrogate */
        {"\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", false},
        {"x\xe2\x82", 3, "x\xef\xbf\xbd\xef\xbf\xbd", false}, /* cut off */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const unsigned char *bytes = (const unsigned char *)rows[i].bytes;
        char *text = utf8_repaired(bytes, rows[i].size);
        assert_non_null(text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(utf8_valid(bytes, rows[i].size), rows[i].sound);
        free(text);
    }
}

/* The vectors of RFC 4648, section 10, and two bytes that need the last digits. */
static void bytes_become_base64(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe", "//4="},
        {"\xfb\xf0", "+/A="},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = base64_text((const unsigned char *)rows[i][0], strlen(rows[i][0]));
        assert_non_null(text);
        assert_string_equal(text, rows[i][1]);
        free(text);
    }
}

/* What was written is read, in its own place too; and one text stands for some bytes. */
static void base64_is_read(void **state)
{
    static const char *const bad[] = {"A",    "AA",   "AAA",  "AAAAA", "AB==", "AAB=",
                                      "A===", "====", "AA=A", "AA-_",  "AA A", "AAAA\n"};
    (void)state;
    for (size_t size = 0; size < 50; size++) {
        unsigned char bytes[50];
        size_t read = 99;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)(i * 37 + size);
        char *text = base64_text(bytes, size);
        assert_non_null(text);
        assert_true(base64_read(text, text, &read));
        assert_int_equal(read, size);
        assert_memory_equal(text, bytes, size);
        free(text);
    }
    for (size_t i = 0; i < LEN(bad); i++) {
        unsigned char bytes[16];
        size_t read;
        assert_false(base64_read(bad[i], bytes, &read));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(a_number_is_at_most_its_max),
        cmocka_unit_test(durations),
        cmocka_unit_test(durations_are_written),
        cmocka_unit_test(sizes),
        cmocka_unit_test(times),
        cmocka_unit_test(moments),
        cmocka_unit_test(moments_are_read_as_written),
        cmocka_unit_test(printable),
        cmocka_unit_test(printable_at_random),
        cmocka_unit_test(bytes_become_utf8),
        cmocka_unit_test(bytes_become_base64),
        cmocka_unit_test(base64_is_read),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
