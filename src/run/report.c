/* SPDX-License-Identifier: MIT */
#include "run/report.h"

#include <string.h>

#include "base/clock.h"

static struct jobd_blob *ref(struct jobd_blob *blob)
{
    return blob != NULL ? jobd_blob_ref(blob) : NULL;
}

static enum jobd_result run(struct jobd_turn *turn)
{
    struct report *report = turn->context;
    if (report->is_due) {
        struct jobd_outcome outcome = report->outcome;
        outcome.output = ref(outcome.output);
        outcome.error = ref(outcome.error);
        jobd_finish(report->jobd, &report->task, &outcome, clock_now_us());
    }
    return jobd_take(report->jobd, report->queue, &report->sync->waiter, clock_now_us());
}

static void over(struct jobd_turn *turn, enum jobd_result result)
{
    const struct report *report = turn->context;
    wait_sync_end(report->sync, result);
}

void report_fit(struct jobd *jobd, struct jobd_outcome *outcome)
{
    struct jobd_blob *whole = outcome->output;
    size_t room = whole != NULL ? jobd_output_room(jobd) : 0;
    if (whole == NULL || whole->size <= room)
        return;
    for (int i = 0; i < 3 && room > 0 && (whole->bytes[room] & 0xc0) == 0x80; i++)
        room--; /* no half character of UTF-8 */
    outcome->output = jobd_blob_new(room, whole->type);
    outcome->output_truncated = true;
    if (outcome->output != NULL)
        memcpy(outcome->output->bytes, whole->bytes, room);
    jobd_blob_unref(whole);
}

void report_keep(struct report *report, const struct jobd_task *task,
                 const struct jobd_outcome *outcome)
{
    report->task = *task;
    report->outcome = *outcome;
    report->is_due = true;
}

enum jobd_result report_and_take(struct report *report)
{
    report->turn = (struct jobd_turn){.run = run, .over = over, .context = report};
    jobd_enter(report->jobd, &report->turn);
    enum jobd_result result = wait_sync_until(report->sync, report->jobd, JOBD_NEVER);
    if (result != JOBD_STORE_FAILED)
        report_forget(report);
    return result;
}

void report_forget(struct report *report)
{
    if (!report->is_due)
        return;
    jobd_blob_unref(report->outcome.output);
    jobd_blob_unref(report->outcome.error);
    report->is_due = false;
}
