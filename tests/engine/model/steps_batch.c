/* SPDX-License-Identifier: MIT */
/* A step: a batch whose jobs say all themselves. */
#include "engine/model/model_inside.h"

#include "base/verify.h"

enum { KEYS = 3 };

/* Those with the same key have the same payload. */
static void fill(struct model *model, unsigned queue, struct jobd_put puts[BATCH_MAX],
                 struct jobd_terms terms[BATCH_MAX])
{
    static const char *const keys[KEYS] = {"a", "key", "other"};
    unsigned sizes[KEYS];
    for (unsigned i = 0; i < KEYS; i++)
        sizes[i] = below(model, 3);
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        unsigned key = below(model, 2 * KEYS), most = key < KEYS ? sizes[key] : below(model, 300);
        terms[i] = (struct jobd_terms){
            .expires_us = model->now_us + 1 + below(model, 4000), /* whatever the queue says */
            .keep_us = 1 + below(model, 6000)};
        puts[i] = (struct jobd_put){.queue = queue,
                                    .priority = (uint8_t)below(model, JOBD_PRIORITIES),
                                    .attempts = below(model, 4),
                                    .delay_us = below(model, 3) == 0 ? 1 + below(model, 900) : 0,
                                    .key = key < KEYS ? keys[key] : NULL,
                                    .terms = &terms[i],
                                    .payload = jobd_blob_new(most, NULL)};
        verify(puts[i].payload != NULL);
        for (size_t k = 0; k < most; k++)
            puts[i].payload->bytes[k] = 'x';
    }
}

void model_step_put_jobs(struct model *model)
{
    struct jobd_put puts[BATCH_MAX];
    struct jobd_terms terms[BATCH_MAX];
    struct jobd_receipt receipt;
    uint64_t ids[BATCH_MAX], expected_ids[BATCH_MAX] = {0};
    unsigned queue = below(model, QUEUES), len = 1 + below(model, BATCH_MAX);
    const struct jobd_put put = {.queue = queue, .puts = puts, .ids = ids, .batch_len = len};
    fill(model, queue, puts, terms);
    enum jobd_result expected =
        model->phase[queue] == OPEN ? model_admit_jobs(model, &put, expected_ids) : JOBD_UNDECLARED;
    enum jobd_result result = jobd_put(model->jobd, &put, NULL, model->now_us, &receipt);
    verify(result == expected);
    for (unsigned i = 0; i < len && result == JOBD_OK; i++)
        verify(ids[i] == expected_ids[i]);
    if (result == JOBD_FULL || result == JOBD_OUT_OF_MEMORY)
        model->rejected[queue] += len;
    for (unsigned i = result == JOBD_OK ? len : 0; i < BATCH_MAX; i++)
        jobd_blob_unref(puts[i].payload);
    model_settle(model, queue);
}
