/* SPDX-License-Identifier: MIT */
/* Completions for shells are what the tables of options say. With WRITE_COMPLETIONS=1, as `make
 * completions` runs it, they are written, not compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/client_options.h"
#include "server/option_types.h"
#include "support/needs.h"

enum { COMMANDS_MAX = 8 };

/* What may stand behind the program's name; the server itself has none. */
static struct commands {
    const char *name, *about;
    const struct option_spec *specs;
    size_t len;
} commands[COMMANDS_MAX];
static size_t commands_len;

/* Each option that can be typed. */
#define EACH(spec, command)                                                                        \
    for (const struct option_spec *spec = (command)->specs;                                        \
         spec < (command)->specs + (command)->len; spec++)                                         \
        if ((spec->flags & OPTION_KEY) == 0 && spec->type != &type_command)

static void put_choices(FILE *out, const struct option_spec *spec)
{
    for (size_t i = 0; spec->choices[i] != NULL; i++)
        fprintf(out, "%s%s", i > 0 ? " " : "", spec->choices[i]);
}

/* ---- bash */

static void put_bash_names(FILE *out, const struct commands *command)
{
    EACH(spec, command)
    {
        if (spec->letter != 0)
            fprintf(out, " -%c", spec->letter);
        fprintf(out, " --%s", spec->name);
    }
}

static void put_bash_value(FILE *out, const struct commands *command,
                           const struct option_spec *spec)
{
    fprintf(out, "        %s:--%s", command->name, spec->name);
    if (spec->letter != 0)
        fprintf(out, " | %s:-%c", command->name, spec->letter);
    fputs(") ", out);
    if (spec->choices != NULL) {
        fputs("COMPREPLY=($(compgen -W '", out);
        put_choices(out, spec);
        fputs("' -- \"$cur\")); return ;;\n", out);
    } else if (spec->type == &type_file || spec->type == &type_directory) {
        fprintf(out, "COMPREPLY=($(compgen -%c -- \"$cur\")); return ;;\n",
                spec->type == &type_file ? 'f' : 'd');
    } else {
        fputs("return ;;\n", out);
    }
}

static void put_bash(FILE *out)
{
    fputs("# Completions of jobd(1) for bash, written by make completions.\n"
          "_jobd() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
          "    case ${COMP_WORDS[1]} in\n        ",
          out);
    for (size_t i = 1; i < commands_len; i++)
        fprintf(out, "%s%s", i > 1 ? " | " : "", commands[i].name);
    fputs(") [ \"$COMP_CWORD\" -gt 1 ] && command=${COMP_WORDS[1]} ;;\n"
          "    esac\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        [ \"${COMP_WORDS[i]}\" = -- ] && { COMPREPLY=($(compgen -c -f -- \"$cur\")); "
          "return; }\n"
          "    done\n"
          "    case $command:$prev in\n",
          out);
    for (size_t i = 0; i < commands_len; i++)
        EACH(spec, &commands[i])
    if (spec->argument != NULL)
        put_bash_value(out, &commands[i], spec);
    fputs("    esac\n    case $command in\n", out);
    for (size_t i = 0; i < commands_len; i++) {
        fprintf(out, "        '%s') i='", commands[i].name);
        for (size_t k = 1; i == 0 && k < commands_len; k++)
            fprintf(out, "%s%s", k > 1 ? " " : "", commands[k].name);
        put_bash_names(out, &commands[i]);
        fputs(" --' ;;\n", out);
    }
    fputs("    esac\n"
          "    COMPREPLY=($(compgen -W \"$i\" -- \"$cur\"))\n"
          "}\n"
          "complete -F _jobd jobd\n",
          out);
}

/* ---- zsh */

/* Within single quotes, where brackets and colons mean something. */
static void put_zsh_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fprintf(out, "%s%c", strchr("[]:\\", *text) != NULL ? "\\" : "", *text);
    }
}

static void put_zsh_option(FILE *out, const struct option_spec *spec, const char *dashes,
                           const char *name)
{
    fprintf(out, "            '*%s%s[", dashes, name);
    put_zsh_text(out, spec->help);
    fputc(']', out);
    if (spec->argument != NULL) {
        fputc(':', out);
        put_zsh_text(out, spec->argument);
        fputc(':', out);
        if (spec->choices != NULL) {
            fputc('(', out);
            put_choices(out, spec);
            fputc(')', out);
        } else if (spec->type == &type_file) {
            fputs("_files", out);
        } else if (spec->type == &type_directory) {
            fputs("_files -/", out);
        }
    }
    fputs("' \\\n", out);
}

/* The names of the commands. */
static void put_words(FILE *out, const char *between)
{
    for (size_t i = 1; i < commands_len; i++)
        fprintf(out, "%s%s", i > 1 ? between : "", commands[i].name);
}

static void put_zsh(FILE *out)
{
    fputs("#compdef jobd\n# Completions of jobd(1) for zsh, written by make completions.\n"
          "local command=\n"
          "if ((CURRENT > 2)) && [[ $words[2] == (",
          out);
    put_words(out, "|");
    fputs(") ]]; then\n"
          "    command=$words[2]\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "fi\n"
          "case $command in\n",
          out);
    for (size_t i = 1; i <= commands_len; i++) {
        const struct commands *command = &commands[i % commands_len];
        fprintf(out, "    %s)\n        _arguments -S \\\n", i < commands_len ? command->name : "*");
        EACH(spec, command)
        {
            const char letter[] = {spec->letter, '\0'};
            if (spec->letter != 0)
                put_zsh_option(out, spec, "-", letter);
            put_zsh_option(out, spec, "--", spec->name);
        }
        fputs("            ", out);
        if (i == commands_len) {
            fputs("'1::command:(", out);
            put_words(out, " ");
            fputs(")' ", out);
        }
        fputs("'*:::command:_normal' ;;\n", out);
    }
    fputs("esac\n", out);
}

