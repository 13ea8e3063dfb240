/* SPDX-License-Identifier: MIT */
#include "run/exec_env.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/chars.h"
#include "run/exec.h"
#include "run/process_tree.h"
#include "run/user.h"

enum { VARIABLES = 5, OF_A_USER = 3, VARIABLE_SIZE = 320 };

struct exec_env {
    char own[VARIABLES][VARIABLE_SIZE];
    char *of_user[OF_A_USER];
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

bool exec_env_name_ok(const char *name)
{
    char entry[80];
    size_t i = 0;
    while (char_is_alpha(name[i]) || name[i] == '_' || (i > 0 && char_is_digit(name[i])))
        i++;
    snprintf(entry, sizeof entry, "%s=", name);
    return i > 0 && name[i] == '\0' && !is_private(entry) &&
           strncmp(name, "JOBD_HEADER_", strlen("JOBD_HEADER_")) != 0;
}

static size_t count_words(char *const *words)
{
    size_t len = 0;
    while (words != NULL && words[len] != NULL)
        len++;
    return len;
}

/* In place of one with the same name, or behind all. */
static void set(struct exec_env *env, size_t *used, char *entry)
{
    size_t length = strcspn(entry, "=") + 1, i = 0;
    while (i < *used && strncmp(env->list[i], entry, length) != 0)
        i++;
    env->list[i] = entry;
    *used += i == *used;
}

/* False when memory is short. */
static bool set_user(struct exec_env *env, size_t *used, const struct user *user)
{
    const char *const values[OF_A_USER][2] = {
        {"HOME", user->home}, {"USER", user->name}, {"LOGNAME", user->name}};
    for (size_t i = 0; i < OF_A_USER; i++) {
        if (asprintf(&env->of_user[i], "%s=%s", values[i][0], values[i][1]) < 0) {
            env->of_user[i] = NULL;
            return false;
        }
        set(env, used, env->of_user[i]);
    }
    return true;
}

struct exec_env *exec_env_new(const struct jobd_task *task, const struct exec_config *config)
{
    const struct exec_place *place = &config->place;
    size_t inherited = count_words(environ), added = count_words(place->environment), used = 0;
    struct exec_env *env =
        calloc(1, sizeof *env + (inherited + OF_A_USER + added + VARIABLES + 1) * sizeof(char *));
    if (env == NULL)
        return NULL;
    for (size_t i = 0; i < inherited; i++)
        if (!is_private(environ[i]))
            env->list[used++] = environ[i];
    if (place->user != NULL && !place->user->ours && !set_user(env, &used, place->user)) {
        exec_env_free(env);
        return NULL;
    }
    for (size_t i = 0; i < added; i++)
        set(env, &used, place->environment[i]);
    add(env, &used, PROCESS_TREE_JOB, task->id);
    add(env, &used, PROCESS_TREE_ATTEMPT, task->attempt);
    add(env, &used, "JOBD_QUEUE=%s", config->queue);
    if (task->payload != NULL && task->payload->type[0] != '\0')
        add(env, &used, "JOBD_CONTENT_TYPE=%s", task->payload->type);
    if (task->trace != NULL && task->trace[0] != '\0')
        add(env, &used, "TRACEPARENT=%s", task->trace);
    return env;
}

void exec_env_free(struct exec_env *env)
{
    for (size_t i = 0; env != NULL && i < OF_A_USER; i++)
        free(env->of_user[i]);
    free(env);
}

char **exec_env_list(struct exec_env *env)
{
    return env->list;
}
