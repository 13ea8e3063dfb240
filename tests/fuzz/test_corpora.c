/* SPDX-License-Identifier: MIT */
/* What the fuzzers begin with, and what they have found, again and again. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fuzz/fuzz.h"

enum { INPUT_MAX = 1 << 20 };

static void replay(const char *name, void (*fuzz)(const uint8_t *bytes, size_t size))
{
    char path[512];
    uint8_t *bytes = malloc(INPUT_MAX);
    unsigned inputs = 0;
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    assert_non_null(bytes);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", name, entry->d_name);
        FILE *in = fopen(path, "re");
        assert_non_null(in);
        size_t size = fread(bytes, 1, INPUT_MAX, in);
        assert_int_equal(ferror(in), 0);
        fclose(in);
        uint8_t *exact = malloc(size > 0 ? size : 1); /* the sanitizer sees its end */
        assert_non_null(exact);
        memcpy(exact, bytes, size);
        fuzz(exact, size);
        free(exact);
        inputs++;
    }
    closedir(folder);
    free(bytes);
    assert_true(inputs >= 5);
}

static void http(void **state)
{
    (void)state;
    replay("http", fuzz_http);
    fuzz_http_end();
}

static void settings(void **state)
{
    (void)state;
    replay("settings", fuzz_settings);
}

static void options(void **state)
{
    (void)state;
    replay("options", fuzz_options);
}

static void auth(void **state)
{
    (void)state;
    replay("auth", fuzz_auth);
}

static void text(void **state)
{
    (void)state;
    replay("text", fuzz_text);
}

static void cron(void **state)
{
    (void)state;
    replay("cron", fuzz_cron);
}

static void url(void **state)
{
    (void)state;
    replay("url", fuzz_url);
}

static void zone(void **state)
{
    (void)state;
    replay("zone", fuzz_zone);
}

static void entry(void **state)
{
    (void)state;
    replay("entry", fuzz_entry);
}

static void engine(void **state)
{
    (void)state;
    replay("engine", fuzz_engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http),  cmocka_unit_test(settings), cmocka_unit_test(options),
        cmocka_unit_test(auth),  cmocka_unit_test(text),     cmocka_unit_test(engine),
        cmocka_unit_test(cron),  cmocka_unit_test(url),      cmocka_unit_test(zone),
        cmocka_unit_test(entry),
    };
    return cmocka_run_group_tests_name("corpora", tests, NULL, NULL);
}
