/* SPDX-License-Identifier: MIT */
/* The bearer of a token, to be judged again when tokens change: a stream outlives the request that
 * was let in. */
#pragma once

#include "api/endpoint.h"

struct bearer;

/* Of this call's token, who was let in for something of that queue, NULL for all. *bearer is NULL
 * where no tokens are needed. False when memory is short. */
bool bearer_of(const struct call *call, const char *queue, struct bearer **bearer);
/* May he still do that? NULL: yes. Any thread; takes the lock of auth.h. */
bool bearer_may(const struct bearer *bearer);
/* Takes NULL. */
void bearer_free(struct bearer *bearer);
