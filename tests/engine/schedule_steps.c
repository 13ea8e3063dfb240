/* SPDX-License-Identifier: MIT */
#include "engine/schedule_steps.h"

#include "engine/schedule_disk.h"

static unsigned below(const struct schedule_step_world *world, unsigned bound)
{
    return chance_below(world->chance, bound);
}

static struct jobd_moment moment_of(const struct schedule_step_world *world)
{
    return (struct jobd_moment){.now_us = world->now_us,
                                .wall_us = (1 + below(world, INSTANTS - 100)) * INSTANT_US};
}

static enum jobd_result put_schedule(const struct schedule_step_world *world,
                                     struct jobd_waiter *waiter, const char *name)
{
    enum jobd_schedule_change change;
    const struct jobd_moment moment = moment_of(world);
    struct jobd_schedule schedule = {.name = name,
                                     .cron = "",
                                     .zone = "",
                                     .every_us = 1 + below(world, 3),
                                     .queue = below(world, 2) == 0 ? "one" : "two",
                                     .alone = below(world, 4) == 0};
    schedule.texts[JOBD_TAGS] = below(world, 2) == 0 ? "x\n" : NULL;
    schedule.payload = below(world, 2) == 0 ? jobd_blob_text("schedule") : NULL;
    enum jobd_result result = jobd_schedule_put(world->jobd, &schedule, waiter, &moment, &change);
    jobd_blob_unref(schedule.payload);
    return result;
}

/* An instant soon after those before, or anywhere. */
static void fire_schedule(const struct schedule_step_world *world, unsigned number)
{
    struct jobd_schedule_info info;
    char key[32];
    if (jobd_schedule_get(world->jobd, schedule_names[number], &info) != JOBD_OK)
        return;
    int64_t after_us = info.after_us;
    jobd_schedule_info_release(&info);
    int64_t at_us = after_us - INSTANT_US + below(world, 5) * INSTANT_US;
    if (below(world, 20) == 0)
        at_us = moment_of(world).wall_us;
    if (at_us < INSTANT_US || at_us >= INSTANTS * INSTANT_US)
        return;
    schedule_disk_key(number, at_us, key);
    const struct jobd_firing firing = {.name = schedule_names[number],
                                       .version = info.version,
                                       .at_us = below(world, 6) > 0 ? at_us : 0,
                                       .key = key,
                                       .until_us = at_us,
                                       .missed = below(world, 3)};
    enum jobd_result result = jobd_schedule_fire(world->jobd, &firing, world->now_us);
    *world->next_id += result == JOBD_OK; /* perhaps a job */
}

enum jobd_result schedule_step(const struct schedule_step_world *world, struct jobd_waiter *waiter)
{
    unsigned number = below(world, SCHEDULES), which = below(world, 16);
    const char *name = schedule_names[number];
    const struct jobd_moment moment = moment_of(world);
    struct jobd_receipt receipt;
    enum jobd_result result = JOBD_OK;
    if (which < 9) {
        fire_schedule(world, number);
    } else if (which < 11) {
        result = put_schedule(world, waiter, name);
    } else if (which == 11) {
        result = jobd_schedule_delete(world->jobd, name, false, waiter, world->now_us);
    } else if (which == 12) {
        result = jobd_schedule_pause(world->jobd, name, below(world, 2) == 0, waiter, &moment);
    } else if (which == 13) {
        (void)!jobd_schedule_turn_back(world->jobd, name, &moment);
    } else {
        result = jobd_schedule_run(world->jobd, name, waiter, world->now_us, &receipt);
        if (result == JOBD_PENDING || result == JOBD_OK)
            *world->next_id = receipt.id + 1;
    }
    return result;
}
