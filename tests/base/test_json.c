/* SPDX-License-Identifier: MIT */
/* One line of text, and the lines that keys stand on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/chance.h"
#include "base/json_scan.h"
#include "base/verify.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

/* ---- writing */

static void assert_written(const cJSON *object, const char *expected)
{
    char *text = json_text(object);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void a_text_is_one_line(void **state)
{
    cJSON *object = cJSON_CreateObject(), *inner = cJSON_CreateArray();
    (void)state;
    assert_written(object, "{}\n");
    assert_non_null(cJSON_AddStringToObject(object, "a\nkey", "two\r\nlines \"\\ \x01"));
    assert_true(cJSON_AddItemToObject(object, "list", inner));
    assert_true(cJSON_AddItemToArray(inner, cJSON_CreateNull()));
    assert_written(object, "{\"a\\nkey\":\"two\\r\\nlines \\\"\\\\ \\u0001\",\"list\":[null]}\n");
    cJSON_Delete(object);
    assert_null(json_text(NULL));
}

/* ---- lines */

static void a_characters_line(void **state)
{
    static const char text[] = "a\nbc\n\n\r\nd\r\0\n\n";
    static const unsigned lines[] = {1, 1, 2, 2, 2, 3, 4, 4, 5, 5, 5};
    (void)state;
    for (size_t i = 0; i < LEN(lines); i++)
        assert_int_equal(json_line_at(text, text + i), lines[i]);
    assert_int_equal(json_line_at(text, text + sizeof text - 1), 5); /* not past its end */
    assert_int_equal(json_line_at("", ""), 1);
}

/* The item at a path of keys and places: `queues/mail/0`. */
static const cJSON *item_at(const cJSON *root, const char *path)
{
    const cJSON *item = root;
    while (*path != '\0') {
        char step[32];
        size_t size = strcspn(path, "/");
        snprintf(step, sizeof step, "%.*s", (int)size, path);
        item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, atoi(step))
                                   : cJSON_GetObjectItemCaseSensitive(item, step);
        verify(item != NULL);
        path += path[size] == '/' ? size + 1 : size;
    }
    return item;
}

static void a_keys_line(void **state)
{
    static const struct {
        const char *text, *path;
        unsigned line;
    } rows[] = {
        {"{\"a\":1}", "a", 1},
        {"{\"a\":1,\"b\":2}", "b", 1},
        {"{\"a\":1,\n\"b\":2}", "b", 2},
        {"\n\n{\n\"a\":1}", "a", 4},
        {"{\r\n\"a\":1,\r\n\"b\":2}", "b", 3},
        /* The key's line, wherever its colon and value are. */
        {"{\n\"a\"\n\n:\n1,\n\"b\"\r\n\t :2}", "a", 2},
        {"{\n\"a\"\n\n:\n1,\n\"b\"\r\n\t :2}", "b", 6},
        {"{\"a\":\n{\n\"b\":1}}", "a", 1},
        /* The same key in several objects. */
        {"{\"k\":{\n\"k\":{\n\"k\":1}},\n\"l\":{\"k\":2}}", "k", 1},
        {"{\"k\":{\n\"k\":{\n\"k\":1}},\n\"l\":{\"k\":2}}", "k/k", 2},
        {"{\"k\":{\n\"k\":{\n\"k\":1}},\n\"l\":{\"k\":2}}", "k/k/k", 3},
        {"{\"k\":{\n\"k\":{\n\"k\":1}},\n\"l\":{\"k\":2}}", "l/k", 4},
        {"{\"q\":{},\n\"p\":{\n\"q\":{}},\n\"r\":1}", "r", 4},
        /* Escapes in keys, and keys that look like others' ends. */
        {"{\"\\\"\":1,\n\"\\\\\":2,\n\"\\u0061\":3,\n\"b\":4}", "\"", 1},
        {"{\"\\\"\":1,\n\"\\\\\":2,\n\"\\u0061\":3,\n\"b\":4}", "\\", 2},
        {"{\"\\\"\":1,\n\"\\\\\":2,\n\"\\u0061\":3,\n\"b\":4}", "a", 3},
        {"{\"\\\"\":1,\n\"\\\\\":2,\n\"\\u0061\":3,\n\"b\":4}", "b", 4},
        {"{\"a\\\":\\\"\":1,\n\"b\":2}", "b", 2},
        {"{\"\":1,\n\"b\":2}", "b", 2},
        {"{\":\":1,\n\"b\":2}", "b", 2},
        /* Strings that look like keys are none. */
        {"{\"a\":\"\\\"b\\\":1\",\n\"b\":2}", "b", 2},
        {"{\"a\":\"b\",\n\"b\":\"a\"}", "b", 2},
        {"{\"a\":\":\",\n\"b\":2}", "b", 2},
        {"{\"a\":[\"b\",\n\"c\",\n\"d\"],\n\"b\":2}", "b", 4},
        {"{\"a\":[{\"b\":1},\n{\"b\":2},\n{\"b\":3}],\n\"b\":4}", "a/1/b", 2},
        {"{\"a\":[{\"b\":1},\n{\"b\":2},\n{\"b\":3}],\n\"b\":4}", "b", 4},
        {"[\n{\"a\":1},\n{\"a\":2}]", "1/a", 3},
        /* Without a key: the first line, if none stands before. */
        {"\n{\n\"a\":1}", "", 1},
        {"[\n1,\n2]", "1", 1},
    };
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        cJSON *root = cJSON_Parse(rows[i].text);
        assert_non_null(root);
        unsigned line = json_line(rows[i].text, root, item_at(root, rows[i].path));
        if (line != rows[i].line) {
            print_error("line %u, not %u, has %s in\n%s\n", line, rows[i].line, rows[i].path,
                        rows[i].text);
            wrong++;
        }
        cJSON_Delete(root);
    }
    assert_int_equal(wrong, 0);
}

