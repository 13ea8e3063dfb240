/* SPDX-License-Identifier: MIT */
/* What went wrong, in one line for a person: the place, what is allowed, the way out. It is made
 * where it is found and passed up; only client/, server/ and main.c print it. */
#pragma once

#include <stdbool.h>

enum { PROBLEM_SIZE = 1024 };

struct problem {
    char text[PROBLEM_SIZE]; /* one line, without a line feed; "": nothing is wrong */
};

/* Cuts what is too long. Always false, so that a function can return it. Does not block, keeps
 * errno. */
__attribute__((format(printf, 2, 3))) bool problem_set(struct problem *problem, const char *format,
                                                       ...);
/* Puts the place in front of what is wrong: `--data: /nowhere: Permission denied`. Always false. */
bool problem_at(struct problem *problem, const char *place);
