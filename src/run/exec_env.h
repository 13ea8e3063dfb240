/* SPDX-License-Identifier: MIT */
/* The environment of a command: jobd's own, without what names its secrets and the sockets handed
 * to it; HOME, USER and LOGNAME of the user that it runs as, when that is another one; what its
 * queue adds; the fields of the request that the job keeps, as JOBD_HEADER_X_NAME; and what says
 * which attempt of which job this is. */
#pragma once

#include <stdbool.h>

#include "jobd/pool.h"

struct exec_config;

/* The config, and what jobd's own environment holds, are borrowed until exec_env_free(). NULL when
 * memory is short. */
struct exec_env *exec_env_new(const struct jobd_task *task, const struct exec_config *config);
void exec_env_free(struct exec_env *env); /* takes NULL */

/* NULL at its end; borrowed. */
char **exec_env_list(struct exec_env *env);

/* May a queue add a variable with this name? Letters, digits and _, no digit first; those that jobd
 * sets itself, or keeps from commands, it may not. */
bool exec_env_name_ok(const char *name);

/* The character of a variable's name for this character of a field's name: X-Name is
 * JOBD_HEADER_X_NAME. */
char exec_env_letter(char c);
