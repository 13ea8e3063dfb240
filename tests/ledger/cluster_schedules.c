/* SPDX-License-Identifier: MIT */
/* What is asked of schedules, with arguments by chance. Time is that of both clocks. */
#include <stdio.h>

#include "base/verify.h"
#include "jobd/schedule.h"
#include "ledger/cluster_inside.h"

enum { NAMES = SCHEDULES, KEY_SIZE = 64 };

static const char *const names[NAMES] = {"hourly", "a", "b", "nightly"};

static const char *some_name(struct cluster *cluster)
{
    return names[below(cluster, NAMES)];
}

static void call_put(struct member *member, const struct jobd_moment *moment)
{
    static const char *const queue_names[QUEUES] = {"one", "few", "many"};
    struct cluster *cluster = member->cluster;
    enum jobd_schedule_change change;
    struct jobd_schedule schedule = {.name = some_name(cluster),
                                     .cron = "@daily",
                                     .zone = below(cluster, 2) == 0 ? "UTC" : "Europe/Paris",
                                     .queue = queue_names[below(cluster, QUEUES)],
                                     .priority = (uint8_t)below(cluster, JOBD_PRIORITIES),
                                     .attempts = below(cluster, 4),
                                     .late = (enum jobd_late)below(cluster, 3),
                                     .alone = below(cluster, 2) == 0,
                                     .fixed = below(cluster, 4) == 0};
    if (below(cluster, 3) == 0)
        schedule.texts[JOBD_GROUP] = "somebody";
    if (below(cluster, 4) == 0)
        schedule.texts[JOBD_CALLBACK] = "http://there/";
    if (below(cluster, 2) == 0)
        schedule.payload = jobd_blob_text("report");
    if (below(cluster, 3) == 0)
        schedule.expires_us = 1 + below(cluster, 5000);
    (void)!jobd_schedule_put(member->jobd, &schedule, NULL, moment, &change);
    jobd_blob_unref(schedule.payload);
}

/* An instant that has come, or all up to one, as whoever reads the plans of this member knows. */
static void call_fire(struct member *member, const struct jobd_moment *moment)
{
    struct cluster *cluster = member->cluster;
    struct jobd_schedule_info info;
    char key[KEY_SIZE];
    const char *name = some_name(cluster);
    if (jobd_schedule_get(member->jobd, name, &info) != JOBD_OK)
        return;
    const struct jobd_firing firing = {.name = name,
                                       .version = info.version,
                                       .at_us =
                                           below(cluster, 4) > 0 ? moment->wall_us / 700 * 700 : 0,
                                       .key = key,
                                       .until_us = moment->wall_us,
                                       .missed = below(cluster, 3)};
    snprintf(key, sizeof key, "%s@%lld", name, (long long)firing.at_us);
    const struct jobd_schedule_info before = info;
    enum jobd_result result = jobd_schedule_fire(member->jobd, &firing, cluster->now_us);
    bool has_happened = firing.at_us != 0 && firing.at_us <= before.after_us;
    verify(!has_happened || result != JOBD_OK || before.paused);
    jobd_schedule_info_release(&info);
}

void cluster_call_schedule(struct member *member)
{
    struct cluster *cluster = member->cluster;
    const struct jobd_moment moment = {cluster->now_us, cluster->now_us};
    const struct jobd_moment earlier = {cluster->now_us, cluster->now_us - below(cluster, 40000)};
    struct jobd_receipt receipt;
    switch (below(cluster, 10)) {
    case 0:
        (void)!jobd_schedule_delete(member->jobd, some_name(cluster), below(cluster, 2) == 0, NULL,
                                    cluster->now_us);
        break;
    case 1:
        (void)!jobd_schedule_pause(member->jobd, some_name(cluster), below(cluster, 4) == 0, NULL,
                                   &moment);
        break;
    case 2:
        (void)!jobd_schedule_run(member->jobd, some_name(cluster), NULL, cluster->now_us, &receipt);
        break;
    case 3:
        (void)!jobd_schedule_turn_back(member->jobd, some_name(cluster), &earlier);
        break;
    case 4:
    case 5:
        call_put(member, &moment);
        break;
    default:
        call_fire(member, &moment);
        break;
    }
}

/* What has changed is told of once, by whomever. */
void cluster_look_at_schedules(struct member *member)
{
    struct jobd_schedule_info info;
    uint32_t number;
    while (jobd_schedule_changed(member->jobd, &number, &info)) {
        verify(number < NAMES);
        jobd_schedule_info_release(&info);
    }
}
