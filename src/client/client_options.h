/* SPDX-License-Identifier: MIT */
/* The options of `jobd work` and `jobd top`. Each is one row of a table like the server's
 * (server/option_types.h), from which the command line, the variables and the help are made. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct option_spec;

enum { CLIENT_WORKERS_MAX = 256 };

/* What a client exits with, when it has not succeeded. */
enum {
    EXIT_FAILED = 1, /* the server did not answer, or refused, or an end could not be reported */
    EXIT_WRONG = 2   /* the user's mistake: nothing was started */
};

struct client_options {
    bool help;
    char **urls; /* NULL at the end */
    char *token_file, *ca;
    char *queues; /* of work: names with commas between them; NULL: the default one */
    uint64_t workers;
    char *worker; /* its name; NULL: none */
    int64_t lease_us, kill_after_us;
    uint64_t output_max_bytes;
    char **command;   /* NULL at the end */
    int64_t every_us; /* of top */
    unsigned log_format, log_level;
};

/* What the first argument asks for. */
struct client_command {
    const char *name;     /* as it is typed */
    const char *about;    /* for the help: lines that end with a line feed */
    const char *synopsis; /* what follows the name */
    const struct option_spec *specs;
    size_t len;
};

/* NULL at the end. */
extern const struct client_command *const client_commands[];

/* `words` are the arguments behind the command's name, NULL at the end. False: `problem` says what
 * is wrong, where, and what is allowed, and nothing needs to be released. */
bool client_options_read(struct client_options *options, const struct client_command *command,
                         char **words, struct problem *problem);
void client_options_release(const struct client_command *command, struct client_options *options);
