/* SPDX-License-Identifier: MIT */
/* The lists of an engine with a journal. */
#pragma once

#include "jobd/queue.h"

/* A state's list has all that can be seen in it, also what is just about to leave it. */
void compare_lists(struct jobd *jobd, uint64_t next_id); /* above all ids */
