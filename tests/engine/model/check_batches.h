/* SPDX-License-Identifier: MIT */
/* The part of check_engine() that is about batches. */
#pragma once

#include "engine/engine.h"

/* How many are pinned. */
uint32_t check_pinned_batches(struct jobd *jobd) REQUIRES(jobd->lock);
/* Who waits for the end of one: how many that count. */
uint32_t check_batches(struct jobd *jobd) REQUIRES(jobd->lock);
