/* SPDX-License-Identifier: MIT */
/* The table of options, and all that is made of it or repeats it: the help, the manual pages, the
 * README. With WRITE_MAN=1, as `make man` runs it, the list in jobd(1) is written, not compared. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/chars.h"
#include "client/client_options.h"
#include "run/exec.h"
#include "run/runner.h"
#include "server/option_help.h"
#include "server/option_types.h"
#include "support/server.h"

enum { COLUMNS = 80, TEXT_SIZE = 1024, LINE_COLUMNS = 100 };

static const struct option_spec *specs;
static size_t specs_len;

static char *read_file(const char *path)
{
    FILE *in = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    assert_non_null(in);
    ssize_t got = getdelim(&text, &size, '\0', in);
    assert_true(got > 0 && feof(in));
    fclose(in);
    return text;
}

/* ---- the table */

static void rows_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < specs_len; i++) {
        const struct option_spec *spec = &specs[i];
        assert_int_equal(spec->size, spec->type->size);
        assert_non_null(spec->help);
        assert_true(spec->min <= spec->max);
        if ((spec->flags & OPTION_LIVE) != 0 && strncmp(spec->name, "callback-", 9) != 0)
            assert_int_equal(spec->target, OF_QUEUE); /* else reload.c exchanges it by itself */
        if ((spec->flags & OPTION_REREAD) != 0)
            assert_ptr_equal(spec->type, &type_file);
        if ((spec->flags & OPTION_RUNNER) != 0)
            assert_int_equal(spec->target, OF_QUEUE);
        assert_int_equal(spec->type == &type_choice, spec->choices != NULL);
        for (size_t k = 0; k < i; k++) {
            if (((spec->flags ^ specs[k].flags) & OPTION_IN_QUEUE) == 0)
                assert_string_not_equal(spec->name, specs[k].name);
            assert_true(spec->letter == 0 || spec->letter != specs[k].letter);
        }
    }
    assert_non_null(specs[0].heading);
}

/* Every option that names a runner has one. */
static void runners_are_there(void **state)
{
    char *words[] = {(char[]){"true"}, NULL}, **command = words, *url = (char[]){"http://a/"};
    int64_t us = 1000;
    size_t runners = 0;
    (void)state;
    for (size_t i = 0; i < specs_len; i++) {
        const struct option_type *type = specs[i].type;
        struct runner_config config = {.queue = "default", .kind = specs[i].name};
        struct runner_version *version;
        if ((specs[i].flags & OPTION_RUNNER) == 0)
            continue;
        config.argument = type == &type_command    ? (const void *)&command
                          : type == &type_duration ? (const void *)&us
                                                   : (const void *)&url;
        assert_int_equal(runner_version_new(&version, &config), 0);
        runner_version_free(version);
        runners++;
    }
    assert_in_range(runners, 3, specs_len);
}

/* The environment of a command has no variable that names a secret. */
static void secrets_are_kept_from_commands(void **state)
{
    static const char *const command[] = {"env", NULL};
    const struct exec_config config = {.command = command,
                                       .queue = "default",
                                       .output_max_bytes = 1 << 20,
                                       .kill_after_us = 1000000};
    const struct jobd_task task = {.id = 1, .attempt = 1, .key = "", .trace = ""};
    struct jobd_outcome outcome = {.state = JOBD_DONE};
    char name[OPTION_VARIABLE_SIZE + sizeof "=there\n"];
    size_t secrets = 0;
    (void)state;
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    for (size_t i = 0; i < specs_len; i++) {
        option_variable(&specs[i], name);
        if ((specs[i].flags & OPTION_KEY) == 0)
            assert_int_equal(setenv(name, "there", 1), 0);
    }
    exec_attempt(&task, &outcome, &config, -1);
    assert_non_null(outcome.output);
    for (size_t i = 0; i < specs_len; i++) {
        bool secret = (specs[i].flags & OPTION_SECRET) != 0;
        if ((specs[i].flags & OPTION_KEY) != 0)
            continue;
        option_variable(&specs[i], name);
        assert_int_equal(unsetenv(name), 0);
        strcat(name, "=there\n");
        bool there =
            memmem(outcome.output->bytes, outcome.output->size, name, strlen(name)) != NULL;
        if (there == secret)
            fail_msg("a command %s %s", secret ? "gets" : "does not get", name);
        secrets += secret;
    }
    assert_int_equal(secrets, 4);
    jobd_blob_unref(outcome.output);
    jobd_blob_unref(outcome.error);
}

/* ---- --help */

/* Blanks and line feeds become one blank each. */
static void join_lines(char *text)
{
    char *out = text;
    for (; *text != '\0'; text++) {
        bool blank = *text == ' ' || *text == '\n';
        if (!blank)
            *out++ = *text;
        else if (text[1] != ' ' && text[1] != '\n')
            *out++ = ' ';
    }
    *out = '\0';
}

