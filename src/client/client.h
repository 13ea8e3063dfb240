/* SPDX-License-Identifier: MIT */
/* jobd as a client of another jobd, when its first argument names such a command. */
#pragma once

/* The exit status, or -1: no command of a client is asked for. Blocks until it is done; in the main
 * thread, before any other. */
int client_main(int argc, char **argv);
