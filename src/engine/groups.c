/* SPDX-License-Identifier: MIT */
#include "engine/groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/verify.h"

static int group_compare(const struct group *a, const struct group *b)
{
    return strcmp(a->name, b->name);
}

RB_GENERATE(group_tree, group, by_name, group_compare)

void groups_init(struct groups *groups)
{
    *groups = (struct groups){.len = 0};
    RB_INIT(&groups->tree);
    TAILQ_INIT(&groups->idle);
    for (unsigned i = 0; i < BUSY_CLASSES; i++)
        TAILQ_INIT(&groups->busy[i]);
}

void groups_release(struct groups *groups)
{
    struct group *group;
    while ((group = RB_MIN(group_tree, &groups->tree)) != NULL) {
        RB_REMOVE(group_tree, &groups->tree, group);
        free(group);
    }
}

/* 0: they are the same. `last`: the one before which the name stands last, on the way down. */
static struct group *look(struct groups *groups, const char *name, struct group **last)
{
    struct group *at = RB_ROOT(&groups->tree);
    *last = NULL;
    while (at != NULL) {
        int order = strcmp(name, at->name);
        if (order == 0)
            return at;
        if (order < 0)
            *last = at;
        at = order < 0 ? RB_LEFT(at, by_name) : RB_RIGHT(at, by_name);
    }
    return NULL;
}

struct group *groups_find(struct groups *groups, const char *name)
{
    struct group *last;
    return look(groups, name, &last);
}

struct group *groups_from(struct groups *groups, const char *name)
{
    struct group *last, *found = look(groups, name, &last);
    return found != NULL ? found : last;
}

static size_t weight_of(const struct group *group)
{
    return sizeof *group + strlen(group->name) + 1;
}

struct group *group_new(const char *name)
{
    size_t size = strlen(name) + 1;
    struct group *group = calloc(1, sizeof *group + size);
    if (group == NULL)
        return NULL;
    memcpy(group->name, name, size);
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++)
        TAILQ_INIT(&group->jobs[lane]);
    return group;
}

struct group *groups_make(struct groups *groups, struct jobs *jobs, const char *name)
{
    struct group *group = group_new(name);
    if (group == NULL)
        return NULL;
    group->number = groups->made++;
    jobs_count(jobs, (int64_t)weight_of(group));
    jobs->idle_groups++;
    verify(RB_INSERT(group_tree, &groups->tree, group) == NULL);
    TAILQ_INSERT_TAIL(&groups->idle, group, alike);
    return group;
}

void groups_free(struct groups *groups, struct jobs *jobs, struct group *group)
{
    verify(group->holders == 0 && group->due.place == 0 && group->queued == 0);
    jobs_count(jobs, -(int64_t)weight_of(group));
    jobs->idle_groups--;
    TAILQ_REMOVE(&groups->idle, group, alike);
    RB_REMOVE(group_tree, &groups->tree, group);
    free(group);
}

void groups_hold(struct groups *groups, struct jobs *jobs, struct group *group)
{
    if (group->holders++ > 0)
        return;
    jobs->idle_groups--;
    groups->len++;
    TAILQ_REMOVE(&groups->idle, group, alike);
    group->busy = 0;
    TAILQ_INSERT_TAIL(&groups->busy[0], group, alike);
}

bool groups_let_go(struct groups *groups, struct jobs *jobs, struct group *group)
{
    verify(group->holders > 0);
    if (--group->holders > 0)
        return false;
    verify(group->waiting == 0 && group->running == 0);
    jobs->idle_groups++;
    groups->len--;
    TAILQ_REMOVE(&groups->busy[group->busy], group, alike);
    TAILQ_INSERT_TAIL(&groups->idle, group, alike);
    return true;
}

static uint8_t class_of(uint32_t jobs)
{
    uint8_t class = 0;
    for (; jobs > 0; jobs /= 2)
        class ++;
    return class;
}

void groups_classify(struct groups *groups, struct group *group)
{
    uint8_t class = class_of(group->waiting + group->running);
    if (class == group->busy)
        return;
    TAILQ_REMOVE(&groups->busy[group->busy], group, alike);
    group->busy = class;
    TAILQ_INSERT_TAIL(&groups->busy[class], group, alike);
}
