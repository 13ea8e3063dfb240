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
 * neither. Its group may do both: somebody chose that group, and Kubernetes hands out secrets this
 * way. */
static inline const char *secret_exposed(unsigned mode)
{
    return (mode & S_IROTH) != 0 ? "read" : (mode & S_IWOTH) != 0 ? "change" : NULL;
}

/* Reads a file that holds one text, and leaves out the blanks and line ends around it. False:
 * `problem` names the file, but nothing of what it holds. Blocks on the file, but not on a pipe
 * without a writer. The caller must overwrite the text after use. */
bool secret_read(const char *path, char text[SECRET_SIZE], struct problem *problem);

/* Logs a warning when everybody can read or change this file. */
void secret_warn(const char *path);
