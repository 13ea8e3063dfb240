/* SPDX-License-Identifier: MIT */
/* What watches the server asks for: is it alive, is it ready, how much is it doing. */
#include "api/endpoint.h"
#include "api/metrics.h"
#include "api/ready.h"
#include "api/respond.h"

static enum step answer_ready(struct call *call, enum jobd_result result)
{
    struct problem reason;
    if (api_ready(call->api, &reason))
        return respond_line(call, result);
    return respond_error(call, 503, reason.text);
}

static enum step answer_metrics(struct call *call, enum jobd_result result)
{
    const struct api *api = call->api;
    (void)result;
    call->reply->owned = metrics_text(api);
    if (call->reply->owned == NULL)
        return respond_no_memory(call);
    call->reply->status = 200;
    call->reply->type = TYPE_METRICS;
    call->reply->vital = true;
    return STEP_REPLY;
}

const struct endpoint health_endpoints[] = {
    {
        .paths = {"/healthz"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_OPEN,
        .any_parameter = true,
        .summary = "Says that the process lives.",
        .answers = "200 Status|text",
        .answer = respond_line,
        .line = "ok\n",
    },
    {
        .paths = {"/readyz"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_OPEN,
        .any_parameter = true,
        .summary = "Says whether the server takes jobs in, and if not, why.",
        .answers = "200 Status|text, 503",
        .answer = answer_ready,
        .line = "ready\n",
    },
    {
        .paths = {"/metrics"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .looks = true,
        .is_figures = true,
        .any_parameter = true,
        .summary = "Shows the figures, for Prometheus.",
        .answers = "200 text",
        .answer = answer_metrics,
    },
    {.methods = 0},
};
