/* SPDX-License-Identifier: MIT */
/* What must hold of schedules after every step. */
#pragma once

#include "engine/engine.h"

/* Bytes that they count for. */
size_t check_schedules(struct jobd *jobd) REQUIRES(jobd->lock);
