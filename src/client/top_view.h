/* SPDX-License-Identifier: MIT */
/* A server's /status as lines of text. What came from the server is escaped, so that no byte of it
 * controls the terminal. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/json.h"

struct top_view {
    int columns, rows;   /* rows 0: all that it takes */
    int first;           /* the queue to begin with */
    bool colors, frozen; /* frozen: not asked for again, which the first line says */
    const char *name;    /* of the server */
    const char *notice;  /* what is wrong, "" for nothing */
    const char *line_end;
};

/* `status` may be NULL: nothing has come yet. */
void top_view_draw(FILE *out, const struct top_view *view, const cJSON *status);

/* How many queues there are. */
int top_view_queues(const cJSON *status);
