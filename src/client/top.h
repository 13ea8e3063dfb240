/* SPDX-License-Identifier: MIT */
/* `jobd top`: the queues of a jobd, from its /status. In a terminal they are drawn again and again,
 * and these keys are read:
 *
 *     q          ends it
 *     p          freezes the picture, and goes on
 *     j, k       one queue down, up
 *
 * When standard output is no terminal they are printed once. */
#pragma once

struct client_options;

/* The exit status: 0; 1 when the server never answered, or refused; 2 when an option is wrong.
 * Blocks. In the main thread. */
int top_main(const struct client_options *options);
