/* SPDX-License-Identifier: MIT */
/* Who follows a stream, by the token of its request: a stream may last for days, so it is checked
 * again when the tokens change. */
#pragma once

#include "api/endpoint.h"

struct bearer;

/* The bearer of this request's token, for something of that queue, NULL for all queues. *bearer is
 * NULL where no token is needed. False when memory is short. */
bool bearer_of(const struct call *call, const char *queue, struct bearer **bearer);
/* May the bearer still do that? Always true for NULL. Any thread; may block as
 * authorize_token(). */
bool bearer_may(const struct bearer *bearer);
/* Takes NULL. */
void bearer_free(struct bearer *bearer);
