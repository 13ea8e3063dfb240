/* SPDX-License-Identifier: MIT */
/* What happens to jobs, as it happens: more of jobd/queue.h, under the same rules. */
#pragma once

#include "jobd/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- changes of state ----------------------------------------------------------------------- */

#define JOBD_EVENTS_MAX 10000 /* so many are kept until they are read */

/* A job when it had just come to a state; with a journal, once that is written. */
struct jobd_event {
    uint64_t number;     /* counts up from 1 */
    uint32_t queue;      /* its number, as jobd_queue_named() says it */
    enum jobd_state was; /* the state it came from; JOBD_STATES: it is new */
    struct jobd_info info;
};

/* From now on changes of state are numbered and kept to be read; or no longer, and those that have
 * not been read are dropped. Until the first time they take no memory. Again changes nothing. 0 or
 * -ENOMEM. */
JOBD_API JOBD_MUST_READ int jobd_events_keep(struct jobd *jobd, bool keep);
/* The changes since the last call, the oldest first, at most `len` of them: how many. Where numbers
 * are left out nobody has read for so long that they were not kept. config.on_event tells when
 * there are some after there were none. */
JOBD_API size_t jobd_events(struct jobd *jobd, struct jobd_event *events, size_t len);
/* The number of the last change, 0 before the first. */
JOBD_API uint64_t jobd_events_last(struct jobd *jobd);

/* ---- the output of a worker's attempt ------------------------------------------------------- */

/* What a task that is not leased has put out so far, for who follows its job: the first `bytes` of
 * the blob, which must not change from now on; NULL: nothing. A reference is taken, until the next
 * call or the end of the attempt; it does not count for memory_bytes. When memory is short nothing
 * is shown until the attempt ends. Where several processes share the queues, it is shown by this
 * one alone, and the attempt may be another's by now: then nothing happens. */
JOBD_API void jobd_show_output(struct jobd *jobd, const struct jobd_task *task,
                               struct jobd_blob *output, size_t bytes, bool truncated);

#ifdef __cplusplus
}
#endif
