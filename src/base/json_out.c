/* SPDX-License-Identifier: MIT */
#include "base/json_out.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "base/utf8.h"

enum { FIRST_BYTES = 256 };

void json_out_begin(struct json_out *out, size_t room)
{
    *out = (struct json_out){.text = malloc(room), .room = room};
    out->short_memory = out->text == NULL;
}

/* Room for so many bytes more; false: nothing is written any more. */
static bool reserve(struct json_out *out, size_t size)
{
    if (out->short_memory || size <= out->room - out->used)
        return !out->short_memory;
    size_t room = out->room < FIRST_BYTES ? FIRST_BYTES : out->room;
    while (room - out->used < size && room <= SIZE_MAX / 2)
        room *= 2;
    char *text = room - out->used >= size ? realloc(out->text, room) : NULL;
    out->short_memory = text == NULL;
    if (text == NULL)
        return false;
    out->text = text;
    out->room = room;
    return true;
}

static void put(struct json_out *out, const char *bytes, size_t size)
{
    if (!reserve(out, size))
        return;
    memcpy(out->text + out->used, bytes, size);
    out->used += size;
}

static void put_char(struct json_out *out, char c)
{
    if (reserve(out, 1))
        out->text[out->used++] = c;
}

static void put_escape(struct json_out *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    const char letter = json_escape_letter((char)c);
    if (letter != '\0')
        put(out, (const char[]){'\\', letter}, 2);
    else
        put(out, (const char[]){'\\', 'u', '0', '0', digits[c / 16], digits[c % 16]}, 6);
}

static void put_string(struct json_out *out, const unsigned char *bytes, size_t size)
{
    put_char(out, '"');
    for (size_t at = 0; at < size; at++) {
        size_t from = at;
        while (at < size && bytes[at] >= ' ' && bytes[at] != '"' && bytes[at] != '\\')
            at++;
        put(out, (const char *)bytes + from, at - from);
        if (at < size)
            put_escape(out, bytes[at]);
    }
    put_char(out, '"');
}

/* Writes what stands before a value: comma and name. */
static void put_name(struct json_out *out, const char *name)
{
    if (out->goes_on)
        put_char(out, ',');
    out->goes_on = true;
    if (name == NULL)
        return;
    put_char(out, '"');
    put(out, name, strlen(name));
    put(out, "\":", 2);
}

void json_out_open(struct json_out *out, const char *name, char bracket)
{
    put_name(out, name);
    put_char(out, bracket);
    out->goes_on = false;
}

void json_out_close(struct json_out *out, char bracket)
{
    put_char(out, bracket);
    out->goes_on = true;
}

void json_out_raw(struct json_out *out, const char *name, const char *json, size_t size)
{
    put_name(out, name);
    put(out, json, size);
}

void json_out_int(struct json_out *out, const char *name, int64_t value)
{
    char room[TEXT_NUMBER_SIZE];
    uint64_t amount = value < 0 ? -(uint64_t)value : (uint64_t)value;
    const char *digits = text_number(amount, room);
    put_name(out, name);
    if (value < 0)
        put_char(out, '-');
    put(out, digits, strlen(digits));
}

void json_out_thousandths(struct json_out *out, const char *name, uint64_t value)
{
    unsigned rest = (unsigned)(value % 1000);
    const char fraction[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                             (char)('0' + rest % 10)};
    json_out_int(out, name, (int64_t)(value / 1000));
    if (rest != 0)
        put(out, fraction, rest % 100 == 0 ? 2 : rest % 10 == 0 ? 3 : 4);
}

void json_out_bool(struct json_out *out, const char *name, bool value)
{
    json_out_raw(out, name, value ? "true" : "false", value ? 4 : 5);
}

void json_out_null(struct json_out *out, const char *name)
{
    json_out_raw(out, name, "null", 4);
}

void json_out_text(struct json_out *out, const char *name, const char *text)
{
    put_name(out, name);
    put_string(out, (const unsigned char *)text, strlen(text));
}

void json_out_bytes(struct json_out *out, const char *name, const void *bytes, size_t size)
{
    if (utf8_valid(bytes, size)) {
        put_name(out, name);
        put_string(out, bytes, size);
        return;
    }
    char *text = utf8_repaired(bytes, size);
    if (text != NULL)
        json_out_text(out, name, text);
    else
        out->short_memory = true;
    free(text);
}

void json_out_time(struct json_out *out, const char *name, int64_t us)
{
    char time[TEXT_TIME_SIZE];
    text_time(clock_wall_us(us), time);
    json_out_text(out, name, time);
}

void json_out_members(struct json_out *out, const cJSON *object)
{
    char *text = object != NULL ? cJSON_PrintUnformatted(object) : NULL;
    size_t size = text != NULL ? strlen(text) : 0;
    if (text == NULL)
        out->short_memory = true;
    else if (size > 2)
        json_out_raw(out, NULL, text + 1, size - 2);
    free(text);
}

struct json_mark json_out_mark(const struct json_out *out)
{
    return (struct json_mark){.used = out->used, .goes_on = out->goes_on};
}

void json_out_back(struct json_out *out, struct json_mark mark)
{
    out->used = mark.used;
    out->goes_on = mark.goes_on;
}

void json_out_next_line(struct json_out *out)
{
    put_char(out, '\n');
    out->goes_on = false;
}

char *json_out_line(struct json_out *out)
{
    char *line = NULL;
    put(out, "\n", sizeof "\n");
    if (out->short_memory)
        free(out->text);
    else
        line = out->text;
    *out = (struct json_out){.short_memory = true};
    return line;
}
