/* SPDX-License-Identifier: MIT */
/* From the first request to the last: a server that has started serves until SIGTERM or SIGINT,
 * then drains. In the main thread. */
#pragma once

struct server;

/* Blocks signals for this thread and those it will start. 0 or -errno. */
__attribute__((warn_unused_result)) int shutdown_prepare(struct server *server);

/* Until a signal ends it and its jobs have, or their grace is over: the exit status. A second
 * signal, or a job that does not stop, ends the process in it. SIGHUP reads the settings again. */
int serve_until_signal(struct server *server);

void shutdown_release(struct server *server);
