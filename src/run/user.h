/* SPDX-License-Identifier: MIT */
/* Another user of this machine, as whom commands shall run. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/problem.h"

/* In one piece, from malloc(). */
struct user {
    bool ours; /* jobd runs as that user: nothing is to be changed */
    uid_t uid;
    gid_t gid;
    const char *name, *home;
    size_t groups_len;
    gid_t groups[]; /* all that the user is in, `gid` included */
};

/* Looks the name up, and checks that this process may become that user and stop what runs as it. To
 * be freed; NULL: `problem` says why. Blocks on the system's databases. Any thread. */
struct user *user_find(const char *name, struct problem *problem);

/* To be freed; NULL when memory is short. */
struct user *user_copy(const struct user *user);

/* May this process give its commands this nice value, from -20 to 19? */
bool user_may_nice(int value);
