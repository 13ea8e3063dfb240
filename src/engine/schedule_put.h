/* SPDX-License-Identifier: MIT */
/* A schedule's job as a put. */
#pragma once

#include "engine/admission.h"
#include "engine/schedule_table.h"

struct schedule_put {
    /* The caller's: "" or NULL: none; what it is a step of, NULL: none. */
    const char *key;
    struct schedule_step *step; /* taken on JOBD_OK and JOBD_PENDING, and NULL then */

    struct jobd_put put;
    struct jobd_terms terms;
    struct job_extra *extra;
    struct jobd_blob *held; /* the texts' */
};

/* JOBD_OK, JOBD_UNDECLARED or JOBD_OUT_OF_MEMORY; end it in any case. */
enum jobd_result schedule_put_make_locked(struct op *op, const struct schedule *schedule,
                                          struct schedule_put *put) REQUIRES(op->jobd->lock);
/* As jobd_put(). One that is a step is not counted among those refused. */
enum jobd_result schedule_put_locked(struct op *op, struct schedule_put *put,
                                     struct jobd_receipt *receipt) REQUIRES(op->jobd->lock);
void schedule_put_end(struct op *op, struct schedule_put *put);
