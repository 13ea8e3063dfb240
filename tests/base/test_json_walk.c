/* SPDX-License-Identifier: MIT */
/* JSON read where it stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_walk.h"
#include "support/edge.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

/* Each text ends where memory ends. */
static void objects(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"{}", true},
        {" { } \r", true},
        {"{\"a\":1}", true},
        {"{\"a\" : [ ] , \"b\":{\"c\":[1,-0.5e+3,true,false,null,\"\\u00e4\\n\"]}}", true},
        {"{\"a\":1E5,\"b\":0.0}", true},
        {"", false},
        {"{", false},
        {"}", false},
        {"[]", false},
        {"1", false},
        {"{}x", false},
        {"{}{}", false},
        {"{,}", false},
        {"{\"a\"}", false},
        {"{\"a\":}", false},
        {"{\"a\":1,}", false},
        {"{a:1}", false},
        {"{\"a\":01}", false},
        {"{\"a\":1.}", false},
        {"{\"a\":.5}", false},
        {"{\"a\":+1}", false},
        {"{\"a\":-}", false},
        {"{\"a\":1e}", false},
        {"{\"a\":tru}", false},
        {"{\"a\":[1 2]}", false},
        {"{\"a\":[1,]}", false},
        {"{\"a\":[}]}", false},
        {"{\"a\":\"\\x\"}", false},
        {"{\"a\":\"\\u12g4\"}", false},
        {"{\"a\":\"\\u12", false},
        {"{\"a\":\"\n\"}", false},
        {"{\"a\":\"", false},
    };
    struct edges edges;
    (void)state;
    edges_open(&edges);
    for (size_t i = 0; i < LEN(rows); i++) {
        size_t size = strlen(rows[i].text);
        edges.used = 0;
        if (json_is_object(edges_copy(&edges, rows[i].text, size), size) != rows[i].good)
            fail_msg("%s", rows[i].text);
    }
    edges_close(&edges);
}

static void no_deeper_than_a_hundred(void **state)
{
    (void)state;
    for (size_t depth = 98; depth < 103; depth++) {
        char text[300] = "{\"a\":";
        memset(text + 5, '[', depth);
        memset(text + 5 + depth, ']', depth);
        text[5 + 2 * depth] = '}';
        assert_int_equal(json_is_object(text, 6 + 2 * depth), depth < 100);
    }
}

static void members_as_they_stand(void **state)
{
    static const char text[] = " {\"a\" : 1.50 ,\"b\":[ \"]\" , {} ],\"c\":\"x\\\"}\" } ";
    static const char *const names[] = {"\"a\"", "\"b\"", "\"c\""};
    static const char *const values[] = {"1.50", "[ \"]\" , {} ]", "\"x\\\"}\""};
    static const char *const items[] = {"\"]\"", "{}"};
    struct json_token name, value, item;
    size_t at = 0, inside = 0;
    (void)state;
    for (size_t i = 0; i < LEN(names); i++) {
        assert_true(json_next_member(text, sizeof text - 1, &at, &name, &value));
        assert_int_equal(name.size, strlen(names[i]));
        assert_memory_equal(name.text, names[i], name.size);
        assert_int_equal(value.size, strlen(values[i]));
        assert_memory_equal(value.text, values[i], value.size);
        for (size_t k = 0; i == 1 && k < LEN(items); k++) {
            assert_true(json_next_item(&value, &inside, &item));
            assert_int_equal(item.size, strlen(items[k]));
            assert_memory_equal(item.text, items[k], item.size);
        }
        assert_true(i != 1 || !json_next_item(&value, &inside, &item));
    }
    assert_false(json_next_member(text, sizeof text - 1, &at, &name, &value));
}

static void strings_are_decoded(void **state)
{
    static const struct {
        const char *text, *meant; /* NULL: no characters */
        size_t size;
    } rows[] = {
        {"\"\"", "", 0},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz", 10},
        {"\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\"", "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10},
        {"\"\\u0000\"", "\0", 1},
        {"\"\\ud83d\"", NULL, 0},
        {"\"\\ude00\"", NULL, 0},
        {"\"\\ud83dx\\ude00\"", NULL, 0},
        {"\"\\ud83d\\u0041\"", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        const struct json_token token = {rows[i].text, strlen(rows[i].text)};
        char *out = malloc(token.size);
        size_t size = 0;
        assert_non_null(out);
        assert_int_equal(json_decode(&token, out, &size), rows[i].meant != NULL);
        if (rows[i].meant != NULL) {
            assert_int_equal(size, rows[i].size);
            assert_memory_equal(out, rows[i].meant, size);
        }
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects),
        cmocka_unit_test(no_deeper_than_a_hundred),
        cmocka_unit_test(members_as_they_stand),
        cmocka_unit_test(strings_are_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
