/* SPDX-License-Identifier: MIT */
#include "run/exec_env.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/process_tree.h"

enum { VARIABLES = 5, VARIABLE_SIZE = 320 };

struct exec_env {
    char own[VARIABLES][VARIABLE_SIZE];
    char *list[];
};

static bool is_variable(const char *entry, const char *name)
{
    size_t length = strlen(name);
    return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

static bool is_private(const char *entry)
{
    static const char *const names[] = {"JOBD_ID",           "JOBD_QUEUE",     "JOBD_ATTEMPT",
                                        "JOBD_CONTENT_TYPE", "TRACEPARENT",    "JOBD_TOKEN_FILE",
                                        "JOBD_TLS_CERT",     "JOBD_TLS_KEY",   "LISTEN_FDS",
                                        "LISTEN_PID",        "LISTEN_FDNAMES", "NOTIFY_SOCKET"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_variable(entry, names[i]))
            return true;
    return false;
}

__attribute__((format(printf, 3, 4))) static void add(struct exec_env *env, size_t *used,
                                                      const char *format, ...)
{
    size_t own = 0;
    while (own < VARIABLES - 1 && env->own[own][0] != '\0')
        own++;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(env->own[own], VARIABLE_SIZE, format, arguments);
    va_end(arguments);
    env->list[(*used)++] = env->own[own];
}

struct exec_env *exec_env_new(const struct jobd_task *task, const char *queue)
{
    size_t count = 0, used = 0;
    while (environ != NULL && environ[count] != NULL)
        count++;
    struct exec_env *env = calloc(1, sizeof *env + (count + VARIABLES + 1) * sizeof env->list[0]);
    if (env == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!is_private(environ[i]))
            env->list[used++] = environ[i];
    add(env, &used, PROCESS_TREE_JOB, task->id);
    add(env, &used, PROCESS_TREE_ATTEMPT, task->attempt);
    add(env, &used, "JOBD_QUEUE=%s", queue);
    if (task->payload != NULL && task->payload->type[0] != '\0')
        add(env, &used, "JOBD_CONTENT_TYPE=%s", task->payload->type);
    if (task->trace != NULL && task->trace[0] != '\0')
        add(env, &used, "TRACEPARENT=%s", task->trace);
    return env;
}

void exec_env_free(struct exec_env *env)
{
    free(env);
}

char **exec_env_list(struct exec_env *env)
{
    return env->list;
}
