/* SPDX-License-Identifier: MIT */
/* What ends a lease from inside. */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

/* A lease has run out. */
void lease_expire_locked(struct jobd *jobd, struct lease *lease, int64_t now_us,
                         struct effects *after) REQUIRES(jobd->lock);
