/* SPDX-License-Identifier: MIT */
/* Who looks reads the version before and after: when it has changed meanwhile, or is odd, what was
 * read may be half of it, and is read again. */
#include "engine/queue_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "jobd/queue.h"

enum { KEPT_MAX = UINT16_MAX };

struct name {
    struct name *next;
    char text[];
};

int queue_names_init(struct queue_names *names, uint32_t max)
{
    names->max = max;
    names->numbers = calloc(max, sizeof *names->numbers);
    names->names = calloc(max, sizeof *names->names);
    return names->numbers != NULL && names->names != NULL ? 0 : -ENOMEM;
}

void queue_names_release(struct queue_names *names)
{
    while (names->kept != NULL) {
        struct name *next = names->kept->next;
        free(names->kept);
        names->kept = next;
    }
    free(names->numbers);
    free(names->names);
}

const char *queue_names_keep(struct queue_names *names, const char *text)
{
    size_t size = strlen(text) + 1;
    struct name *name = names->kept_len < KEPT_MAX ? malloc(sizeof *name + size) : NULL;
    if (name == NULL)
        return NULL;
    memcpy(name->text, text, size);
    name->next = names->kept;
    names->kept = name;
    names->kept_len++;
    return name->text;
}

/* ---- at the start */

void queue_names_append(struct queue_names *names, const char *name, uint32_t number)
{
    verify(names->len < names->max);
    names->names[names->len] = name;
    names->numbers[names->len] = number;
    names->len++;
}

struct queue_name {
    const char *name;
    uint32_t number;
};

static int entry_compare(const void *left, const void *right)
{
    const struct queue_name *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* There may be very many that are not declared. */
int queue_names_sort(struct queue_names *names)
{
    const uint32_t len = names->len;
    struct queue_name *entries = calloc(len > 0 ? len : 1, sizeof *entries);
    if (entries == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < len; i++)
        entries[i] = (struct queue_name){names->names[i], names->numbers[i]};
    qsort(entries, len, sizeof *entries, entry_compare);
    for (uint32_t i = 0; i < len; i++) {
        names->names[i] = entries[i].name;
        names->numbers[i] = entries[i].number;
    }
    free(entries);
    return 0;
}

/* ---- while others look */

/* Its place, in `len`, or the one where it would be. */
static uint32_t place_of(const struct queue_names *names, const char *name, uint32_t len,
                         bool *found)
{
    uint32_t from = 0, to = len;
    *found = false;
    while (from < to && !*found) {
        uint32_t middle = from + (to - from) / 2;
        int order = strcmp(names->names[middle], name);
        *found = order == 0;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return *found ? to : from;
}

static void put_at(struct queue_names *names, uint32_t place, const char *name, uint32_t number)
{
    names->names[place] = name;
    names->numbers[place] = number;
}

void queue_names_add(struct queue_names *names, const char *name, uint32_t number)
{
    verify(names->len < names->max);
    bool found;
    const uint32_t place = place_of(names, name, names->len, &found);
    names->version++;
    for (uint32_t i = names->len; i > place; i--)
        put_at(names, i, names->names[i - 1], names->numbers[i - 1]);
    put_at(names, place, name, number);
    names->len++;
    names->version++;
}

void queue_names_remove(struct queue_names *names, const char *name)
{
    bool found;
    const uint32_t place = place_of(names, name, names->len, &found);
    if (!found)
        return;
    names->version++;
    for (uint32_t i = place; i + 1 < names->len; i++)
        put_at(names, i, names->names[i + 1], names->numbers[i + 1]);
    names->len--;
    names->version++;
}

uint32_t queue_names_find(const struct queue_names *names, const char *name)
{
    uint32_t before, number;
    do {
        before = names->version;
        bool found;
        const uint32_t place = place_of(names, name, names->len, &found);
        number = found ? names->numbers[place] : JOBD_NO_QUEUE;
    } while ((before & 1) != 0 || before != names->version);
    return number;
}
