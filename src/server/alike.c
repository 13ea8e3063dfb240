/* SPDX-License-Identifier: MIT */
#include "server/alike.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

static double seconds(int64_t us)
{
    return (double)us / 1e6;
}

static void add_rate(FILE *out, const char *name, const struct rate_terms *rate)
{
    fprintf(out, " %s=%" PRIu64 "/%gs", name, rate->starts, seconds(rate->per_us));
}

static void add_queue(FILE *out, const struct queue_options *queue)
{
    fprintf(out, "%s capacity=%" PRIu64 " attempts=%" PRIu64 " timeout=%gs backoff=%gs-%gs",
            queue->name, queue->capacity, queue->attempts, seconds(queue->timeout_us),
            seconds(queue->backoff.min_us), seconds(queue->backoff.max_us));
    fprintf(out, " expires=%gs keep-for=%gs running=%" PRIu64, seconds(queue->expires_us),
            seconds(queue->keep_us), queue->running);
    add_rate(out, "rate", &queue->rate);
    fprintf(out, " per-key=%s per-key-running=%" PRIu64 " per-key-waiting=%" PRIu64,
            queue->per_key.given ? "yes" : "no", queue->per_key.running, queue->per_key.waiting);
    add_rate(out, "per-key-rate", &queue->per_key.rate);
    fputc('\n', out);
}

/* From malloc(); NULL when memory is short. */
static char *text_of(const struct options *options)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    for (uint32_t i = 0; i < options->queues_len; i++)
        add_queue(out, &options->queues[i]);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

void alike_tell(struct ledger *ledger, const struct options *options)
{
    char *text = text_of(options);
    if (text == NULL || !ledger_describe(ledger, text))
        log_warn("out of memory: other servers are not told of the queues' limits");
    free(text);
}
