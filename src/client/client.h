/* SPDX-License-Identifier: MIT */
/* jobd as a client of another jobd: `jobd work`, `jobd top`. */
#pragma once

/* Runs the command that the first argument names: the exit status; -1: it names none. Blocks until
 * the command is done. In the main thread, before there is any other. */
int client_main(int argc, char **argv);
