/* SPDX-License-Identifier: MIT */
/* Lists which worker has which job. The leases' tokens are left out: a reader must not be able to
 * end the attempts of others. */
#include <stdlib.h>
#include <string.h>

#include "api/endpoint.h"
#include "api/respond.h"
#include "base/text.h"
#include "jobd/lease.h"

enum { LEASE_BYTES = 192 }; /* one in the answer, about */

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

static void write_lease(struct json_out *out, const struct api *api,
                        const struct jobd_lease_info *info)
{
    json_out_open(out, NULL, '{');
    json_out_int(out, "job", (int64_t)info->id);
    json_out_text(out, "queue", jobd_queue_name(api->jobd, info->queue));
    if (info->worker[0] != '\0')
        json_out_text(out, "worker", info->worker);
    json_out_int(out, "attempt", info->attempt);
    json_out_time(out, "since", info->since_us);
    json_out_time(out, "expires_at", info->expires_us);
    json_out_close(out, '}');
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
    struct json_out out;
    json_out_begin(&out, len * LEASE_BYTES + 64);
    json_out_open(&out, NULL, '{');
    json_out_open(&out, "leases", '[');
    for (size_t i = 0; i < len; i++)
        write_lease(&out, call->api, &infos[i]);
    free(infos);
    json_out_close(&out, ']');
    write_next(&out, next);
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
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
