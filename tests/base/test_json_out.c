/* SPDX-License-Identifier: MIT */
/* What is written as it comes, beside the same as a tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/json_out.h"

/* Takes both. */
static void same(struct json_out *out, cJSON *tree)
{
    char *written = json_out_line(out), *printed = json_text(tree);
    assert_non_null(written);
    assert_non_null(printed);
    assert_string_equal(written, printed);
    free(written);
    free(printed);
    cJSON_Delete(tree);
}

static void strings(void **state)
{
    static const char *const rows[] = {"",
                                       "a",
                                       "\"",
                                       "\\\"\\",
                                       "a\"b",
                                       "\b\f\n\r\t",
                                       "\x01\x1f\x7f",
                                       "</script>",
                                       "gr\xc3\xbc\xc3\x9f",
                                       "\xf0\x9f\x98\x80",
                                       "tail\n"};
    struct json_out out;
    cJSON *tree = cJSON_CreateArray();
    (void)state;
    json_out_begin(&out, 1);
    json_out_open(&out, NULL, '[');
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_out_text(&out, NULL, rows[i]);
        json_out_bytes(&out, NULL, rows[i], strlen(rows[i]));
        cJSON_AddItemToArray(tree, cJSON_CreateString(rows[i]));
        cJSON_AddItemToArray(tree, cJSON_CreateString(rows[i]));
    }
    for (char c = 1; c < ' '; c++) {
        const char text[] = {'x', c, 'y', '\0'};
        json_out_text(&out, NULL, text);
        cJSON_AddItemToArray(tree, cJSON_CreateString(text));
    }
    json_out_close(&out, ']');
    same(&out, tree);
}

/* Takes it. */
static void assert_written(struct json_out *out, const char *expected)
{
    char *line = json_out_line(out);
    assert_non_null(line);
    assert_string_equal(line, expected);
    free(line);
}

static void bytes_that_are_no_text(void **state)
{
    struct json_out out;
    (void)state;
    json_out_begin(&out, 0);
    json_out_open(&out, NULL, '{');
    json_out_bytes(&out, "nul", "a\0b", 3);
    json_out_bytes(&out, "half", "\xc3", 1);
    json_out_bytes(&out, "none", "", 0);
    json_out_base64(&out, "base64", "\xff\0", 2);
    json_out_close(&out, '}');
    assert_written(&out, "{\"nul\":\"a\xef\xbf\xbd"
                         "b\",\"half\":\"\xef\xbf\xbd\",\"none\":\"\","
                         "\"base64\":\"/wA=\"}\n");
}

static void numbers_and_times(void **state)
{
    static const int64_t rows[] = {
        0, 1, -1, 9, 10, INT64_C(9007199254740993) /* 2^53 + 1: no double */, INT64_MAX, INT64_MIN};
    struct json_out out;
    (void)state;
    json_out_begin(&out, 64);
    json_out_open(&out, NULL, '[');
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        json_out_int(&out, NULL, rows[i]);
    json_out_time(&out, NULL, -INT64_C(951782400123456)); /* of the wall clock */
    json_out_close(&out, ']');
    assert_written(&out, "[0,1,-1,9,10,9007199254740993,9223372036854775807,-9223372036854775808,"
                         "\"2000-02-29T00:00:00.123Z\"]\n");
}

static void thousandths(void **state)
{
    static const uint64_t rows[] = {0,
                                    1,
                                    10,
                                    12,
                                    100,
                                    120,
                                    123,
                                    999,
                                    1000,
                                    1001,
                                    1500,
                                    2050,
                                    7070,
                                    12345,
                                    1999999,
                                    123456000,
                                    UINT64_C(1) << 40,
                                    UINT64_C(99999999999999)};
    struct json_out out;
    cJSON *tree = cJSON_CreateObject();
    (void)state;
    json_out_begin(&out, 8);
    json_out_open(&out, NULL, '{');
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_out_thousandths(&out, "n", rows[i]);
        assert_non_null(cJSON_AddNumberToObject(tree, "n", (double)rows[i] / 1000));
    }
    json_out_close(&out, '}');
    same(&out, tree);
}

static void commas(void **state)
{
    struct json_out out;
    (void)state;
    json_out_begin(&out, 64);
    json_out_open(&out, NULL, '{');
    json_out_open(&out, "none", '[');
    json_out_close(&out, ']');
    json_out_open(&out, "list", '[');
    for (int i = 0; i < 2; i++) {
        json_out_open(&out, NULL, '{');
        json_out_int(&out, "a", 1);
        json_out_raw(&out, "b", "[2]", 3);
        json_out_close(&out, '}');
    }
    json_out_close(&out, ']');
    json_out_int(&out, "end", 1);
    json_out_close(&out, '}');
    assert_written(&out,
                   "{\"none\":[],\"list\":[{\"a\":1,\"b\":[2]},{\"a\":1,\"b\":[2]}],\"end\":1}\n");
}

static void short_memory_is_said_at_the_end(void **state)
{
    struct json_out out;
    (void)state;
    json_out_begin(&out, 16);
    json_out_open(&out, NULL, '{');
    json_out_raw(&out, "huge", "", SIZE_MAX);
    json_out_time(&out, "at", 1);
    json_out_close(&out, '}');
    assert_null(json_out_line(&out));
}

static void lines(void **state)
{
    struct json_out out;
    (void)state;
    json_out_begin(&out, 1);
    json_out_int(&out, NULL, 1);
    json_out_next_line(&out);
    json_out_open(&out, NULL, '{');
    json_out_close(&out, '}');
    assert_written(&out, "1\n{}\n");
}

static void back_to_a_mark(void **state)
{
    struct json_out out;
    (void)state;
    json_out_begin(&out, 1);
    json_out_open(&out, NULL, '[');
    struct json_mark mark = json_out_mark(&out);
    json_out_bool(&out, NULL, true);
    json_out_back(&out, mark);
    json_out_null(&out, NULL);
    mark = json_out_mark(&out);
    json_out_open(&out, NULL, '{');
    json_out_back(&out, mark);
    json_out_bool(&out, NULL, false);
    json_out_close(&out, ']');
    assert_written(&out, "[null,false]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(numbers_and_times),
        cmocka_unit_test(thousandths),
        cmocka_unit_test(commas),
        cmocka_unit_test(lines),
        cmocka_unit_test(back_to_a_mark),
        cmocka_unit_test(short_memory_is_said_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
