/* SPDX-License-Identifier: MIT */
/* A way to a PostgreSQL that can be blocked: a unix socket in a directory of its own, or a port,
 * and a thread that forwards what comes to the one in another directory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct proxy;

/* Makes the directory. Asserts that it can. */
struct proxy *proxy_new(const char *directory, const char *target);
/* The same on a port of its own, of 127.0.0.1; each piece takes so long, either way. */
struct proxy *proxy_new_far(const char *target, int delay_ms, uint16_t *port);
/* Nothing goes through, in neither direction, and nobody is told: a network that swallows all. What
 * was on its way comes when it is over. */
void proxy_block(struct proxy *proxy, bool block);
void proxy_free(struct proxy *proxy);
