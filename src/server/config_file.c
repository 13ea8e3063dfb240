/* SPDX-License-Identifier: MIT */
#include "server/config_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/log.h"
#include "base/text.h"

enum { FILE_MAX_BYTES = 1 << 20, KEYS_SHOWN_BYTES = 512, PROBLEM_SIZE = 640 };

bool settings_wrong(const char *place, const char *format, ...)
{
    char problem[PROBLEM_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem, sizeof problem, format, arguments);
    va_end(arguments);
    if (log_is_open())
        log_error("SIGHUP: %s: %s: nothing is changed", place, problem);
    else
        fprintf(stderr, "jobd: %s: %s\n", place, problem);
    return false;
}

bool settings_set(struct settings *settings, size_t option, const char *place, const char *text)
{
    struct setting *setting = &settings->of[option];
    if (setting->text != NULL)
        return settings_wrong(place, "is given twice");
    setting->text = strdup(text);
    setting->place = strdup(place);
    if (setting->text == NULL || setting->place == NULL)
        return settings_wrong(place, "out of memory");
    return true;
}

void settings_release(struct settings *settings)
{
    for (size_t i = 0; i < SETTINGS_MAX; i++) {
        free(settings->of[i].text);
        free(settings->of[i].place);
    }
}

/* ---- the file */

struct reader {
    const char *path;
    char *text;
    cJSON *root;
    const struct setting_spec *specs;
    size_t specs_len;
    struct file_settings *file;
};

static bool wrong_at(const struct reader *reader, unsigned line, const char *what)
{
    char place[512];
    snprintf(place, sizeof place, "%s:%u", reader->path, line);
    return settings_wrong(place, "%s", what);
}

/* `FILE:LINE: KEY`, the key shown printable. */
static void place_of(const struct reader *reader, const cJSON *item, char *out, size_t size)
{
    char key[96];
    snprintf(out, size, "%s:%u: \"%s\"", reader->path, json_line(reader->text, reader->root, item),
             text_printable(item->string, key, sizeof key));
}

/* cJSON would cut such a string, and what is left may be a value that nobody meant. */
static bool has_no_nul(const struct reader *reader)
{
    size_t size;
    char place[512], key[96], shown[96];
    const char *at = json_cut_key(reader->text, &size);
    if (at == NULL)
        return true;
    snprintf(key, sizeof key, "%.*s", (int)size, at);
    snprintf(place, sizeof place, "%s:%u: \"%s\"", reader->path, json_line_at(reader->text, at),
             text_printable(key, shown, sizeof shown));
    return settings_wrong(place, "a string with \\u0000 is not allowed");
}

/* Underscores may stand for hyphens. */
static bool same_key(const char *key, const char *name)
{
    for (; *key != '\0' && *name != '\0'; key++, name++)
        if (*key != *name && !(*key == '_' && *name == '-'))
            return false;
    return *key == *name;
}

static bool unknown_key(const struct reader *reader, const char *place, bool of_queue)
{
    char keys[KEYS_SHOWN_BYTES] = "";
    size_t used = 0;
    for (size_t i = 0; i < reader->specs_len; i++)
        if (reader->specs[i].in_file && (!of_queue || reader->specs[i].of_queue))
            used += (size_t)snprintf(keys + used, sizeof keys - used, "%s%s", used > 0 ? ", " : "",
                                     reader->specs[i].name);
    return settings_wrong(place, "unknown key; allowed are %s%s", keys, of_queue ? "" : ", queues");
}

/* The value as text, as it would stand on the command line; NULL when it has the wrong type. */
static const char *value_text(const cJSON *item, enum setting_kind kind, char *room, size_t size)
{
    bool text = kind == SETTING_TEXT || kind == SETTING_SIZE || kind == SETTING_DURATION ||
                kind == SETTING_SPAN;
    bool number = kind == SETTING_NUMBER || kind == SETTING_SIZE;
    if (text && cJSON_IsString(item))
        return item->valuestring;
    if (kind == SETTING_FLAG && cJSON_IsBool(item))
        return cJSON_IsTrue(item) ? "true" : "false";
    if (number && cJSON_IsNumber(item)) {
        snprintf(room, size, "%.17g", item->valuedouble);
        return room;
    }
    return NULL;
}

