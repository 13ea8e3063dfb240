/* SPDX-License-Identifier: MIT */
/* A job that has ended goes back in, by hand. */
#pragma once

#include "engine/changes.h"

extern const struct change_kind retry_kind;

/* Adds an ended job that is remembered to such a change. Its queue must have room for it. */
void retry_add_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock);
