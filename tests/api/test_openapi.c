/* SPDX-License-Identifier: MIT */
/* /openapi.json beside the tables that the server goes by: neither has what the other has not. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/openapi.h"
#include "support/client.h"
#include "support/described.h"
#include "support/server.h"

static cJSON *item(const cJSON *object, const char *name)
{
    cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    if (found == NULL)
        fail_msg("%s is not described", name);
    return found;
}

static void everything_is_described(void **state)
{
    char missing[128] = "";
    (void)state;
    cJSON *json = openapi_json(described_tables, missing);
    assert_string_equal(missing, "");
    assert_non_null(json);
    cJSON_Delete(json);
}

/* `*` in a row's path is one piece in braces. */
static bool is_same_path(const char *row, const char *path)
{
    for (; *row != '\0' && *path != '\0'; row++) {
        if (*row != '*') {
            if (*row != *path++)
                return false;
            continue;
        }
        if (*path != '{')
            return false;
        path += strcspn(path, "}") + 1;
    }
    return *row == *path;
}

static cJSON *path_of(const cJSON *paths, const char *row)
{
    cJSON *path;
    cJSON_ArrayForEach(path, paths)
    {
        if (is_same_path(row, path->string))
            return path;
    }
    fail_msg("%s is not described", row);
    return NULL;
}

static const cJSON *parameter(const cJSON *operation, const char *in, const char *name)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, item(operation, "parameters"))
    {
        if (strcmp(json_string(one, "in"), in) == 0 && strcmp(json_string(one, "name"), name) == 0)
            return one;
    }
    fail_msg("%s is not described", name);
    return NULL;
}

/* What the path has already is no parameter beside it. */
static bool is_in_path(const char *path, const char *name)
{
    char braced[64];
    snprintf(braced, sizeof braced, "{%s}", name);
    return strstr(path, braced) != NULL;
}

/* That of one method, which is taken out. */
static void compare_operation(const struct endpoint *row, cJSON *path, const char *method)
{
    cJSON *operation = item(path, method);
    int described = cJSON_GetArraySize(item(operation, "parameters"));
    assert_true(json_string(operation, "operationId")[0] != '\0');
    for (int i = 0; i < ENDPOINT_PARAMETERS_MAX && row->parameters[i] != NULL; i++) {
        if (is_in_path(path->string, row->parameters[i]))
            continue;
        const cJSON *schema = item(parameter(operation, "query", row->parameters[i]), "schema");
        bool often = row->repeated != NULL && strcmp(row->repeated, row->parameters[i]) == 0;
        assert_int_equal(cJSON_HasObjectItem(schema, "items"), often);
        described--;
    }
    for (int i = 0; i < ENDPOINT_FIELDS_MAX && row->fields[i] != NULL; i++, described--)
        (void)parameter(operation, "header", row->fields[i]);
    assert_int_equal(described, strchr(path->string, '{') != NULL);
    if (strcmp(method, "get") != 0)
        assert_int_equal(cJSON_HasObjectItem(operation, "requestBody"), row->has_body);
    assert_int_equal(cJSON_GetArraySize(item(operation, "security")), row->scope != SCOPE_OPEN);
    assert_true(cJSON_GetArraySize(item(operation, "responses")) >= 2);
    cJSON_DeleteItemFromObjectCaseSensitive(path, method);
}

static void compare_row(const struct endpoint *row, const cJSON *paths)
{
    for (int i = 0; i < ENDPOINT_PATHS_MAX && row->paths[i] != NULL; i++)
        for (unsigned method = METHOD_GET; method < METHOD_OTHER; method <<= 1) {
            char name[METHODS_SIZE];
            methods_list(method, name);
            for (char *at = name; *at != '\0'; at++)
                *at = (char)tolower((unsigned char)*at);
            if ((row->methods & method) != 0)
                compare_operation(row, path_of(paths, row->paths[i]), name);
        }
}

static void it_says_what_the_tables_say(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = client_get(client, "/openapi.json");
    assert_int_equal(answer->status, 200);
    assert_field(answer, "Content-Type", "application/json");
    cJSON *json = cJSON_Parse(answer->body);
    assert_string_equal(json_string(json, "openapi"), "3.1.0");
    assert_string_equal(json_string(item(json, "info"), "version"), JOBD_VERSION);
    cJSON *paths = item(json, "paths"), *path;
    for (size_t i = 0; described_tables[i] != NULL; i++)
        for (const struct endpoint *row = described_tables[i]; row->methods != 0; row++)
            compare_row(row, paths);
    cJSON_ArrayForEach(path, paths)
    {
        if (path->child != NULL)
            fail_msg("%s %s is described, but not there", path->child->string, path->string);
    }
    cJSON_Delete(json);
    client_free(client);
}

