/* SPDX-License-Identifier: MIT */
/* `jobd work`: takes jobs from a jobd elsewhere and runs a command for each of them, as the `exec`
 * runner does.
 *
 *     SIGTERM, SIGINT   no more is taken; commands that run are finished. A second one ends at once
 *     SIGHUP            the token is read again
 *
 * While the server is away it is asked again, less and less often; commands go on. */
#pragma once

struct client_options;

/* The exit status: 0 after a drain, 1 when the server refuses us or an end could not be reported, 2
 * when the command cannot be started. Blocks; in the main thread, before any other. */
int work_main(const struct client_options *options);
