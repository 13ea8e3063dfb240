/* SPDX-License-Identifier: MIT */
/* The environment of a command: jobd's own, without what names its secrets and the sockets handed
 * to it, and with what says which attempt of which job this is. */
#pragma once

#include "jobd/pool.h"

/* The queue's name is borrowed until return, what jobd's own environment holds until
 * exec_env_free(). NULL when memory is short. */
struct exec_env *exec_env_new(const struct jobd_task *task, const char *queue);
void exec_env_free(struct exec_env *env); /* takes NULL */

/* NULL at its end; borrowed. */
char **exec_env_list(struct exec_env *env);
