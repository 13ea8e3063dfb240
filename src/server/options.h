/* SPDX-License-Identifier: MIT */
/* What the user wants: command line over environment over configuration file over defaults.
 *
 * Every option stands once, in the table of options.c: from it come the command line, the
 * environment variables, the keys of the file and the help. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "jobd/queue.h"
#include "base/log.h"

enum { OPTIONS_LEASES_MAX = 16384 }; /* jobs that remote workers may hold at a time */

struct span {
    int64_t min_us, max_us;
};

struct queue_options {
    char name[JOBD_QUEUE_NAME_MAX + 1];
    uint64_t capacity, workers;
    int64_t sleep_us;
    uint64_t attempts;
    int64_t timeout_us; /* 0: none */
    struct span backoff;
    char *post;     /* a URL, or NULL */
    char **command; /* NULL at the end, or NULL */
};

enum action { ACTION_RUN, ACTION_CHECK, ACTION_HEALTH, ACTION_VERSION, ACTION_HELP };

struct options {
    enum action action;
    char listen[256];
    uint64_t body_max_bytes, memory_bytes, keep, output_max_bytes;
    uint64_t connections_max, per_address_max;
    int64_t header_us, idle_us, grace_us, kill_after_us;
    char *config;                    /* the file they came from, or NULL */
    char *data;                      /* a directory, or NULL: memory only */
    unsigned sync;                   /* enum store_sync */
    char *token_file;                /* or NULL */
    char *tls_certificate, *tls_key; /* both or none */
    char *cors_origin;               /* or NULL */
    bool open;
    unsigned log_format, log_level;
    struct queue_options *queues; /* at least one */
    uint32_t queues_len;
};

/* Reads all sources. False when something is wrong: then one line on standard error has said what,
 * where, and what is allowed, and nothing needs releasing. */
bool options_read(struct options *options, int argc, char **argv);
void options_release(struct options *options);

/* Names each option that differs: those of two servers, or of two queues. `live`: it can be changed
 * while the server runs. */
typedef void options_differ(void *context, const char *option, bool live);
void options_compare(const struct options *options, const struct options *others,
                     options_differ *each, void *context);
void options_compare_queues(const struct queue_options *queue, const struct queue_options *other,
                            options_differ *each, void *context);

void options_help(FILE *out);
