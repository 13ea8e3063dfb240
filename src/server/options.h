/* SPDX-License-Identifier: MIT */
/* The settings. Every option is one row of the table in options.c, from which the command line, the
 * environment variables, the keys of the file, the help, the list in jobd(1), and what SIGHUP may
 * change are made.
 *
 * To add an option: its field here, its row in options.c, its use; then `make man`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/proxies.h"
#include "jobd/queue.h"
#include "run/callbacks.h"
#include "server/config_schedules.h"

struct option_spec;
enum option_target { OF_SERVER, OF_QUEUE }; /* whose option it is */

struct span {
    int64_t min_us, max_us;
};

struct niceness {
    int value;
    bool given;
};

/* After so many failures in a row one job a time tries again. 0: none. */
struct breaker_terms {
    uint64_t failures;
    int64_t probe_us;
};

/* At most so many starts in per_us. 0: no limit. */
struct rate_terms {
    uint64_t starts;
    int64_t per_us;
};

/* Of the jobs of each key; 0: no limit. */
struct key_terms {
    bool given;
    uint64_t running, waiting;
    struct rate_terms rate;
};

/* Where each value was given, by the option's index in the table: `--capacity`, `JOBD_CAPACITY`,
 * `jobd.json:3: "capacity"`; for a default it is the option's name. */
struct option_places {
    char **of;
};

struct queue_options {
    char name[JOBD_QUEUE_NAME_MAX + 1];
    struct option_places places;
    uint64_t capacity, workers;
    int64_t sleep_us;
    uint64_t attempts;
    int64_t timeout_us; /* 0: none */
    struct span backoff;
    struct breaker_terms breaker;
    int64_t expires_us, keep_us;
    uint64_t running; /* 0: no limit */
    struct rate_terms rate;
    struct key_terms per_key;
    char **pass_headers; /* names of fields, NULL at the end, or NULL */
    char *post;          /* a URL, or NULL */
    char **command;      /* NULL at the end, or NULL */
    int64_t kill_after_us;
    /* Of a command; each may be NULL. */
    char *directory, *user;
    char **environment; /* `NAME=value`, NULL at the end */
    struct niceness nice;
    /* Of requests; each may be NULL. */
    char **headers;  /* `Name: value`, or `Name: @FILE`; NULL at the end */
    char *sign, *ca; /* files */
    char *socket;
    bool callbacks; /* it is the queue of callbacks */
};

enum action { ACTION_RUN, ACTION_CHECK, ACTION_HEALTH, ACTION_VERSION, ACTION_HELP };

struct options {
    enum action action;
    struct option_places places;
    char *listen;
    unsigned socket_mode; /* of a unix socket's file */
    uint64_t body_max_bytes, memory_bytes, keep, output_max_bytes;
    uint64_t connections_max, per_address_max, leases_max, streams_max;
    int64_t header_us, idle_us, grace_us;
    int64_t keep_for_us;             /* 0: however long */
    char *config;                    /* the file they came from, or NULL */
    char *data;                      /* a directory, a database's URL, or NULL: memory only */
    char *node;                      /* its name there, or NULL: the host's */
    unsigned sync;                   /* enum store_sync */
    char *token_file;                /* or NULL */
    char *tls_certificate, *tls_key; /* both or none */
    char *cors_origin;               /* or NULL */
    char **callback_allow;           /* prefixes of URLs, NULL at the end, or NULL */
    char *callback_secret;           /* a file, or NULL */
    struct proxies proxies;          /* who is believed whom they speak for */
    bool open;
    char *access_log; /* a file, "-" for standard error, or NULL */
    unsigned log_format, log_level;
    unsigned page; /* 0: on */
    uint64_t schedules_max;
    struct config_schedules schedules; /* of the file */
    struct queue_options *queues;      /* at least one */
    uint32_t queues_len;
};

/* The table, in the order of the help. */
const struct option_spec *options_table(size_t *len);

/* In what follows, `target` says whether `options` is a struct options or a struct
 * queue_options. */

/* Where its value is. */
void *option_value(const struct option_spec *spec, const void *options);

/* Where the value of the option with this name was given: valid as long as the options are. */
const char *option_place(const struct option_places *places, const char *name);

/* Its variable, JOBD_LOG_LEVEL for --log-level. */
enum { OPTION_VARIABLE_SIZE = 40 };
void option_variable(const struct option_spec *spec, char out[OPTION_VARIABLE_SIZE]);

/* Keeps a copy of the place of this option, which has none yet; false when memory is short. */
bool option_set_place(enum option_target target, void *options, size_t option, const char *place);
/* Frees what the values own, and the places. */
void options_release_values(enum option_target target, void *options);
/* All of it, the queues too; then it is empty. */
void options_release(struct options *options);

/* Called for each option that differs. `live`: it can change while the server runs. */
typedef void options_differ(void *context, const char *option, bool live);
void options_compare(enum option_target target, const void *options, const void *others,
                     options_differ *each, void *context);
/* Exchanges the values that can be changed while the server runs, and their places. */
void options_swap_live(struct queue_options *queue, struct queue_options *other);

/* Is this option set for the queue, but without an effect, because it is about another runner? */
bool options_idle(const struct option_spec *spec, const struct queue_options *queue);
/* Releases the value, and leaves it as if it had not been set. */
void option_unset(const struct option_spec *spec, void *options);

/* In the next three `options` is a const struct options *. Is there a queue with this name? */
bool options_has_queue(const void *options, const char *queue);
/* Is there one into which clients may put jobs? The queue of callbacks is not. */
bool options_takes_jobs(const void *options, const char *queue);
/* Does a prefix of --callback-allow allow this URL? */
bool options_allows_callback(const void *options, const char *callback);
/* Is an option set that has one of these flags, of enum option_flag? */
bool options_any(enum option_target target, const void *options, unsigned flags);
/* What runs the jobs of this queue: the option with OPTION_RUNNER that is set, or the one that has
 * a default. */
const struct option_spec *options_runner(const struct queue_options *queue);
/* The files that SIGHUP reads again: borrowed names, NULL at the end; returned, the caller frees
 * the list. NULL when memory is short. */
const char **options_files(const struct options *options);
