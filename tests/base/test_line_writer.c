/* SPDX-License-Identifier: MIT */
/* Lines for a file that may be slow or full. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/line_writer.h"
#include "support/server.h"

#define WAIT_US (20 * CLOCK_SECOND_US)

static struct line_writer *started(const char *path)
{
    struct line_writer *writer = NULL;
    assert_int_equal(line_writer_open(&writer, path), 0);
    assert_int_equal(line_writer_start(writer), 0);
    return writer;
}

static void add(struct line_writer *writer, const char *line)
{
    line_writer_add(writer, line, strlen(line));
}

static void assert_file(const char *path, const char *text)
{
    char *read = calloc(1, 1 << 20);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    size_t size = fread(read, 1, (1 << 20) - 1, in);
    fclose(in);
    assert_int_equal(size, strlen(text));
    assert_string_equal(read, text);
    free(read);
}

static void lines_are_appended(void **state)
{
    const char *path = temporary_file("lines", "before\n");
    struct line_writer *writer = started(path);
    (void)state;
    add(writer, "one\n");
    add(writer, "two\n");
    assert_int_equal(line_writer_dropped(writer), 0);
    line_writer_close(writer, WAIT_US);
    assert_file(path, "before\none\ntwo\n");
}

static void a_file_is_made_for_owner_and_group(void **state)
{
    struct stat status;
    char path[SERVER_LINE_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s/made", temporary_directory());
    mode_t before = umask(0);
    struct line_writer *writer = started(path);
    umask(before);
    line_writer_close(writer, WAIT_US);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    snprintf(path, sizeof path, "%s/no/such", temporary_directory());
    assert_int_equal(line_writer_open(&writer, path), -ENOENT);
}

static void after_a_rename_lines_go_where_they_belong(void **state)
{
    const char *path = temporary_file("rotated", "");
    char old[SERVER_LINE_SIZE];
    struct line_writer *writer = started(path);
    (void)state;
    snprintf(old, sizeof old, "%s.1", path);
    add(writer, "old\n");
    assert_int_equal(rename(path, old), 0);
    add(writer, "old too\n");
    assert_int_equal(line_writer_reopen(writer), 0);
    add(writer, "new\n");
    assert_int_equal(line_writer_reopen(writer), 0);
    add(writer, "new too\n");
    line_writer_close(writer, WAIT_US);
    assert_file(old, "old\nold too\n");
    assert_file(path, "new\nnew too\n");
}

static void what_cannot_be_opened_anew_goes_on(void **state)
{
    char directory[SERVER_LINE_SIZE], path[2 * SERVER_LINE_SIZE], moved[SERVER_LINE_SIZE + 8];
    (void)state;
    snprintf(directory, sizeof directory, "%s/logs", temporary_directory());
    snprintf(moved, sizeof moved, "%s.gone", directory);
    snprintf(path, sizeof path, "%s/lines", directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    struct line_writer *writer = started(path);
    assert_int_equal(rename(directory, moved), 0);
    assert_int_equal(line_writer_reopen(writer), -ENOENT);
    add(writer, "here\n");
    line_writer_close(writer, WAIT_US);
    snprintf(path, sizeof path, "%s/lines", moved);
    assert_file(path, "here\n");
}

static void await_dropped(struct line_writer *writer, uint64_t lines)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (line_writer_dropped(writer) < lines)
        look_again(deadline_ms, "lines to be dropped");
    assert_int_equal(line_writer_dropped(writer), lines);
}

static void a_full_disk_drops_and_counts(void **state)
{
    struct line_writer *writer = started("/dev/full");
    (void)state;
    add(writer, "one\n");
    await_dropped(writer, 1);
    add(writer, "two\n");
    add(writer, "three\n");
    await_dropped(writer, 3);
    line_writer_close(writer, WAIT_US);
}

/* Nobody reads: whoever adds goes on, and so does who ends. */
static void a_file_that_stands_still_stops_nobody(void **state)
{
    enum { LINE = 1000, LINES = 2000 };
    char path[SERVER_LINE_SIZE], line[LINE + 1];
    (void)state;
    snprintf(path, sizeof path, "%s/pipe", temporary_directory());
    assert_int_equal(mkfifo(path, 0600), 0);
    struct line_writer *writer = NULL;
    assert_int_equal(line_writer_open(&writer, path), -ENXIO);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    writer = started(path);
    memset(line, 'x', LINE - 1);
    memcpy(line + LINE - 1, "\n", 2);
    for (int i = 0; i < LINES; i++)
        add(writer, line);
    const uint64_t dropped = line_writer_dropped(writer);
    assert_true(dropped > 0 && dropped < LINES);
    /* What was not dropped comes, once somebody reads. */
    char *all = malloc(LINE * LINES);
    size_t size = 0;
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (size < LINE * (LINES - dropped)) {
        ssize_t read_now = read(reader, all + size, LINE * LINES - size);
        if (read_now > 0)
            size += (size_t)read_now;
        else
            look_again(deadline_ms, "the lines");
    }
    assert_int_equal(size, LINE * (LINES - dropped));
    free(all);
    line_writer_close(writer, WAIT_US);
    close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_appended),
        cmocka_unit_test(a_file_is_made_for_owner_and_group),
        cmocka_unit_test(after_a_rename_lines_go_where_they_belong),
        cmocka_unit_test(what_cannot_be_opened_anew_goes_on),
        cmocka_unit_test(a_full_disk_drops_and_counts),
        cmocka_unit_test(a_file_that_stands_still_stops_nobody),
    };
    return cmocka_run_group_tests_name("line writer", tests, NULL, server_stop_all);
}
