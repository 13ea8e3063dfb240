/* SPDX-License-Identifier: MIT */
#include "server/option_help.h"

#include <string.h>

#include "server/option_types.h"

enum { COLUMNS = 80, NAMES_COLUMNS = 28 };

static void put_words(FILE *out, const char *text, size_t *column)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (*column + 1 + length > COLUMNS) {
            fprintf(out, "\n%*s", NAMES_COLUMNS, "");
            *column = NAMES_COLUMNS;
        }
        fprintf(out, " %.*s", (int)length, text);
        *column += 1 + length;
        text += length + strspn(text + length, " ");
    }
}

static void put_option(FILE *out, const struct option_spec *spec)
{
    char names[64], letter[8] = "    ", usual[64] = "";
    size_t column = NAMES_COLUMNS;
    if (spec->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", spec->letter);
    if (spec->type == &type_command)
        snprintf(names, sizeof names, "-- COMMAND [ARGUMENT...]");
    else
        snprintf(names, sizeof names, "%s--%s%s%s", letter, spec->name,
                 spec->argument != NULL ? " " : "", spec->argument != NULL ? spec->argument : "");
    if (spec->default_value != NULL || spec->unset != NULL)
        snprintf(usual, sizeof usual, "[%s]",
                 spec->default_value != NULL ? spec->default_value : spec->unset);
    fprintf(out, "  %-26s", names);
    put_words(out, spec->help, &column);
    put_words(out, usual, &column);
    fputc('\n', out);
}

void option_help_table(FILE *out, const struct option_spec *specs, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (specs[i].heading != NULL)
            fprintf(out, "\n%s:\n", specs[i].heading);
        if ((specs[i].flags & OPTION_KEY) == 0)
            put_option(out, &specs[i]);
    }
}

void options_help(FILE *out)
{
    size_t len;
    const struct option_spec *specs = options_table(&len);
    fputs("Usage: jobd [options] [-- command [argument...]]\n"
          "A job queue that anyone can use with curl: POST or GET /do submits a job and is\n"
          "answered at once, 202 queued or 429 busy.\n",
          out);
    option_help_table(out, specs, len);
    fputs("\n"
          "Each option down to --config can also be set by a variable, JOBD_CAPACITY for\n"
          "--capacity, and each but --config and --schedules by a key of the configuration\n"
          "file. The command is JOBD_EXEC, or the key \"exec\": a JSON array of strings. The\n"
          "command line overrides the environment, which overrides the file.\n",
          out);
}
