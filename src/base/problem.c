/* SPDX-License-Identifier: MIT */
#include "base/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

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
