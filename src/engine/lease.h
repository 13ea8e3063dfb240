/* SPDX-License-Identifier: MIT */
#pragma once

#include "engine/engine.h"

/* The time of a lease is over: a failed attempt. */
void lease_expire_locked(struct op *op, struct lease *lease) REQUIRES(op->jobd->lock);
