/* SPDX-License-Identifier: MIT */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/plan.h"
#include "base/verify.h"

#define SECOND_US INT64_C(1000000)

static char *text_of(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    verify(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    return text;
}

/* Instants rise, and backwards they are the same. */
static void look(const struct plan *plan)
{
    int64_t at = INT64_C(1774742400) * SECOND_US, first = at;
    uint64_t count = 0;
    for (; count < 20; count++) {
        int64_t next = plan_next(plan, at);
        if (next == PLAN_NEVER)
            break;
        verify(next > at && plan_last(plan, at, next) == next);
        at = next;
    }
    if (at - first < PLAN_HORIZON_S * SECOND_US)
        verify(plan_count(plan, first, at) == count);
}

void fuzz_cron(const uint8_t *bytes, size_t size)
{
    char *text = text_of(bytes, size);
    struct plan plan = {.every_us = 0};
    struct problem problem = {""};
    verify(zone_open(&plan.zone, "UTC", &problem) == 0);
    if (cron_parse(text, &plan.cron, &problem))
        look(&plan);
    else
        verify(problem.text[0] != '\0' && strchr(problem.text, '\n') == NULL);
    plan_release(&plan);
    if (plan_every(&plan, text, &problem) == 0)
        look(&plan);
    free(text);
}

void fuzz_zone(const uint8_t *bytes, size_t size)
{
    static const char *const texts[] = {"*/10 * * * *", "30 2,3 * * *", "0 0 1-7 * mon"};
    struct plan plan = {.every_us = 0};
    struct problem problem = {""};
    if (zone_parse(&plan.zone, bytes, size, &problem) != 0)
        verify(problem.text[0] != '\0' && strchr(problem.text, '\n') == NULL);
    for (size_t i = 0; plan.zone != NULL && i < sizeof texts / sizeof texts[0]; i++) {
        verify(cron_parse(texts[i], &plan.cron, &problem));
        look(&plan);
    }
    plan_release(&plan);
}
