/* SPDX-License-Identifier: MIT */
#include "engine/parents.h"

#include <stdlib.h>
#include <string.h>

#include "jobd/queue.h"

enum { ERROR_ROOM = 128 }; /* of blocked.h's error, its blob included */

bool parents_next(const char **text, struct edge *edge)
{
    static const char job[] = "job ", batch[] = "batch ";
    for (const char *end; (end = strchr(*text, '\n')) != NULL;) {
        const char *line = *text;
        *text = end + 1;
        bool is_job = strncmp(line, job, sizeof job - 1) == 0;
        if (!is_job && strncmp(line, batch, sizeof batch - 1) != 0)
            continue;
        edge->is_batch = !is_job;
        edge->id = strtoull(line + (is_job ? sizeof job : sizeof batch) - 1, NULL, 10);
        return true;
    }
    return false;
}

static uint32_t count_lines(const char *text)
{
    struct edge edge;
    uint32_t len = 0;
    while (parents_next(&text, &edge))
        len++;
    return len;
}

static bool has(const struct parents *parents, const struct edge *edge)
{
    for (uint32_t i = 0; i < parents->len; i++)
        if (parents->edges[i].id == edge->id && parents->edges[i].is_batch == edge->is_batch)
            return true;
    return false;
}

bool parents_new(const char *text, struct parents **parents)
{
    struct edge edge = {.id = 0};
    uint32_t most = text != NULL ? count_lines(text) : 0;
    *parents = NULL;
    if (most == 0)
        return true;
    struct parents *new = calloc(1, sizeof *new + most * sizeof new->edges[0]);
    if (new == NULL)
        return false;
    new->whatever = strncmp(text, JOBD_AFTER_WHATEVER, strlen(JOBD_AFTER_WHATEVER)) == 0;
    new->error_room = ERROR_ROOM;
    for (edge.parents = new; parents_next(&text, &edge);)
        if (!has(new, &edge))
            new->edges[new->len++] = edge;
    *parents = new;
    return true;
}

static size_t weight(uint32_t len, size_t error_room)
{
    return sizeof(struct parents) + len * sizeof(struct edge) + error_room;
}

size_t parents_weight(const struct parents *parents)
{
    return parents != NULL ? weight(parents->len, parents->error_room) : 0;
}

size_t parents_weight_of(const char *text)
{
    uint32_t len = text != NULL ? count_lines(text) : 0;
    return len > 0 ? weight(len, ERROR_ROOM) : 0;
}