/* The names of all that is referred to. */
static void gather_references(const cJSON *in, cJSON *references)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, in)
    {
        gather_references(one, references);
        if (one->string == NULL || strcmp(one->string, "$ref") != 0)
            continue;
        if (described_thing(in) == NULL)
            fail_msg("%s leads nowhere", one->valuestring);
        if (!cJSON_HasObjectItem(references, one->valuestring))
            assert_non_null(cJSON_AddTrueToObject(references, one->valuestring));
    }
}

/* Each reference leads to something, and each thing is referred to. */
static void components_are_there_and_used(void **state)
{
    static const char *const kinds[] = {"schemas", "headers", "responses"};
    cJSON *references = cJSON_CreateObject();
    (void)state;
    gather_references(described(), references);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const cJSON *all = item(item(described(), "components"), kinds[i]), *one;
        assert_in_range(cJSON_GetArraySize(all), 5, 100);
        cJSON_ArrayForEach(one, all)
        {
            char name[128];
            snprintf(name, sizeof name, "#/components/%s/%s", kinds[i], one->string);
            (void)item(references, name);
        }
    }
    cJSON_Delete(references);
}

/* What is not described is no member: else nobody would find that something is missing. */
static void assert_closed(const cJSON *schema)
{
    const cJSON *one;
    if (cJSON_GetObjectItemCaseSensitive(schema, "properties") != NULL)
        assert_true(cJSON_IsFalse(item(schema, "additionalProperties")));
    cJSON_ArrayForEach(one, schema)
    {
        assert_closed(one);
    }
}

static void answers_have_no_other_members(void **state)
{
    (void)state;
    cJSON *json = openapi_json(described_tables, NULL);
    assert_closed(item(item(json, "components"), "schemas"));
    cJSON_Delete(json);
}

/* Each object's members have names of their own. */
static void assert_unique_names(const cJSON *in)
{
    for (const cJSON *one = in->child; one != NULL; one = one->next) {
        for (const cJSON *other = one->next; other != NULL && cJSON_IsObject(in);
             other = other->next)
            assert_string_not_equal(one->string, other->string);
        assert_unique_names(one);
    }
}

static void no_name_comes_twice(void **state)
{
    (void)state;
    cJSON *json = openapi_json(described_tables, NULL);
    assert_unique_names(json);
    cJSON_Delete(json);
}

static const cJSON *schema_of(const cJSON *paths, const char *path, const char *in,
                              const char *name)
{
    return item(parameter(item(item(paths, path), "get"), in, name), "schema");
}

/* What has one name, but is something of its own where it stands; and limits to the last digit. */
static void values_are_those_that_are_taken(void **state)
{
    (void)state;
    cJSON *described = openapi_json(described_tables, NULL);
    char *text = cJSON_PrintUnformatted(described);
    cJSON *json = cJSON_Parse(text);
    const cJSON *paths = item(json, "paths");
    assert_non_null(item(schema_of(paths, "/do", "query", "batch"), "enum"));
    const cJSON *batch = schema_of(paths, "/jobs", "query", "batch");
    assert_string_equal(json_string(batch, "type"), "integer");
    assert_true(item(batch, "maximum")->valuedouble == 9007199254740991.0);
    /* Ids of events are microseconds since 1970, 16 digits. */
    assert_string_equal(
        json_string(schema_of(paths, "/events", "header", "Last-Event-ID"), "pattern"),
        "^[0-9]{0,19}$");
    cJSON_free(text);
    cJSON_Delete(json);
    cJSON_Delete(described);
}

/* As generators of clients need them for their functions. */
static void operations_have_ids_of_their_own(void **state)
{
    const cJSON *paths, *path, *operation;
    (void)state;
    cJSON *json = openapi_json(described_tables, NULL), *ids = cJSON_CreateObject();
    paths = item(json, "paths");
    cJSON_ArrayForEach(path, paths)
    {
        cJSON_ArrayForEach(operation, path)
        {
            const char *id = json_string(operation, "operationId");
            assert_int_equal(strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
                             strlen(id));
            assert_non_null(cJSON_AddTrueToObject(ids, id));
        }
    }
    assert_unique_names(ids);
    const cJSON *output = item(item(paths, "/jobs/{id}/output"), "get");
    assert_string_equal(json_string(output, "operationId"), "jobsIdOutputGet");
    cJSON_Delete(ids);
    cJSON_Delete(json);
}

static void what_is_known_is_not_sent_again(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char match[300], etag[256];
    (void)state;
    const struct answer *answer = client_get(client, "/openapi.json");
    snprintf(match, sizeof match, "If-None-Match: %s", answer_field(answer, "ETag", etag));
    answer = client_send(client, "GET", "/openapi.json", FIELDS(match), NULL);
    assert_answer(answer, 304, "");
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(everything_is_described),         TEST(it_says_what_the_tables_say),
        TEST(components_are_there_and_used),   TEST(no_name_comes_twice),
        TEST(answers_have_no_other_members),   TEST(operations_have_ids_of_their_own),
        TEST(values_are_those_that_are_taken), TEST(what_is_known_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
