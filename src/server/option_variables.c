/* SPDX-License-Identifier: MIT */
#include "server/option_variables.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/log.h"
#include "base/text.h"
#include "server/option_types.h"
#include "server/options.h"

#define PREFIX "JOBD_"

enum {
    NAME_SIZE = 80, /* of a variable; a longer one is none that is meant */
    WORD_SIZE = 32, /* of a name without its underscores: those of options are shorter */
    SHORT_WORD = 6, /* fewer letters: one may be wrong, else */
    WRONG_LETTERS = 2
};

/* ---- whose they are */

/* What Kubernetes and Docker make of a service named jobd. */
static bool is_of_a_service(const char *name, const char *value)
{
    return strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL ||
           strstr(name, "_TCP") != NULL || strstr(name, "_UDP") != NULL ||
           strstr(name, "_SCTP") != NULL || strncmp(value, "tcp://", 6) == 0 ||
           strncmp(value, "udp://", 6) == 0 || strncmp(value, "sctp://", 7) == 0;
}

/* What jobd itself hands to commands, which may start another one. */
static bool is_of_a_command(const char *name)
{
    static const char *const names[] = {"ID", "QUEUE", "ATTEMPT", "CONTENT_TYPE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name + strlen(PREFIX), names[i]) == 0)
            return true;
    return strncmp(name, PREFIX "HEADER_", strlen(PREFIX "HEADER_")) == 0;
}

/* ---- what is meant */

/* In capitals, without what parts words. False when it is too long to be an option's. */
static bool squeeze(const char *name, char out[WORD_SIZE])
{
    size_t used = 0;
    for (; *name != '\0' && used < WORD_SIZE - 1; name++)
        if (*name != '_' && *name != '-')
            out[used++] = char_upper(*name);
    out[used] = '\0';
    return *name == '\0' && used > 0;
}

/* Letters to add, to leave out, to change, or to exchange with the next one (optimal string
 * alignment). */
static unsigned distance(const char *one, const char *other)
{
    unsigned rows[3][WORD_SIZE + 1];
    size_t columns = strlen(other);
    for (size_t j = 0; j <= columns; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; one[i - 1] != '\0'; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= columns; j++) {
            unsigned least = above[j - 1] + (one[i - 1] != other[j - 1]);
            if (above[j] + 1 < least)
                least = above[j] + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] &&
                before[j - 2] + 1 < least)
                least = before[j - 2] + 1;
            row[j] = least;
        }
    }
    return rows[strlen(one) % 3][columns];
}

/* Does one go on where the other ends, as DATA_DIR, DATADIR and DATA, or LOG and LOG_LEVEL? */
static bool begins_alike(const char *own, const char *its)
{
    static const char *const more[] = {"DIR", "FILE", "PATH", "URL"};
    size_t length = strlen(own) < strlen(its) ? strlen(own) : strlen(its);
    if (strncasecmp(own, its, length) != 0)
        return false;
    bool alike = own[length] == '_' || its[length] == '_';
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        alike |= strcasecmp(own + length, more[i]) == 0;
    return alike;
}

/* How unlike an option it is; more than WRONG_LETTERS: it is none. */
static unsigned unlikeness(const char *name, const struct option_spec *spec)
{
    char variable[OPTION_VARIABLE_SIZE], word[WORD_SIZE], other[WORD_SIZE];
    option_variable(spec, variable);
    const char *own = name + strlen(PREFIX), *its = variable + strlen(PREFIX);
    if (spec->type == &type_action || !squeeze(own, word) || !squeeze(its, other))
        return WRONG_LETTERS + 1;
    unsigned wrong = distance(word, other);
    if (wrong > (strlen(other) < SHORT_WORD ? 1 : WRONG_LETTERS))
        wrong = WRONG_LETTERS + 1;
    return wrong > WRONG_LETTERS && begins_alike(own, its) ? WRONG_LETTERS : wrong;
}

/* Do others call the option so? */
static bool is_usual(const char *name, const char *option)
{
    static const struct {
        const char *name, *option;
    } rows[] = {{"PORT", "listen"},      {"HOST", "listen"},
                {"ADDR", "listen"},      {"BIND", "listen"},
                {"ADDRESS", "listen"},   {"COMMAND", "exec"},
                {"CMD", "exec"},         {"TOKENS", "token-file"},
                {"AUTH", "token-file"},  {"CONCURRENCY", "workers"},
                {"RETRIES", "attempts"}, {"HOST", "url"},
                {"ADDR", "url"},         {"ADDRESS", "url"},
                {"SERVER", "url"}};
    bool usual = false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        usual |= strcasecmp(name + strlen(PREFIX), rows[i].name) == 0 &&
                 strcmp(option, rows[i].option) == 0;
    return usual;
}

static bool has_variable(const struct variable_reader *reader, const struct option_spec *spec)
{
    return reader->command != NULL ? (spec->flags & OPTION_VARIABLE) != 0
                                   : (spec->flags & OPTION_KEY) == 0;
}

/* The option with this variable, whether it is read or not; NULL: none. */
static const struct option_spec *named(const struct option_spec *specs, size_t len,
                                       const char *name)
{
    char variable[OPTION_VARIABLE_SIZE];
    for (size_t i = 0; i < len; i++) {
        option_variable(&specs[i], variable);
        if ((specs[i].flags & OPTION_KEY) == 0 && strcmp(name, variable) == 0)
            return &specs[i];
    }
    return NULL;
}

/* The one that is meant by a variable of this name, which is none; NULL: none is. */
static const struct option_spec *meant(const struct variable_reader *reader, const char *name)
{
    const struct option_spec *nearest = NULL;
    unsigned least = WRONG_LETTERS + 1;
    for (size_t i = 0; i < reader->len; i++) {
        const struct option_spec *spec = &reader->specs[i];
        if (!has_variable(reader, spec))
            continue;
        unsigned wrong = is_usual(name, spec->name) ? 0 : unlikeness(name, spec);
        if (wrong < least) {
            least = wrong;
            nearest = spec;
        }
    }
    return nearest;
}

/* ---- what is said */

/* Those of the server are no mistake anywhere: several programs may be given the same. */
static void warn_named(const struct variable_reader *reader, const char *name)
{
    size_t len;
    const struct option_spec *server = options_table(&len);
    const struct option_spec *own = named(reader->specs, reader->len, name);
    char shown[NAME_SIZE], variable[OPTION_VARIABLE_SIZE];
    if (own != NULL && !has_variable(reader, own))
        log_warn("%s: jobd %s does not read it, but has --%s", name, reader->command, own->name);
    if (own != NULL || named(server, len, name) != NULL || (own = meant(reader, name)) == NULL)
        return;
    option_variable(own, variable);
    log_warn("%s: there is no such option, it is ignored; is %s meant?",
             text_printable(name, shown, sizeof shown), variable);
}

void variables_warn(const struct variable_reader *reader)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        char name[NAME_SIZE];
        size_t length = strcspn(*entry, "=");
        if (strncasecmp(*entry, PREFIX, strlen(PREFIX)) != 0 || length >= sizeof name ||
            (*entry)[length] == '\0' || (*entry)[length + 1] == '\0') /* an empty one is none */
            continue;
        snprintf(name, sizeof name, "%.*s", (int)length, *entry);
        if (!is_of_a_service(name, *entry + length + 1) && !is_of_a_command(name))
            warn_named(reader, name);
    }
}