static void what_a_nul_cuts_has_a_key(void **state)
{
    static const struct {
        const char *text, *key; /* NULL: nothing is cut */
    } rows[] = {
        {"{}", NULL},
        {"{\"a\": \"\\\\u0000\", \"b\": \"u0000\", \"c\": \"\\u0001\\u00000\"}", "c"},
        {"{\"a\": \"\\\\u0000\", \"b\": \"\\\\\\\"u0000\"}", NULL},
        {"{\"a\": {\"b\" : [1, \"x\", \"\\u0000\"]}}", "b"},
        {"{\"a\": \"b\", \"c\\u0000\": 1}", "c\\u0000"},
        {"\"\\u0000\"", ""},
    };
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        size_t size;
        const char *key = json_cut_key(rows[i].text, &size);
        assert_true((key == NULL) == (rows[i].key == NULL));
        if (key == NULL)
            continue;
        assert_int_equal(size, strlen(rows[i].key));
        assert_memory_equal(key, rows[i].key, size);
    }
}

static void of_two_same_keys_each_has_its_line(void **state)
{
    static const char text[] = "{\"a\":1,\n\"a\":2,\n\n\"a\":3}";
    static const unsigned lines[] = {1, 2, 4};
    cJSON *root = cJSON_Parse(text);
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(json_line(text, root, cJSON_GetArrayItem(root, i)), lines[i]);
    cJSON_Delete(root);
}

/* ---- any text */

enum { TEXT_BYTES = 1 << 16, KEYS_MAX = 4096, DEPTH_MAX = 5 };

struct writer {
    struct chance chance;
    char text[TEXT_BYTES];
    size_t used;
    unsigned line;
    unsigned lines[KEYS_MAX]; /* of the keys, in their order */
    size_t keys;
};

static void put(struct writer *writer, const char *piece)
{
    size_t size = strlen(piece);
    verify(writer->used + size < sizeof writer->text);
    memcpy(writer->text + writer->used, piece, size + 1);
    writer->used += size;
    for (; *piece != '\0'; piece++)
        writer->line += *piece == '\n';
}

static void put_space(struct writer *writer)
{
    static const char *const spaces[] = {"", "", "", " ", "\t", "\n", "\r\n", "\n\n "};
    put(writer, spaces[chance_below(&writer->chance, LEN(spaces))]);
}

static void put_string(struct writer *writer)
{
    static const char *const strings[] = {
        "\"a\"",        "\"b\"",   "\"\"",       "\":\"",          "\"\\\"\"",
        "\"\\\\\"",     "\"{\"",   "\"\\n\"",    "\"\\\\\\\":\"",  "\"x\\\": \\\"y\"",
        "\"\\u0022:\"", "\"a:1\"", "\"[\\t,]\"", "\"gr\xc3\xbc\"",
    };
    put(writer, strings[chance_below(&writer->chance, LEN(strings))]);
}

static void put_value(struct writer *writer, unsigned depth);

static void put_member(struct writer *writer, bool of_object, unsigned depth)
{
    put_space(writer);
    if (of_object) {
        verify(writer->keys < KEYS_MAX);
        writer->lines[writer->keys++] = writer->line;
        put_string(writer);
        put_space(writer);
        put(writer, ":");
        put_space(writer);
    }
    put_value(writer, depth + 1);
    put_space(writer);
}

static void put_value(struct writer *writer, unsigned depth)
{
    static const char *const plain[] = {"1", "-2.5e3", "true", "null"};
    unsigned kind = depth == 0 ? 0 : chance_below(&writer->chance, depth < DEPTH_MAX ? 4 : 2) + 1;
    if (kind == 1) {
        put_string(writer);
    } else if (kind == 2) {
        put(writer, plain[chance_below(&writer->chance, LEN(plain))]);
    } else {
        bool object = kind != 3;
        unsigned members = chance_below(&writer->chance, 5);
        put(writer, object ? "{" : "[");
        for (unsigned i = 0; i < members; i++) {
            put(writer, i > 0 ? "," : "");
            put_member(writer, object, depth);
        }
        put(writer, object ? "}" : "]");
    }
}

/* Depth first is the order of the text. */
static void compare_keys(const struct writer *writer, const cJSON *root, const cJSON *tree,
                         size_t *keys)
{
    for (const cJSON *child = tree->child; child != NULL; child = child->next) {
        if (child->string != NULL) {
            assert_true(*keys < writer->keys);
            assert_int_equal(json_line(writer->text, root, child), writer->lines[*keys]);
            ++*keys;
        }
        compare_keys(writer, root, child, keys);
    }
}

static void each_key_of_any_text_has_its_line(void **state)
{
    static struct writer writer;
    size_t all = 0;
    (void)state;
    writer.chance = chance_begin();
    for (unsigned run = 0; run < 400; run++) {
        writer.used = writer.keys = 0;
        writer.line = 1;
        put_space(&writer);
        put_value(&writer, 0);
        cJSON *root = cJSON_Parse(writer.text);
        assert_non_null(root);
        size_t keys = 0;
        compare_keys(&writer, root, root, &keys);
        assert_int_equal(keys, writer.keys);
        all += keys;
        cJSON_Delete(root);
    }
    assert_true(all > 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_one_line),
        cmocka_unit_test(a_characters_line),
        cmocka_unit_test(a_keys_line),
        cmocka_unit_test(what_a_nul_cuts_has_a_key),
        cmocka_unit_test(of_two_same_keys_each_has_its_line),
        cmocka_unit_test(each_key_of_any_text_has_its_line),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