static void write_row(const struct option_spec *spec, char out[TEXT_SIZE])
{
    const char *usual = spec->default_value != NULL ? spec->default_value : spec->unset;
    char letter[8] = "";
    if (spec->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", spec->letter);
    if (spec->type == &type_command)
        snprintf(out, TEXT_SIZE, " -- COMMAND [ARGUMENT...] %s", spec->help);
    else
        snprintf(out, TEXT_SIZE, " %s--%s%s%s %s%s%s%s ", letter, spec->name,
                 spec->argument != NULL ? " " : "", spec->argument != NULL ? spec->argument : "",
                 spec->help, usual != NULL ? " [" : "", usual != NULL ? usual : "",
                 usual != NULL ? "]" : "");
}

static void the_help_has_them_all(void **state)
{
    const char *const arguments[] = {"--help", NULL};
    char *out, *err, row[TEXT_SIZE];
    (void)state;
    assert_int_equal(server_run(arguments, NULL, &out, &err), 0);
    for (const char *line = out; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, COLUMNS);
    join_lines(out);
    const char *at = out;
    for (size_t i = 0; i < specs_len; i++) {
        if ((specs[i].flags & OPTION_KEY) != 0)
            continue;
        write_row(&specs[i], row);
        at = strstr(at, row);
        if (at == NULL)
            fail_msg("not in --help, or not there:%s", row);
    }
    free(out);
    free(err);
}

/* ---- jobd(1) */

struct page {
    FILE *out;
    size_t column; /* 0: a line begins */
};

static void end_line(struct page *page)
{
    if (page->column > 0)
        fputc('\n', page->out);
    page->column = 0;
}

/* A line that is a macro, the punctuation behind it an argument of its own. */
static const char *put_macro(struct page *page, const char *macro, const char *text, size_t length)
{
    size_t after = strspn(text + length, "`.,;:");
    const char *mark = text + length + (text[length] == '`');
    after -= text[length] == '`';
    end_line(page);
    fprintf(page->out, ".%s %.*s%s%.*s\n", macro, (int)length, text, after > 0 ? " " : "",
            (int)after, mark);
    return mark + after;
}

static void put_word(struct page *page, const char *word, size_t length)
{
    if (page->column + 1 + length > LINE_COLUMNS)
        end_line(page);
    page->column +=
        (size_t)fprintf(page->out, "%s%.*s", page->column > 0 ? " " : "", (int)length, word);
    if (word[length - 1] == '.') /* a sentence a line */
        end_line(page);
}

/* `name(5)`: the length of the name, or 0. */
static size_t page_name(const char *word, size_t length)
{
    size_t name = strcspn(word, "(");
    return name > 0 && name + 2 < length && char_is_digit(word[name + 1]) ? name : 0;
}

static void put_text(struct page *page, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " "), name = page_name(text, length);
        if (*text == '`') {
            text = put_macro(page, "Cm", text + 1, strcspn(text + 1, "`"));
        } else if (strncmp(text, "--", 2) == 0) {
            text = put_macro(page, "Fl", text + 1, strcspn(text + 1, " .,;:"));
        } else if (name > 0) {
            const char *after = text + name + strlen("(5)");
            end_line(page);
            fprintf(page->out, ".Xr %.*s %c%s%.*s\n", (int)name, text, text[name + 1],
                    after < text + length ? " " : "", (int)(text + length - after), after);
            text += length;
        } else {
            put_word(page, text, length);
            text += length;
        }
        text += strspn(text, " ");
    }
    end_line(page);
}

static void put_item(struct page *page, const struct option_spec *spec)
{
    const char *usual = spec->default_value != NULL ? spec->default_value : spec->unset;
    char text[2 * TEXT_SIZE];
    fputs(".It Fl ", page->out);
    if (spec->letter != 0)
        fprintf(page->out, "%c , ", spec->letter);
    if (spec->type == &type_command)
        fputs("- Ar command Op Ar argument ...", page->out);
    else
        fprintf(page->out, "-%s", spec->name);
    for (const char *c = spec->argument; c != NULL && *c != '\0'; c++)
        fprintf(page->out, "%s%c", c == spec->argument ? " Ar " : "", char_lower(*c));
    fputc('\n', page->out);
    if (spec->more != NULL)
        put_text(page, spec->more);
    snprintf(text, sizeof text, "%c%s.", char_upper(spec->help[0]), spec->help + 1);
    if (spec->more == NULL)
        put_text(page, text);
    if (usual != NULL)
        fprintf(page->out, "Default: %s.\n", usual);
}

/* To be freed. */
static char *write_list(const struct option_spec *rows, size_t len)
{
    char *text;
    size_t size;
    struct page page = {.out = open_memstream(&text, &size)};
    assert_non_null(page.out);
    for (size_t i = 0; i < len; i++) {
        if ((rows[i].flags & OPTION_KEY) != 0)
            continue;
        if (rows[i].heading != NULL)
            fprintf(page.out, "%s.Ss %s\n.Bl -tag -width Ds\n", i > 0 ? ".El\n" : "",
                    rows[i].heading);
        put_item(&page, &rows[i]);
    }
    fputs(".El\n", page.out);
    assert_int_equal(fclose(page.out), 0);
    return text;
}

