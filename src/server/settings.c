/* SPDX-License-Identifier: MIT */
#include "server/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/options.h"

bool settings_set(struct settings *settings, size_t option, const char *place, const char *text,
                  struct problem *problem)
{
    size_t len;
    (void)options_table(&len);
    if (settings->of == NULL)
        settings->of = calloc(len, sizeof *settings->of);
    if (settings->of == NULL)
        return problem_set(problem, "%s: out of memory", place);
    struct setting *setting = &settings->of[option];
    if (setting->text != NULL)
        return problem_set(problem, "%s: is given twice", place);
    setting->text = strdup(text);
    setting->place = strdup(place);
    if (setting->text == NULL || setting->place == NULL)
        return problem_set(problem, "%s: out of memory", place);
    return true;
}

bool settings_add(struct settings *settings, size_t option, const char *place, const char *text,
                  struct problem *problem)
{
    const struct setting *setting = settings_get(settings, option);
    char *both;
    if (setting == NULL)
        return settings_set(settings, option, place, text, problem);
    if (asprintf(&both, "%s %s", setting->text, text) < 0)
        return problem_set(problem, "%s: out of memory", place);
    free(setting->text);
    settings->of[option].text = both;
    return true;
}

const struct setting *settings_get(const struct settings *settings, size_t option)
{
    return settings != NULL && settings->of != NULL && settings->of[option].text != NULL
               ? &settings->of[option]
               : NULL;
}

void settings_release(struct settings *settings)
{
    size_t len;
    (void)options_table(&len);
    for (size_t i = 0; settings->of != NULL && i < len; i++) {
        free(settings->of[i].text);
        free(settings->of[i].place);
    }
    free(settings->of);
    settings->of = NULL;
}
