/* SPDX-License-Identifier: MIT */
/* Lists which worker has which job. The leases' tokens are left out: a reader must not be able to
 * end the attempts of others. */
#include <stdlib.h>
#include <string.h>

#include "api/endpoint.h"
#include "api/respond.h"
#include "base/text.h"
#include "jobd/lease.h"

struct leases_state {
    uint32_t queue;
    uint64_t limit, after;
};

static struct leases_state *state_of(const struct call *call)
{
    return request_state(call->request, sizeof(struct leases_state));
}

static enum step parse_leases(struct call *call)
{
    struct leases_state *state = state_of(call);
    const char *queue = request_parameter(call->request, "queue");
    const char *worker = request_parameter(call->request, "worker");
    state->queue = queue != NULL ? jobd_queue_named(call->api->jobd, queue) : JOBD_NO_QUEUE;
    if (queue != NULL && state->queue == JOBD_NO_QUEUE)
        return respond_error(call, 404, "no such queue");
    if (worker != NULL && !text_is_word(worker, JOBD_WORKER_SIZE))
        return respond_bad_value(call, "worker", WORD_VALUES);
    if (parameter_limit(call, &state->limit) == STEP_REPLY)
        return STEP_REPLY;
    if (!parameter_number(call, "after", 0, UINT32_MAX, &state->after))
        return respond_bad_value(call, "after", "what `next` said");
    return STEP_START;
}

static cJSON *lease_json(const struct api *api, const struct jobd_lease_info *info)
{
    cJSON *lease = cJSON_CreateObject();
    const char *queue = jobd_queue_name(api->jobd, info->queue);
    bool whole = json_add_int(lease, "job", (int64_t)info->id) &&
                 cJSON_AddStringToObject(lease, "queue", queue) != NULL &&
                 (info->worker[0] == '\0' ||
                  cJSON_AddStringToObject(lease, "worker", info->worker) != NULL) &&
                 json_add_int(lease, "attempt", info->attempt) &&
                 json_add_time(lease, "since", info->since_us) &&
                 json_add_time(lease, "expires_at", info->expires_us);
    if (whole)
        return lease;
    cJSON_Delete(lease);
    return NULL;
}

static enum step answer_leases(struct call *call, enum jobd_result result)
{
    const struct leases_state *state = state_of(call);
    const struct jobd_lease_filter filter = {.queue = state->queue,
                                             .worker = request_parameter(call->request, "worker"),
                                             .after = state->after};
    struct jobd_lease_info *infos = calloc((size_t)state->limit, sizeof *infos);
    uint64_t next = 0;
    (void)result;
    if (infos == NULL)
        return respond_no_memory(call);
    size_t len = jobd_leases(call->api->jobd, &filter, infos, (size_t)state->limit, &next);
    cJSON *list = cJSON_CreateObject();
    cJSON *leases = cJSON_AddArrayToObject(list, "leases");
    bool whole = leases != NULL;
    for (size_t i = 0; i < len && whole; i++)
        whole = cJSON_AddItemToArray(leases, lease_json(call->api, &infos[i]));
    free(infos);
    return respond_json(call, 200, list, whole && add_next(list, next));
}

const struct endpoint lease_list_endpoints[] = {
    {
        .paths = {"/leases"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .about = ABOUT_FILTER,
        .parameters = {"queue", "worker", "limit", "after"},
        .summary = "Lists the leases: which worker has which job.",
        .answers = "200 Leases",
        .parse = parse_leases,
        .looks = true,
        .answer = answer_leases,
    },
    {.methods = 0},
};
