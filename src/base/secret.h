/* SPDX-License-Identifier: MIT */
/* Files that hold a secret. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/problem.h"

enum {
    SECRET_SIZE = 8192, /* of a secret that is a text, with its NUL */
    TOKEN_MAX = 256     /* bytes of a bearer token */
};

/* What everybody on this machine may do with a file of this mode: "read" or "change"; NULL:
 * neither. Its group is one that somebody chose: so does Kubernetes hand secrets over. */
static inline const char *secret_exposed(unsigned mode)
{
    return (mode & S_IROTH) != 0 ? "read" : (mode & S_IWOTH) != 0 ? "change" : NULL;
}

/* A file that is one text, without blanks and line ends around it. False: `problem` names the file,
 * and nothing of what it holds. Blocks on the file; not on one that is a pipe without a writer. The
 * caller overwrites the text when it is done with it. */
bool secret_read(const char *path, char text[SECRET_SIZE], struct problem *problem);

/* Logs it when others can read or change this file. */
void secret_warn(const char *path);