/* ---- fish */

static void put_fish_text(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text != '\0' && *text != '\n'; text++)
        fprintf(out, "%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
    fputc('\'', out);
}

static void put_fish_option(FILE *out, const struct option_spec *spec, const char *when)
{
    fprintf(out, "complete -c jobd -n '%s' -l %s", when, spec->name);
    if (spec->letter != 0)
        fprintf(out, " -s %c", spec->letter);
    if (spec->type == &type_file || spec->type == &type_directory)
        fputs(" -r -F", out);
    else if (spec->argument != NULL)
        fputs(" -x", out);
    if (spec->choices != NULL) {
        fputs(" -a '", out);
        put_choices(out, spec);
        fputc('\'', out);
    }
    fputs(" -d ", out);
    put_fish_text(out, spec->help);
    fputc('\n', out);
}

static void put_fish(FILE *out)
{
    char names[128] = "", when[192];
    fputs("# Completions of jobd(1) for fish, written by make completions.\n", out);
    for (size_t i = 1; i < commands_len; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, " %s", commands[i].name);
        fprintf(out, "complete -c jobd -n __fish_use_subcommand -a %s -d ", commands[i].name);
        put_fish_text(out, commands[i].about);
        fputc('\n', out);
    }
    for (size_t i = 0; i < commands_len; i++) {
        snprintf(when, sizeof when, "%s__fish_seen_subcommand_from%s%s", i == 0 ? "not " : "",
                 i == 0 ? "" : " ", i == 0 ? names : commands[i].name);
        EACH(spec, &commands[i])
        put_fish_option(out, spec, when);
    }
}

/* ---- all of them */

static void check(const char *path, void (*put)(FILE *out))
{
    char *text, *there = NULL;
    size_t size, room = 0;
    FILE *made = open_memstream(&text, &size);
    assert_non_null(made);
    put(made);
    assert_int_equal(fclose(made), 0);
    bool writes = getenv("WRITE_COMPLETIONS") != NULL;
    FILE *file = fopen(path, writes ? "we" : "re");
    assert_non_null(file);
    if (writes)
        assert_int_equal(fwrite(text, 1, size, file), size);
    else if (getdelim(&there, &room, '\0', file) < 0 || strcmp(there, text) != 0)
        fail_msg("%s is not what the tables say: make completions", path);
    assert_int_equal(fclose(file), 0);
    free(text);
    free(there);
}

static void they_are_what_the_tables_say(void **state)
{
    (void)state;
    check("src/dist/completions/jobd.bash", put_bash);
    check("src/dist/completions/_jobd", put_zsh);
    check("src/dist/completions/jobd.fish", put_fish);
}

/* What each shell makes of a line when TAB is pressed behind it, by a script that ends with 0 when
 * $LINE comes to $OFFER. */
static const struct shell {
    const char *name, *script;
} bash = {"bash", "bash -c '. src/dist/completions/jobd.bash; COMP_WORDS=($LINE); "
                  "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
                  "_jobd; [ \"${COMPREPLY[*]}\" = \"$OFFER\" ]'"},
  fish = {"fish",
          "fish --no-config -c 'source src/dist/completions/jobd.fish; complete -C $LINE' | "
          "cut -f 1 | grep -qx -e \"$OFFER\""},
  zsh = {"zsh", "zsh -f tests/client/zsh_line.zsh \"$LINE\" | grep -q -e \" $OFFER $\""};

static void assert_offers(const struct shell *shell, const char *line, const char *offer)
{
    setenv("LINE", line, 1);
    setenv("OFFER", offer, 1);
    if (system(shell->script) != 0)
        fail_msg("for %s %s does not offer %s", line, shell->name, offer);
}

static void offers_them(const struct shell *shell)
{
    static const struct {
        const char *line, *offer;
    } rows[] = {{"jobd wo", "work"},
                {"jobd --cap", "--capacity"},
                {"jobd work --kill", "--kill-after"},
                {"jobd --log-format js", "json"},
                {"jobd work -n 4 --log-format js", "json"},
                {"jobd top --eve", "--every"}};
    need_command(shell->name);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_offers(shell, rows[i].line, rows[i].offer);
}

static void bash_offers_them(void **state)
{
    (void)state;
    offers_them(&bash);
}

static void fish_offers_them(void **state)
{
    (void)state;
    offers_them(&fish);
}

static void zsh_offers_them(void **state)
{
    (void)state;
    offers_them(&zsh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_what_the_tables_say),
        cmocka_unit_test(bash_offers_them),
        cmocka_unit_test(fish_offers_them),
        cmocka_unit_test(zsh_offers_them),
    };
    commands[0].name = "";
    commands[0].specs = options_table(&commands[0].len);
    commands_len = 1;
    for (const struct client_command *const *command = client_commands; *command != NULL; command++)
        commands[commands_len++] = (struct commands){.name = (*command)->name,
                                                     .about = (*command)->about,
                                                     .specs = (*command)->specs,
                                                     .len = (*command)->len};
    return cmocka_run_group_tests_name("completions", tests, NULL, NULL);
}
