/* SPDX-License-Identifier: MIT */
#include "server/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "server/option_types.h"

enum { FILE_MAX_BYTES = 1 << 20, KEYS_SIZE = 768, PLACE_SIZE = 512 };

struct config_reader {
    const char *path, *place; /* where the path was said */
    char *text;
    cJSON *root;
    struct config_file *file;
    struct problem *problem;
};

static bool wrong(const struct config_reader *reader, const char *place, const char *what)
{
    return problem_set(reader->problem, "%s: %s", place, what);
}

static bool wrong_at(const struct config_reader *reader, unsigned line, const char *what)
{
    return problem_set(reader->problem, "%s:%u: %s", reader->path, line, what);
}

static bool wrong_file(const struct config_reader *reader, const char *what)
{
    return problem_set(reader->problem, "%s: %s: %s", reader->place, reader->path, what);
}

/* `FILE:LINE: "KEY"`, the key shown printable. */
static void place_of(const struct config_reader *reader, const cJSON *item, char out[PLACE_SIZE])
{
    char key[96];
    snprintf(out, PLACE_SIZE, "%s:%u: \"%s\"", reader->path,
             json_line(reader->text, reader->root, item),
             text_printable(item->string, key, sizeof key));
}

/* cJSON would cut such a string, and what is left may be a value that nobody meant. */
static bool has_no_nul(const struct config_reader *reader)
{
    size_t size;
    char key[96], shown[96];
    const char *at = json_cut_key(reader->text, &size);
    if (at == NULL)
        return true;
    snprintf(key, sizeof key, "%.*s", (int)size, at);
    return problem_set(reader->problem, "%s:%u: \"%s\": a string with \\u0000 is not allowed",
                       reader->path, json_line_at(reader->text, at),
                       text_printable(key, shown, sizeof shown));
}

/* ---- keys */

/* Underscores may stand for hyphens. */
static bool same_key(const char *key, const char *name)
{
    for (; *key != '\0' && *name != '\0'; key++, name++)
        if (*key != *name && !(*key == '_' && *name == '-'))
            return false;
    return *key == *name;
}

static bool may_stand(const struct option_spec *spec, bool in_queue)
{
    return spec->type->json != 0 && (spec->flags & OPTION_NOT_IN_FILE) == 0 &&
           (in_queue ? spec->target == OF_QUEUE : (spec->flags & OPTION_IN_QUEUE) == 0);
}

static bool unknown_key(const struct config_reader *reader, const char *place, bool in_queue)
{
    char keys[KEYS_SIZE] = "";
    size_t used = 0, len;
    const struct option_spec *specs = options_table(&len);
    for (size_t i = 0; i < len && used < sizeof keys; i++)
        if (may_stand(&specs[i], in_queue))
            used += (size_t)snprintf(keys + used, sizeof keys - used, "%s%s", used > 0 ? ", " : "",
                                     specs[i].name);
    return problem_set(reader->problem, "%s: unknown key; allowed are %s%s", place, keys,
                       in_queue ? "" : ", queues, schedules");
}

/* The value as it would stand on the command line, to be freed; NULL when it has another type, or
 * memory is short. */
static char *value_text(const cJSON *item, unsigned kinds)
{
    char number[40];
    if ((kinds & JSON_WORDS) != 0 && cJSON_IsArray(item))
        return cJSON_PrintUnformatted(item);
    if ((kinds & JSON_PAIRS) != 0 && cJSON_IsObject(item))
        return cJSON_PrintUnformatted(item);
    if ((kinds & JSON_STRING) != 0 && cJSON_IsString(item))
        return strdup(item->valuestring);
    if ((kinds & JSON_BOOL) != 0 && cJSON_IsBool(item))
        return strdup(cJSON_IsTrue(item) ? "true" : "false");
    if ((kinds & JSON_NUMBER) == 0 || !cJSON_IsNumber(item))
        return NULL;
    snprintf(number, sizeof number, "%.17g", item->valuedouble);
    return strdup(number);
}

static bool read_setting(const struct config_reader *reader, const cJSON *item,
                         struct settings *settings, bool in_queue)
{
    char place[PLACE_SIZE];
    size_t i = 0, len;
    const struct option_spec *specs = options_table(&len);
    place_of(reader, item, place);
    while (i < len && !(may_stand(&specs[i], in_queue) && same_key(item->string, specs[i].name)))
        i++;
    if (i == len)
        return unknown_key(reader, place, in_queue);
    char *text = value_text(item, specs[i].type->json);
    bool good = text != NULL
                    ? settings_set(settings, i, place, text, reader->problem)
                    : problem_set(reader->problem, "%s: must be %s", place, specs[i].type->in_json);
    free(text);
    return good;
}

