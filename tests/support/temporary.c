/* SPDX-License-Identifier: MIT */
#include "support/temporary.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FILES_MAX = 64 };

static char directory[64];
static char *files[FILES_MAX];
static size_t files_len;

const char *temporary_directory(void)
{
    if (directory[0] == '\0') {
        snprintf(directory, sizeof directory, "/tmp/jobd-test-XXXXXX");
        assert_non_null(mkdtemp(directory));
    }
    return directory;
}

const char *temporary_file(const char *name, const char *text)
{
    char *path;
    assert_true(files_len < FILES_MAX);
    assert_true(asprintf(&path, "%s/%s", temporary_directory(), name) > 0);
    files[files_len++] = path;
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    return path;
}

const char *temporary_socket(void)
{
    static char address[128];
    snprintf(address, sizeof address, "unix:%s/jobd.sock", temporary_directory());
    return address;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void temporary_remove_all(void)
{
    while (files_len > 0)
        free(files[--files_len]);
    if (directory[0] != '\0')
        nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    directory[0] = '\0';
}
