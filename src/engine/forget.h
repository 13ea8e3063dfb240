/* SPDX-License-Identifier: MIT */
#pragma once

#include "engine/changes.h"

/* The change of ended jobs that are forgotten because somebody asks for it: unlike those that are
 * forgotten for want of room, they are there until it is written. */
extern const struct change_kind forget_kind;

/* Adds an ended job that is remembered. */
void forget_add_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock);
