/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"

char *json_text(const cJSON *object)
{
    char *text = object != NULL ? cJSON_PrintUnformatted(object) : NULL;
    if (text == NULL)
        return NULL;
    size_t length = strlen(text);
    char *line = realloc(text, length + 2);
    if (line == NULL) {
        free(text);
        return NULL;
    }
    memcpy(line + length, "\n", 2);
    return line;
}

static bool all_strings(const cJSON *array, size_t *bytes)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item))
            return false;
        *bytes += strlen(item->valuestring) + 1;
    }
    return true;
}

static char **copy_words(const cJSON *array, size_t bytes)
{
    size_t len = (size_t)cJSON_GetArraySize(array);
    char **words = malloc((len + 1) * sizeof *words + bytes);
    if (words == NULL)
        return NULL;
    char *at = (char *)(words + len + 1);
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        size_t size = strlen(item->valuestring) + 1;
        words[i++] = memcpy(at, item->valuestring, size);
        at += size;
    }
    words[len] = NULL;
    return words;
}

static bool no_name_has(const cJSON *object, char c)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        if (strchr(item->string, c) != NULL)
            return false;
    }
    return true;
}

/* `bytes`: of the values. */
static char **copy_pairs(const cJSON *object, const char *between, size_t bytes)
{
    size_t len = (size_t)cJSON_GetArraySize(object);
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        bytes += strlen(item->string) + strlen(between);
    }
    char **pairs = malloc((len + 1) * sizeof *pairs + bytes);
    if (pairs == NULL)
        return NULL;
    char *at = (char *)(pairs + len + 1);
    size_t i = 0;
    cJSON_ArrayForEach(item, object)
    {
        pairs[i++] = at;
        at = stpcpy(stpcpy(stpcpy(at, item->string), between), item->valuestring) + 1;
    }
    pairs[len] = NULL;
    return pairs;
}

char **json_words(const char *text)
{
    cJSON *array = cJSON_Parse(text);
    size_t bytes = 0, size;
    char **words = NULL;
    if (cJSON_IsArray(array) && array->child != NULL && all_strings(array, &bytes) &&
        array->child->valuestring[0] != '\0' && json_cut_key(text, &size) == NULL)
        words = copy_words(array, bytes);
    cJSON_Delete(array);
    return words;
}

char **json_pairs(const char *text, const char *between)
{
    cJSON *object = cJSON_Parse(text);
    size_t bytes = 0, size;
    char **pairs = NULL;
    if (cJSON_IsObject(object) && all_strings(object, &bytes) && no_name_has(object, between[0]) &&
        json_cut_key(text, &size) == NULL)
        pairs = copy_pairs(object, between, bytes);
    cJSON_Delete(object);
    return pairs;
}

char *json_from_words(char *const *words)
{
    cJSON *array = cJSON_CreateArray();
    bool whole = array != NULL;
    for (; whole && *words != NULL; words++)
        whole = cJSON_AddItemToArray(array, cJSON_CreateString(*words));
    char *text = whole ? cJSON_PrintUnformatted(array) : NULL;
    cJSON_Delete(array);
    return text;
}
