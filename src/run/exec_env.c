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
#include "run/passed_fields.h"
#include "run/process_tree.h"
#include "run/user.h"

#define OF_A_FIELD "JOBD_HEADER_"

enum { VARIABLES = 5, OF_A_USER = 3, VARIABLE_SIZE = 320 };

struct exec_env {
    char own[VARIABLES][VARIABLE_SIZE];
    char *fields; /* of the request, one variable behind the other; NULL: none */
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
    static const char *const names[] = {
        "JOBD_ID",         "JOBD_QUEUE",     "JOBD_ATTEMPT", "JOBD_CONTENT_TYPE",    "TRACEPARENT",
        "JOBD_TOKEN_FILE", "JOBD_TLS_CERT",  "JOBD_TLS_KEY", "JOBD_CALLBACK_SECRET", "LISTEN_FDS",
        "LISTEN_PID",      "LISTEN_FDNAMES", "NOTIFY_SOCKET"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_variable(entry, names[i]))
            return true;
    if (is_variable(entry, "JOBD_DATA") && strstr(entry, "://") != NULL)
        return true; /* it may have a password */
    /* Of the job that jobd itself may run in; but there is an option whose variable begins so. */
    return strncmp(entry, OF_A_FIELD, strlen(OF_A_FIELD)) == 0 &&
           !is_variable(entry, "JOBD_HEADER_TIMEOUT");
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
           strncmp(name, OF_A_FIELD, strlen(OF_A_FIELD)) != 0;
}

char exec_env_letter(char c)
{
    return char_is_alpha(c) || char_is_digit(c) ? char_upper(c) : '_';
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

/* ---- fields of the request */

static size_t count_fields(const char *text)
{
    struct passed_field field;
    size_t len = 0;
    while (passed_fields_next(&text, &field))
        len++;
    return len;
}

/* Visible characters of ASCII, and blanks between them? */
static bool is_plain(const struct passed_field *field)
{
    for (size_t i = 0; i < field->value_size; i++)
        if (field->value[i] < ' ' || field->value[i] > '~')
            return false;
    return true;
}

/* Of the same name as the variable? Each name's fields follow each other. */
static bool is_named(const char *entry, const struct passed_field *field)
{
    const char *name = entry + strlen(OF_A_FIELD);
    size_t i = 0;
    while (i < field->name_size && name[i] == exec_env_letter(field->line[i]))
        i++;
    return i == field->name_size && name[i] == '=';
}

static char *put_name(char *to, const struct passed_field *field)
{
    to = stpcpy(to, OF_A_FIELD);
    for (size_t i = 0; i < field->name_size; i++)
        *to++ = exec_env_letter(field->line[i]);
    *to++ = '=';
    return to;
}

/* A variable for each name, its values with commas between them as RFC 9110, section 5.3, has it.
 * Each takes no more than its lines and what is in front of a name. False when memory is short. */
static bool set_fields(struct exec_env *env, size_t *used, const char *text)
{
    struct passed_field field;
    char *entry = NULL;
    size_t len = count_fields(text);
    if (len == 0)
        return true;
    char *to = env->fields = malloc(strlen(text) + len * sizeof OF_A_FIELD);
    while (to != NULL && passed_fields_next(&text, &field)) {
        if (!is_plain(&field))
            continue;
        if (entry != NULL && is_named(entry, &field)) {
            to = stpcpy(to - 1, ", ");
        } else {
            entry = to;
            to = put_name(to, &field);
            set(env, used, entry);
        }
        memcpy(to, field.value, field.value_size);
        to += field.value_size;
        *to++ = '\0';
    }
    return to != NULL;
}

/* ---- all of it */

struct exec_env *exec_env_new(const struct jobd_task *task, const struct exec_config *config)
{
    const struct exec_place *place = &config->place;
    size_t inherited = count_words(environ), added = count_words(place->environment), used = 0;
    const char *fields = jobd_text(task->words, JOBD_HEADERS);
    size_t most = inherited + OF_A_USER + added + VARIABLES + count_fields(fields);
    struct exec_env *env = calloc(1, sizeof *env + (most + 1) * sizeof(char *));
    if (env == NULL)
        return NULL;
    for (size_t i = 0; i < inherited; i++)
        if (!is_private(environ[i]))
            env->list[used++] = environ[i];
    if (!set_fields(env, &used, fields) ||
        (place->user != NULL && !place->user->ours && !set_user(env, &used, place->user))) {
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
    if (env != NULL)
        free(env->fields);
    free(env);
}

char **exec_env_list(struct exec_env *env)
{
    return env->list;
}