/* ---- queues */

static bool same_name(const struct config_queue *queue, const char *name)
{
    return queue->name != NULL && strcmp(queue->name, name) == 0;
}

static bool read_queue(const struct config_reader *reader, const cJSON *item)
{
    struct config_file *file = reader->file;
    char place[PLACE_SIZE];
    place_of(reader, item, place);
    if (!text_is_name(item->string))
        return wrong(reader, place,
                     "a queue's name is 1 to 64 letters, digits, '.', '_' or '-', "
                     "the first not '.'");
    for (size_t i = 0; i < file->queues_len; i++)
        if (same_name(&file->queues[i], item->string))
            return wrong(reader, place, "is given twice");
    if (!cJSON_IsObject(item))
        return wrong(reader, place, "must be an object");
    struct config_queue *queue = &file->queues[file->queues_len];
    queue->name = strdup(item->string);
    queue->place = strdup(place);
    file->queues_len++;
    if (queue->name == NULL || queue->place == NULL)
        return wrong(reader, place, "out of memory");
    const cJSON *child;
    cJSON_ArrayForEach(child, item)
    {
        if (!read_setting(reader, child, &queue->settings, true))
            return false;
    }
    return true;
}

static bool read_queues(const struct config_reader *reader, const cJSON *item)
{
    struct config_file *file = reader->file;
    char place[PLACE_SIZE];
    place_of(reader, item, place);
    if (file->queues != NULL)
        return wrong(reader, place, "is given twice");
    int len = cJSON_GetArraySize(item);
    if (!cJSON_IsObject(item) || len < 1 || len > CONFIG_QUEUES_MAX)
        return problem_set(reader->problem, "%s: must be an object with 1 to %d queues", place,
                           CONFIG_QUEUES_MAX);
    file->queues = calloc((size_t)len, sizeof *file->queues);
    if (file->queues == NULL)
        return wrong(reader, place, "out of memory");
    const cJSON *child;
    cJSON_ArrayForEach(child, item)
    {
        if (!read_queue(reader, child))
            return false;
    }
    return true;
}

/* ---- schedules */

static char *place_copy(const void *context, const cJSON *item)
{
    char place[PLACE_SIZE];
    place_of(context, item, place);
    return strdup(place);
}

/* ---- the file */

static bool read_top(const struct config_reader *reader)
{
    const cJSON *item;
    if (!cJSON_IsObject(reader->root))
        return wrong_at(reader, 1, "the file must hold one JSON object");
    cJSON_ArrayForEach(item, reader->root)
    {
        bool good;
        if (strcmp(item->string, "queues") == 0)
            good = read_queues(reader, item);
        else if (strcmp(item->string, "schedules") == 0)
            good = config_schedules_read(&reader->file->schedules, item, place_copy, reader,
                                         reader->problem);
        else
            good = read_setting(reader, item, &reader->file->top, false);
        if (!good)
            return false;
    }
    return true;
}

static bool load(struct config_reader *reader)
{
    FILE *in = fopen(reader->path, "re");
    if (in == NULL)
        return wrong_file(reader, strerror(errno));
    reader->text = calloc(1, FILE_MAX_BYTES + 2);
    if (reader->text == NULL) {
        fclose(in);
        return wrong_file(reader, "out of memory");
    }
    size_t size = fread(reader->text, 1, FILE_MAX_BYTES + 1, in);
    int error = ferror(in) ? errno : 0;
    fclose(in);
    if (error != 0)
        return wrong_file(reader, strerror(error));
    if (size > FILE_MAX_BYTES)
        return wrong_file(reader, "is larger than 1 MiB");
    if (strlen(reader->text) != size)
        return wrong_at(reader, json_line_at(reader->text, reader->text + size),
                        "not JSON: it has a NUL byte");
    const char *end = NULL;
    reader->root = cJSON_ParseWithOpts(reader->text, &end, true);
    if (reader->root == NULL)
        return wrong_at(reader, json_line_at(reader->text, end != NULL ? end : reader->text),
                        "not JSON");
    return true;
}

bool config_file_read(struct config_file *file, const char *path, const char *place,
                      struct problem *problem)
{
    struct config_reader reader = {.path = path, .place = place, .file = file, .problem = problem};
    bool good = load(&reader) && has_no_nul(&reader) && read_top(&reader);
    cJSON_Delete(reader.root);
    free(reader.text);
    return good;
}

void config_file_release(struct config_file *file)
{
    settings_release(&file->top);
    for (size_t i = 0; i < file->queues_len; i++) {
        free(file->queues[i].name);
        free(file->queues[i].place);
        settings_release(&file->queues[i].settings);
    }
    free(file->queues);
    config_schedules_release(&file->schedules);
}
