/* SPDX-License-Identifier: MIT */
/* Settings as they were written, before they mean anything: for each option a text and the place
 * where it stood. Collected from one source: the command line, the environment, or an object of
 * the configuration file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SETTINGS_MAX = 40, QUEUES_MAX = 1000 };

struct setting {
    char *text;  /* NULL: not set */
    char *place; /* for people: `--capacity`, `JOBD_CAPACITY`, `jobd.json:3: capacity` */
};

/* By the option's place in the table. */
struct settings {
    struct setting of[SETTINGS_MAX];
};

struct queue_settings {
    char *name;
    char *place;
    struct settings settings;
};

struct file_settings {
    struct settings top;
    struct queue_settings *queues;
    size_t queues_len;
};

/* What an option takes, as far as the file must know. */
enum setting_kind {
    SETTING_TEXT,
    SETTING_NUMBER,
    SETTING_SIZE,
    SETTING_DURATION,
    SETTING_SPAN,
    SETTING_WORDS,
    SETTING_FLAG
};

struct setting_spec {
    const char *name; /* as in --name */
    enum setting_kind kind;
    bool of_queue; /* may stand in a queue's object */
    bool in_file;
};

/* Keeps copies of both. False when memory is short, or when it is set already: that is said. */
bool settings_set(struct settings *settings, size_t option, const char *place, const char *text);
void settings_release(struct settings *settings);

/* Says `place: problem` in one line: on standard error at the start, in the log of a server that
 * reads again. Returns false. */
__attribute__((format(printf, 2, 3))) bool settings_wrong(const char *place, const char *format,
                                                          ...);

/* Reads the configuration file. False when it is wrong, which is said. */
bool settings_read_file(struct file_settings *file, const char *path,
                        const struct setting_spec *specs, size_t specs_len);
void settings_release_file(struct file_settings *file);
