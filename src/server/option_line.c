/* SPDX-License-Identifier: MIT */
#include "server/option_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum { PLACE_SIZE = 64 };

static bool wrong_word(const struct option_line *line, const char *word, const char *what)
{
    char shown[PLACE_SIZE];
    return problem_set(line->problem, "%s: %s; see %s", text_printable(word, shown, sizeof shown),
                       what, line->help);
}

static bool take_option(const struct option_line *line, size_t option, const char *value)
{
    char place[PLACE_SIZE];
    snprintf(place, sizeof place, "--%s", line->specs[option].name);
    return line->take(line->context, option, place, value);
}

/* *word is left on the last one read. */
static bool read_long(const struct option_line *line, char ***word)
{
    const struct option_spec *specs = line->specs;
    const char *name = **word + 2, *value = "true";
    size_t length = strcspn(name, "="), i = 0;
    while (i < line->len &&
           ((specs[i].flags & OPTION_KEY) != 0 || specs[i].type == &type_command ||
            strncmp(specs[i].name, name, length) != 0 || specs[i].name[length] != '\0'))
        i++;
    if (i == line->len)
        return wrong_word(line, **word, "no such option");
    if (specs[i].argument == NULL && name[length] == '=')
        return wrong_word(line, **word, "takes no value");
    if (specs[i].argument != NULL)
        value = name[length] == '=' ? name + length + 1 : (*word)[1];
    if (value == NULL)
        return wrong_word(line, **word, "needs a value");
    if (value == (*word)[1])
        ++*word;
    return take_option(line, i, value);
}

static bool read_short(const struct option_line *line, char ***word)
{
    bool good = true;
    for (const char *letter = **word + 1; good && *letter != '\0'; letter++) {
        const char shown[] = {'-', *letter, '\0'};
        size_t i = 0;
        while (i < line->len && line->specs[i].letter != *letter)
            i++;
        if (i == line->len)
            return wrong_word(line, shown, "no such option");
        if (line->specs[i].argument == NULL) {
            good = take_option(line, i, "true");
            continue;
        }
        const char *value = letter[1] != '\0' ? letter + 1 : *++*word;
        return value != NULL ? take_option(line, i, value)
                             : wrong_word(line, shown, "needs a value");
    }
    return good;
}

/* What stands behind `--`. */
static bool read_command(const struct option_line *line, char *const *words)
{
    size_t i = 0;
    while (i < line->len && line->specs[i].type != &type_command)
        i++;
    if (i == line->len)
        return wrong_word(line, "--", "takes no command");
    if (*words == NULL)
        return wrong_word(line, "--", "needs a command");
    char *text = json_from_words(words);
    bool good = text != NULL ? line->take(line->context, i, "--", text)
                             : problem_set(line->problem, "--: out of memory");
    free(text);
    return good;
}

bool option_line_read(const struct option_line *line, char **words)
{
    bool good = true;
    for (char **word = words; good && *word != NULL; word++) {
        if (strcmp(*word, "--") == 0)
            return read_command(line, word + 1);
        good = strncmp(*word, "--", 2) == 0 ? read_long(line, &word)
               : (*word)[0] == '-' && (*word)[1] != '\0'
                   ? read_short(line, &word)
                   : wrong_word(line, *word, "unexpected argument");
    }
    return good;
}

bool option_line_apply(const struct option_spec *spec, void *target, const char *place,
                       const char *text, struct problem *problem)
{
    char allowed[160], shown[80];
    if (spec->type->parse(spec, text, option_value(spec, target)))
        return true;
    if (spec->type->hidden)
        return problem_set(problem, "%s: invalid value; expected %s", place, spec->type->expected);
    if (spec->type->expect != NULL)
        spec->type->expect(spec, allowed, sizeof allowed);
    return problem_set(problem, "%s: invalid value \"%s\"; expected %s", place,
                       text_printable(text, shown, sizeof shown),
                       spec->type->expect != NULL ? allowed : spec->type->expected);
}
