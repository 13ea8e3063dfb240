/* SPDX-License-Identifier: MIT */
#include "base/json_out.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "base/utf8.h"

enum { FIRST_BYTES = 256 };

void json_out_begin(struct json_out *out, size_t room)
{
    *out = (struct json_out){.text = malloc(room), .room = room};
    out->short_memory = out->text == NULL;
    if (out->short_memory)
        out->room = 0;
}

static bool grow(struct json_out *out, size_t size)
{
    size_t room = out->room < FIRST_BYTES ? FIRST_BYTES : out->room;
    if (out->short_memory)
        return false;
    while (room - out->used < size && room <= SIZE_MAX / 2)
        room *= 2;
    char *text = room - out->used >= size ? realloc(out->text, room) : NULL;
    if (text == NULL) {
        out->short_memory = true;
        out->room = out->used; /* whoever asks for more comes here */
        return false;
    }
    out->text = text;
    out->room = room;
    return true;
}

/* Where so many bytes more can be written; NULL: nothing is written any more. */
static inline char *room_for(struct json_out *out, size_t size)
{
    return size <= out->room - out->used || grow(out, size) ? out->text + out->used : NULL;
}

/* They have been written, up to here. */
static inline void written(struct json_out *out, const char *end)
{
    out->used = (size_t)(end - out->text);
}

static void put(struct json_out *out, const char *bytes, size_t size)
{
    char *to = room_for(out, size);
    if (to != NULL)
        written(out, mempcpy(to, bytes, size));
}

static void put_char(struct json_out *out, char c)
{
    char *to = room_for(out, 1);
    if (to == NULL)
        return;
    *to = c;
    written(out, to + 1);
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
    size_t size = name != NULL ? strlen(name) : 0;
    char *to = room_for(out, size + sizeof ",\"\":");
    if (to == NULL)
        return;
    if (out->goes_on)
        *to++ = ',';
    out->goes_on = true;
    if (name != NULL) {
        *to++ = '"';
        to = mempcpy(to, name, size);
        *to++ = '"';
        *to++ = ':';
    }
    written(out, to);
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

void json_out_text_if(struct json_out *out, const char *name, const char *text)
{
    if (text[0] != '\0')
        json_out_text(out, name, text);
}

/* Frees the text; NULL: memory was short for it. */
static void put_made(struct json_out *out, const char *name, char *text)
{
    if (text != NULL)
        json_out_text(out, name, text);
    else
        out->short_memory = true;
    free(text);
}

void json_out_bytes(struct json_out *out, const char *name, const void *bytes, size_t size)
{
    if (utf8_valid(bytes, size)) {
        put_name(out, name);
        put_string(out, bytes, size);
        return;
    }
    put_made(out, name, utf8_repaired(bytes, size));
}

void json_out_base64(struct json_out *out, const char *name, const void *bytes, size_t size)
{
    put_made(out, name, base64_text(bytes, size));
}

void json_out_time(struct json_out *out, const char *name, int64_t us)
{
    put_name(out, name);
    char *to = room_for(out, TEXT_TIME_SIZE + 2);
    if (to == NULL)
        return;
    *to++ = '"';
    text_time(clock_wall_us(us), to);
    to += TEXT_TIME_SIZE - 1;
    *to++ = '"';
    written(out, to);
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

/* Its text, without most of the room that is left over. */
static char *fitted(const struct json_out *out)
{
    char *text = out->used < out->room / 2 ? realloc(out->text, out->used) : NULL;
    return text != NULL ? text : out->text;
}

char *json_out_line(struct json_out *out)
{
    char *line = NULL;
    put(out, "\n", sizeof "\n");
    if (out->short_memory)
        free(out->text);
    else
        line = fitted(out);
    *out = (struct json_out){.short_memory = true};
    return line;
}
