/* SPDX-License-Identifier: MIT */
/* What stands between the words of a header, as libmicrohttpd before 1.0 leaves it in its buffer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/mhd_fixes.h"

#define LINE "GET\0/do\0HTTP/1.1\0\0"

/* The words as they are found in the buffer, which is copied to the byte for the sanitizer to see.
 */
struct row {
    const char *buffer;
    size_t size;
    struct {
        size_t at, size;
    } words[8]; /* name and value in turn; a size of 0 behind a name: no value */
    bool sound;
};
#define BUFFER(text) text, sizeof(text) - 1

static bool look(const struct row *row)
{
    struct framing framing;
    char *buffer = malloc(row->size);
    assert_non_null(buffer);
    memcpy(buffer, row->buffer, row->size);
    gaps_begin(&framing, buffer, buffer + 4, 3, buffer + 8, row->size);
    for (size_t i = 0; i < 8 && row->words[i].size > 0; i += 2)
        gaps_field(&framing, buffer + row->words[i].at, row->words[i].size,
                   row->words[i + 1].size > 0 ? buffer + row->words[i + 1].at : NULL,
                   row->words[i + 1].size);
    bool sound = gaps_end(&framing);
    free(buffer);
    return sound;
}

/* Line is 18 bytes. */
static void nothing_but_words(void **state)
{
    static const struct row rows[] = {
        {BUFFER(LINE "\0\0"), {{0, 0}}, true},
        {BUFFER(LINE "A\0 b\0\0\0\0"), {{18, 1}, {21, 1}}, true},
        {BUFFER(LINE "A\0b\0\0C\0\t d \0\0\0\0"), {{18, 1}, {20, 1}, {23, 1}, {27, 2}}, true},
        {BUFFER(LINE "A\0 \t\0\0B\0c\0\0\0\0"), {{18, 1}, {0, 0}, {24, 1}, {26, 1}}, true},
        {BUFFER(LINE "A\0\0\0\0\0"), {{18, 1}, {0, 0}}, true},
        {BUFFER(LINE "A\0b\0C\0d\0\0"), {{18, 1}, {20, 1}, {22, 1}, {24, 1}}, true}, /* lone LF */
        /* a NUL in a value, and what it hides */
        {BUFFER(LINE "A\0b\0x\0\0\0\0"), {{18, 1}, {20, 1}}, false},
        {BUFFER(LINE "A\0b\0x\0\0C\0d\0\0\0\0"), {{18, 1}, {20, 1}, {25, 1}, {27, 1}}, false},
        {BUFFER(LINE "A\0b\0\0\0C\0d\0\0\0\0"), {{18, 1}, {20, 1}, {24, 1}, {26, 1}}, false},
        /* a line that goes on, and what follows the last one handed out */
        {BUFFER(LINE "A\0b\0\0 c\0\0\0\0"), {{18, 1}, {20, 1}}, false},
        {BUFFER(LINE "A\0b\0\0:c\0\0\0\0"), {{18, 1}, {20, 1}}, false},
        {BUFFER(LINE ":a\0\0\0\0"), {{0, 0}}, false},
        /* before the value */
        {BUFFER(LINE "A\0xb\0\0\0\0"), {{18, 1}, {21, 1}}, false},
        /* no end of the line, or too much of it */
        {BUFFER(LINE "A\0b\0\0\0\0\0"), {{18, 1}, {20, 1}}, false},
        {BUFFER(LINE "A\0b"), {{18, 1}, {20, 1}}, false},
    };
    (void)state;
    if (!MHD_NEEDS_FIXES)
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (look(&rows[i]) != rows[i].sound)
            fail_msg("row %zu", i);
}

/* Words that were put together stand somewhere else. */
static void words_from_elsewhere(void **state)
{
    static const char buffer[] = LINE "A\0b\0\0\0", name[] = "A", value[] = "b";
    struct framing framing;
    (void)state;
    if (!MHD_NEEDS_FIXES)
        skip();
    gaps_begin(&framing, buffer, buffer + 4, 3, buffer + 8, sizeof buffer);
    gaps_field(&framing, name, 1, buffer + 20, 1);
    assert_false(gaps_end(&framing));
    gaps_begin(&framing, buffer, buffer + 4, 3, buffer + 8, sizeof buffer);
    gaps_field(&framing, buffer + 18, 1, value, 1);
    assert_false(gaps_end(&framing));
    gaps_begin(&framing, buffer, buffer + 4, 3, buffer + 8, sizeof buffer);
    gaps_field(&framing, buffer + 18, 1, buffer + 20, 1);
    gaps_field(&framing, buffer + 18, 1, buffer + 20, 1);
    assert_false(gaps_end(&framing));
    gaps_begin(&framing, buffer, buffer + 4, 3, buffer + 8, sizeof buffer);
    gaps_field(&framing, buffer + 18, 1, buffer + 20, 1);
    assert_true(gaps_end(&framing));
}

static void request_lines(void **state)
{
    static const struct {
        const char *buffer;
        size_t size, target, target_size, version;
        bool sound;
    } rows[] = {
        {BUFFER("GET\0/do\0HTTP/1.1\0\0\0\0"), 4, 3, 8, true},
        {BUFFER("G\0/\0HTTP/1.1\0\0\0\0"), 2, 1, 4, true},
        {BUFFER("GET\0/do\0x\0HTTP/1.1\0\0\0\0"), 4, 3, 10, false}, /* a NUL in the target */
        {BUFFER("GET\0\0/do\0HTTP/1.1\0\0\0\0"), 5, 3, 9, false},   /* in the method; two blanks */
        {BUFFER("GET\0/do\0HTTP/1.1x\0\0\0"), 4, 3, 8, true},       /* not ours to judge */
    };
    static const char none[] = "";
    struct framing framing;
    (void)state;
    if (!MHD_NEEDS_FIXES)
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *buffer = rows[i].buffer;
        gaps_begin(&framing, buffer, buffer + rows[i].target, rows[i].target_size,
                   buffer + rows[i].version, rows[i].size);
        if (gaps_end(&framing) != rows[i].sound)
            fail_msg("row %zu", i);
        gaps_begin(&framing, buffer, buffer + rows[i].target, rows[i].target_size, none,
                   rows[i].size);
        assert_false(gaps_end(&framing));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_words),
        cmocka_unit_test(words_from_elsewhere),
        cmocka_unit_test(request_lines),
    };
    return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
