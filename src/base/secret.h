/* SPDX-License-Identifier: MIT */
/* Files that hold a secret. */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

/* What everybody on this machine may do with a file of this mode: "read" or "change"; NULL:
 * neither. Its group is one that somebody chose: so does Kubernetes hand secrets over. */
static inline const char *secret_exposed(unsigned mode)
{
    return (mode & S_IROTH) != 0 ? "read" : (mode & S_IWOTH) != 0 ? "change" : NULL;
}
