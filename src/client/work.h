/* SPDX-License-Identifier: MIT */
/* `jobd work`: takes jobs from a jobd elsewhere and runs a command for each of them, as the `exec`
 * runner does.
 *
 *     SIGTERM, SIGINT   takes no more jobs; commands that run are finished. A second one kills them
 *     SIGHUP            reads the token again
 *
 * While the server is away it is asked again, less and less often; commands go on. */
#pragma once

struct client_options;

/* The exit status: 0 after a drain; 1 when the server refused, or an end could not be reported; 2
 * when the command cannot be started. Blocks. In the main thread, before there is any other. */
int work_main(const struct client_options *options);
