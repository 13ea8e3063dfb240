/* SPDX-License-Identifier: MIT */
/* Kinds of options: what the text of a value means, which texts are allowed, what the value may be
 * in the configuration file. A row a kind; a new kind is a row here and in option_types.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/options.h"

struct option_spec;

/* What a value may be in the configuration file. */
enum json_kind { JSON_STRING = 1, JSON_NUMBER = 2, JSON_BOOL = 4, JSON_WORDS = 8, JSON_PAIRS = 16 };

struct option_type {
    size_t size;         /* of a value; one that is not set has zero bytes only */
    unsigned json;       /* of enum json_kind */
    const char *in_json; /* the same for an error line */
    /* Writes a value that is not set yet. False when the text is not allowed, or memory is short;
     * then there is nothing to release. */
    bool (*parse)(const struct option_spec *spec, const char *text, void *value);
    bool (*valid)(const char *text); /* of texts: is it allowed? NULL: what is not empty is */
    bool (*same)(const void *value, const void *other); /* NULL: when their bytes are */
    void (*release)(void *value);                       /* NULL: there is nothing to release */
    const char *expected;                               /* what is allowed, for an error line */
    bool hidden; /* what was said may be a secret: an error line leaves it out */
    /* The same where it depends on the option; else NULL. Never more than 160 bytes. */
    void (*expect)(const struct option_spec *spec, char *out, size_t size);
};

/* What stands behind is the type of the value in struct options or struct queue_options. */
extern const struct option_type type_address;   /* char *: where to listen */
extern const struct option_type type_file;      /* char * */
extern const struct option_type type_name;      /* char * */
extern const struct option_type type_data;      /* char *: a directory, or a database */
extern const struct option_type type_directory; /* char * */
extern const struct option_type type_path;      /* char *: of a socket */
extern const struct option_type type_user;      /* char *: a user's name */
extern const struct option_type type_variables; /* char **: `NAME=value`, NULL at the end */
extern const struct option_type type_fields;    /* char **: `Name: value`, NULL at the end */
extern const struct option_type type_names;     /* char **: names of fields, NULL at the end */
extern const struct option_type type_nice;      /* struct niceness */
extern const struct option_type type_url;       /* char * */
extern const struct option_type type_prefixes;  /* char **: of URLs, NULL at the end */
extern const struct option_type type_origin;    /* char *: a web site */
extern const struct option_type type_proxies;   /* struct proxies */
extern const struct option_type type_command;   /* char **, NULL at the end */
extern const struct option_type type_number;    /* uint64_t, from min to max */
extern const struct option_type type_size;      /* uint64_t bytes, from min to max */
extern const struct option_type type_duration;  /* int64_t microseconds, from min to max */
extern const struct option_type type_span;      /* struct span, up to max */
extern const struct option_type type_breaker;   /* struct breaker_terms, up to max */
extern const struct option_type type_rate;      /* struct rate_terms */
extern const struct option_type type_key_terms; /* struct key_terms */
extern const struct option_type type_choice;    /* unsigned, an index of choices */
extern const struct option_type type_mode;      /* unsigned: the permissions of a file */
extern const struct option_type type_flag;      /* bool */
extern const struct option_type type_action;    /* none: it is done at once */

/* The file that a field of type_fields names in place of a value; NULL: none. */
const char *option_field_file(const char *field);

enum option_flag {
    OPTION_LIVE = 1,     /* SIGHUP changes it */
    OPTION_REREAD = 2,   /* a file that SIGHUP reads again: the sandbox allows it */
    OPTION_SECRET = 4,   /* names a secret: commands do not get the variable; no core dumps */
    OPTION_RUNNER = 8,   /* what runs the jobs of a queue: a row of the same name in runner.c */
    OPTION_PROGRAM = 16, /* a server without it starts no program: the sandbox sees to that */
    OPTION_NOT_IN_FILE = 32,
    OPTION_NOT_EMPTY = 64, /* an empty variable is a mistake, not a variable that is not set */
    OPTION_KEY = 128,      /* only a key of the file: no option, no variable, not in the help */
    OPTION_IN_QUEUE = 256, /* only in the object of a queue: may have the name of another row */
    OPTION_VARIABLE = 512, /* a client's: only options with this flag are also variables */
    OPTION_REPEATS = 1024  /* may be given again on the command line, which adds to it */
};

/* A row of the table in options.c. */
struct option_spec {
    const char *name; /* as in --name */
    char letter;      /* 0: none */
    const struct option_type *type;
    enum option_target target;
    size_t offset, size; /* of the value in struct options or struct queue_options */
    unsigned flags;      /* of enum option_flag */
    enum action action;  /* of type_action */
    uint64_t min, max;
    const char *const *choices;
    const char *runner;        /* the one it is about; NULL: any */
    const char *argument;      /* for people; NULL: it takes none */
    const char *default_value; /* NULL: it is not set */
    const char *unset;         /* what that means, for people; NULL: nothing to say */
    const char *heading;       /* of the group that begins here; NULL: it goes on */
    const char *help;          /* one sentence */
    /* The paragraph for jobd(1), in plain words; the default follows by itself. `word` is something
     * to type; names of options and pages are found. */
    const char *more;
};