/* The list stands between two comments, of which this is the first. */
static void check_list(const char *begin, const struct option_spec *rows, size_t len)
{
    static const char path[] = "src/dist/jobd.1", end[] = ".\\\" end of options\n";
    char *page = read_file(path), *list = write_list(rows, len);
    char *first = strstr(page, begin);
    assert_non_null(first);
    first += strlen(begin);
    char *last = strstr(first, end);
    assert_non_null(last);
    if (getenv("WRITE_MAN") != NULL) {
        FILE *out = fopen(path, "we");
        assert_non_null(out);
        fprintf(out, "%.*s%s%s", (int)(first - page), page, list, last);
        assert_int_equal(fclose(out), 0);
    } else {
        *last = '\0';
        if (strcmp(first, list) != 0)
            fail_msg("%s is not what the options' table says: make man", path);
    }
    free(list);
    free(page);
}

static void the_manual_page_has_their_list(void **state)
{
    char begin[80];
    (void)state;
    check_list(".\\\" options, written by make man\n", specs, specs_len);
    for (const struct client_command *const *command = client_commands; *command != NULL;
         command++) {
        snprintf(begin, sizeof begin, ".\\\" options of %s, written by make man\n",
                 (*command)->name);
        check_list(begin, (*command)->specs, (*command)->len);
    }
}

/* ---- what is written by hand */

/* The item of this key: from its `.It Cm` to the next. */
static char *item_of(const char *page, const char *key)
{
    for (const char *at = page; (at = strstr(at, "\n.It Cm ")) != NULL; at++) {
        size_t line = strcspn(at + 1, "\n"), length = strlen(key);
        const char *name = memmem(at, line + 2, key, length);
        if (name == NULL || name[-1] != ' ' || (name[length] != ' ' && name[length] != '\n'))
            continue;
        const char *end = strstr(at + 1, "\n.It ");
        return strndup(at, end != NULL ? (size_t)(end - at) : strlen(at));
    }
    return NULL;
}

static void the_keys_of_the_file_are_described(void **state)
{
    char *page = read_file("src/dist/jobd.json.5");
    (void)state;
    for (size_t i = 0; i < specs_len; i++) {
        if (specs[i].type->json == 0 || (specs[i].flags & OPTION_NOT_IN_FILE) != 0)
            continue;
        char *item = item_of(page, specs[i].name);
        if (item == NULL)
            fail_msg("jobd.json.5 has no key %s", specs[i].name);
        if (specs[i].default_value != NULL && strstr(item, specs[i].default_value) == NULL)
            fail_msg("jobd.json.5: %s: the default is not %s", specs[i].name,
                     specs[i].default_value);
        free(item);
    }
    free(page);
}

/* A row of the README: | `-l, --listen` | `127.0.0.1:8080` | address | */
static void check_readme_row(const char *row)
{
    char names[64], usual[64], letter[8];
    assert_int_equal(sscanf(row, "| `%63[^`]` |%63[^|]|", names, usual), 2);
    const struct option_spec *spec = NULL;
    const char *name = strstr(names, "--");
    assert_non_null(name);
    for (size_t i = 0; i < specs_len && spec == NULL; i++) {
        size_t length = strcspn(name + 2, " ");
        bool command = length == 0 && specs[i].type == &type_command;
        if (command ||
            (strncmp(specs[i].name, name + 2, length) == 0 && specs[i].name[length] == '\0'))
            spec = &specs[i];
    }
    if (spec == NULL)
        fail_msg("README.md: there is no option %s", names);
    snprintf(letter, sizeof letter, "-%c, ", spec->letter);
    assert_true(names == name || strncmp(names, letter, strlen(letter)) == 0);
    char expected[64] = " ";
    if (spec->default_value != NULL)
        snprintf(expected, sizeof expected, " `%s` ", spec->default_value);
    else if (spec->unset != NULL)
        snprintf(expected, sizeof expected, " %s ", spec->unset);
    assert_string_equal(usual, expected);
}

static void the_readme_is_right(void **state)
{
    char *text = read_file("README.md");
    const char *row = strstr(text, "\n| option | default | meaning |\n");
    size_t rows = 0;
    (void)state;
    assert_non_null(row);
    for (row++; *row == '|'; row += strcspn(row, "\n") + 1)
        if (strncmp(row, "| `", 3) == 0) {
            check_readme_row(row);
            rows++;
        }
    assert_in_range(rows, 10, 20);
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(rows_are_sound),
        TEST(runners_are_there),
        TEST(secrets_are_kept_from_commands),
        TEST(the_help_has_them_all),
        TEST(the_manual_page_has_their_list),
        TEST(the_keys_of_the_file_are_described),
        TEST(the_readme_is_right),
    };
    specs = options_table(&specs_len);
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