static bool read_setting(const struct reader *reader, const cJSON *item, struct settings *settings,
                         bool of_queue)
{
    static const char *const wanted[] = {
        [SETTING_TEXT] = "a string",
        [SETTING_NUMBER] = "a number",
        [SETTING_SIZE] = "a number of bytes or a string like \"64KiB\"",
        [SETTING_DURATION] = "a string like \"30s\"",
        [SETTING_SPAN] = "a string like \"1s..5m\"",
        [SETTING_WORDS] = "an array of strings, the command and its arguments",
        [SETTING_FLAG] = "true or false",
    };
    char place[512], room[40];
    place_of(reader, item, place, sizeof place);
    for (size_t i = 0; i < reader->specs_len; i++) {
        const struct setting_spec *spec = &reader->specs[i];
        if (!spec->in_file || (of_queue && !spec->of_queue) || !same_key(item->string, spec->name))
            continue;
        char *words = spec->kind == SETTING_WORDS ? cJSON_PrintUnformatted(item) : NULL;
        const char *text = words != NULL ? words : value_text(item, spec->kind, room, sizeof room);
        bool good = text != NULL && (words == NULL || cJSON_IsArray(item))
                        ? settings_set(settings, i, place, text)
                        : settings_wrong(place, "must be %s", wanted[spec->kind]);
        free(words);
        return good;
    }
    return unknown_key(reader, place, of_queue);
}

static bool queue_name_valid(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= 64 && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               length;
}

static bool same_name(const struct queue_settings *queue, const char *name)
{
    return queue->name != NULL && strcmp(queue->name, name) == 0;
}

static bool read_queue(const struct reader *reader, const cJSON *item)
{
    struct file_settings *file = reader->file;
    char place[512];
    place_of(reader, item, place, sizeof place);
    if (!queue_name_valid(item->string))
        return settings_wrong(place, "a queue's name is 1 to 64 letters, digits, '.', '_' or '-', "
                                     "the first not '.'");
    for (size_t i = 0; i < file->queues_len; i++)
        if (same_name(&file->queues[i], item->string))
            return settings_wrong(place, "is given twice");
    if (!cJSON_IsObject(item))
        return settings_wrong(place, "must be an object");
    struct queue_settings *queue = &file->queues[file->queues_len++];
    queue->name = strdup(item->string);
    queue->place = strdup(place);
    if (queue->name == NULL || queue->place == NULL)
        return settings_wrong(place, "out of memory");
    const cJSON *child;
    cJSON_ArrayForEach(child, item)
    {
        if (!read_setting(reader, child, &queue->settings, true))
            return false;
    }
    return true;
}

static bool read_queues(const struct reader *reader, const cJSON *item)
{
    struct file_settings *file = reader->file;
    char place[512];
    place_of(reader, item, place, sizeof place);
    if (file->queues != NULL)
        return settings_wrong(place, "is given twice");
    int len = cJSON_GetArraySize(item);
    if (!cJSON_IsObject(item) || len < 1 || len > QUEUES_MAX)
        return settings_wrong(place, "must be an object with 1 to %d queues", QUEUES_MAX);
    file->queues = calloc((size_t)len, sizeof *file->queues);
    if (file->queues == NULL)
        return settings_wrong(place, "out of memory");
    const cJSON *child;
    cJSON_ArrayForEach(child, item)
    {
        if (!read_queue(reader, child))
            return false;
    }
    return true;
}

static bool read_top(const struct reader *reader)
{
    const cJSON *item;
    if (!cJSON_IsObject(reader->root))
        return wrong_at(reader, 1, "the file must hold one JSON object");
    cJSON_ArrayForEach(item, reader->root)
    {
        bool good = strcmp(item->string, "queues") == 0
                        ? read_queues(reader, item)
                        : read_setting(reader, item, &reader->file->top, false);
        if (!good)
            return false;
    }
    return true;
}

static bool load(struct reader *reader)
{
    FILE *in = fopen(reader->path, "re");
    if (in == NULL)
        return settings_wrong(reader->path, "%s", strerror(errno));
    reader->text = calloc(1, FILE_MAX_BYTES + 2);
    if (reader->text == NULL) {
        fclose(in);
        return settings_wrong(reader->path, "out of memory");
    }
    size_t size = fread(reader->text, 1, FILE_MAX_BYTES + 1, in);
    int error = ferror(in) ? errno : 0;
    fclose(in);
    if (error != 0)
        return settings_wrong(reader->path, "%s", strerror(error));
    if (size > FILE_MAX_BYTES)
        return settings_wrong(reader->path, "is larger than 1 MiB");
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

bool settings_read_file(struct file_settings *file, const char *path,
                        const struct setting_spec *specs, size_t specs_len)
{
    struct reader reader = {.path = path, .specs = specs, .specs_len = specs_len, .file = file};
    bool good = load(&reader) && has_no_nul(&reader) && read_top(&reader);
    cJSON_Delete(reader.root);
    free(reader.text);
    return good;
}

void settings_release_file(struct file_settings *file)
{
    settings_release(&file->top);
    for (size_t i = 0; i < file->queues_len; i++) {
        free(file->queues[i].name);
        free(file->queues[i].place);
        settings_release(&file->queues[i].settings);
    }
    free(file->queues);
}
