/* SPDX-License-Identifier: MIT */
/* `jobd top`: the queues of a jobd as they live, from its /status. In a terminal they are drawn
 * again and again, and keys are heard:
 *
 *     q          ends it
 *     p          stands still, and goes on
 *     j, k       one queue down, up
 *
 * When standard output is no terminal they are printed once. */
#pragma once

struct client_options;

/* The exit status: 0; 1 when the server does not answer in the end, or refuses us; 2 when an option
 * is wrong. Blocks; in the main thread. */
int top_main(const struct client_options *options);
