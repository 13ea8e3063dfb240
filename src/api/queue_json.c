/* SPDX-License-Identifier: MIT */
#include "api/queue_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/metrics.h"
#include "base/text.h"

/* Left out where there is none. */
static void write_breaker(struct json_out *out, const struct jobd_stats *stats)
{
    const char *state = !stats->held ? "closed" : stats->probing ? "half-open" : "open";
    if (!stats->has_breaker)
        return;
    json_out_text(out, "breaker", state);
    if (stats->held && !stats->probing)
        json_out_int(out, "probe_in_ms", stats->probe_in_us / 1000);
}

/* `50/1s`. */
static void write_rate(struct json_out *out, const struct jobd_limits *limits)
{
    char time[TEXT_DURATION_SIZE], text[TEXT_DURATION_SIZE + 16];
    if (limits->starts == 0)
        return;
    text_duration(limits->per_us, time);
    snprintf(text, sizeof text, "%" PRIu32 "/%s", limits->starts, time);
    json_out_text(out, "rate", text);
}

/* Left out where there are none. */
static void write_limits(struct json_out *out, const struct jobd_stats *stats)
{
    const struct jobd_limits *limits = &stats->limits, *of_key = &stats->group_limits;
    if (limits->running != 0)
        json_out_int(out, "running_limit", limits->running);
    write_rate(out, limits);
    if (!stats->by_group)
        return;
    json_out_open(out, "per_key", '{');
    if (of_key->running != 0)
        json_out_int(out, "running", of_key->running);
    if (stats->group_waiting != 0)
        json_out_int(out, "waiting", stats->group_waiting);
    write_rate(out, of_key);
    json_out_close(out, '}');
}

static void write_key(struct json_out *out, const struct jobd_group_stats *group)
{
    json_out_open(out, NULL, '{');
    json_out_text(out, "key", group->name);
    json_out_int(out, "waiting", group->waiting);
    json_out_int(out, "running", group->running);
    json_out_close(out, '}');
}

void queue_json_write_keys(struct json_out *out, const struct api *api, uint32_t index,
                           const struct jobd_stats *stats)
{
    struct jobd_group_stats groups[JOBD_BUSIEST_MAX];
    if (!stats->by_group)
        return;
    size_t len = jobd_busiest(api->jobd, index, groups, JOBD_BUSIEST_MAX);
    json_out_open(out, "keys", '{');
    json_out_int(out, "count", stats->groups);
    json_out_open(out, "busiest", '[');
    for (size_t i = 0; i < len; i++)
        write_key(out, &groups[i]);
    json_out_close(out, ']');
    json_out_close(out, '}');
}

void queue_json_write(struct json_out *out, const struct api *api, uint32_t index,
                      const struct jobd_stats *stats)
{
    json_out_text(out, "name", jobd_queue_name(api->jobd, index));
    json_out_bool(out, "declared", stats->declared);
    metrics_write_queue(out, stats);
    if (stats->delivers)
        json_out_int(out, "promised", stats->promised);
    write_breaker(out, stats);
    write_limits(out, stats);
}
