/* SPDX-License-Identifier: MIT */
/* What the parts of the engine's invariants know of each other. */
#pragma once

#include "engine/changes.h"
#include "engine/engine.h"
#include "engine/fair.h"

void check_heap(const struct heap *heap);
/* The bytes that its groups count for. */
size_t check_turns(struct jobd *jobd, struct queue *queue) REQUIRES(jobd->lock);
/* Jobs in the lanes of its groups. */
uint32_t check_turns_queued(const struct queue *queue);
