/* SPDX-License-Identifier: MIT */
/* What a line of the log may have in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* What is written for this message behind the time, without the line feed. */
static const char *logged(const char *message)
{
    static char line[8192];
    int ends[2], kept = dup(STDERR_FILENO);
    assert_true(kept >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    log_error("%s", message);
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    ssize_t size = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    close(ends[1]);
    close(kept);
    assert_true(size > 0);
    line[size] = '\0';
    assert_ptr_equal(strchr(line, '\n'), line + size - 1); /* one, at the end */
    line[size - 1] = '\0';
    return line + sizeof "2026-01-31T23:59:59.999Z error";
}

static void nothing_steers_a_terminal(void **state)
{
    static const struct {
        const char *message, *line;
    } rows[] = {
        {"plain \"words\", a\\b", "plain \"words\", a\\b"},
        {"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"},
        {"a\nb\rc\td\x7f", "a\\x0ab\\x0dc\\x09d\\x7f"},
        {"Gr\xc3\xb6\xc3\x9f"
         "e \xe2\x82\xac \xf0\x9f\x98\x80",
         "Gr\xc3\xb6\xc3\x9f"
         "e \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"}, /* CSI of 8 bits */
        {"\x9b"
         "31m \xff\xfe",
         "\\x9b31m \\xff\\xfe"},
        {"\xc3", "\\xc3"},
        {"\xe2\x82", "\\xe2\\x82"},
        {"\xc0\xaf \xed\xa0\x80", "\\xc0\\xaf \\xed\\xa0\\x80"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(logged(rows[i].message), rows[i].line);
}

/* However long it gets. */
static void a_line_is_one_line(void **state)
{
    static char message[5000];
    (void)state;
    memset(message, '\x1b', sizeof message - 1);
    assert_memory_equal(logged(message), "\\x1b\\x1b", 8);
    memset(message, 'x', sizeof message - 1);
    assert_memory_equal(logged(message), "xxxx", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_steers_a_terminal),
        cmocka_unit_test(a_line_is_one_line),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
