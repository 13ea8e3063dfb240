/* SPDX-License-Identifier: MIT */
#include "base/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

bool problem_at(struct problem *problem, const char *place)
{
    const struct problem what = *problem;
    return problem_set(problem, "%s: %s", place, what.text);
}

bool problem_set(struct problem *problem, const char *format, ...)
{
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    errno = saved;
    return false;
}
